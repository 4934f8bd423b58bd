//! The content as files.

use serde_json::Value;

use super::scene::Scene;
use super::{ASKED, saved_objects};

#[tokio::test]
async fn the_export_is_what_the_apis_take_and_holds_no_secret() {
    let Some(scene) = Scene::set().await else { return };
    let folder = scene.folder.path().join("content");
    scene.setup(&["--export", folder.to_str().unwrap()]).await.ended(0).says("objects were written into");
    let read = |name: String| -> Value {
        let text =
            std::fs::read_to_string(folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!text.contains("s3cret"), "{name}");
        serde_json::from_str(&text).unwrap()
    };
    for (kind, path) in [("component-template", "_component_template"), ("index-template", "_index_template")]
    {
        for id in names(&folder.join(format!("{kind}s"))) {
            let body = read(format!("{kind}s/{id}.json"));
            assert_eq!(scene.search.request("PUT", &format!("{path}/{id}"), Some(body)).await.0, 200);
        }
    }
    for index in ["sagetrail-events-2026.11"].iter().chain(ASKED) {
        assert_eq!(scene.search.request("PUT", index, None).await.0, 200);
    }
    let policy = read("policies/sagetrail-events.json".to_owned());
    assert_eq!(
        scene.search.request("PUT", "_plugins/_ism/policies/sagetrail-events", Some(policy)).await.0,
        201
    );
    for id in names(&folder.join("channels")) {
        let mut channel = read(format!("channels/{id}.json"));
        // The one thing to fill in.
        let text = channel.to_string().replace("[secret]", "https://hooks.example.com");
        channel = serde_json::from_str(&text).unwrap();
        assert_eq!(
            scene.search.request("POST", "_plugins/_notifications/configs", Some(channel)).await.0,
            200
        );
    }
    for id in names(&folder.join("monitors")) {
        let monitor = read(format!("monitors/{id}.json"));
        let (status, answer) =
            scene.search.request("POST", "_plugins/_alerting/monitors", Some(monitor)).await;
        assert_eq!(status, 201, "{answer}");
    }
    let lines = std::fs::read_to_string(folder.join("dashboards.ndjson")).unwrap();
    assert_eq!(lines.lines().count(), saved_objects());
    for line in lines.lines() {
        let object: Value = serde_json::from_str(line).unwrap();
        assert!(object["id"].is_string() && object["type"].is_string() && object["attributes"].is_object());
    }
    scene.end().await;
}

/// The names of the JSON files in a folder.
fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<String> =
        entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    assert!(!names.is_empty());
    names
}
