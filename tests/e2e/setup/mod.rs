//! `sagetrail setup` against a real node with a strict fake of the plugins in front of it, and a fake of Dashboards.
//!
//! `full.rs` runs the same command against a cluster with all plugins, where there is one.

mod alerting;
mod export;
pub(crate) mod fake;
mod full;
mod management;
mod notifications;
mod refusals;
mod rewritten;
mod saved_objects;
mod scene;
mod stuck;
mod tenants;

use scene::{CHANNELS, Scene};
use serde_json::{Value, json};

/// Indices that are there before monitors and dashboards ask them, beside those of events.
const ASKED: &[&str] = &[
    "sagetrail-resources",
    "sagetrail-rejected",
    "sagetrail-verification",
    "sagetrail-verified",
    "sagetrail-incidents",
    "sagetrail-correlated",
    "sagetrail-correlator",
];

#[tokio::test]
async fn an_empty_cluster_gets_everything_in_an_order_that_works_and_a_second_run_changes_nothing() {
    let Some(scene) = Scene::set().await else { return };
    scene.setup(&["--diff"]).await.ended(3).says("policy sagetrail-events: would be created");
    assert_eq!(scene.take_writes(), [""; 0]);
    let first = scene.setup(&[]).await.ended(0);
    first.says("index-template sagetrail-events: created").says("policy sagetrail-events: created");
    assert_eq!(scene.count()[..2], [3, 3]);
    assert_eq!(first.lines("monitor").len(), scene.count()[2]);
    assert!(scene.count()[2] == 3 && scene.count()[3] == saved_objects(), "{:?}", scene.count());
    let (status, alias) = scene.node.request("GET", "_alias/sagetrail-events", None).await;
    assert_eq!((status, alias.as_object().unwrap().len()), (200, 1), "{alias}");
    for index in ASKED {
        assert_eq!(scene.node.request("GET", &format!("{index}/_settings"), None).await.0, 200, "{index}");
    }
    let month = alias.as_object().unwrap().keys().next().unwrap().clone();
    assert!(scene.cluster.lock().governed.contains_key(&month), "retention governs the first index");
    let installed = scene.take_writes();
    let position = |part: &str| installed.iter().position(|write| write.contains(part)).unwrap();
    let order = [
        "_component_template/",
        "_index_template/",
        "_scripts/",
        "_ism/policies/",
        &month,
        "_notifications/",
        "_alerting/",
    ];
    assert!(order.map(position).is_sorted(), "{installed:#?}");

    scene.setup(&[]).await.ended(0).says("objects, ").says(" of them unchanged");
    // Its own index is asked to be there, which changes nothing when it is.
    let inventory = ["PUT /sagetrail-setup"];
    assert_eq!(scene.take_writes(), inventory);
    scene.setup(&["--diff"]).await.ended(0).says("0 of ");
    assert_eq!(scene.take_writes(), [""; 0]);
    scene.end().await;
}

#[tokio::test]
async fn what_a_person_has_changed_is_shown_and_kept_until_it_is_forced() {
    let Some(scene) = Scene::set().await else { return };
    scene.setup(&[]).await.ended(0);
    let name = "sagetrail: A critical incident";
    let (id, mut monitor) = scene.monitor(name);
    monitor["enabled"] = json!(false);
    // The editor of Dashboards writes metadata of its own over ours.
    monitor["ui_metadata"] = json!({"search": {"searchType": "query"}});
    let sequence = scene.cluster.lock().monitors[&id].sequence;
    let path = format!("_plugins/_alerting/monitors/{id}?if_seq_no={sequence}&if_primary_term=1");
    let (status, answer) = scene.search.request("PUT", &path, Some(monitor)).await;
    assert_eq!(status, 200, "{answer}");
    let settings = json!({"version": 2, "_meta": {"managed_by": "sagetrail"},
        "template": {"settings": {"index": {"number_of_shards": 3, "auto_expand_replicas": "0-1", "codec": "best_compression"}}}});
    scene.search.request("PUT", "_component_template/sagetrail-settings", Some(settings)).await;
    let renamed = rename_a_dashboard(&scene);
    scene.take_writes();

    let shown = scene.setup(&["--diff"]).await.ended(3);
    shown.says("monitor sagetrail-monitor-paging-critical: would be kept, because somebody changed it");
    shown.says("-  \"enabled\": false").says("+  \"enabled\": true");
    shown.says("component-template sagetrail-settings: would be kept");
    assert_eq!(shown.said.matches("-    \"title\": \"Mine\"").count(), renamed);
    assert_eq!(scene.take_writes(), [""; 0], "a difference changes nothing");

    let kept = scene.setup(&[]).await.ended(4);
    kept.says(
        "monitor sagetrail-monitor-paging-critical: kept, because somebody changed it; --force overrides this",
    );
    assert_eq!(scene.monitor(name).1["enabled"], false);
    scene.setup(&["--allow-incomplete"]).await.ended(0).says("kept, because somebody changed it");

    scene.setup(&["--diff", "--force"]).await.ended(3).says("would be overwritten");
    let forced = scene.setup(&["--force"]).await.ended(0);
    assert_eq!(forced.said.matches("overwritten").count(), 2 + renamed, "{}", forced.said);
    let (same, monitor) = scene.monitor(name);
    assert_eq!((same, &monitor["enabled"]), (id, &json!(true)), "it is the same monitor");
    scene.setup(&["--diff"]).await.ended(0);
    scene.end().await;
}

#[tokio::test]
async fn a_change_by_hand_of_anything_that_decides_on_pages_is_shown_alone_and_repaired() {
    let Some(scene) = Scene::set().await else { return };
    scene.configure_with(CHANNELS);
    scene.setup(&[]).await.ended(0);
    let (paging, heartbeat) = ("sagetrail: A critical incident", "sagetrail: Nothing correlates any more");
    let filter = "/inputs/0/search/query/query/bool/filter";
    let trigger = "/triggers/0/bucket_level_trigger";
    let window = scene.monitor(heartbeat).1.pointer(&format!("{filter}/0/range/round/to")).cloned();
    assert_eq!(window, Some(json!("{{period_end}}||-2m")), "as the plugin stores it");
    let action = format!("{trigger}/actions/0");
    let cases = [
        (heartbeat, format!("{filter}/0/range/round/to"), json!("{{period_end}}||-1d"), "lte"),
        (heartbeat, format!("{filter}/0/range/round/from"), json!("{{period_end}}||-1s"), "gte"),
        (heartbeat, format!("{filter}/0/range/round/include_upper"), json!(false), "lt"),
        (paging, format!("{filter}/1/term/incident.severity/value"), json!("none"), "value"),
        (paging, format!("{filter}/0/terms/incident.state"), json!(["closed"]), "closed"),
        (
            paging,
            "/inputs/0/search/query/query/bool/must_not".to_owned(),
            json!([{"match_all": {"boost": 1.0}}]),
            "must_not",
        ),
        (
            paging,
            "/inputs/0/search/query/aggregations/composite_agg/composite/size".to_owned(),
            json!(1),
            "size",
        ),
        (paging, "/inputs/0/search/query/size".to_owned(), json!(0), "size"),
        (paging, format!("{trigger}/condition/script/source"), json!("params.n > 1000000"), "source"),
        (
            paging,
            format!("{trigger}/condition/composite_agg_filter"),
            json!({"resource": {"exclude": ["a"]}}),
            "exclude",
        ),
        (paging, format!("{action}/throttle/value"), json!(1_000), "value"),
        (paging, format!("{action}/throttle_enabled"), json!(false), "throttle_enabled"),
        (
            paging,
            format!("{action}/action_execution_policy/action_execution_scope/per_alert/actionable_alerts"),
            json!(["COMPLETED"]),
            "COMPLETED",
        ),
        (paging, format!("{trigger}/actions"), json!([]), "actions"),
        (paging, "/schedule/period/interval".to_owned(), json!(60), "interval"),
    ];
    for (name, path, value, shown) in cases {
        let (id, original) = scene.monitor(name);
        let short = original["ui_metadata"]["sagetrail"]["id"].as_str().unwrap();
        let mut edited = original.clone();
        let (parent, member) = path.rsplit_once('/').unwrap();
        edited.pointer_mut(parent).unwrap()[member] = value;
        scene.cluster.lock().monitors.get_mut(&id).unwrap().body = edited;
        let difference = scene.setup(&["--diff"]).await.ended(3);
        difference.says(&format!("{short}: would be kept, because somebody changed it"));
        assert_eq!(difference.lines("monitor").len(), 1, "{path}");
        let lines: Vec<&str> = difference
            .said
            .lines()
            .filter(|line| line.starts_with("-  ") || line.starts_with("+  "))
            .collect();
        assert!(lines.iter().any(|line| line.contains(&format!("\"{shown}\""))), "{path}: {lines:#?}");
        let is_whole = path.ends_with("actions");
        assert!(is_whole || lines.len() <= 10, "{path}: only what was changed: {lines:#?}");
        scene.setup(&["--force"]).await.ended(0).says(&format!("{short}: overwritten"));
        assert_eq!(scene.monitor(name).1, original, "{path}");
    }
    // Without its memory as well.
    scene.node.request("DELETE", "sagetrail-setup", None).await;
    let difference = scene.setup(&["--diff"]).await;
    assert_eq!(difference.lines("monitor"), [""; 0]);
    scene.end().await;
}

/// Changes the title of one dashboard, as an analyst does, if there are any.
fn rename_a_dashboard(scene: &Scene) -> usize {
    let mut held = scene.dashboards.lock();
    let mut dashboards = held.objects.iter_mut().filter(|([_, _, kind, _], _)| kind == "dashboard");
    let renamed = dashboards.next().map(|(_, dashboard)| dashboard["attributes"]["title"] = json!("Mine"));
    usize::from(renamed.is_some())
}

/// How many saved objects the files have; some stand in several of them.
fn saved_objects() -> usize {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards")).unwrap();
    let files = folder
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "ndjson"));
    let mut objects = std::collections::BTreeSet::new();
    for line in files.flat_map(|path| {
        std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>()
    }) {
        let object: Value = serde_json::from_str(&line).unwrap();
        objects.insert((object["type"].to_string(), object["id"].to_string()));
    }
    objects.len()
}

#[tokio::test]
async fn an_older_content_is_updated_and_what_it_does_not_have_any_more_is_removed() {
    let Some(scene) = Scene::set().await else { return };
    scene.setup(&[]).await.ended(0);
    let before = scene.count();
    // Another configuration makes other content, as another version does: a threshold, a monitor and a channel less.
    let other = "[channels]\nsoc = { kind = 'slack', url = 'https://hooks.example.com/services/s3cret-other' }\n\
        [retention]\nevents_days = 500\n\
        [monitors]\ndisabled = ['sagetrail-monitor-heartbeat']\nthresholds = { critical_repeat_minutes = 98, high_repeat_minutes = 99 }\n";
    scene.configure(other);
    let shown = scene.setup(&["--diff"]).await.ended(3);
    shown
        .says("monitor sagetrail-monitor-heartbeat: would be removed")
        .says("\"value\": 97")
        .says("\"value\": 98");
    shown.says("channel sagetrail-channel-night: would be removed").says("(only a secret differs)");
    let updated = scene.setup(&[]).await.ended(0);
    updated
        .says("monitor sagetrail-monitor-paging-critical: updated")
        .says("monitor sagetrail-monitor-paging-high: updated");
    updated.says("policy sagetrail-events: updated");
    updated.says("policy sagetrail-events: attached to 1 older indices");
    updated
        .says("channel sagetrail-channel-night: removed")
        .says("monitor sagetrail-monitor-heartbeat: removed");
    assert_eq!(scene.count(), [before[0], before[1] - 2, before[2] - 1, before[3]]);
    scene.setup(&["--diff"]).await.ended(0);
    scene.end().await;
}

/// As an older sagetrail left them, each with a body that nobody changed since.
#[tokio::test]
async fn monitors_of_older_releases_are_removed_and_what_they_told_is_left_to_incidents() {
    const RETIRED: [&str; 5] = ["silence", "lag", "rejected", "verification-gap", "verification-silence"];
    let Some(scene) = Scene::set().await else { return };
    scene.setup(&[]).await.ended(0);
    let (address, body) = scene.monitor("sagetrail: Nothing correlates any more");
    let query = json!({"size": 1_000});
    let (_, answer) = scene.node.request("POST", "sagetrail-setup/_search", Some(query)).await;
    let entries = answer["hits"]["hits"].as_array().unwrap();
    let entry = &entries.iter().find(|hit| hit["_source"]["address"] == *address).unwrap()["_source"];
    for name in RETIRED {
        let (status, made) =
            scene.search.request("POST", "_plugins/_alerting/monitors", Some(body.clone())).await;
        assert_eq!(status, 201, "{made}");
        let mut entry = entry.clone();
        entry["id"] = json!(format!("sagetrail-monitor-{name}"));
        entry["address"] = made["_id"].clone();
        let path = format!("sagetrail-setup/_doc/retired-{name}?refresh=true");
        assert_eq!(scene.node.request("PUT", &path, Some(entry)).await.0, 201);
    }
    let run = scene.setup(&[]).await.ended(0);
    for name in RETIRED {
        run.says(&format!("monitor sagetrail-monitor-{name}: removed"));
    }
    assert_eq!(scene.count()[2], 3);
    scene.setup(&["--diff"]).await.ended(0);
    scene.end().await;
}

#[tokio::test]
async fn a_channel_that_a_changed_monitor_pages_is_kept_with_it() {
    let Some(scene) = Scene::set().await else { return };
    scene.setup(&[]).await.ended(0);
    let (id, _) = scene.monitor("sagetrail: A critical incident");
    scene.cluster.lock().monitors.get_mut(&id).unwrap().body["enabled"] = json!(false);
    scene.configure("");
    let run = scene.setup(&[]).await.ended(4);
    run.says("channel sagetrail-channel-night: kept, because a monitor that somebody changed uses it");
    assert_eq!(scene.count()[1], 3);
    scene.end().await;
}

#[tokio::test]
async fn what_a_newer_version_installed_is_left_alone() {
    let Some(scene) = Scene::set().await else { return };
    scene.setup(&[]).await.ended(0);
    let newer = json!({"script": "ctx._source.version = 1000", "query": {"match_all": {}}});
    let path = "sagetrail-setup/_update_by_query?refresh=true";
    let (status, answer) = scene.node.request("POST", path, Some(newer)).await;
    assert_eq!(status, 200, "{answer}");
    // One of its monitors is unknown here, and must not be taken for a leftover.
    scene.configure(&format!("{CHANNELS}[monitors]\ndisabled = ['sagetrail-monitor-heartbeat']\n"));
    scene.take_writes();
    let run = scene.setup(&[]).await.ended(4);
    run.says("monitor sagetrail-monitor-heartbeat: kept, because a newer sagetrail installed it");
    run.says("policy sagetrail-events: kept, because a newer sagetrail installed it");
    assert_eq!(scene.take_writes(), ["PUT /sagetrail-setup"]);
    scene.end().await;
}

#[tokio::test]
async fn uninstalling_removes_what_was_installed_and_neither_data_nor_what_others_made() {
    let Some(scene) = Scene::set().await else { return };
    scene.setup(&[]).await.ended(0);
    let event = json!({"@timestamp": "2026-11-20T12:00:00Z"});
    let remembered = json!({"key": "arn:aws:s3:::b"});
    let incident = json!({"@timestamp": "2026-11-20T12:00:00Z", "incident": {"id": "1"}});
    for (index, document) in [
        ("sagetrail-events-2026.11", &event),
        ("sagetrail-resources", &remembered),
        ("sagetrail-incidents", &incident),
    ] {
        let put = format!("{index}/_doc/1?refresh=true");
        assert_eq!(scene.node.request("PUT", &put, Some(document.clone())).await.0, 201);
    }
    let mut theirs = scene.monitor("sagetrail: Nothing correlates any more").1;
    theirs["name"] = json!("sagetrail: mine");
    theirs["triggers"][0]["bucket_level_trigger"]["actions"] = json!([]);
    assert_eq!(scene.search.request("POST", "_plugins/_alerting/monitors", Some(theirs)).await.0, 201);
    let edited = scene.monitor("sagetrail: A critical incident").0;
    {
        let mut plugins = scene.cluster.lock();
        let actions = "/triggers/0/bucket_level_trigger/actions";
        *plugins.monitors.get_mut(&edited).unwrap().body.pointer_mut(actions).unwrap() = json!([]);
        plugins.channels.insert("theirs".to_owned(), json!({"name": "theirs"}));
    }

    let run = scene.setup(&["--uninstall"]).await.ended(4);
    run.says("monitor sagetrail-monitor-paging-critical: kept, because somebody changed it");
    run.says("index-template sagetrail-events: kept, because a running daemon needs it");
    assert_eq!(scene.count(), [0, 1, 2, 0], "theirs and the changed one are left");
    assert!(scene.cluster.lock().governed.is_empty(), "no copy of the policy removes data later");

    scene.setup(&["--uninstall", "--force"]).await.ended(0);
    assert_eq!(scene.count(), [0, 1, 1, 0]);
    for gone in [
        "_index_template/sagetrail-events",
        "_component_template/sagetrail-settings",
        "_scripts/sagetrail-join-1",
        "sagetrail-setup",
    ] {
        assert_eq!(scene.node.request("GET", gone, None).await.0, 404, "{gone}");
    }
    for index in ["sagetrail-events-2026.11", "sagetrail-resources", "sagetrail-incidents"] {
        let (status, count) = scene.node.request("GET", &format!("{index}/_count"), None).await;
        assert_eq!((status, &count["count"]), (200, &json!(1)), "{index}");
    }
    scene.setup(&["--uninstall"]).await.ended(0).says("0 objects were removed");
    scene.end().await;
}

#[tokio::test]
async fn the_memory_of_an_installation_holds_no_secret_and_can_be_lost() {
    let Some(scene) = Scene::set().await else { return };
    scene.setup(&[]).await.ended(0);
    let (status, inventory) = scene.node.request("GET", "sagetrail-setup/_search?size=1000", None).await;
    assert_eq!(status, 200);
    assert!(!inventory.to_string().contains("s3cret"));
    let whole = scene.count();
    scene.node.request("DELETE", "sagetrail-setup", None).await;
    scene.setup(&[]).await.ended(0);
    assert_eq!(scene.count(), whole, "nothing is there twice");
    scene.end().await;
}
