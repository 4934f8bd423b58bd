//! What is missing, refuses or breaks off stops no more than it has to, and is named.

use super::saved_objects;
use super::scene::{CHANNELS, Scene};

#[tokio::test]
async fn a_plugin_that_is_missing_is_named_and_the_rest_is_installed() {
    let Some(scene) = Scene::set().await else { return };
    for plugin in ["opensearch-alerting", "opensearch-index-management"] {
        scene.cluster.remove_plugin(plugin);
    }
    let run = scene.setup(&[]).await.ended(4);
    run.says("monitor sagetrail-monitor-heartbeat: skipped, because it needs the plugin opensearch-alerting");
    run.says("policy sagetrail-events: skipped, because it needs the plugin opensearch-index-management");
    run.says("channel sagetrail-channel-soc: created");
    assert_eq!(scene.count()[..3], [0, 3, 0]);
    scene
        .setup(&["--diff"])
        .await
        .ended(4)
        .says("would be skipped, because it needs the plugin opensearch-alerting");

    scene.cluster.add_plugins();
    let run = scene.setup(&[]).await.ended(0);
    run.says("policy sagetrail-events: attached to 1 older indices");
    assert_eq!(scene.count()[0], 3);
    scene.end().await;
}

#[tokio::test]
async fn without_dashboards_monitors_page_all_the_same() {
    let Some(scene) = Scene::set().await else { return };
    // Left out on purpose.
    scene.configure_with(CHANNELS);
    let run = scene.setup(&[]).await.ended(0);
    run.says(": skipped, because it needs dashboards.url in the configuration");
    assert!(scene.count()[2] == 3 && scene.count()[3] == 0);
    // Forbidden.
    scene.configure(CHANNELS);
    scene.dashboards.refuse(Some(403));
    scene.setup(&[]).await.ended(4).says("OpenSearch Dashboards: the server answered 403");
    // Down.
    scene.configure_with(&format!("[dashboards]\nurl = 'http://127.0.0.1:1'\n{CHANNELS}"));
    scene.setup(&[]).await.ended(4).says("skipped, because it needs a server that answers");
    // Back, in a tenant and a workspace of their own.
    scene.dashboards.refuse(None);
    let place = "tenant = 'soc'\nworkspace = 'w1'\n";
    scene.configure_with(&format!("[dashboards]\nurl = '{}'\n{place}{CHANNELS}", scene.dashboards.url));
    scene.setup(&[]).await.ended(0);
    {
        let held = scene.dashboards.lock();
        assert!(held.objects.keys().all(|[tenant, workspace, _, _]| tenant == "soc" && workspace == "w1"));
        assert_eq!(held.objects.len(), saved_objects());
    }
    scene.end().await;
}

#[tokio::test]
async fn hundreds_of_saved_objects_come_and_are_compared_with_few_requests() {
    let Some(scene) = Scene::set().await else { return };
    scene.setup(&["--diff"]).await.ended(3);
    assert!(scene.dashboards.take_requests() <= 2, "the probe, and what is there");
    scene.setup(&[]).await.ended(0);
    let requests = scene.dashboards.take_requests();
    assert!(saved_objects() > 150 && requests <= 5, "{} objects with {requests} requests", saved_objects());
    scene.setup(&[]).await.ended(0);
    assert!(scene.dashboards.take_requests() <= 2);
    // Dashboards has no request that removes several.
    scene.setup(&["--uninstall"]).await.ended(0);
    let requests = scene.dashboards.take_requests();
    assert!(requests <= saved_objects() + 2 && scene.count()[3] == 0, "{requests}");
    scene.end().await;
}

#[tokio::test]
async fn a_saved_object_that_is_refused_fails_alone_and_is_named() {
    let Some(scene) = Scene::set().await else { return };
    let refused = "sagetrail-dashboard-overview".to_owned();
    scene.dashboards.lock().unwritable.insert(refused.clone());
    let run = scene.setup(&[]).await.ended(1);
    run.says("dashboard sagetrail-dashboard-overview: failed: ").says("version conflict");
    run.says("dashboard sagetrail-dashboard-threats: created")
        .says("monitor sagetrail-monitor-heartbeat: created");
    assert_eq!(scene.count()[3], saved_objects() - 1);
    scene.dashboards.lock().unwritable.clear();
    scene.setup(&[]).await.ended(0).says("dashboard sagetrail-dashboard-overview: created");
    scene.setup(&["--diff"]).await.ended(0);
    scene.end().await;
}

#[tokio::test]
async fn a_plugin_that_refuses_stops_its_own_objects_only_and_the_hint_says_what_is_needed() {
    let Some(scene) = Scene::set().await else { return };
    scene.cluster.forbid(Some("_notifications"));
    // What is refused is a failure, whatever may be left.
    let run = scene.setup(&["--allow-incomplete"]).await.ended(1);
    run.says("failed: channel sagetrail-channel-night: the server answered 403")
        .says("notifications_full_access");
    run.says("channel sagetrail-channel-soar: skipped, because it needs a server that answers");
    run.says("monitor sagetrail-monitor-heartbeat: created");
    scene.cluster.forbid(None);
    scene.setup(&[]).await.ended(0);
    assert_eq!(scene.count()[1], 3);
    scene.setup(&["--diff"]).await.ended(0);
}

#[tokio::test]
async fn an_installation_that_was_interrupted_anywhere_is_finished_by_the_next_run() {
    let Some(scene) = Scene::set().await else { return };
    // Its hundreds of saved objects would only repeat the same.
    scene.configure_with(CHANNELS);
    scene.setup(&[]).await.ended(0);
    let whole = scene.count();
    // The next installations find the indices there.
    scene.setup(&["--uninstall", "--force"]).await.ended(0);
    scene.cluster.take_writes();
    scene.setup(&[]).await.ended(0);
    let writes = scene.cluster.take_writes();
    let first_monitor = writes.iter().position(|write| write.contains("_alerting/monitors")).unwrap();
    let last = writes.len() - 1;
    // Before anything, half-way, between the monitors, and before what was done is remembered.
    for stop in [0, 5, first_monitor + 1, last] {
        scene.setup(&["--uninstall", "--force"]).await.ended(0);
        scene.cluster.allow_writes(Some(stop));
        let run = scene.setup(&[]).await.ended(1);
        run.says("503");
        scene.cluster.allow_writes(None);
        scene.setup(&[]).await.ended(0);
        assert_eq!(scene.count(), whole, "after {stop} writes");
        scene.setup(&["--diff"]).await.ended(0);
    }
    scene.end().await;
}

#[tokio::test]
async fn serverless_is_refused_with_what_would_be_lost() {
    let Some(scene) = Scene::set().await else { return };
    let text = "[sink]\nurl = 'https://abc.eu-central-1.aoss.amazonaws.com'\n";
    std::fs::write(scene.folder.path().join("sagetrail.toml"), text).unwrap();
    let run = scene.setup(&[]).await.ended(1);
    run.says("stored twice").says("neither retention policies nor alerting").says("use a managed domain");
    scene.end().await;
}
