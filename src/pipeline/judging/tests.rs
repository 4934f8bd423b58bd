use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::config::{MemoryConfig, Scope, SinkConfig};
use crate::memory::{Key, Stamp, State};
use crate::opensearch::OpenSearch;

const ENDPOINT: &str = "arn:aws:sagemaker:eu-central-1:111122223333:endpoint/fraud";

/// A judge of a daemon that has just started.
fn judge(metrics: &Arc<Metrics>) -> Judge {
    let client = OpenSearch::new(&SinkConfig::default(), None).unwrap();
    Judge::new(Subject {
        path: "s3://trail/file".to_owned(),
        written_at: None,
        now: OffsetDateTime::UNIX_EPOCH,
        enricher: Arc::new(Enricher::built_in(Scope::Related)),
        memory: Memory::new(&MemoryConfig::default(), &client, metrics),
        metrics: Arc::clone(metrics),
    })
}

/// What somebody did to the endpoint, with temporary credentials.
fn record(minute: u32, name: &str, who: &str, access_key: &str) -> Vec<u8> {
    json!({
        "eventID": format!("4da0b3c{minute}"), "eventTime": format!("2026-11-01T12:{minute:02}:00Z"),
        "eventSource": "sagemaker.amazonaws.com", "eventName": name, "awsRegion": "eu-central-1",
        "recipientAccountId": "111122223333", "sourceIPAddress": "203.0.113.5",
        "requestParameters": {"endpointName": "fraud", "endpointConfigName": "config"},
        "userIdentity": {
            "type": "AssumedRole", "principalId": format!("AROA{who}:session"), "accountId": "111122223333",
            "arn": format!("arn:aws:sts::111122223333:assumed-role/{who}/session"), "accessKeyId": access_key,
            "sessionContext": {"sessionIssuer": {
                "type": "Role", "principalId": format!("AROA{who}"), "accountId": "111122223333",
                "arn": format!("arn:aws:iam::111122223333:role/{who}"), "userName": who
            }}
        },
    })
    .to_string()
    .into_bytes()
}

fn held(records: &[Vec<u8>]) -> Held {
    let mut held = Held::default();
    for raw in records {
        held.push(raw);
    }
    held
}

fn wanted(step: Step) -> Vec<Key> {
    let Step::ToRecall(wanted) = step else { panic!("nothing is to be recalled") };
    wanted.into_iter().map(|wanted| wanted.key).collect()
}

/// The chunk of one record of which nothing is known yet.
fn chunk_of(judge: &mut Judge, raw: &[u8]) -> Chunk {
    let mut waiting = held(&[raw.to_vec()]);
    for key in wanted(judge.judge_held(&mut waiting)) {
        judge.known().recall(key, None);
    }
    let Step::End(chunk) = judge.judge_held(&mut waiting) else { panic!("it is judged") };
    chunk
}

fn sources(step: Step) -> Vec<Value> {
    let Step::End(chunk) = step else { panic!("it is not the end") };
    chunk.documents().iter().map(|document| serde_json::from_slice(&document.source).unwrap()).collect()
}

/// A session that another one issued.
fn issued_by(session: &str, issuer: &str) -> Arc<State> {
    let mut state = State::default();
    state.say("key", &Stamp::ALWAYS, [session]);
    state.say("issued.key", &Stamp::ALWAYS, [issuer]);
    state.say("issued.by", &Stamp::ALWAYS, [format!("arn:aws:sts::111122223333:assumed-role/of/{issuer}")]);
    Arc::new(state)
}

#[tokio::test]
async fn a_record_waits_for_all_that_is_asked_at_once_and_is_judged_with_what_those_before_it_told() {
    let metrics = Arc::new(Metrics::new());
    let mut judge = judge(&metrics);
    let records =
        [record(1, "CreateEndpoint", "Ann", "ASIAANN"), record(2, "DeleteEndpoint", "Bob", "ASIABOB")];
    assert!(matches!(judge.judge(&records[0]), Judged::Waits));
    let mut held = held(&records);
    let keys = wanted(judge.judge_held(&mut held));
    for key in [
        Key::resource(ENDPOINT),
        Key::identity("111122223333", "AROAAnn"),
        Key::identity("111122223333", "AROABob"),
        Key::resource("arn:aws:iam::111122223333:role/Bob"),
        Key::session("ASIABOB"),
    ] {
        assert_eq!(keys.iter().filter(|wanted| **wanted == key).count(), 1, "{key} in {keys:?}");
    }
    for key in keys {
        judge.known().recall(key, None);
    }
    let documents = sources(judge.judge_held(&mut held));
    assert_eq!(judge.selected, 2);
    assert_eq!(documents[0]["sagemaker"]["resource"]["created_by"], Value::Null);
    let created_by = &documents[1]["sagemaker"]["resource"]["created_by"];
    assert_eq!(created_by, "arn:aws:sts::111122223333:assumed-role/Ann/session");
    assert_eq!(documents[1]["sagemaker"]["resource"]["is_owner"], false);
}

#[tokio::test]
async fn a_chain_of_sessions_takes_a_round_for_each_link() {
    let metrics = Arc::new(Metrics::new());
    let mut judge = judge(&metrics);
    let mut held = held(&[record(1, "DescribeEndpoint", "Ann", "ASIA0")]);
    for link in 0..5 {
        let keys = wanted(judge.judge_held(&mut held));
        let session = Key::session(&format!("ASIA{link}"));
        assert!(keys.contains(&session), "{link}: {keys:?}");
        assert_eq!(keys.len() == 1, link > 0, "{link}: {keys:?}");
        for key in keys {
            let state =
                (key == session).then(|| issued_by(&format!("ASIA{link}"), &format!("ASIA{}", link + 1)));
            judge.known().recall(key, state);
        }
    }
    let keys = wanted(judge.judge_held(&mut held));
    for key in keys {
        judge.known().recall(key, None);
    }
    let [document] = &sources(judge.judge_held(&mut held))[..] else { panic!("one record") };
    let chain = document["sagemaker"]["actor"]["chain"].as_array().unwrap();
    assert_eq!(chain.len(), 6, "{chain:?}");
    assert_eq!(document["sagemaker"]["context"], json!(["the call that issued ASIA5"]));
    assert!(metrics.expose().contains("sagetrail_records_incomplete_total 0"), "all was recalled");
}

#[tokio::test]
async fn sessions_in_a_circle_end() {
    let metrics = Arc::new(Metrics::new());
    let mut judge = judge(&metrics);
    let mut held = held(&[record(1, "DescribeEndpoint", "Ann", "ASIA0")]);
    let mut step = judge.judge_held(&mut held);
    let mut rounds = 0;
    while let Step::ToRecall(wanted) = step {
        for Wanted { key, .. } in wanted {
            let next = if &*key.id == "ASIA0" { "ASIA1" } else { "ASIA0" };
            let state = key.id.starts_with("ASIA").then(|| issued_by(&key.id, next));
            judge.known().recall(key, state);
        }
        rounds += 1;
        assert!(rounds < 10);
        step = judge.judge_held(&mut held);
    }
    assert_eq!(sources(step).len(), 1);
}

#[tokio::test]
async fn what_could_not_be_recalled_is_named_and_counted_and_nothing_else_waits_for_it() {
    let metrics = Arc::new(Metrics::new());
    let mut judge = judge(&metrics);
    let mut held = held(&[
        record(1, "CreateEndpoint", "Ann", "ASIAANN"),
        record(2, "DescribeEndpoint", "Ann", "ASIAANN"),
    ]);
    for key in wanted(judge.judge_held(&mut held)) {
        judge.known().miss(key);
    }
    for document in sources(judge.judge_held(&mut held)) {
        let missing = document["sagemaker"]["context"].as_array().unwrap();
        for what in ["memory of the identity", "memory of the role", "memory of the resource"] {
            assert!(missing.contains(&json!(what)), "{missing:?}");
        }
        assert_eq!(
            document["sagemaker"]["resource"]["created_by"],
            Value::Null,
            "a part looks like no whole"
        );
    }
    assert!(metrics.expose().contains("sagetrail_records_incomplete_total 2"));
}

#[tokio::test]
async fn reading_one_endpoint_a_thousand_times_tells_memory_once() {
    let metrics = Arc::new(Metrics::new());
    let mut judge = judge(&metrics);
    let read = record(1, "DescribeEndpoint", "Ann", "ASIAANN");
    let chunk = chunk_of(&mut judge, &read);
    let told = chunk.facts().len();
    assert!(told > 0);
    chunk.prove();
    for _ in 0..999 {
        let mut waiting = held(std::slice::from_ref(&read));
        loop {
            match judge.judge_held(&mut waiting) {
                Step::ToRecall(wanted) => {
                    for Wanted { key, .. } in wanted {
                        judge.known().recall(key, None);
                    }
                }
                Step::Full(chunk) | Step::End(chunk) => {
                    assert!(chunk.facts().is_empty());
                    break;
                }
            }
        }
    }
    let sent = format!("sagetrail_memory_facts_total{{outcome=\"sent\"}} {told}\n");
    let known = format!("sagetrail_memory_facts_total{{outcome=\"known\"}} {}\n", told * 999);
    let exposed = metrics.expose();
    assert!(exposed.contains(&sent) && exposed.contains(&known), "{exposed}");
}

/// A judge beside another one, who recalls what that one's chunk told.
fn judge_beside(
    other: &Judge,
    read: &[u8],
    chunk: &Chunk,
    recall: fn(&mut Known, Key, Arc<State>),
) -> (Judge, Held) {
    let mut judge = Judge::new(other.subject.clone());
    let mut waiting = held(&[read.to_vec()]);
    for key in wanted(judge.judge_held(&mut waiting)) {
        match chunk.facts().state(&key) {
            Some(state) => recall(judge.known(), key, Arc::clone(state)),
            None => judge.known().recall(key, None),
        }
    }
    (judge, waiting)
}

fn told(step: &Step) -> usize {
    let Step::End(chunk) = step else { panic!("it is not the end") };
    chunk.facts().len()
}

#[tokio::test(start_paused = true)]
async fn what_another_chunk_told_is_told_again_until_it_is_proven_and_what_was_proven_a_minute_ago_too() {
    let metrics = Arc::new(Metrics::new());
    let mut first = judge(&metrics);
    let read = record(1, "DescribeEndpoint", "Ann", "ASIAANN");
    let chunk = chunk_of(&mut first, &read);
    let all = chunk.facts().len();
    assert!(all > 0);

    let on_its_way = |known: &mut Known, key: Key, state| known.recall(key, Some(state));
    let (mut other, mut waiting) = judge_beside(&first, &read, &chunk, on_its_way);
    assert_eq!(told(&other.judge_held(&mut waiting)), all, "the first chunk may still fail");

    let (mut other, mut waiting) = judge_beside(&first, &read, &chunk, Known::recall_stored);
    assert_eq!(told(&other.judge_held(&mut waiting)), 0);
    let written = record(2, "DeleteEndpoint", "Ann", "ASIAANN");
    let (mut other, mut waiting) = judge_beside(&first, &written, &chunk, Known::recall_stored);
    let Step::End(next) = other.judge_held(&mut waiting) else { panic!("it is judged") };
    let ann = Key::identity("111122223333", "AROAAnn");
    let account_of = |chunk: &Chunk| Some(chunk.facts().state(&ann)?.value("cloud.account.id").is_some());
    assert_eq!(
        (account_of(&chunk), account_of(&next)),
        (Some(true), Some(false)),
        "only what is new is told"
    );

    let (mut other, mut waiting) = judge_beside(&first, &read, &chunk, Known::recall_stored);
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(told(&other.judge_held(&mut waiting)), all, "the index may have been made anew meanwhile");
}

#[tokio::test]
async fn what_is_stored_since_it_was_asked_for_is_not_sent_again_and_still_learnt() {
    let metrics = Arc::new(Metrics::new());
    let mut first = judge(&metrics);
    let made = record(1, "CreateEndpoint", "Ann", "ASIAANN");
    let records = [made.clone(), record(2, "DescribeEndpoint", "Bob", "ASIABOB")];
    let mut second = Judge::new(first.subject.clone());
    let mut both = held(&records);
    for key in wanted(second.judge_held(&mut both)) {
        second.known().recall(key, None);
    }
    chunk_of(&mut first, &made).prove();
    let Step::End(chunk) = second.judge_held(&mut both) else { panic!("they are judged") };
    assert!(chunk.facts().state(&Key::identity("111122223333", "AROAAnn")).is_none());
    let read: Value = serde_json::from_slice(&chunk.documents()[1].source).unwrap();
    let created_by = &read["sagemaker"]["resource"]["created_by"];
    assert_eq!(created_by, "arn:aws:sts::111122223333:assumed-role/Ann/session");
}
