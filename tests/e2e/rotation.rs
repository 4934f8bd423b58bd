//! A password that is exchanged while the daemon ships to a cluster with the security plugin: no record is lost, and
//! the daemon is not restarted.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::Daemon;
use crate::support::secured::Secured;
use crate::support::{Stack, eventually, trail};

const ACCOUNT: &str = "630000000001";
const RECORDS: usize = 100;
const FIRST: &str = "the-first-Passw0rd-of-the-test";
const SECOND: &str = "the-second-Passw0rd-of-the-test";
const THIRD: &str = "the-third-Passw0rd-of-the-test";

/// The cluster as its administrator asks it.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_exchanged_in_either_order_while_records_come_and_none_is_lost() {
    let (Some(mut stack), Some(administrator)) = (Stack::running(), Secured::running()) else { return };
    stack.opensearch.clone_from(&administrator.url);
    set_password(&administrator, FIRST).await;
    let role = json!({"cluster_permissions": ["*"],
        "index_permissions": [{"index_patterns": ["sagetrail-rotation-*"], "allowed_actions": ["*"]}]});
    administrator.secure("PUT", "roles/rotating", role).await;
    let users = json!({"users": ["rotating"]});
    administrator.secure("PUT", "rolesmapping/rotating", users).await;

    // As Kubernetes mounts a secret: a link to a folder, which a rename exchanges.
    let folder = tempfile::tempdir().unwrap();
    mount(folder.path(), "v1", FIRST);
    let file = folder.path().join("secret/password").display().to_string();
    let cloud = Cloud::create(&stack, "rotation", QueueSettings::default()).await;
    let settings = [
        ("sink.auth", "basic"),
        ("sink.username", "rotating"),
        ("sink.password_file", file.as_str()),
        ("sink.ca_file", administrator.ca.as_str()),
        ("sink.index_prefix", "sagetrail-rotation"),
        ("select.scope", "all"),
    ];
    let mut daemon = Daemon::start(&stack, &cloud, &settings);
    daemon.until_ready().await;
    upload(&cloud, 0).await;
    cloud.until_empty(Duration::from_mins(1)).await;

    // The cluster is first: bulks are denied, and each denial looks at the file.
    set_password(&administrator, SECOND).await;
    upload(&cloud, 1).await;
    told(&daemon, "OpenSearch denies bulk requests", 1).await;
    mount(folder.path(), "v2", SECOND);
    told(&daemon, "a file that this section names has changed", 1).await;
    cloud.until_empty(Duration::from_mins(2)).await;

    // The file is first: nothing is denied yet, and it is found because it is looked at.
    mount(folder.path(), "v3", THIRD);
    told(&daemon, "a file that this section names has changed", 2).await;
    upload(&cloud, 2).await;
    told(&daemon, "OpenSearch denies bulk requests", 2).await;
    set_password(&administrator, THIRD).await;
    cloud.until_empty(Duration::from_mins(2)).await;

    // What is no password keeps the old one, is told once however often it is looked at, and SIGHUP looks as well.
    mount(folder.path(), "v4", "");
    daemon.signal("HUP");
    told(&daemon, "sink.password_file: is empty", 1).await;
    eventually(Duration::from_mins(1), async || match daemon.count("sagetrail_secrets_refused").await {
        1 => Ok(()),
        other => Err(other.to_string()),
    })
    .await;
    daemon.signal("HUP");
    upload(&cloud, 3).await;
    cloud.until_empty(Duration::from_mins(1)).await;
    assert_eq!(daemon.log().matches("sink.password_file: is empty").count(), 1, "{}", daemon.log());

    assert_eq!(administrator.ask("POST", "sagetrail-rotation-events/_refresh", None).await.0, 200);
    let query = json!({"query": {"term": {"cloud.account.id": ACCOUNT}}});
    let (_, counted) = administrator.ask("GET", "sagetrail-rotation-events/_count", Some(query)).await;
    assert_eq!(counted["count"], 4 * RECORDS);
    assert_eq!(cloud.dead_letters().await, 0);
    let log = daemon.log();
    for secret in [FIRST, SECOND, THIRD] {
        assert!(!log.contains(secret), "{log}");
    }
    daemon.stop().await;
    assert_eq!(administrator.ask("DELETE", "sagetrail-rotation-*", None).await.0, 200);
}

async fn set_password(cluster: &Secured, password: &str) {
    cluster.secure("PUT", "internalusers/rotating", json!({"password": password})).await;
}

async fn upload(cloud: &Cloud, number: usize) {
    let records: Vec<_> =
        (number * RECORDS..(number + 1) * RECORDS).map(|record| trail::record(ACCOUNT, record)).collect();
    cloud.upload(&trail::key(ACCOUNT, number), trail::file(&records)).await;
}

fn mount(folder: &Path, version: &str, password: &str) {
    std::fs::create_dir(folder.join(version)).unwrap();
    std::fs::write(folder.join(version).join("password"), password).unwrap();
    std::os::unix::fs::symlink(folder.join(version), folder.join("link")).unwrap();
    std::fs::rename(folder.join("link"), folder.join("secret")).unwrap();
}

async fn told(daemon: &Daemon, words: &str, times: usize) {
    eventually(Duration::from_mins(1), async || {
        let log = daemon.log();
        if log.matches(words).count() >= times { Ok(()) } else { Err(log) }
    })
    .await;
}
