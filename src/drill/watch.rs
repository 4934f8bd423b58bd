//! Looks whether a step of a drill is done.

use aws_config::SdkConfig;
use aws_sdk_s3::primitives::ByteStream;
use serde_json::{Value, json};

use super::broken;
use super::plan::Plan;
use super::story::Story;
use super::text::text;
use crate::alertmanager::Alertmanagers;
use crate::config::{Config, Severity, SourceConfig};
use crate::opensearch::{OpenSearch, Query, QueryError};
use crate::source::buckets::S3Clients;

pub(super) const QUERY: Query = Query {
    operation: "the drill",
    grant: "what `drill` needs: search on the indices of events, objects, rejected documents and incidents, and to write into that of incidents",
};

/// What a look found, or what was seen so far in its place.
pub(super) type Found<T> = Result<T, String>;

/// Who was told of the incident.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub said: Vec<String>,
    /// Links that nothing here shows to work.
    pub not_checked: Vec<String>,
}

/// What is looked at.
pub(super) struct Watch<'d> {
    pub client: OpenSearch,
    pub config: &'d Config,
    pub plan: &'d Plan,
    pub story: &'d Story,
    pub alertmanagers: &'d Alertmanagers,
}

impl Watch<'_> {
    /// Puts the file into the bucket.
    pub async fn upload(&self, aws: &SdkConfig) -> Result<(), String> {
        let plan = self.plan;
        // The role that reads objects writes none.
        let source = SourceConfig { assume_role_arn: None, ..self.config.source.clone() };
        let clients = S3Clients::new(aws, &source).await;
        let put = |client: aws_sdk_s3::Client| {
            let body = ByteStream::from(self.story.bytes.clone());
            let request = client.put_object().bucket(&plan.bucket).key(&self.story.key);
            request.content_type("application/json").content_encoding("gzip").body(body).send()
        };
        let put = clients.ask(&plan.bucket, None, put).await;
        put.map(|_| ()).map_err(|error| broken::of_upload(&crate::aws::cause(&error), plan))
    }

    /// Whether a daemon has read the file, which the ledger says, or any document of it.
    pub async fn read(&self) -> Result<Found<String>, QueryError> {
        let names = self.client.names();
        let entry =
            json!({"size": 1, "query": {"term": {"object.key": self.story.key}}, "_source": ["records"]});
        let entries = self.search(&names.objects(), &entry).await?;
        if let Some(entry) = entries.first() {
            let read = entry["_source"]["records"]["read"].as_u64().unwrap_or_default();
            return Ok(Ok(format!("a daemon has read {read} records")));
        }
        Ok(match self.documents().await?.len() {
            0 => Err("no entry of the ledger".to_owned()),
            _ => Ok("a daemon has read records".to_owned()),
        })
    }

    /// Whether all documents can be searched, as those of a drill.
    pub async fn stored(&self) -> Result<Found<Result<String, String>>, QueryError> {
        let documents = self.documents().await?;
        let all = self.story.documents.len();
        let is_marked = |hit: &&Value| text(hit, "/_source/sagemaker/drill") == Some(&self.story.id);
        if let Some(unmarked) = documents.iter().find(|hit| !is_marked(hit)) {
            return Ok(Ok(Err(broken::of_mark(text(unmarked, "/_source/sagemaker/alert/origin")))));
        }
        if documents.len() < all {
            return Ok(Err(format!("{} of {all} documents are there", documents.len())));
        }
        let worst = documents.iter().find(|hit| hit["_id"] == self.story.worst.as_str());
        let levels = worst.and_then(|hit| hit["_source"]["sagemaker"]["findings"].as_array());
        let is_found = levels.into_iter().flatten().any(|finding| finding["level"] == "critical");
        Ok(Ok(if is_found {
            Ok(format!("{all} documents can be searched"))
        } else {
            Err(broken::of_rules(worst))
        }))
    }

    async fn documents(&self) -> Result<Vec<Value>, QueryError> {
        let question = json!({
            "size": 2 * self.story.documents.len(), "query": {"ids": {"values": self.story.documents}},
            "_source": ["sagemaker.drill", "sagemaker.findings", "sagemaker.muted", "sagemaker.releveled", "sagemaker.alert.origin"]
        });
        self.search(&self.client.names().events(), &question).await
    }

    /// The id of the incident.
    pub async fn incident(&self) -> Result<Found<String>, QueryError> {
        let question = json!({"size": 1, "_source": ["incident.id"],
            "query": {"term": {"incident.origin": self.story.origin()}}});
        let found = self.search(&self.client.names().incidents(), &question).await?;
        let id = found.first().and_then(|hit| text(hit, "/_source/incident/id"));
        Ok(id.map(str::to_owned).ok_or_else(|| "no incident".to_owned()))
    }

    /// Whether somebody would be told.
    pub fn has_channels(&self) -> bool {
        self.config.channels.values().any(|channel| channel.takes(Severity::Critical))
    }

    /// Whether every channel has the incident, as far as that can be seen.
    pub async fn told(&self, incident: &str) -> Result<Found<Told>, QueryError> {
        let mut told = Told::default();
        for (name, held) in self.held().await {
            match held {
                Ok(held) if held.iter().any(|it| it == incident) => {
                    told.said.push(format!("channels.{name} has it"));
                }
                Ok(_) => return Ok(Err(format!("channels.{name} answers and has no alert of the incident"))),
                Err(problem) => return Ok(Err(problem)),
            }
        }
        if self.is_paged_by_monitors() {
            match self.paged(incident).await? {
                Ok(paged) => {
                    told.said.extend(paged.said);
                    told.not_checked.extend(paged.not_checked);
                }
                Err(problem) => return Ok(Err(problem)),
            }
        }
        Ok(Ok(told))
    }

    /// Whether no Alertmanager has the incident any more. Alerts of monitors end by themselves.
    pub async fn ended(&self, incident: &str) -> Result<Found<String>, QueryError> {
        for (name, held) in self.held().await {
            match held {
                Ok(held) if held.iter().any(|it| it == incident) => {
                    return Ok(Err(format!("channels.{name} still has it")));
                }
                Ok(_) => {}
                Err(problem) => return Ok(Err(problem)),
            }
        }
        let said = match (self.alertmanagers.is_empty(), self.is_paged_by_monitors()) {
            (_, false) => "closed, and ended in every channel",
            (true, true) => "closed; the alert of the monitor ends with its next run",
            (false, true) => {
                "closed, and ended in every Alertmanager; the alert of the monitor ends with its next run"
            }
        };
        Ok(Ok(said.to_owned()))
    }

    /// What each Alertmanager holds that takes critical incidents.
    async fn held(&self) -> Vec<(&str, Result<Vec<String>, String>)> {
        let takes =
            |name: &str| self.config.channels.get(name).is_some_and(|it| it.takes(Severity::Critical));
        let held = self.alertmanagers.held().await.into_iter().filter(|(name, _)| takes(name));
        held.map(|(name, held)| (name, held.map_err(|error| error.to_string()))).collect()
    }

    /// What a search finds, in indices of which none has to be there.
    pub async fn search(&self, indices: &str, question: &Value) -> Result<Vec<Value>, QueryError> {
        search(&self.client, indices, question).await
    }
}

pub(super) async fn search(
    client: &OpenSearch,
    indices: &str,
    question: &Value,
) -> Result<Vec<Value>, QueryError> {
    let path = format!("{indices}/_search?ignore_unavailable=true&allow_no_indices=true");
    let mut answer: Value = QUERY.ask(client, &path, question).await?;
    Ok(match answer["hits"]["hits"].take() {
        Value::Array(hits) => hits,
        _ => Vec::new(),
    })
}
