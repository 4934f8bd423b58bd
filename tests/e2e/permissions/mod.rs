//! The roles that `check --permissions` prints, on a cluster with the security plugin: each command works with its role
//! and without any one of its privileges does not.
//!
//! The plugins for retention, notifications and alerting are not in that cluster, so what `setup` and `doctor` need
//! for them is not tried here.

mod attempts;
mod tenant;
mod trial;

use std::process::Command;
use std::time::Duration;

use regex::Regex;
use serde_json::{Value, json};

use self::attempts::{correlate, ship};
use self::tenant::{REFUSED, Tenant, Who};
use self::trial::{Trial, Where, try_out};
use crate::support::Stack;
use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::Daemon;
use crate::support::secured::Secured;
use crate::verify::signer::Signer;

const ACCOUNT: &str = "620000000001";

/// Nothing has to be there before a command is tried.
async fn nothing(_: &Tenant<'_>) {}

/// Stores the three records of a trail.
async fn ship_as_admin(tenant: &Tenant<'_>, cloud: &Cloud) {
    let replay = ["replay", &format!("s3://{}/", cloud.bucket), "--format", "json"];
    let shipped = tenant.completes(Who::Admin, &replay, &[], r#""created": 3"#).await;
    shipped.expect("an administrator may");
    tenant.refresh().await;
}

/// A trail of one account with three records, whose digests are signed, and the file of their key.
async fn trail_of(stack: &Stack, name: &str) -> (Cloud, tempfile::NamedTempFile) {
    let cloud = Cloud::create(stack, name, QueueSettings::default()).await;
    let keys = tempfile::NamedTempFile::new().unwrap();
    let signer = Signer::new("aa");
    signer.write_keys(keys.path());
    let delivered = signer.deliver(&cloud, (ACCOUNT, "eu-central-1"), 2, None).await;
    for (key, bytes) in delivered.files {
        cloud.upload(&key, bytes).await;
    }
    (cloud, keys)
}

fn servers() -> Option<(Stack, Secured)> {
    Stack::running().zip(Secured::running())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(servers) = servers() else { return };
    let untried = [
        // A bulk that also makes an index of memory was seen to make that of its events without it.
        "/index_permissions/0/allowed_actions \"create_index\"",
        // What `correlate` needs is tried with that.
        "indices:data/read/msearch",
        "/index_permissions/4/",
        "/index_permissions/5/",
        "/index_permissions/6/",
    ];
    let trial = Trial { command: "run", place: Where::Fresh, untried: &untried };
    Box::pin(try_out(&servers, trial, nothing, ship)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn correlating_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(servers) = servers() else { return };
    let trial = Trial { command: "correlate", place: Where::Fresh, untried: &[] };
    Box::pin(try_out(&servers, trial, nothing, correlate)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(servers) = servers() else { return };
    let (cloud, _keys) = trail_of(&servers.0, "permissions-replay").await;
    let replay = ["replay", &format!("s3://{}/", cloud.bucket), "--format", "json"];
    let trial = Trial { command: "replay", place: Where::Fresh, untried: &[] };
    try_out(&servers, trial, nothing, async |tenant| {
        tenant.completes(Who::Tried, &replay, &[], r#""created": 3"#).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retag_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(servers) = servers() else { return };
    let (cloud, _keys) = trail_of(&servers.0, "permissions-retag").await;
    let retag = ["replay", "--retag", "--format", "json"];
    let trial = Trial { command: "replay --retag", place: Where::Fresh, untried: &[CLOSING] };
    let prepare = async |tenant: &Tenant<'_>| {
        ship_as_admin(tenant, &cloud).await;
        // They were shipped while memory was away.
        let script =
            json!({"script": {"source": "ctx._source.sagemaker.context = ['memory of the identity']"}});
        let path = tenant.index("events-*/_update_by_query?refresh=true");
        assert_eq!(tenant.cluster.ask("POST", &path, Some(script)).await.0, 200);
    };
    try_out(&servers, trial, prepare, async |tenant| {
        // Other rules than those that have tagged the documents.
        let rules = [("rules.placeholders", "{approved_roles=[\"arn:aws:iam::111122223333:role/nobody\"]}")];
        tenant.completes(Who::Tried, &retag, &rules, r#""completed": 3"#).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(servers) = servers() else { return };
    let (cloud, _keys) = trail_of(&servers.0, "permissions-backtest").await;
    let trial = Trial { command: "backtest", place: Where::Shared, untried: &[CLOSING] };
    let prepare = async |tenant: &Tenant<'_>| ship_as_admin(tenant, &cloud).await;
    try_out(&servers, trial, prepare, async |tenant| {
        tenant.completes(Who::Tried, &["backtest", "--index", "--json"], &[], r#""stored": 3"#).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn learning_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(servers) = servers() else { return };
    let (cloud, _keys) = trail_of(&servers.0, "permissions-learn").await;
    let trial = Trial { command: "learn", place: Where::Shared, untried: &[] };
    let prepare = async |tenant: &Tenant<'_>| ship_as_admin(tenant, &cloud).await;
    try_out(&servers, trial, prepare, async |tenant| {
        tenant.completes(Who::Tried, &["learn", "--days", "400", "--json"], &[], ACCOUNT).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_memory_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(servers) = servers() else { return };
    let (cloud, _keys) = trail_of(&servers.0, "permissions-whois").await;
    let trial = Trial { command: "whois", place: Where::Shared, untried: &[] };
    let prepare = async |tenant: &Tenant<'_>| ship_as_admin(tenant, &cloud).await;
    try_out(&servers, trial, prepare, async |tenant| {
        tenant.completes(Who::Tried, &["whois", ACCOUNT], &[], "last_seen").await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containing_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(servers) = servers() else { return };
    let (cloud, _keys) = trail_of(&servers.0, "permissions-contain").await;
    let caller = format!("arn:aws:sts::{ACCOUNT}:assumed-role/DataScience/alice");
    let contain = ["contain", &caller, "--since", "2020-01-01"];
    let trial = Trial { command: "contain", place: Where::Shared, untried: &[CLOSING] };
    let prepare = async |tenant: &Tenant<'_>| {
        // An index that is not there is not asked, and may be read by anybody.
        for index in ["incidents", "resources"] {
            tenant.cluster.ask("PUT", &tenant.index(index), None).await;
        }
        ship_as_admin(tenant, &cloud).await;
    };
    try_out(&servers, trial, prepare, async |tenant| {
        tenant.completes(Who::Tried, &contain, &[], "put-role-policy").await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulating_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(servers) = servers() else { return };
    let (cloud, _keys) = trail_of(&servers.0, "permissions-guard").await;
    let trial = Trial { command: "guard simulate", place: Where::Shared, untried: &[CLOSING] };
    let prepare = async |tenant: &Tenant<'_>| ship_as_admin(tenant, &cloud).await;
    try_out(&servers, trial, prepare, async |tenant| {
        // The job has no VPC.
        judged(
            tenant.run(Who::Tried, &["guard", "simulate", "--days", "400"], &[]).await,
            "CreateTrainingJob",
        )
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_investigation_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(servers) = servers() else { return };
    let (cloud, keys) = trail_of(&servers.0, "permissions-investigate").await;
    let keys = keys.path().to_str().unwrap();
    let principal = format!("arn:aws:sts::{ACCOUNT}:assumed-role/DataScience/alice");
    // No record here has a temporary key, so that no session is asked for.
    let trial = Trial { command: "investigate", place: Where::Shared, untried: &[CLOSING, "sessions"] };
    let prepare = async |tenant: &Tenant<'_>| ship_as_admin(tenant, &cloud).await;
    try_out(&servers, trial, prepare, async |tenant| {
        tenant.completes(Who::Tried, &["investigate", &principal], &[], "What is not known").await?;
        // The role of `investigate --evidence` is the same; what more it reads is in AWS.
        let folder = tempfile::tempdir().unwrap();
        let evidence = ["--evidence", folder.path().to_str().unwrap(), "--keys", keys];
        let collecting = [&["investigate", &principal][..], &evidence].concat();
        tenant.completes(Who::Tried, &collecting, &[], "3 record(s) of 1 file(s)").await?;
        match tenant.run(Who::Tried, &["investigate", "0123456789abcdef"], &[]).await {
            (Some(1), said) if said.contains("there is no incident") => Ok(()),
            (code, said) => Err(format!("{code:?}: {said}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(servers) = servers() else { return };
    // Monitors, channels, rejected records and the lease are only looked at where there are some, or a step is late.
    let untried = ["opendistro", "notifications", "/index_permissions/2/"];
    let trial = Trial { command: "drill", place: Where::Fresh, untried: &untried };
    Box::pin(try_out(&servers, trial, nothing, async |tenant| {
        let cloud = Cloud::create(&tenant.stack, &tenant.prefix, QueueSettings::default()).await;
        let key = [("redaction.key", "0123456789abcdef0123456789abcdef")];
        let mut daemon =
            Daemon::start(&tenant.stack, &cloud, &[&tenant.settings(Who::Admin)[..], &key].concat());
        daemon.until_ready().await;
        let trail = format!("s3://{}/", cloud.bucket);
        let drill = ["drill", &trail, "--account", ACCOUNT, "--region", "eu-central-1", "--timeout", "40"];
        let outcome = tenant.completes(Who::Tried, &drill, &key, "it works").await;
        daemon.kill();
        outcome
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(servers) = servers() else { return };
    let (cloud, keys) = trail_of(&servers.0, "permissions-verify").await;
    let place = format!("s3://{}/", cloud.bucket);
    let (replay, keys) = (["replay", &place], keys.path().to_str().unwrap());
    let period = ["--from", "2026-10-01", "--to", "2026-10-01", "--format", "json", "--keys", keys];
    let verify = [&["verify", &place], &period[..]].concat();
    let trial = Trial { command: "verify", place: Where::Fresh, untried: &[] };
    // The ledger has the file with the content that was signed; the next run finds what is not there.
    let prepare = async |tenant: &Tenant<'_>| {
        tenant.completes(Who::Admin, &replay, &[], "").await.expect("an administrator may");
    };
    try_out(&servers, trial, prepare, async |tenant| {
        judged(tenant.run(Who::Tried, &verify, &[]).await, r#""shipped": 1"#)?;
        let memory = ["resources", "identities"].map(|index| tenant.index(index));
        for lost in [&tenant.index("events-*"), &memory[0], &memory[1]] {
            assert_eq!(tenant.cluster.ask("DELETE", lost, None).await.0, 200, "{lost}");
        }
        tenant.refresh().await;
        let everything = Some(json!({"query": {"match_all": {}}}));
        let path = tenant.index("objects-*/_delete_by_query?refresh=true");
        let emptied = tenant.cluster.ask("POST", &path, everything).await;
        assert_eq!((emptied.0, &emptied.1["deleted"]), (200, &json!(1)));
        let repair = [&verify[..], &["--repair"]].concat();
        let (code, said) = tenant.run_on(Who::Tried, &repair, &[], Duration::ZERO).await;
        if let Some(refusal) = said.lines().find(|line| REFUSED.is_match(line)) {
            return Err(refusal.to_owned());
        }
        judged((code, said), r#""repaired": 1"#)?;
        tenant.refresh().await;
        for index in memory {
            let (_, told) = tenant.cluster.ask("GET", &format!("{index}/_count"), None).await;
            if told["count"].as_u64().unwrap_or_default() == 0 {
                return Err(format!("{index} was told nothing: {told}"));
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_does_with_its_role_what_it_does_for_somebody_who_may_do_everything() {
    let Some(servers) = servers() else { return };
    let attempt = async |tenant: &Tenant<'_>, who: Who| {
        let installed = tenant.run(who, &["setup"], &[]).await.1;
        let again = tenant.run(who, &["setup"], &[]).await.1;
        let removed = tenant.run(who, &["setup", "--uninstall", "--force"], &[]).await.1;
        said(&[installed, again, removed].concat())
    };
    let allowed = as_admin(&servers, "setup", &attempt).await;
    let tried = async |tenant: &Tenant<'_>| as_allowed(attempt(tenant, Who::Tried).await, &allowed);
    let trial = Trial { command: "setup", place: Where::Fresh, untried: &PLUGINS };
    try_out(&servers, trial, nothing, tried).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_sees_with_its_role_what_it_sees_for_somebody_who_may_do_everything() {
    let Some(servers) = servers() else { return };
    let attempt = async |tenant: &Tenant<'_>, who: Who| {
        let doctor = ["doctor", "--json"];
        let before = tenant.run(who, &doctor, &[]).await.1;
        tenant.run(Who::Admin, &["setup"], &[]).await;
        said(&[before, tenant.run(who, &doctor, &[]).await.1].concat())
    };
    let allowed = as_admin(&servers, "doctor", &attempt).await;
    let tried = async |tenant: &Tenant<'_>| as_allowed(attempt(tenant, Who::Tried).await, &allowed);
    let trial = Trial { command: "doctor", place: Where::Fresh, untried: &PLUGINS };
    try_out(&servers, trial, nothing, tried).await;
}

/// What an attempt of somebody says who may do everything, as a tenant with a number that no role is tried with.
async fn as_admin(
    servers: &(Stack, Secured),
    command: &str,
    attempt: &impl AsyncFn(&Tenant<'_>, Who) -> String,
) -> String {
    let tenant = Tenant::new(servers, command, 99);
    tenant.cluster.ask("PUT", &tenant.index("verified"), None).await;
    let allowed = attempt(&tenant, Who::Admin).await;
    tenant.remove().await;
    allowed
}

/// A view that cannot be closed ends by itself, which nobody is told.
const CLOSING: &str = "point_in_time/delete";
/// Privileges for the plugins that are not there.
const PLUGINS: [&str; 3] = ["opendistro", "notifications", "opensearch/ism"];

fn as_allowed(found: String, allowed: &str) -> Result<(), String> {
    if found == allowed { Ok(()) } else { Err(found) }
}

/// Without what differs from run to run.
fn said(text: &str) -> String {
    Regex::new(r"[0-9]+(\.[0-9]+)?").unwrap().replace_all(text, "0").into_owned()
}

/// The chain of so short a trail ends early, so there are gaps; and somebody would be denied something.
fn judged((code, text): (Option<i32>, String), with: &str) -> Result<(), String> {
    if code == Some(3) && text.contains(with) { Ok(()) } else { Err(format!("{code:?}: {text}")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_tells_the_bucket_that_the_configuration_does_not_name() {
    let Some(stack) = Stack::running() else { return };
    let cloud = Cloud::create(&stack, "permissions-bucket", QueueSettings::default()).await;
    let aws =
        aws_config::defaults(aws_config::BehaviorVersion::latest()).endpoint_url(&stack.aws).load().await;
    let source = format!("arn:aws:s3:::{}", cloud.bucket);
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*",
        "Condition": {"ArnEquals": {"aws:SourceArn": source}}}]});
    let request = aws_sdk_sqs::Client::new(&aws).set_queue_attributes().queue_url(&cloud.queue_url);
    let name = aws_sdk_sqs::types::QueueAttributeName::Policy;
    request.attributes(name, policy.to_string()).send().await.unwrap();

    let printed = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
        command.args(arguments).arg("--permissions");
        command.env("AWS_ENDPOINT_URL", &stack.aws).env("SAGETRAIL__SOURCE__QUEUE_URL", &cloud.queue_url);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
        (printed["run"]["iam"].to_string(), said)
    };
    // Without asking it allows every bucket, and says so.
    let (policy, said) = printed(&["check"]);
    assert!(policy.contains(r#""arn:aws:s3:::*""#) && said.contains("every bucket"), "{policy}{said}");
    let (policy, said) = printed(&["doctor"]);
    assert!(policy.contains(&format!("\"{source}/*\"")) && !policy.contains(":::*"), "{policy}");
    assert_eq!(said, "");
}
