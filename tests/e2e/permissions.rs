//! The roles that `check --permissions` prints, on a cluster with the security plugin: each command works with its role and
//! without any one of its privileges does not.
//!
//! The plugins for retention, notifications and alerting are not in that cluster, so what `setup` and `check --online` need
//! for them is not tried here.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::Daemon;
use crate::support::{Stack, eventually, trail};
use crate::verify::signer::Signer;

const ACCOUNT: &str = "620000000001";
const PASSWORD: &str = "a-Password-0f-the-test";

/// Each test clears the cluster again and again, so one at a time has it.
static TURN: Mutex<()> = Mutex::const_new(());

/// A cluster with security, and whoever may do everything there.
struct Secured {
    _turn: MutexGuard<'static, ()>,
    stack: Stack,
    ca: String,
    user: String,
    password: String,
    http: reqwest::Client,
}

/// Whom a command runs as.
#[derive(Clone, Copy)]
enum Who {
    Admin,
    /// The user with the role that is tried.
    Tried,
}

impl Secured {
    async fn running() -> Option<Self> {
        let variable = |name: &str| {
            std::env::var(format!("SAGETRAIL_TEST_OPENSEARCH_SECURE_{name}")).ok().filter(|it| !it.is_empty())
        };
        let mut stack = Stack::running()?;
        stack.opensearch = variable("URL")?;
        let ca = variable("CA")?;
        let certificate = reqwest::Certificate::from_pem(&std::fs::read(&ca).unwrap()).unwrap();
        let http = reqwest::Client::builder().add_root_certificate(certificate).build().unwrap();
        let turn = TURN.lock().await;
        Some(Self { _turn: turn, stack, ca, user: variable("USER")?, password: variable("PASSWORD")?, http })
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}/{path}", self.stack.opensearch);
        let mut request = self.http.request(method.parse().unwrap(), url);
        request = request.basic_auth(&self.user, Some(&self.password));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    /// A cluster that has never seen sagetrail, but for who has verified something.
    async fn clear(&self) {
        let (_, indices) =
            self.ask("GET", "_cat/indices/sagetrail*?format=json&expand_wildcards=all", None).await;
        for index in indices.as_array().into_iter().flatten() {
            self.ask("DELETE", index["index"].as_str().unwrap(), None).await;
        }
        for template in ["_index_template", "_component_template"] {
            self.ask("DELETE", &format!("{template}/sagetrail-*"), None).await;
        }
        self.ask("PUT", "sagetrail-verified", None).await;
    }

    /// Lets searches find what is stored.
    async fn refresh(&self) {
        assert_eq!(self.ask("POST", "sagetrail-*/_refresh", None).await.0, 200);
    }

    /// A user with this role alone. The plugin's own mapping gives every user one more, which is taken away.
    async fn grant(&self, role: &Value) {
        self.ask("DELETE", "_plugins/_security/api/rolesmapping/own_index", None).await;
        for (path, body) in [
            ("roles/tried", role.clone()),
            ("internalusers/tried", json!({"password": PASSWORD})),
            ("rolesmapping/tried", json!({"users": ["tried"]})),
        ] {
            let (status, answer) =
                self.ask("PUT", &format!("_plugins/_security/api/{path}"), Some(body)).await;
            assert!([200, 201].contains(&status), "{path}: {answer}");
        }
    }

    /// The settings of somebody's way to the cluster.
    fn settings(&self, who: Who) -> Vec<(&'static str, &str)> {
        let (user, password) = match who {
            Who::Admin => (self.user.as_str(), self.password.as_str()),
            Who::Tried => ("tried", PASSWORD),
        };
        vec![
            ("sink.auth", "basic"),
            ("sink.ca_file", &self.ca),
            ("sink.username", user),
            ("sink.password", password),
            ("select.scope", "all"),
        ]
    }

    /// Runs a command, for a while: what is refused may be repeated for ever.
    fn run(&self, who: Who, arguments: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut command = Command::new("timeout");
        command
            .args(["20", env!("CARGO_BIN_EXE_sagetrail")])
            .args(arguments)
            .env("AWS_ENDPOINT_URL", &self.stack.aws)
            .env("SAGETRAIL__SOURCE__FORCE_PATH_STYLE", "true")
            .env("SAGETRAIL__SINK__URL", &self.stack.opensearch)
            .stdin(Stdio::null());
        for (key, value) in self.settings(who).iter().chain(settings) {
            command.env(format!("SAGETRAIL__{}", key.to_uppercase().replace('.', "__")), value);
        }
        let output = command.output().expect("the binary runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    /// The role that is printed for a command.
    fn printed(&self, command: &str) -> Value {
        let (code, printed) =
            self.run(Who::Admin, &["check", "--permissions"], &[("source.allowed_buckets", "[\"trail\"]")]);
        assert_eq!(code, Some(0), "{printed}");
        let printed: Value = serde_json::from_str(&printed).unwrap();
        printed[command]["opensearch"].clone()
    }
}

/// The role without each of its privileges, and what is missing there.
fn narrower(role: &Value) -> Vec<(String, Value)> {
    let mut narrower = Vec::new();
    let mut without = |pointer: &str, place: usize| {
        let mut role = role.clone();
        let missing = role.pointer_mut(pointer).unwrap().as_array_mut().unwrap().remove(place);
        narrower.push((format!("{pointer} {missing}"), role));
    };
    for place in 0..role["cluster_permissions"].as_array().unwrap().len() {
        without("/cluster_permissions", place);
    }
    for (number, granted) in role["index_permissions"].as_array().unwrap().iter().enumerate() {
        for place in 0..granted["allowed_actions"].as_array().unwrap().len() {
            without(&format!("/index_permissions/{number}/allowed_actions"), place);
        }
    }
    narrower
}

/// Tries a command with its role, and then without each of its privileges. Each attempt begins on a cluster that is clear.
async fn try_out(
    cluster: &Secured,
    command: &str,
    untried: &[&str],
    attempt: impl AsyncFn(Who) -> Result<(), String>,
) {
    let role = cluster.printed(command);
    let as_role = async |role: &Value| {
        cluster.clear().await;
        cluster.grant(role).await;
        attempt(Who::Tried).await
    };
    as_role(&role).await.unwrap_or_else(|problem| panic!("{command} with its whole role: {problem}"));
    let mut superfluous = Vec::new();
    for (missing, role) in narrower(&role) {
        if untried.iter().any(|untried| missing.contains(untried)) {
            continue;
        }
        if as_role(&role).await.is_ok() {
            superfluous.push(missing);
        }
    }
    assert_eq!(superfluous, [""; 0], "{command} works without these");
}

/// A trail of one account with three records, whose digests are signed, and the file of their key.
async fn trail_of(cluster: &Secured, name: &str) -> (Cloud, tempfile::NamedTempFile) {
    let cloud = Cloud::create(&cluster.stack, name, QueueSettings::default()).await;
    let keys = tempfile::NamedTempFile::new().unwrap();
    let signer = Signer::new("aa");
    signer.write_keys(keys.path());
    let delivered = signer.deliver(&cloud, (ACCOUNT, "eu-central-1"), 2, None).await;
    for (key, bytes) in delivered.files {
        cloud.upload(&key, bytes).await;
    }
    (cloud, keys)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(cluster) = Secured::running().await else { return };
    let cloud = Cloud::create(&cluster.stack, "permissions-run", QueueSettings::default()).await;
    try_out(&cluster, "run", &[], async |who| ship(&cluster, &cloud, who).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(cluster) = Secured::running().await else { return };
    let (cloud, _keys) = trail_of(&cluster, "permissions-replay").await;
    let replay = ["replay", &format!("s3://{}/", cloud.bucket), "--format", "json"];
    try_out(&cluster, "replay", &[], async |who| ended(cluster.run(who, &replay, &[]), r#""created": 3"#))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retag_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(cluster) = Secured::running().await else { return };
    let (cloud, _keys) = trail_of(&cluster, "permissions-retag").await;
    let replay = ["replay", &format!("s3://{}/", cloud.bucket), "--format", "json"];
    let retag = ["replay", "--retag", "--format", "json"];
    // A view that cannot be closed ends by itself, which nobody is told.
    try_out(&cluster, "replay --retag", &["point_in_time/delete"], async |who| {
        ended(cluster.run(Who::Admin, &replay, &[]), "created")?;
        cluster.refresh().await;
        // Other rules than those that have tagged the documents.
        let rules = [("rules.placeholders", "{approved_roles=[\"arn:aws:iam::111122223333:role/nobody\"]}")];
        ended(cluster.run(who, &retag, &rules), r#""retagged": 3"#)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_works_with_its_role_and_without_any_privilege_of_it_does_not() {
    let Some(cluster) = Secured::running().await else { return };
    let (cloud, keys) = trail_of(&cluster, "permissions-verify").await;
    let place = format!("s3://{}/", cloud.bucket);
    let (replay, keys) = (["replay", &place], keys.path().to_str().unwrap());
    let period = ["--from", "2026-10-01", "--to", "2026-10-01", "--format", "json", "--keys", keys];
    let verify = [&["verify", &place], &period[..]].concat();
    try_out(&cluster, "verify", &[], async |who| {
        // The ledger has the file with the content that was signed; the next run finds what is not there.
        ended(cluster.run(Who::Admin, &replay, &[]), "")?;
        judged(cluster.run(who, &verify, &[]), r#""shipped": 1"#)?;
        assert_eq!(cluster.ask("DELETE", "sagetrail-events-*", None).await.0, 200);
        cluster.refresh().await;
        let everything = Some(json!({"query": {"match_all": {}}}));
        let emptied =
            cluster.ask("POST", "sagetrail-objects-*/_delete_by_query?refresh=true", everything).await;
        assert_eq!((emptied.0, &emptied.1["deleted"]), (200, &json!(1)));
        judged(cluster.run(who, &[&verify[..], &["--repair"]].concat(), &[]), r#""repaired": 1"#)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn setup_does_with_its_role_what_it_does_for_somebody_who_may_do_everything() {
    let Some(cluster) = Secured::running().await else { return };
    let attempt = |who: Who| {
        let installed = cluster.run(who, &["setup"], &[]).1;
        let again = cluster.run(who, &["setup"], &[]).1;
        said(&[installed, again, cluster.run(who, &["setup", "--uninstall", "--force"], &[]).1].concat())
    };
    cluster.clear().await;
    let allowed = attempt(Who::Admin);
    try_out(&cluster, "setup", &PLUGINS, async |who| as_allowed(attempt(who), &allowed)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_sees_with_its_role_what_it_sees_for_somebody_who_may_do_everything() {
    let Some(cluster) = Secured::running().await else { return };
    let attempt = |who: Who| {
        let doctor = ["check", "--online", "--json"];
        let before = cluster.run(who, &doctor, &[]).1;
        cluster.run(Who::Admin, &["setup"], &[]);
        said(&[before, cluster.run(who, &doctor, &[]).1].concat())
    };
    cluster.clear().await;
    let allowed = attempt(Who::Admin);
    try_out(&cluster, "check --online", &PLUGINS, async |who| as_allowed(attempt(who), &allowed)).await;
}

/// Privileges for the plugins that are not there.
const PLUGINS: [&str; 3] = ["opendistro", "notifications", "opensearch/ism"];

fn as_allowed(found: String, allowed: &str) -> Result<(), String> {
    if found == allowed { Ok(()) } else { Err(found) }
}

/// Without what differs from run to run.
fn said(text: &str) -> String {
    regex::Regex::new(r"[0-9]+(\.[0-9]+)?").unwrap().replace_all(text, "0").into_owned()
}

fn ended((code, text): (Option<i32>, String), with: &str) -> Result<(), String> {
    if code == Some(0) && text.contains(with) { Ok(()) } else { Err(format!("{code:?}: {text}")) }
}

/// The chain of so short a trail ends early, so there are gaps.
fn judged((code, text): (Option<i32>, String), with: &str) -> Result<(), String> {
    if code == Some(3) && text.contains(with) { Ok(()) } else { Err(format!("{code:?}: {text}")) }
}

/// The daemon ships one object, and can read what verifications have found, or its log says what is refused.
async fn ship(cluster: &Secured, cloud: &Cloud, who: Who) -> Result<(), String> {
    let mut daemon = Daemon::start(&cluster.stack, cloud, &cluster.settings(who));
    cloud.upload(&trail::key(ACCOUNT, 1), trail::file(&[trail::record(ACCOUNT, 1)])).await;
    // And no time with such a number.
    let refused = regex::Regex::new(r"(^|[ =])403\b").unwrap();
    let outcome = eventually(Duration::from_mins(1), async || {
        let log = daemon.log();
        if let Some(refusal) = log.lines().find(|line| refused.is_match(line)) {
            return Ok(Err(refusal.to_owned()));
        }
        if daemon.get("readyz").await.map(|(status, _)| status).ok() != Some(200) {
            return Err(log);
        }
        match daemon.count("sagetrail_records_indexed_total").await {
            0 => Err(log),
            _ => Ok(Ok(())),
        }
    })
    .await;
    daemon.kill();
    outcome
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
        command.args(["check", "--permissions"]).args(arguments);
        command.env("AWS_ENDPOINT_URL", &stack.aws).env("SAGETRAIL__SOURCE__QUEUE_URL", &cloud.queue_url);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
        (printed["run"]["iam"].to_string(), said)
    };
    // Without asking it allows every bucket, and says so.
    let (policy, said) = printed(&[]);
    assert!(policy.contains(r#""arn:aws:s3:::*""#) && said.contains("every bucket"), "{policy}{said}");
    let (policy, said) = printed(&["--online"]);
    assert!(policy.contains(&format!("\"{source}/*\"")) && !policy.contains(":::*"), "{policy}");
    assert_eq!(said, "");
}
