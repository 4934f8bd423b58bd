//! Facts on a real node: which wait, and which are rejected.

use bytes::Bytes;
use sagetrail::config::SinkConfig;
use sagetrail::document::Document;
use sagetrail::memory::{Fact, Key, Stamp, State};
use sagetrail::opensearch::{Method, OpenSearch};
use sagetrail::setup::object::Kind;
use sagetrail::sink::Stored;
use serde_json::{Value, json};
use time::macros::datetime;

use crate::memory::install_script;
use crate::sink::{Running, attempts, config};
use crate::support::Stack;

/// A fact about one thing, with fields that it has.
fn fact(client: &OpenSearch, id: &str, fields: &[&str]) -> Document {
    let mut state = State::default();
    for field in fields {
        state.say(field, &Stamp::ALWAYS, [id]);
    }
    let fact = Fact { key: Key::resource(id), state: state.into() };
    Document::of_fact(client.names(), &fact, datetime!(2026-11-03 01:12:03 UTC))
}

fn facts(facts: u64) -> Stored {
    Stored { facts, ..Stored::default() }
}

/// A tenant without script, reports and memory, but for an empty index with this mapping.
async fn tenant(stack: &Stack, prefix: &str, mappings: Value) -> (OpenSearch, SinkConfig) {
    let config = SinkConfig {
        index_prefix: prefix.to_owned(),
        item_attempts: attempts(50),
        ..config(&stack.opensearch)
    };
    let client = OpenSearch::new(&config, None).unwrap();
    let names = client.names();
    for path in [names.resources(), names.rejected(), Kind::Script.path(&names.join_script())] {
        client.request(Method::DELETE, &path, None).await.unwrap();
    }
    let body = Bytes::from(json!({ "mappings": mappings }).to_string());
    assert_eq!(client.request(Method::PUT, &names.resources(), Some(body)).await.unwrap().status, 200);
    (client, config)
}

async fn ask(client: &OpenSearch, path: &str) -> Value {
    let answer = client.request(Method::GET, path, None).await.unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn a_fact_waits_for_a_script_that_is_missing_and_is_known_after_it() {
    let Some(stack) = Stack::running() else { return };
    let (client, config) = tenant(&stack, "facts-wait", json!({"dynamic": false})).await;
    let running = Running::new(&config);
    let told = || vec![fact(&client, "a", &["key"]), fact(&client, "b", &["key"])];
    let installed = async {
        running.until_retried("bulk_item", 2.0).await;
        install_script(&client).await;
    };
    let (stored, ()) = tokio::join!(running.store(told()), installed);
    assert_eq!(stored, Ok(facts(2)));
    assert_eq!(running.store(told()).await, Ok(facts(2)), "what is known is a success");
    let id = Key::resource("a").document_id();
    let path = format!("{}/_doc/{id}", client.names().resources());
    assert_eq!(ask(&client, &path).await["_source"]["key"], "a");
    let rejected = client.names().rejected();
    assert_eq!(
        client.request(Method::GET, &rejected, None).await.unwrap().status,
        404,
        "nothing is rejected"
    );
    running.end().await;
}

#[tokio::test]
async fn a_fact_that_is_refused_while_others_are_not_is_reported_with_its_index_and_the_hash_of_its_key() {
    let Some(stack) = Stack::running() else { return };
    let memory = json!({"type": "object", "enabled": false});
    let mappings = json!({"dynamic": "strict", "properties": {"key": {"type": "keyword"}, "memory": memory}});
    let (client, config) = tenant(&stack, "facts-refused", mappings).await;
    install_script(&client).await;
    let running = Running::new(&config);
    let (good, bad) = (fact(&client, "a", &["key"]), fact(&client, "b", &["key", "odd"]));
    let one_refused = || Ok(Stored { facts_rejected: 1, ..facts(1) });
    assert_eq!(running.store(vec![good.clone(), bad.clone()]).await, one_refused());
    // The good one is known now and no proof, so the probe has to be asked.
    assert_eq!(running.store(vec![good, bad.clone()]).await, one_refused());
    let rejected = client.names().rejected();
    client.request(Method::POST, &format!("{rejected}/_refresh"), None).await.unwrap();
    let found = ask(&client, &format!("{rejected}/_search")).await;
    let hits = found["hits"]["hits"].as_array().unwrap();
    assert_eq!(hits.len(), 1, "{found}");
    let id = hits[0]["_id"].as_str().unwrap();
    assert!(id.starts_with(&format!("{}-", Key::resource("b").document_id())), "{id}");
    let report = &hits[0]["_source"];
    assert_eq!(report["index"], client.names().resources().as_str());
    assert_eq!(report["error"]["type"], "strict_dynamic_mapping_exception");
    assert_eq!(report["text"].as_str().unwrap().as_bytes(), &bad.source[..]);
    assert!(
        running.metric("sagetrail_records_rejected_total{reason=\"refused_by_opensearch\"}").abs()
            < f64::EPSILON
    );
    running.end().await;
}
