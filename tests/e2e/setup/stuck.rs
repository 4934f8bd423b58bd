//! Monitors whose alerts nobody can acknowledge any more, because a run of theirs failed.

use super::scene::{CHANNELS, Scene};

#[tokio::test]
async fn a_monitor_whose_alerts_nobody_can_acknowledge_is_removed_and_made_anew_once() {
    let Some(scene) = Scene::set().await else { return };
    scene.configure_with(CHANNELS);
    scene.setup(&[]).await.ended(0);
    let name = "sagetrail: A critical incident";
    let (id, body) = scene.monitor(name);
    scene.cluster.lock().stuck.insert(id.clone());
    scene.take_writes();

    let shown = scene.setup(&["--diff"]).await.ended(3);
    shown.says(
        "monitor sagetrail-monitor-paging-critical: would be renewed, because a run that failed left alerts",
    );
    assert_eq!(shown.lines("monitor").len(), 1, "{}", shown.said);
    assert_eq!(scene.take_writes(), [""; 0], "a difference changes nothing");
    // Whoever may not look at alerts is told of none.
    scene.cluster.forbid(Some("monitors/alerts"));
    scene.setup(&["--diff"]).await.ended(0);
    scene.cluster.forbid(None);

    scene.setup(&[]).await.ended(0).says("monitor sagetrail-monitor-paging-critical: renewed");
    let (other, same) = scene.monitor(name);
    assert!(other != id && same == body, "the same monitor under another id, without the old alerts");
    scene.setup(&["--diff"]).await.ended(0);
    scene.end().await;
}
