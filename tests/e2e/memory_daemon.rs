//! Daemons that remember: what one record told is in the document of the next, whoever ships it, and a memory that does
//! not answer delays nothing.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use sagetrail::config::{Config, SinkConfig};
use sagetrail::opensearch::OpenSearch;
use sagetrail::setup::content;
use sagetrail::setup::object::Kind;
use sagetrail::setup::remote::Remote;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::Daemon;
use crate::support::search::Search;
use crate::support::{Stack, trail};

const PATIENCE: Duration = Duration::from_mins(2);
const ACCOUNT: &str = "930000000001";

/// What a role did to an endpoint.
fn record(number: u64, name: &str, role: &str) -> Value {
    json!({
        "eventVersion": "1.11", "eventID": format!("93000000-0000-4000-8000-{number:012}"),
        "eventTime": format!("2031-12-01T12:{number:02}:00Z"), "eventSource": "sagemaker.amazonaws.com",
        "eventName": name, "awsRegion": "eu-central-1", "sourceIPAddress": "203.0.113.5",
        "recipientAccountId": ACCOUNT, "requestParameters": {"endpointName": "fraud", "endpointConfigName": "c"},
        "userIdentity": {
            "type": "AssumedRole", "principalId": format!("AROA{role}:s"), "accountId": ACCOUNT,
            "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/s"), "accessKeyId": format!("ASIA{role}"),
            "sessionContext": {"sessionIssuer": {
                "type": "Role", "principalId": format!("AROA{role}"), "accountId": ACCOUNT,
                "arn": format!("arn:aws:iam::{ACCOUNT}:role/{role}"), "userName": role
            }}
        }
    })
}

/// Installs the script that joins facts, as `sagetrail setup` does, and removes what an earlier run has left.
pub(crate) async fn install_script(stack: &Stack, prefix: &str) {
    for index in ["events-2031.12", "resources", "identities", "sessions-2031.12"] {
        Search::new(&stack.opensearch).request("DELETE", &format!("{prefix}-{index}"), None).await;
    }
    let sink = SinkConfig {
        url: stack.opensearch.parse().unwrap(),
        index_prefix: prefix.to_owned(),
        ..SinkConfig::default()
    };
    let client = OpenSearch::new(&sink, None).unwrap();
    let config = Config { sink, ..Config::default() };
    let objects = content::objects(&config).unwrap();
    let script = objects.iter().find(|object| object.kind == Kind::Script).unwrap();
    Remote::connect(client, None).await.unwrap().write(script, None).await.unwrap();
}

/// The documents of the daemon's events, by the record's number.
async fn documents(search: &Search, prefix: &str) -> BTreeMap<String, Value> {
    let found = search
        .find(&format!("{prefix}-events-*"), json!({"match_all": {}}), &["sagemaker", "event.id"])
        .await;
    let sources = found.into_values().flatten().map(|hit| hit.source);
    sources.map(|source| (source["event"]["id"].as_str().unwrap().to_owned(), source)).collect()
}

/// What the indices of memory hold, with how often each document was changed.
async fn memory(search: &Search, prefix: &str) -> Vec<Value> {
    let indices = format!("{prefix}-resources,{prefix}-identities,{prefix}-sessions-*");
    search.request("POST", &format!("{indices}/_refresh"), None).await;
    let path = format!("{indices}/_search?size=100&version=true&sort=_index,key");
    let (status, answer) = search.request("GET", &path, None).await;
    assert_eq!(status, 200, "{answer}");
    answer["hits"]["hits"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_is_judged_with_what_another_daemon_was_told_and_a_second_delivery_changes_nothing() {
    let Some(stack) = Stack::running() else { return };
    let prefix = "memdaemon";
    install_script(&stack, prefix).await;
    let search = Search::new(&stack.opensearch);
    let settings = [("sink.index_prefix", prefix)];

    let cloud = Cloud::create(&stack, "memory-first", QueueSettings::default()).await;
    let mut first = Daemon::start(&stack, &cloud, &settings);
    first.until_ready().await;
    let file = trail::file(&[record(1, "CreateEndpoint", "Ann"), record(2, "DescribeEndpoint", "Bob")]);
    cloud.upload(&trail::key(ACCOUNT, 1), file.clone()).await;
    cloud.until_empty(PATIENCE).await;
    let of_first = memory(&search, prefix).await;
    assert!(of_first.len() >= 3, "{of_first:?}");
    cloud.upload(&trail::key(ACCOUNT, 1), file).await;
    cloud.until_empty(PATIENCE).await;
    assert_eq!(memory(&search, prefix).await, of_first, "the second delivery changed something");
    first.stop().await;

    let cloud = Cloud::create(&stack, "memory-second", QueueSettings::default()).await;
    let mut second = Daemon::start(&stack, &cloud, &settings);
    second.until_ready().await;
    let file = trail::file(&[record(3, "DeleteEndpoint", "Cid")]);
    cloud.upload(&trail::key(ACCOUNT, 2), file).await;
    cloud.until_empty(PATIENCE).await;
    let rounds = second.count(r#"sagetrail_memory_recalls_total{outcome="answered"}"#).await;
    assert_eq!(rounds, 2, "the session of whoever made it is asked for once it is known who that was");
    assert_eq!(second.count("sagetrail_records_incomplete_total").await, 0);
    second.stop().await;

    let documents = documents(&search, prefix).await;
    assert_eq!(documents.len(), 3, "{documents:?}");
    let of =
        |number: u64| &documents[&format!("93000000-0000-4000-8000-{number:012}")]["sagemaker"]["resource"];
    let ann = format!("arn:aws:sts::{ACCOUNT}:assumed-role/Ann/s");
    assert_eq!(of(1)["created_by"], Value::Null);
    for number in [2, 3] {
        assert_eq!((&of(number)["created_by"], &of(number)["is_owner"]), (&json!(ann), &json!(false)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_memory_does_not_answer_ships_at_its_speed_and_says_what_was_missing() {
    const OBJECTS: usize = 160;
    let Some(stack) = Stack::running() else { return };
    let prefix = "memblocked";
    install_script(&stack, prefix).await;
    let search = Search::new(&stack.opensearch);
    let proxy = delaying_recall(stack.opensearch.trim_start_matches("http://").trim_end_matches('/')).await;
    let url = format!("http://{proxy}");
    let cloud = Cloud::create(&stack, "memory-blocked", QueueSettings::default()).await;
    let mut daemon = Daemon::start(&stack, &cloud, &[("sink.index_prefix", prefix), ("sink.url", &url)]);
    daemon.until_ready().await;
    let began = tokio::time::Instant::now();
    for object in 0..OBJECTS {
        let file = trail::file(&[record(object as u64, "DescribeEndpoint", &format!("Role{object}"))]);
        cloud.upload(&trail::key(ACCOUNT, object), file).await;
    }
    cloud.until_empty(PATIENCE).await;
    println!("{OBJECTS} objects took {:?} without an answer of memory", began.elapsed());
    let recalls = |outcome: &str| format!("sagetrail_memory_recalls_total{{outcome=\"{outcome}\"}}");
    assert!(daemon.count(&recalls("timed_out")).await >= 1);
    assert!(daemon.count(&recalls("paused")).await >= OBJECTS as u64 / 2, "most records wait for nothing");
    assert_eq!(daemon.count(&recalls("answered")).await, 0);
    // On a busy machine a message can come again before its deletion has arrived, and its record is judged again.
    let again = daemon.count("sagetrail_records_duplicate_total").await;
    assert_eq!(daemon.count("sagetrail_records_incomplete_total").await, OBJECTS as u64 + again);
    let log = daemon.log();
    assert_eq!(log.matches("memory does not answer").count(), 1, "{log}");
    daemon.stop().await;
    let documents = documents(&search, prefix).await;
    assert_eq!(documents.len(), OBJECTS);
    for document in documents.values() {
        let missing = document["sagemaker"]["context"].to_string();
        assert!(missing.contains("memory of the identity"), "{missing}");
    }
    assert!(!memory(&search, prefix).await.is_empty(), "facts are stored all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_was_shipped_while_memory_was_away_is_complete_after_a_retag() {
    let Some(stack) = Stack::running() else { return };
    let prefix = "memretag";
    install_script(&stack, prefix).await;
    let search = Search::new(&stack.opensearch);
    let proxy = delaying_recall(stack.opensearch.trim_start_matches("http://").trim_end_matches('/')).await;
    let run = |url: &str, arguments: &[&str]| -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
        command.args(["replay", "--format", "json"]).args(arguments);
        command.env("SAGETRAIL__SINK__URL", url).env("SAGETRAIL__SINK__INDEX_PREFIX", prefix);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let ship = |url: &str, record: Value| {
        let mut file = tempfile::Builder::new().suffix(".json.gz").tempfile().unwrap();
        file.write_all(&trail::file(&[record])).unwrap();
        run(url, &[file.path().to_str().unwrap()])
    };
    ship(&stack.opensearch, record(1, "CreateEndpoint", "Ann"));
    ship(&format!("http://{proxy}"), record(2, "UpdateEndpoint", "Bob"));
    // What a later record tells is not what this one found.
    ship(&stack.opensearch, record(3, "DeleteEndpoint", "Ann"));
    search.request("POST", &format!("{prefix}-*/_refresh"), None).await;
    let id = format!("93000000-0000-4000-8000-{:012}", 2);
    let before = documents(&search, prefix).await[&id]["sagemaker"].clone();
    assert!(before["context"].to_string().contains("memory of the resource"), "{before:#}");
    assert!(before["resource"]["created_by"].is_null());

    let summary = run(&stack.opensearch, &["--retag"]);
    assert_eq!((&summary["outdated"], &summary["completed"]), (&json!(1), &json!(1)), "{summary:#}");
    search.request("POST", &format!("{prefix}-*/_refresh"), None).await;
    let after = documents(&search, prefix).await[&id]["sagemaker"].clone();
    let ann = format!("arn:aws:sts::{ACCOUNT}:assumed-role/Ann/s");
    assert_eq!(
        (&after["resource"]["created_by"], &after["resource"]["is_owner"]),
        (&json!(ann), &json!(false))
    );
    assert!(!after["context"].to_string().contains("memory of"), "{after:#}");
    // Nothing is left to do, though memory still does not know who is behind Bob's session.
    let again = run(&stack.opensearch, &["--retag"]);
    assert_eq!((&again["outdated"], &again["retagged"]), (&json!(0), &json!(0)), "{again:#}");
}

/// A proxy that passes everything on at once, but for recalls, which it answers after a minute.
async fn delaying_recall(target: &str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let target = target.to_owned();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let target = target.clone();
            tokio::spawn(async move {
                let Ok(server) = TcpStream::connect(target).await else { return };
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { copy(&mut from_server, &mut to_client).await });
                let mut buffer = vec![0; 64 << 10];
                while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
                    if buffer[..read].starts_with(b"POST /_mget") {
                        sleep(Duration::from_mins(1)).await;
                    }
                    if to_server.write_all(&buffer[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
