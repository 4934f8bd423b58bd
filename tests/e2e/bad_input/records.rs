//! Single records that are no JSON, that OpenSearch refuses, or that are forged.

use serde_json::{Value, json};

use super::{PATIENCE, Scene};
use crate::support::daemon::Daemon;
use crate::support::{hostile, trail};

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_opensearch_refuses_is_rejected_with_its_text_and_the_message_is_deleted() {
    let Some(scene) = Scene::set("bad-refused", "300000000016", &[]).await else { return };
    // The month's index is there already, with a mapping in which the code of an error is a number. It takes what has
    // none.
    let month = "sagetrail-events-2032.05";
    let number = json!({"mappings": {"properties": {"error": {"properties": {"code": {"type": "long"}}}}}});
    let (status, answer) = scene.search.request("PUT", month, Some(number)).await;
    assert_eq!(status, 200, "{answer}");
    let mut records = scene.records(3);
    records[1]["eventTime"] = "2032-05-01T00:00:00Z".into();
    records[1]["errorCode"] = "AccessDenied".into();
    scene.upload(trail::file(&records)).await;
    scene.until_counted(r#"sagetrail_records_rejected_total{reason="refused_by_opensearch"}"#, 1).await;
    scene.cloud.until_empty(PATIENCE).await;
    assert_eq!(scene.cloud.dead_letters().await, 0);
    assert_eq!(scene.search.count(&scene.account).await, 2);
    let report = json!({"term": {"index": month}});
    let rejected = scene.search.find("sagetrail-rejected", report, &["*"]).await;
    scene.search.request("DELETE", month, None).await;
    let reports: Vec<_> = rejected.values().flatten().map(|hit| &hit.source).collect();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0]["error"]["type"], "mapper_parsing_exception");
    let text: Value = serde_json::from_str(reports[0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text["event"]["id"], records[1]["eventID"]);
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selected_record_that_is_no_json_is_rejected_with_its_text_and_the_message_is_deleted() {
    let settings = [("log.filter", "debug")];
    let Some(scene) = Scene::set("bad-json", "300000000010", &settings).await else { return };
    let records: Vec<String> = scene.records(3).iter().map(Value::to_string).collect();
    let broken = r#"{"eventSource":"sagemaker.amazonaws.com","broken-300000000010":tru}"#;
    let file = format!(r#"{{"Records":[{},{broken},{}]}}"#, records[0], records[1]);
    scene.upload(trail::gzip(file.as_bytes())).await;
    scene.until_counted(r#"sagetrail_records_rejected_total{reason="malformed"}"#, 1).await;
    scene.cloud.until_empty(PATIENCE).await;
    assert_eq!(scene.cloud.dead_letters().await, 0);
    assert_eq!(scene.search.count(&scene.account).await, 2);
    let rejected =
        scene.search.find("sagetrail-rejected", json!({"term": {"reason": "malformed"}}), &["*"]).await;
    let ours: Vec<_> = rejected
        .values()
        .flatten()
        .filter(|hit| hit.source["text"].as_str().is_some_and(|text| text.contains("broken-300000000010")))
        .collect();
    assert_eq!(ours.len(), 1);
    assert_eq!(ours[0].source["text"], broken);
    assert!(ours[0].source["log"]["file"]["path"].as_str().unwrap().contains(&scene.account));
    let log = scene.daemon.log();
    for text in ["broken-300000000010", "AROAEXAMPLE"] {
        assert!(!log.contains(text), "the log holds text of a record: {text}");
    }
    scene.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_forged_record_is_found_once_under_its_own_id_and_changes_no_other_document() {
    let Some(scene) = Scene::set("bad-forged", "300000000017", &[]).await else { return };
    let honest = scene.records(20);
    scene.upload(trail::file(&honest)).await;
    scene.until_counted("sagetrail_records_indexed_total", 20).await;
    let whole = json!({"term": {"cloud.account.id": scene.account}});
    let before = scene.search.find("sagetrail-events", whole.clone(), &["*"]).await;
    assert_eq!(before.len(), 20);
    let series_before = series(&scene.daemon).await;

    // The second content of a known event is the last one.
    let mut forged = hostile::hostile_records(&scene.account);
    let mut second = honest[0].clone();
    second["sourceIPAddress"] = json!("198.51.100.7");
    forged.push(("a second content of a known event", second.to_string(), true));
    let texts: Vec<&str> = forged.iter().map(|(_, text, _)| text.as_str()).collect();
    let file = format!(r#"{{"Records":[{}]}}"#, texts.join(","));
    scene.cloud.upload(&trail::key(&scene.account, 1), trail::gzip(file.as_bytes())).await;
    // S3's test message, the honest file, and this one.
    scene.until_counted(r#"sagetrail_messages_total{outcome="deleted"}"#, 3).await;
    scene.cloud.until_empty(PATIENCE).await;
    assert_eq!(scene.cloud.dead_letters().await, 0);
    assert_eq!(
        scene.daemon.count(r#"sagetrail_records_rejected_total{reason="refused_by_opensearch"}"#).await,
        0
    );
    assert_eq!(series(&scene.daemon).await, series_before, "a record made a series of its own");

    let path = json!({"wildcard": {"log.file.path": format!("*{}*", scene.account)}});
    let indices = "sagetrail-events*,sagetrail-rejected";
    let after = scene.search.find(indices, path, &["*"]).await;
    for (id, hits) in &before {
        let [known] = hits.as_slice() else { panic!("{id} is there {} times", hits.len()) };
        let [found] = after[id].as_slice() else { panic!("{id} is there {} times", after[id].len()) };
        assert_eq!((&found.index, &found.source), (&known.index, &known.source), "{id} was changed");
    }
    assert_eq!(after.len(), before.len() + forged.len());
    for (name, text, is_json) in &forged {
        let member = if *is_json { "/event/original" } else { "/text" };
        let found: Vec<_> = after
            .iter()
            .filter(|(id, _)| !before.contains_key(*id))
            .flat_map(|(_, hits)| hits)
            .filter(|hit| hit.source.pointer(member).is_some_and(|found| is_text_of(found, text)))
            .collect();
        let [hit] = found.as_slice() else { panic!("{name}: {} documents", found.len()) };
        assert_eq!(hit.index == "sagetrail-rejected", !is_json, "{name}: {}", hit.index);
    }
    let known = json!({"term": {"event.id": honest[0]["eventID"]}});
    let both = json!({"bool": {"filter": [whole, known]}});
    assert_eq!(scene.search.find("sagetrail-events", both, &[]).await.len(), 2, "both contents are kept");
    for line in scene.daemon.log().lines() {
        let is_one_of_ours =
            line.starts_with("20") && !line.contains("\u{1b}[31m") && !line.contains('\u{202e}');
        assert!(is_one_of_ours, "a line of the log that a record made: {line:?}");
    }
    scene.daemon.stop().await;
}

/// Whether the document quotes this record: as a whole, or the beginning that is kept of a long one. What JSON forbids
/// in a text is stored as JSON takes it: half a character as U+FFFD, control characters as their escapes.
fn is_text_of(found: &Value, text: &str) -> bool {
    let found = found.as_str().expect("it is a text");
    let mut repaired = text.replace("\\ud800", "\\ufffd").replace("\\udfff", "\\ufffd");
    for control in ['\0', '\t', '\n'] {
        repaired = repaired.replace(control, &format!("\\u{:04x}", u32::from(control)));
    }
    let is_long = found.len() > 1_000;
    found == text
        || found == repaired
        || is_long && text.starts_with(&found[..found.floor_char_boundary(1_000)])
}

/// The names and labels of every series.
async fn series(daemon: &Daemon) -> Vec<String> {
    let (_, exposition) = daemon.get("metrics").await.unwrap();
    let samples = exposition.lines().filter(|line| !line.starts_with('#'));
    samples.map(|line| line.rsplit_once(' ').expect("a sample has a value").0.to_owned()).collect()
}
