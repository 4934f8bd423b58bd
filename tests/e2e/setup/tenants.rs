//! Two prefixes side by side on one cluster: neither tenant sees, changes or removes anything of the other.

use serde_json::{Value, json};

use crate::setup::scene::{CHANNELS, Run, Scene};

/// The second begins with the first, so that a careless pattern of the first would match it.
const OURS: &str = "sagetrail";
const THEIRS: &str = "sagetrail-acme";

#[tokio::test]
async fn two_prefixes_on_one_cluster_hold_their_own_records_and_content_and_one_goes_without_the_other() {
    let Some(scene) = Scene::set().await else { return };
    clear(&scene).await;
    for tenant in [OURS, THEIRS] {
        run(&scene, tenant, "setup", &[]).await.ended(0);
    }
    let both = scene.count();
    let trails = [(OURS, "attack-story"), (THEIRS, "quiet-day")];
    for (tenant, file) in trails {
        let file = format!("{}/tests/fixtures/{file}.json.gz", env!("CARGO_MANIFEST_DIR"));
        run(&scene, tenant, "replay", &[&file]).await.ended(0);
    }
    for (tenant, file) in trails {
        assert_eq!(
            files_in(&scene, &format!("{tenant}-events")).await,
            [format!("{file}.json.gz")],
            "{tenant}"
        );
        // The policy takes in the month that records made; the plugin itself would in time.
        run(&scene, tenant, "setup", &[]).await.ended(0);
        run(&scene, tenant, "setup", &["--diff"]).await.ended(0).says("0 of");
    }

    let removed = run(&scene, THEIRS, "setup", &["--uninstall", "--force"]).await.ended(0);
    assert!(!removed.said.contains("sagetrail-events"), "{}", removed.said);
    run(&scene, OURS, "setup", &["--diff"]).await.ended(0).says("0 of");
    assert_eq!(scene.count(), both.map(|count| count / 2));
    let (_, theirs) = scene.node.request("GET", "_index_template/sagetrail-acme-*", None).await;
    assert_eq!(theirs["index_templates"], json!([]));
    assert_eq!(files_in(&scene, &format!("{THEIRS}-events")).await, ["quiet-day.json.gz"], "data stays");

    run(&scene, THEIRS, "setup", &[]).await.ended(0);
    run(&scene, OURS, "setup", &["--uninstall", "--force"]).await.ended(0);
    run(&scene, THEIRS, "setup", &["--diff"]).await.ended(0).says("0 of");
    clear(&scene).await;
    scene.end().await;
}

async fn run(scene: &Scene, tenant: &str, command: &str, arguments: &[&str]) -> Run {
    scene.configure_with(&format!(
        "index_prefix = \"{tenant}\"\n[select]\nscope = \"all\"\n[dashboards]\nurl = \"{}\"\n{CHANNELS}",
        scene.dashboards.url
    ));
    scene.run(command, arguments).await
}

/// The names of the files that events came from.
async fn files_in(scene: &Scene, alias: &str) -> Vec<String> {
    scene.node.request("POST", &format!("{alias}/_refresh"), None).await;
    let query = json!({"size": 0, "aggs": {"files": {"terms": {"field": "log.file.path", "size": 10}}}});
    let (status, answer) = scene.node.request("POST", &format!("{alias}/_search"), Some(query)).await;
    assert_eq!(status, 200, "{answer}");
    let buckets = answer["aggregations"]["files"]["buckets"].as_array().unwrap();
    let name = |bucket: &Value| bucket["key"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    buckets.iter().map(name).collect()
}

/// The scene clears the default prefix; these patterns are the other's alone.
async fn clear(scene: &Scene) {
    for index in ["events-*", "objects-*", "rejected*", "verif*", "setup"] {
        let path = format!("{THEIRS}-{index}?ignore_unavailable=true");
        scene.node.request("DELETE", &path, None).await;
    }
}
