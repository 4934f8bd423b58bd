//! The sink against a real OpenSearch, which some of these tests block as a whole.

use bytes::Bytes;
use sagetrail::document::{Document, IndexName};
use sagetrail::names::Names;
use sagetrail::opensearch::{Method, OpenSearch};
use sagetrail::sink::{StoreError, Stored};
use serde_json::{Value, json};
use time::{Date, Month};

use crate::sink::{Running, attempts, config, created, document_of, duplicate};
use crate::support::cleared::Cleared;

/// The value of a variable, or a printed line that says what is skipped for want of it.
pub(crate) fn environment(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    if value.is_none() {
        println!("skipped: {name} is not set");
    }
    value
}

/// A text that no other run has used: the rejected index is shared and is not emptied.
pub(crate) fn unique() -> String {
    time::OffsetDateTime::now_utc().unix_timestamp_nanos().to_string()
}

struct Cluster {
    client: OpenSearch,
    url: String,
    _turn: Cleared,
}

impl Cluster {
    async fn of_environment() -> Option<Self> {
        let turn = Cleared::running().await?;
        let url = turn.url.clone();
        let client = OpenSearch::new(&config(&url), None).unwrap();
        let cluster = Self { client, url, _turn: turn };
        // It may exist already.
        cluster.ask(Method::PUT, "sagetrail-rejected", None).await;
        Some(cluster)
    }

    fn running(&self) -> Running {
        Running::new(&config(&self.url))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let body = body.map(|body| Bytes::from(body.to_string()));
        let answer = self.client.request(method, path, body).await.unwrap();
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// An index that is new, in a year that no other data has, with these mappings.
    async fn index(&self, month: Month, mappings: Value) -> IndexName {
        let time = Date::from_calendar_date(2098, month, 1).unwrap().midnight().assume_utc();
        let index = IndexName::of_event(&Names::default(), Some(time));
        self.ask(Method::DELETE, index.as_str(), None).await;
        let (status, answer) =
            self.ask(Method::PUT, index.as_str(), Some(json!({"mappings": mappings}))).await;
        assert_eq!(status, 200, "{answer}");
        index
    }

    async fn set(&self, index: &str, settings: Value) {
        let (status, answer) = self.ask(Method::PUT, &format!("{index}/_settings"), Some(settings)).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn count(&self, index: &IndexName) -> u64 {
        self.ask(Method::POST, &format!("{}/_refresh", index.as_str()), None).await;
        let (_, answer) = self.ask(Method::GET, &format!("{}/_count", index.as_str()), None).await;
        answer["count"].as_u64().unwrap()
    }

    async fn report_of(&self, document: &Document) -> Option<Value> {
        let path = format!("sagetrail-rejected/_doc/{}", document.id.as_str());
        let (status, answer) = self.ask(Method::GET, &path, None).await;
        (status == 200).then(|| answer["_source"].clone())
    }
}

fn into(index: &IndexName, source: impl Into<String>) -> Document {
    Document { index: index.clone(), ..document_of(source) }
}

#[tokio::test]
async fn a_real_cluster_says_who_it_is() {
    let Some(cluster) = Cluster::of_environment().await else { return };
    let info = cluster.client.info().await.unwrap();
    assert_eq!(info.distribution.as_deref(), Some("opensearch"));
    assert!(info.number.contains('.'), "{info:?}");
}

#[tokio::test]
async fn thousands_of_documents_are_stored_once_however_often_they_are_delivered() {
    let Some(cluster) = Cluster::of_environment().await else { return };
    let index = cluster.index(Month::January, json!({})).await;
    let mut config = config(&cluster.url);
    config.bulk_max_documents = crate::sink::at_least_one(500);
    for gzip in [false, true] {
        config.gzip = gzip;
        let running = Running::new(&config);
        let all: Vec<_> = (0..3_000).map(|number| into(&index, format!("{{\"n\":{number}}}"))).collect();
        let expected = if gzip { duplicate(3_000) } else { created(3_000) };
        assert_eq!(running.store(all).await, Ok(expected));
        running.end().await;
    }
    assert_eq!(cluster.count(&index).await, 3_000);
}

#[tokio::test]
async fn what_the_mapping_refuses_is_in_the_rejected_index_and_the_rest_is_stored() {
    let Some(cluster) = Cluster::of_environment().await else { return };
    let mappings =
        json!({"dynamic": "strict", "properties": {"n": {"type": "integer"}, "u": {"type": "keyword"}}});
    let index = cluster.index(Month::February, mappings).await;
    let running = cluster.running();
    let unique = unique();
    let good = into(&index, format!("{{\"u\":\"{unique}\",\"n\":1}}"));
    let bad = [
        (format!("{{\"u\":\"{unique}\",\"n\":\"é\\n\\\"x\"}}"), "mapper_parsing_exception"),
        (format!("{{\"u\":\"{unique}\",\"new\":1}}"), "strict_dynamic_mapping_exception"),
        (format!("{{\"u\":\"{unique}\",\"cut\":"), "mapper_parsing_exception"),
    ]
    .map(|(source, kind)| (into(&index, source), kind));
    let all = bad.iter().map(|(document, _)| document.clone()).chain([good]).collect();
    assert_eq!(
        running.store(all).await,
        Ok(Stored { created: 1, duplicate: 0, rejected: 3, ..Stored::default() })
    );
    for (document, kind) in &bad {
        let report = cluster.report_of(document).await.unwrap();
        assert_eq!(report["text"].as_str().unwrap().as_bytes(), &document.source[..]);
        assert_eq!(report["error"]["type"], *kind);
        assert_eq!(report["index"], index.as_str());
    }
    assert_eq!(cluster.count(&index).await, 1);
    running.end().await;
}

#[tokio::test]
async fn while_the_rejected_index_takes_nothing_a_refused_document_is_no_success() {
    let Some(cluster) = Cluster::of_environment().await else { return };
    let index = cluster.index(Month::March, json!({"properties": {"n": {"type": "integer"}}})).await;
    let mut config = config(&cluster.url);
    config.item_attempts = attempts(2);
    let bad = into(&index, format!("{{\"n\":\"{}x\"}}", unique()));

    cluster.set("sagetrail-rejected", json!({"index.blocks.write": true})).await;
    let running = Running::new(&config);
    let blocked = running.store(vec![bad.clone()]).await;
    cluster.set("sagetrail-rejected", json!({"index.blocks.write": null})).await;
    assert!(matches!(blocked, Err(StoreError::Unavailable { attempts: 2, status: 403, .. })), "{blocked:?}");

    cluster.ask(Method::POST, "sagetrail-rejected/_close", None).await;
    let closed = running.store(vec![bad.clone()]).await;
    cluster.ask(Method::POST, "sagetrail-rejected/_open?wait_for_active_shards=1", None).await;
    assert!(matches!(closed, Err(StoreError::Unavailable { attempts: 2, status: 400, .. })), "{closed:?}");

    assert_eq!(cluster.report_of(&bad).await, None);
    assert_eq!(
        running.store(vec![bad.clone()]).await,
        Ok(Stored { created: 0, duplicate: 0, rejected: 1, ..Stored::default() })
    );
    assert!(cluster.report_of(&bad).await.is_some());
    running.end().await;
}

#[tokio::test]
async fn a_blocked_index_is_waited_for_and_its_documents_are_not_rejected() {
    let Some(cluster) = Cluster::of_environment().await else { return };
    for (month, block) in
        [(Month::April, "index.blocks.read_only"), (Month::May, "index.blocks.read_only_allow_delete")]
    {
        let index = cluster.index(month, json!({})).await;
        cluster.set(index.as_str(), json!({block: true})).await;
        let running = cluster.running();
        let producer = running.sink.join();
        let all = (0..10).map(|number| into(&index, format!("{{\"n\":{number}}}"))).collect();
        let submission = producer.submit(all).await.unwrap();
        drop(producer);
        running.until_retried("bulk_item", 10.0).await;
        cluster.set(index.as_str(), json!({block: null})).await;
        assert_eq!(crate::sink::patiently(submission.stored()).await, Ok(created(10)), "{block}");
        running.end().await;
    }
}

#[tokio::test]
async fn an_index_that_cannot_be_made_for_want_of_shards_is_waited_for() {
    let Some(cluster) = Cluster::of_environment().await else { return };
    let index = cluster.index(Month::June, json!({})).await;
    cluster.ask(Method::DELETE, index.as_str(), None).await;
    let limit = |value: Value| json!({"persistent": {"cluster.max_shards_per_node": value}});
    cluster.ask(Method::PUT, "_cluster/settings", Some(limit(json!(1)))).await;
    let mut config = config(&cluster.url);
    config.item_attempts = attempts(2);
    let running = Running::new(&config);
    let document = into(&index, "{\"n\":1}");
    let full = running.store(vec![document.clone()]).await;
    cluster.ask(Method::PUT, "_cluster/settings", Some(limit(Value::Null))).await;
    assert!(matches!(full, Err(StoreError::Unavailable { status: 400, .. })), "{full:?}");
    assert_eq!(running.store(vec![document]).await, Ok(created(1)));
    running.end().await;
}

/// What a person or another product may do to an index, and how it is undone.
struct State {
    name: &'static str,
    template: Value,
    before: &'static [(Method, &'static str, &'static str)],
    after: &'static [(Method, &'static str, &'static str)],
}

#[tokio::test]
async fn no_state_of_a_real_cluster_rejects_a_document_and_each_is_waited_for() {
    const PIPELINE: &str = "_ingest/pipeline/sagetrail-test";
    const TAKEN: &str = "sagetrail-test-taken";
    let Some(cluster) = Cluster::of_environment().await else { return };
    let with_pipeline = || json!({"settings": {"index.default_pipeline": "sagetrail-test"}});
    let with = |name, template, before, after| State { name, template, before, after };
    let cases = [
        with(
            "a foreign index has the name of the alias",
            json!({"aliases": {TAKEN: {}}}),
            &[(Method::PUT, TAKEN, "")][..],
            &[(Method::DELETE, TAKEN, "")][..],
        ),
        with(
            "a pipeline does not exist",
            with_pipeline(),
            &[],
            &[(Method::PUT, PIPELINE, r#"{"processors":[]}"#)],
        ),
        with(
            "a pipeline fails",
            with_pipeline(),
            &[(Method::PUT, PIPELINE, r#"{"processors":[{"fail":{"message":"no"}}]}"#)],
            &[(Method::PUT, PIPELINE, r#"{"processors":[]}"#)],
        ),
        with(
            "a pipeline meets a field that is not there",
            with_pipeline(),
            &[(Method::PUT, PIPELINE, r#"{"processors":[{"rename":{"field":"a","target_field":"b"}}]}"#)],
            &[(Method::PUT, PIPELINE, r#"{"processors":[]}"#)],
        ),
        with(
            "a pipeline drops documents",
            with_pipeline(),
            &[(Method::PUT, PIPELINE, r#"{"processors":[{"drop":{}}]}"#)],
            &[(Method::PUT, PIPELINE, r#"{"processors":[]}"#)],
        ),
        with(
            "the mapping is full",
            json!({"settings": {"index.mapping.total_fields.limit": 1}}),
            &[],
            &[(Method::PUT, "INDEX/_settings", r#"{"index.mapping.total_fields.limit":1000}"#)],
        ),
        with(
            "the mapping asks for routing",
            json!({"mappings": {"_routing": {"required": true}}}),
            &[],
            &[(Method::DELETE, "INDEX", ""), (Method::DELETE, "_index_template/sagetrail-test", "")],
        ),
        with(
            "the mapping refuses what every record has",
            json!({"mappings": {"properties": {"message": {"type": "date"}}}}),
            &[],
            &[(Method::DELETE, "INDEX", ""), (Method::DELETE, "_index_template/sagetrail-test", "")],
        ),
        with(
            "a template makes a setting that no index can have",
            json!({"settings": {"index.sort.field": "absent"}}),
            &[],
            &[(Method::DELETE, "_index_template/sagetrail-test", "")],
        ),
    ];
    let index = cluster.index(Month::July, json!({})).await;
    for State { name, template, before, after } in cases {
        let steps = async |steps: &[(Method, &str, &str)]| {
            for (method, path, body) in steps {
                let body = (!body.is_empty()).then(|| serde_json::from_str(body).unwrap());
                let (status, answer) =
                    cluster.ask(method.clone(), &path.replace("INDEX", index.as_str()), body).await;
                assert_eq!(status, 200, "{name}: {answer}");
            }
        };
        for path in [index.as_str(), PIPELINE, TAKEN] {
            cluster.ask(Method::DELETE, path, None).await;
        }
        let template = json!({"index_patterns": [index.as_str()], "priority": 900, "template": template});
        let path = "_index_template/sagetrail-test";
        let (status, answer) = cluster.ask(Method::PUT, path, Some(template)).await;
        assert_eq!(status, 200, "{name}: {answer}");
        steps(before).await;

        let mut config = config(&cluster.url);
        config.item_attempts = attempts(2);
        let running = Running::new(&config);
        let all: Vec<_> = (0..3)
            .map(|number| into(&index, format!("{{\"message\":\"no date {}\",\"n\":{number}}}", unique())))
            .collect();
        let failed = running.store(all.clone()).await;
        assert!(matches!(failed, Err(StoreError::Unavailable { .. })), "{name}: {failed:?}");
        for document in &all {
            assert_eq!(cluster.report_of(document).await, None, "{name}");
        }
        steps(after).await;
        assert_eq!(running.store(all).await, Ok(created(3)), "{name}");
        running.end().await;
        cluster.ask(Method::DELETE, path, None).await;
    }
    for path in [index.as_str(), PIPELINE, TAKEN] {
        cluster.ask(Method::DELETE, path, None).await;
    }
}

#[tokio::test]
async fn with_the_templates_of_setup_a_lone_document_at_fault_is_rejected_and_the_question_stores_nothing() {
    let Some(cluster) = Cluster::of_environment().await else { return };
    sagetrail::setup::install_templates(&cluster.client).await.unwrap();
    let index = cluster.index(Month::August, json!({})).await;
    let running = cluster.running();
    let bad = into(&index, format!("{{\"@timestamp\":\"{} is no date\"}}", unique()));
    assert_eq!(
        running.store(vec![bad.clone()]).await,
        Ok(Stored { created: 0, duplicate: 0, rejected: 1, ..Stored::default() })
    );
    assert_eq!(cluster.report_of(&bad).await.unwrap()["error"]["type"], "mapper_parsing_exception");
    assert_eq!(cluster.count(&index).await, 0);
    running.end().await;
    cluster.ask(Method::DELETE, index.as_str(), None).await;
}
