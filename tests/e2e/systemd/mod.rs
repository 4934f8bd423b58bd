//! The units as systemd runs them: installed, started, reloaded and stopped on a machine of their own, beside real
//! servers.

mod machine;

use std::net::TcpListener;
use std::time::Duration;

use machine::Machine;
use serde_json::json;

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::secured::Secured;
use crate::support::{Stack, eventually, trail};

const PASSWORD_FILE: &str = "/etc/sagetrail/opensearch-password";

/// How many documents with this value the indices of a pattern have, on the cluster that asks for a password.
async fn count(cluster: &Secured, indices: &str, (field, value): (&str, &str)) -> u64 {
    cluster.ask("POST", &format!("{indices}/_refresh?ignore_unavailable=true"), None).await;
    let query = json!({"query": {"prefix": {field: value}}});
    let path = format!("{indices}/_count?ignore_unavailable=true");
    let (_, answer) = cluster.ask("GET", &path, Some(query)).await;
    answer["count"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

/// Installs everything but secrets, and gives the address at which the daemon says how it is.
fn configure(machine: &Machine, stack: &Stack, cloud: &Cloud, sink: &str) -> String {
    machine.install();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let environment = format!(
        "AWS_REGION=us-east-1\nAWS_ACCESS_KEY_ID=test\nAWS_SECRET_ACCESS_KEY=test\nAWS_ENDPOINT_URL={}\n\
         AWS_EC2_METADATA_DISABLED=true\nSAGETRAIL__SOURCE__FORCE_PATH_STYLE=true\n\
         SAGETRAIL__ADMIN__LISTEN=127.0.0.1:{port}\nVERIFY_TRAIL=s3://{}/",
        stack.aws, cloud.bucket
    );
    machine.write("/etc/sagetrail/environment", ("root:root", "600"), &environment);
    let configuration = format!(
        "[source]\nqueue_url = '{}'\nwait = '1s'\n[select]\nscope = 'all'\n[sink]\n{sink}",
        cloud.queue_url
    );
    machine.write("/etc/sagetrail/sagetrail.toml", ("root:root", "644"), &configuration);
    format!("http://127.0.0.1:{port}")
}

/// The settings for a cluster with a password, but for the file that has it.
fn secured_sink(machine: &Machine, cluster: &Secured) -> String {
    let authority = std::fs::read_to_string(&cluster.ca).unwrap();
    machine.write("/etc/sagetrail/authority.pem", ("root:root", "644"), authority.trim_end());
    format!(
        "url = '{}'\nauth = 'basic'\nusername = '{}'\nca_file = '/etc/sagetrail/authority.pem'\n",
        cluster.url, cluster.user
    )
}

async fn until_ready(machine: &Machine, admin: &str) {
    eventually(Duration::from_mins(1), async || {
        let answer = reqwest::get(format!("{admin}/readyz")).await.map_err(|error| error.to_string());
        let status = answer.map(|answer| answer.status().as_u16());
        if status == Ok(200) { Ok(()) } else { Err(format!("{status:?}\n{}", machine.journal("sagetrail"))) }
    })
    .await;
}

/// Both units do their work with one password: the daemon is ready and ships, the verification says what it has found.
async fn both_units_reach_the_cluster(
    machine: &Machine,
    cluster: &Secured,
    (account, cloud): (&str, &Cloud),
    admin: &str,
) {
    machine.must("systemctl start sagetrail");
    until_ready(machine, admin).await;
    let before = count(cluster, "sagetrail-events-*", ("cloud.account.id", account)).await;
    let record = trail::record(account, 4 * std::process::id() as usize);
    cloud.upload(&trail::key(account, 1), trail::file(&[record])).await;
    eventually(Duration::from_mins(1), async || {
        match count(cluster, "sagetrail-events-*", ("cloud.account.id", account)).await {
            count if count > before => Ok(()),
            _ => Err(machine.journal("sagetrail")),
        }
    })
    .await;

    let trail = format!("s3://{}/", cloud.bucket);
    let before = count(cluster, "sagetrail-verified*", ("verification.place", trail.as_str())).await;
    let (code, text) = machine.run("systemctl start sagetrail-verify");
    let journal = machine.journal("sagetrail-verify");
    assert_eq!(code, Some(1), "gaps fail the unit: {text}{journal}");
    assert_eq!(machine.property("sagetrail-verify", "ExecMainStatus"), "3", "{journal}");
    assert!(
        count(cluster, "sagetrail-verified*", ("verification.place", trail.as_str())).await > before,
        "{journal}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_and_the_verification_work_with_the_same_password() {
    let (Some(stack), Some(cluster)) = (Stack::running(), Secured::running()) else { return };
    let Some(machine) = Machine::booted("password").await else { return };
    let cloud = Cloud::create(&stack, "systemd-password", QueueSettings::default()).await;
    let sink = secured_sink(&machine, &cluster) + &format!("password_file = '{PASSWORD_FILE}'\n");
    let admin = configure(&machine, &stack, &cloud, &sink);
    machine.write(PASSWORD_FILE, ("root:sagetrail", "640"), &cluster.password);
    both_units_reach_the_cluster(&machine, &cluster, ("630000000001", &cloud), &admin).await;

    // A reload keeps the process, and a stop is no failure.
    let process = machine.property("sagetrail", "MainPID");
    machine.must("systemctl reload sagetrail");
    eventually(Duration::from_secs(20), async || {
        let journal = machine.journal("sagetrail");
        if journal.contains("loaded again") { Ok(()) } else { Err(journal) }
    })
    .await;
    assert_eq!(machine.property("sagetrail", "MainPID"), process);
    machine.must("systemctl stop sagetrail");
    assert_eq!(machine.property("sagetrail", "Result"), "success", "{}", machine.journal("sagetrail"));

    // The timer has a time at which the verification runs.
    machine.must("systemctl enable --now sagetrail-verify.timer");
    assert_ne!(machine.property("sagetrail-verify.timer", "NextElapseUSecRealtime"), "");
    assert_eq!(machine.property("sagetrail-verify.timer", "Unit"), "sagetrail-verify.service");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_of_systemd_has_the_password_for_both_units() {
    let (Some(stack), Some(cluster)) = (Stack::running(), Secured::running()) else { return };
    let Some(machine) = Machine::booted("credential").await else { return };
    let cloud = Cloud::create(&stack, "systemd-credential", QueueSettings::default()).await;
    let sink = secured_sink(&machine, &cluster);
    let admin = configure(&machine, &stack, &cloud, &sink);
    for unit in ["sagetrail", "sagetrail-verify"] {
        let drop_in = include_str!("../../../deploy/systemd/credentials.conf").trim_end();
        machine.write(
            &format!("/etc/systemd/system/{unit}.service.d/credentials.conf"),
            ("root:root", "644"),
            drop_in,
        );
    }
    machine.must("systemctl daemon-reload");
    // Neither is for anybody but root.
    machine.write(PASSWORD_FILE, ("root:root", "600"), &cluster.password);
    let key = "a key of the fingerprints that nobody knows";
    machine.write("/etc/sagetrail/redaction-key", ("root:root", "600"), key);
    both_units_reach_the_cluster(&machine, &cluster, ("630000000002", &cloud), &admin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_cluster_does_not_answer_stays_and_waits() {
    let Some(stack) = Stack::running() else { return };
    let Some(machine) = Machine::booted("waits").await else { return };
    let cloud = Cloud::create(&stack, "systemd-waits", QueueSettings::default()).await;
    // The system's own authorities are read, and nothing listens there.
    let admin = configure(&machine, &stack, &cloud, "url = 'https://127.0.0.1:1'");
    machine.must("systemctl start sagetrail");
    eventually(Duration::from_secs(30), async || {
        let answer = reqwest::get(format!("{admin}/readyz")).await.map_err(|error| error.to_string())?;
        if answer.status().as_u16() == 503 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    assert_eq!(machine.property("sagetrail", "SubState"), "running");
    assert_eq!(machine.property("sagetrail", "NRestarts"), "0");
    // Even so it stops in time and without being killed.
    machine.must("systemctl stop sagetrail");
    assert_eq!(machine.property("sagetrail", "Result"), "success", "{}", machine.journal("sagetrail"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_fails_at_once_and_for_good() {
    let Some(machine) = Machine::booted("wrong").await else { return };
    machine.install();
    for (text, named) in [
        // As it is installed: nobody has named the queue yet.
        (include_str!("../../../config/sagetrail.toml"), "source.queue_url"),
        ("[sink]\nurll = 'https://search.example.com'", "urll"),
        ("[sink", "sagetrail.toml"),
    ] {
        machine.write("/etc/sagetrail/sagetrail.toml", ("root:root", "644"), text.trim_end());
        machine.must("systemctl reset-failed");
        machine.run("systemctl start sagetrail");
        machine.until("sagetrail", "failed").await;
        assert_eq!(machine.property("sagetrail", "ExecMainStatus"), "78");
        assert_eq!(machine.property("sagetrail", "NRestarts"), "0");
        assert!(machine.journal("sagetrail").contains(named), "{}", machine.journal("sagetrail"));
    }
}
