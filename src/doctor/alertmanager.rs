//! Checks whether each Alertmanager answers and holds the incidents that are open.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::finding::Finding;
use crate::alertmanager::{AlertmanagerError, Alertmanagers};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::opensearch::{self, OpenSearch, Query};

const SEARCH: Query = Query { operation: "_search", grant: "read on the index of incidents" };
/// Open incidents that are looked at.
const MOST: usize = 1_000;

pub(super) async fn examine(config: &Config, aws: &aws_config::SdkConfig) -> Vec<Finding> {
    let alertmanagers = match Alertmanagers::new(config, Arc::new(Metrics::new())) {
        Ok(alertmanagers) => alertmanagers,
        Err(error) => return vec![broken(&error)],
    };
    if alertmanagers.is_empty() {
        return Vec::new();
    }
    let open = match opensearch::connect(config, Some(aws)).await {
        Ok(client) => open_incidents(&client).await,
        // What is wrong with the cluster is a finding of its own.
        Err(_) => BTreeSet::new(),
    };
    let held = alertmanagers.held().await.into_iter();
    held.map(|(channel, held)| judge(channel, held, &open)).collect()
}

/// The ids of incidents that are open for long enough to have been handed over.
async fn open_incidents(client: &OpenSearch) -> BTreeSet<String> {
    let path = format!("{}/_search?ignore_unavailable=true", client.names().incidents());
    let query = json!({"size": MOST, "_source": ["incident.id"], "query": {"bool": {
        "filter": [{"range": {"incident.opened": {"lt": "now-2m"}}}],
        "must_not": [{"term": {"incident.state": "closed"}}]}}});
    let answer: Value = SEARCH.ask(client, &path, &query).await.unwrap_or_default();
    let hits = answer["hits"]["hits"].as_array().into_iter().flatten();
    hits.filter_map(|hit| hit["_source"]["incident"]["id"].as_str().map(str::to_owned)).collect()
}

fn judge(channel: &str, held: Result<Vec<String>, AlertmanagerError>, open: &BTreeSet<String>) -> Finding {
    let held: BTreeSet<String> = match held {
        Ok(held) => held.into_iter().collect(),
        Err(error) => return broken(&error),
    };
    let missing = open.difference(&held).count();
    if missing == 0 {
        return Finding::fine(subject(channel), format!("it answers and holds {} incidents", held.len()));
    }
    Finding::warning(
        subject(channel),
        format!("{missing} of {} open incidents are not there", open.len()),
        "see whether a process correlates, what it logs, and whether severities of the channel leave them out",
    )
}

fn broken(error: &AlertmanagerError) -> Finding {
    Finding::broken(
        subject(&error.channel),
        error.problem.clone(),
        "check what the channel says of its address and credentials; incidents are handed over again until it answers",
    )
}

fn subject(channel: &str) -> String {
    format!("alertmanager {channel}")
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn one_that_does_not_answer_or_lacks_open_incidents_is_told() {
        let open = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let error = AlertmanagerError { channel: "am".to_owned(), problem: "no answer".to_owned() };
        let cases = [
            (Ok(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]), State::Fine, "holds 3 incidents"),
            (Ok(vec!["b".to_owned()]), State::Warning, "1 of 2 open incidents are not there"),
            (Err(error), State::Broken, "no answer"),
        ];
        for (held, state, text) in cases {
            let finding = judge("am", held, &open);
            assert_eq!((finding.subject.as_str(), finding.state), ("alertmanager am", state));
            assert!(finding.text.contains(text), "{}", finding.text);
        }
    }
}
