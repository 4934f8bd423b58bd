//! `sagetrail drill` on the real stack: from a file to a page in an Alertmanager and back, and with each link broken in
//! turn.
//!
//! The sites beside each other have a bucket, a queue, a daemon and indices each, so that all of it takes as long as
//! one drill.

use std::process::Output;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::alertmanager::Alertmanager;
use crate::setup::fake::Cluster;
use crate::support::Stack;
use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::{Daemon, free_port};
use crate::support::search::Search;

const ACCOUNT: &str = "960000000001";
const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";

struct Site {
    stack: Stack,
    cloud: Cloud,
    name: &'static str,
    /// Of the Alertmanager.
    url: Option<String>,
}

impl Site {
    async fn new(stack: &Stack, name: &'static str, url: Option<String>) -> Self {
        let search = Search::new(&stack.opensearch);
        search.request("DELETE", &format!("{name}-*?expand_wildcards=all"), None).await;
        Self {
            stack: stack.clone(),
            cloud: Cloud::create(stack, name, QueueSettings::default()).await,
            name,
            url,
        }
    }

    fn settings(&self) -> Vec<(&str, &str)> {
        let mut settings = vec![("sink.index_prefix", self.name), ("redaction.key", KEY)];
        if let Some(url) = &self.url {
            settings.extend([("channels.am.kind", "alertmanager"), ("channels.am.url", url)]);
        }
        settings
    }

    async fn daemon(&self, more: &[(&str, &str)]) -> Daemon {
        let mut daemon = Daemon::start(&self.stack, &self.cloud, &[&self.settings(), more].concat());
        daemon.until_ready().await;
        daemon
    }

    fn drill(&self, seconds: u32, more: &[(&str, &str)]) -> Command {
        let trail = format!("s3://{}/org/", self.cloud.bucket);
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
        command
            .args(["drill", "--json", "--region", "eu-central-1", "--account", ACCOUNT])
            .arg(format!("--timeout={seconds}"))
            .env("AWS_ENDPOINT_URL", &self.stack.aws)
            .env("SAGETRAIL__SOURCE__QUEUE_URL", &self.cloud.queue_url)
            .env("SAGETRAIL__SOURCE__FORCE_PATH_STYLE", "true")
            .env("SAGETRAIL__SINK__URL", &self.stack.opensearch)
            .env("SAGETRAIL__DRILL__TRAIL", trail)
            .kill_on_drop(true);
        for (key, value) in self.settings().iter().chain(more) {
            command.env(format!("SAGETRAIL__{}", key.to_uppercase().replace('.', "__")), value);
        }
        command
    }

    async fn incidents(&self) -> Vec<Value> {
        let search = Search::new(&self.stack.opensearch);
        let index = format!("{}-incidents", self.name);
        let found = search.find(&index, json!({"match_all": {}}), &["incident", "message"]).await;
        found.into_values().flatten().map(|hit| hit.source).collect()
    }

    /// How many documents there are, in indices of which none has to be there.
    async fn count(&self, indices: &str, query: Value) -> u64 {
        let search = Search::new(&self.stack.opensearch);
        let path = format!("{}-{indices}/_count?ignore_unavailable=true&allow_no_indices=true", self.name);
        let (status, answer) = search.request("POST", &path, Some(json!({"query": query}))).await;
        assert_eq!(status, 200, "{answer}");
        answer["count"].as_u64().expect("it is counted")
    }
}

fn read(output: &Output) -> (Option<i32>, Value) {
    let said = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&said);
    let report = report.unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

/// Runs a drill in which one step breaks, and says what it tells of it.
async fn broken(mut drill: Command, step: &str) -> (String, Value) {
    let (code, report) = read(&drill.output().await.expect("the binary runs"));
    let outcomes = report["steps"].as_array().expect("it has steps").iter();
    let failed: Vec<&Value> = outcomes.filter(|it| it["outcome"] == "failed").collect();
    assert_eq!((code, &report["worked"], failed.len()), (Some(3), &json!(false), 1), "{report:#}");
    assert_eq!(failed[0]["step"], step, "{report:#}");
    (failed[0]["said"].as_str().expect("it says why").to_owned(), report)
}

fn assert_says(said: &str, expected: &str) {
    assert!(said.contains(expected), "{expected:?} is not in {said:?}");
}

/// A drill whose links are all there.
async fn whole(site: &Site, server: &mut Alertmanager) {
    let daemon = site.daemon(&[]).await;
    let (code, report) = read(&site.drill(30, &[]).output().await.expect("the binary runs"));
    assert_eq!(
        (code, &report["worked"], &report["notes"]),
        (Some(0), &json!(true), &json!([])),
        "{report:#}\n{}",
        daemon.log()
    );
    println!("{report:#}");
    let incident = &site.incidents().await[0];
    let own = &incident["incident"];
    assert_eq!(
        (&own["id"], &own["state"], &own["pages"]),
        (&report["incident"], &json!("closed"), &json!(1))
    );
    assert_eq!((&own["drill"]["id"], &own["drill"]["worked"]), (&report["drill"], &json!(true)));
    for step in ["uploaded", "read", "stored", "opened", "told", "ended"] {
        assert!(own["drill"][step].is_string(), "{step}: {own}");
    }
    let message = incident["message"].as_str().expect("a text");
    assert!(message.starts_with("Drill: Critical: "), "{message}");
    for told in ["firing critical", "resolved critical"] {
        let (notified, alert) = server.notification().await;
        assert_eq!((notified.as_str(), &alert["annotations"]["summary"]), (told, &incident["message"]));
    }
    assert_eq!(site.count("events-*", json!({"term": {"tags": "drill"}})).await, 3);
    // Memory was told nothing, and no rule over several records has counted it.
    for memory in ["identities", "resources", "sessions-*", "correlated"] {
        assert_eq!(site.count(memory, json!({"match_all": {}})).await, 0, "{memory}");
    }
    let bucket = format!("{}-silent", site.name);
    site.cloud.s3.create_bucket().bucket(&bucket).send().await.expect("moto makes the bucket");
    let silent = format!("s3://{bucket}/");
    let (said, _) = broken(site.drill(3, &[("drill.trail", &silent)]), "read").await;
    assert_says(&said, "the bucket did not announce the file");
    daemon.stop().await;
}

/// A site whose links are broken one after the other, up to the correlator.
async fn up_to_the_correlator(site: &Site) {
    let (said, report) = broken(site.drill(5, &[("drill.trail", "s3://drill-of-nobody/")]), "uploaded").await;
    assert_says(&said, "NoSuchBucket");
    assert_eq!(report["steps"][1]["outcome"], "not_reached");
    let (said, _) = broken(site.drill(3, &[]), "read").await;
    assert_says(&said, "nobody receives them: the daemon does not run");

    let _daemon = site.daemon(&[("correlate.enabled", "false")]).await;
    // One was killed before it closed its incident, and nobody correlates who would.
    let old = json!({"incident": {"id": "0a1b", "origin": "drill:old", "state": "open", "opened": "2026-11-01T12:00:00.000Z"}, "event": {}});
    let search = Search::new(&site.stack.opensearch);
    let path = format!("{}-incidents/_doc/0a1b?refresh=true", site.name);
    assert_eq!(search.request("PUT", &path, Some(old)).await.0, 201);
    let (said, report) = broken(site.drill(6, &[]), "opened").await;
    assert_says(&said, "Nobody correlates");
    assert_says(&report["notes"][0].to_string(), "drill old was broken off");
    assert_eq!(site.incidents().await[0]["incident"]["state"], "closed");
    let (said, _) = broken(site.drill(6, &[("redaction.key", OTHER_KEY)]), "stored").await;
    assert_says(&said, "redaction.key_file here is not that of the daemons");
    assert_says(&said, &format!("arn:aws:iam::{ACCOUNT}:role/sagetrail-drill"));
    site.cloud.forbid("*").await;
    let (said, _) = broken(site.drill(4, &[]), "read").await;
    assert_says(&said, "does not finish them");
}

/// A site whose Alertmanager is not there.
async fn without_alertmanager(site: &Site) {
    let daemon = site.daemon(&[]).await;
    let (said, report) = broken(site.drill(25, &[]), "told").await;
    assert_says(&said, "channels.am: ");
    let incidents = site.incidents().await;
    let own = &incidents[0]["incident"];
    assert_eq!(
        (&own["id"], &own["state"]),
        (&report["incident"], &json!("closed")),
        "it is closed all the same"
    );
    assert_eq!(own["drill"]["worked"], false);
    daemon.stop().await;
}

/// A site that the alerting plugin pages for, with each link from the incident to the channel broken in turn. Whether
/// the page came nobody can see.
async fn paged_by_a_monitor(site: &Site) {
    let cluster = Cluster::start(&site.stack.opensearch).await;
    let daemon = site.daemon(&[]).await;
    let paged = [
        ("channels.hook.kind", "webhook"),
        ("channels.hook.url", "https://hook.example.com/s3cret"),
        ("sink.url", cluster.url.as_str()),
    ];
    let drill = |seconds| site.drill(seconds, &paged);
    let (said, _) = broken(drill(16), "told").await;
    assert_says(&said, "no monitor of critical incidents: run `sagetrail setup`");

    let mut setup = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    setup.arg("setup").env("SAGETRAIL__SINK__INDEX_PREFIX", site.name);
    for (key, value) in paged {
        setup.env(format!("SAGETRAIL__{}", key.to_uppercase().replace('.', "__")), value);
    }
    let output = setup.output().await.expect("the binary runs");
    let id = {
        let plugins = cluster.lock();
        let is_it = |body: &Value| body["name"].as_str().is_some_and(|it| it.contains("A critical incident"));
        let found = plugins.monitors.iter().find(|(_, stored)| is_it(&stored.body));
        found.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr))).0.clone()
    };
    let (code, report) = read(&drill(30).output().await.expect("the binary runs"));
    assert_eq!(
        (code, &report["worked"], &report["seconds_to_page"]),
        (Some(0), &json!(true), &Value::Null),
        "{report:#}"
    );
    let link = format!("{}-monitor-paging-critical → channels.hook: ", site.name);
    let not_checked = report["not_checked"][0].as_str().expect("the last link is named");
    assert!(not_checked.starts_with(&link), "{not_checked}");
    assert_says(report["steps"][4]["said"].as_str().expect("it says"), "sent it to channels.hook at 20");
    assert_says(report["steps"][5]["said"].as_str().expect("it says"), "ends with its next run");

    let change = |at: &str, value: Value| {
        let mut plugins = cluster.lock();
        let monitor = plugins.monitors.get_mut(&id).expect("it is there");
        *monitor.body.pointer_mut(at).expect("it has that") = value;
    };
    let actions = "/triggers/0/bucket_level_trigger/actions";
    let all = cluster.lock().monitors[&id].body.pointer(actions).expect("it has actions").clone();
    change("/enabled", json!(false));
    assert_says(&broken(drill(16), "told").await.0, "monitor-paging-critical is switched off in OpenSearch");
    change("/enabled", json!(true));
    change(actions, json!([]));
    assert_says(&broken(drill(16), "told").await.0, "does not page channels.hook: run `sagetrail setup`");
    change(actions, all);
    let channel = format!("{}-channel-hook", site.name);
    cluster.lock().channels.get_mut(&channel).expect("it is there")["is_enabled"] = json!(false);
    assert_says(&broken(drill(16), "told").await.0, "channels.hook is switched off in OpenSearch");
    cluster.lock().channels.remove(&channel);
    assert_says(&broken(drill(16), "told").await.0, "channels.hook is not in OpenSearch");
    cluster.assert_no_complaint();
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_monitor_pages_a_drill_names_the_link_that_is_broken_and_the_one_that_is_not_checked() {
    let Some(stack) = Stack::running() else { return };
    paged_by_a_monitor(&Site::new(&stack, "drill-paged", None).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_goes_from_a_file_to_a_page_and_back_and_names_the_link_that_is_broken() {
    let Some(stack) = Stack::running() else { return };
    let Some(mut server) = Alertmanager::start().await else { return };
    let sites = tokio::join!(
        Site::new(&stack, "drill-whole", Some(format!("http://127.0.0.1:{}", server.port))),
        Site::new(&stack, "drill-broken", None),
        Site::new(&stack, "drill-untold", Some(format!("http://127.0.0.1:{}", free_port()))),
    );
    tokio::join!(
        whole(&sites.0, &mut server),
        up_to_the_correlator(&sites.1),
        without_alertmanager(&sites.2)
    );
}
