//! The dashboards: each panel finds on a real OpenSearch what it is for. That the files hold together is in
//! `tests/pure/dashboards/`.

mod known;
pub mod request;

use std::collections::BTreeSet;

use request::{Request, Span};
use serde_json::{Value, json};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::support::scene::Scene;
use crate::support::{saved, story};

/// The end of the story.
const NOW: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

/// Panels that show nothing in the story, and why.
const EMPTY: [(&str, &str); 0] = [];

#[tokio::test]
async fn every_panel_and_saved_search_finds_what_it_is_for_in_the_story() {
    let made = known::calls_that_make_things("2026-11-20T11:00:00Z");
    let mut records: Vec<Value> = [story::quiet_week(NOW), made, story::attack(NOW)].concat();
    let mut unknown = records[0].clone();
    unknown["eventName"] = json!("ListThingsOfTomorrow");
    unknown["eventID"] = json!("00000000-0000-4000-c000-000000000000");
    unknown["eventTime"] = json!("2026-11-20T11:00:00Z");
    records.push(unknown);
    let mut documents = story::documents(&records, None);
    // The site mutes a match on the latest of them.
    documents.last_mut().expect("there are some").source["sagemaker"]["muted"] =
        json!([{"id": "1", "title": "Loud", "level": "high", "by": "override", "reason": "noise"}]);
    let Some(scene) = Scene::set("dashboards", &documents).await else { return };
    let rejected = json!({"@timestamp": "2026-11-20T11:50:00Z", "reason": "malformed", "index": "sagetrail-events-2026.11",
        "error": {"type": "malformed", "message": "expected value"}, "log": {"file": {"path": "s3://trail/file"}}});
    scene.add("dashboards-rejected", [("1".to_owned(), &rejected)].into_iter()).await;
    // Verified long before the time range that is looked at.
    let verified = json!({"@timestamp": "2026-10-02T04:00:00Z",
        "cloud": {"account": {"id": "111122223333"}, "region": "eu-central-1"},
        "verification": {"day": "2026-10-01", "outcome": "gap", "gaps": 1, "missing_files": 1, "delivered": 288, "shipped": 287}});
    scene.add("dashboards-verified", [("1".to_owned(), &verified)].into_iter()).await;

    let resources = known::resources(&records, NOW);
    let numbered = |documents: &[Value]| -> Vec<(String, Value)> {
        documents.iter().enumerate().map(|(number, it)| (number.to_string(), it.clone())).collect()
    };
    let mut trouble = known::incident("open");
    trouble["incident"]["kind"] = json!("health");
    let mut drill = known::incident("open");
    drill["incident"]["origin"] = json!("drill:20261129-120000-0a1b2c3d");
    let correlated =
        json!({"@timestamp": "2026-11-20T11:40:00Z", "message": "A burst", "rule": {"name": ["A burst"]}});
    for (index, documents) in [
        ("dashboards-resources", resources),
        ("dashboards-incidents", vec![known::incident("open"), known::incident("closed"), trouble, drill]),
        ("dashboards-correlated", vec![correlated]),
    ] {
        let documents = numbered(&documents);
        scene.add(index, documents.iter().map(|(id, it)| (id.clone(), it))).await;
    }

    let span = Span { from: NOW - Duration::days(7), to: NOW + Duration::minutes(10) };
    let objects = saved::all();
    let mut asked = 0;
    let mut empty = BTreeSet::new();
    for saved in objects.values().filter(|saved| ["visualization", "search"].contains(&saved.kind.as_str())) {
        let Some(request) = Request::of(saved, &objects, &span) else { continue };
        let index = request.index.replace("sagetrail", scene.name).replace('*', "");
        let (status, answer) =
            scene.search.request("POST", &format!("{index}/_search"), Some(request.body.clone())).await;
        assert_eq!(status, 200, "{}: {answer}\n{}", saved.id, request.body);
        assert_eq!(answer["_shards"]["failed"], 0, "{}: {answer}", saved.id);
        if request.rows(&answer) == 0 {
            empty.insert(saved.id.as_str());
        }
        asked += 1;
    }
    scene.remove().await;
    let listed: BTreeSet<&str> = EMPTY.into_iter().map(|(id, _)| id).collect();
    assert_eq!(empty, listed, "found nothing (left), and listed as finding nothing (right)");
    assert!(asked > 120, "{asked} requests");
    println!("{asked} panels and searches");
}

#[test]
fn no_column_of_records_is_a_member_of_a_list_of_objects_which_dashboards_shows_as_empty() {
    let documents = story::documents(&story::attack(NOW), None);
    for saved in saved::all().values().filter(|saved| saved.kind == "search") {
        for column in saved.attribute("columns").as_array().unwrap() {
            let column = column.as_str().unwrap();
            for told in &documents {
                let mut value = &told.source;
                for member in column.split('.') {
                    assert!(!value.is_array(), "{}: {column}", saved.id);
                    value = &value[member];
                }
            }
        }
    }
}

#[tokio::test]
async fn no_panel_counts_a_drill_but_the_one_of_drills() {
    let mut documents = story::documents(&story::attack(NOW), None);
    for told in &mut documents {
        told.source["tags"] = json!(["drill"]);
    }
    let Some(scene) = Scene::set("dashboards-drill", &documents).await else { return };
    for (number, state) in ["open", "closed"].into_iter().enumerate() {
        let mut drill = known::incident(state);
        drill["incident"]["origin"] = json!("drill:20261120-115000-0a1b2c3d");
        scene.add("dashboards-drill-incidents", [(number.to_string(), &drill)].into_iter()).await;
    }
    let span = Span { from: NOW - Duration::days(7), to: NOW + Duration::minutes(10) };
    let objects = saved::all();
    let mut counting = BTreeSet::new();
    for saved in objects.values().filter(|saved| ["visualization", "search"].contains(&saved.kind.as_str())) {
        let Some(request) = Request::of(saved, &objects, &span) else { continue };
        let index = request.index.replace("sagetrail", scene.name).replace('*', "");
        let (status, answer) =
            scene.search.request("POST", &format!("{index}/_search"), Some(request.body.clone())).await;
        assert_eq!(status, 200, "{}: {answer}\n{}", saved.id, request.body);
        if request.rows(&answer) > 0 {
            counting.insert(saved.id.as_str());
        }
    }
    scene.remove().await;
    // The page of one incident shows whichever it is opened for.
    let expected = BTreeSet::from([
        "sagetrail-incident-findings",
        "sagetrail-search-incident",
        "sagetrail-search-incidents-drills",
    ]);
    assert_eq!(counting, expected, "counts drills (left), and may (right)");
}
