//! The verification: a trail of three days, two accounts and two regions, whose digests are signed as CloudTrail signs
//! them.

mod keys_api;
pub mod signer;
mod tampered;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use keys_api::{Key, KeysApi};
use serde_json::{Value, json};
use signer::{BEGIN, Making, Signer, file_key};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::dashboards::request::{Request, Span};
use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::daemon::{Daemon, free_port};
use crate::support::search::Search;
use crate::support::{Stack, eventually, saved, trail};

/// Digests of three days.
const HOURS: i64 = 72;
const REGIONS: [&str; 2] = ["eu-central-1", "us-east-1"];
const FINGERPRINT: &str = "31e8b5433410dfb61a9dc45cc65b22ff";

fn sagetrail(stack: &Stack, arguments: &[&str]) -> (Option<i32>, Value) {
    run(command(stack, arguments))
}

fn command(stack: &Stack, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    command
        .args(arguments)
        .args(["--format", "json"])
        .env("AWS_ENDPOINT_URL", &stack.aws)
        .env("SAGETRAIL__SOURCE__FORCE_PATH_STYLE", "true")
        .env("SAGETRAIL__SINK__URL", &stack.opensearch)
        .env("SAGETRAIL__SELECT__SCOPE", "all")
        .stdin(Stdio::null());
    command
}

fn run(mut command: Command) -> (Option<i32>, Value) {
    let output = command.output().expect("the binary runs");
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

/// The kinds and keys of what was found.
fn findings(report: &Value) -> BTreeSet<(String, String)> {
    let findings = report["findings"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings.iter().map(|finding| (text(&finding["kind"]), text(&finding["object"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gap_in_three_days_is_found_and_nothing_else_and_repair_ships_what_is_missing() {
    let Some(stack) = Stack::running() else { return };
    let (ours, other) = ("610000000001", "610000000002");
    let cloud = Cloud::create(&stack, "verify", QueueSettings::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let signer = Signer::new(FINGERPRINT);
    signer.write_keys(&keys);
    let mut delivered = Vec::new();
    for (account, late) in [(ours, Some(8)), (other, None)] {
        for region in REGIONS {
            let late = late.filter(|_| region == REGIONS[0]);
            delivered.push(signer.deliver(&cloud, (account, region), HOURS, late).await);
        }
    }
    let [first, second, third, fourth] = &delivered[..] else { unreachable!("two accounts in two regions") };
    // One file of the other account is delivered and never shipped.
    let lost = &third.files[5];
    for (key, bytes) in delivered.iter().flat_map(|delivered| &delivered.files) {
        if *key != lost.0 {
            cloud.upload(key, bytes.clone()).await;
        }
    }
    let place = format!("s3://{}/", cloud.bucket);
    let (code, shipped) = sagetrail(&stack, &["replay", &place]);
    assert_eq!((code, &shipped["objects"]), (Some(0), &json!(71)), "{shipped}");
    cloud.upload(&lost.0, lost.1.clone()).await;

    let verify = |more: &[&str]| {
        let period = ["--from", "2026-10-01", "--to", "2026-10-03", "--keys", keys.to_str().unwrap()];
        sagetrail(&stack, &[&["verify", &place], &period[..], more].concat())
    };
    let found = |kind: &str, key: &str| (kind.to_owned(), format!("s3://{}/{key}", cloud.bucket));

    // What is late is told and is no gap; what is missing is one, until it is repaired.
    let late = found("late_file", &first.files[2].0);
    let (code, report) = verify(&["--account", ours]);
    assert_eq!((code, findings(&report)), (Some(0), BTreeSet::from([late.clone()])), "{report}");
    assert_eq!((&report["digests"], &report["chains"]), (&json!(144), &json!(2)));
    assert_eq!((&report["delivered"], &report["shipped"]), (&json!(36), &json!(36)));
    let (code, report) = verify(&["--account", other]);
    assert_eq!((code, findings(&report)), (Some(3), BTreeSet::from([found("missing_file", &lost.0)])));
    let watch = Watch::start(&stack, other).await;
    watch.until_missing_files(1).await;
    watch.until_incident("open").await;
    assert_eq!(watch.rows().await, 1);
    // A repair over another period closes the gap of its day all the same.
    let (code, report) = sagetrail(
        &stack,
        &[
            &["verify", &place, "--from", "2026-10-01", "--to", "2026-10-02", "--repair", "--account", other],
            &["--keys", keys.to_str().unwrap()][..],
        ]
        .concat(),
    );
    assert_eq!((code, &report["repaired"], findings(&report)), (Some(0), &json!(1), BTreeSet::new()));
    watch.until_missing_files(0).await;
    assert_eq!(watch.rows().await, 0);
    watch.until_incident("closed").await;
    watch.daemon.stop().await;
    let (code, report) = verify(&["--account", other]);
    assert_eq!((code, &report["shipped"]), (Some(0), &json!(36)), "{report}");
    assert_eq!(Search::new(&stack.opensearch).count(other).await, 108);

    // Somebody covers their tracks.
    cloud.remove(&first.files[4].0).await;
    cloud.upload(&second.files[6].0, trail::file(&[trail::record(ours, 1)])).await;
    cloud.remove(&fourth.digests[30]).await;
    cloud.upload_signed(&second.digests[41], trail::gzip(b"{}"), "00").await;
    let forged = file_key(other, REGIONS[1], BEGIN + Duration::hours(33));
    cloud.upload(&forged, trail::file(&[trail::record(other, 2)])).await;
    let (code, report) = verify(&[]);
    let expected = BTreeSet::from([
        late,
        found("deleted_file", &first.files[4].0),
        found("altered_file", &second.files[6].0),
        found("missing_digest", &fourth.digests[30]),
        found("invalid_digest", &second.digests[41]),
        found("unproven_file", &forged),
    ]);
    assert_eq!((code, findings(&report)), (Some(3), expected), "{report:#}");

    // With other keys nothing is proven at all.
    Signer::new(FINGERPRINT).write_keys(&keys);
    let (code, report) = verify(&["--account", ours]);
    assert_eq!(
        (code, &report["delivered"], &report["counts"]["invalid_digest"]),
        (Some(3), &json!(0), &json!(144))
    );

    let recorded = Search::new(&stack.opensearch)
        .find("sagetrail-verification", json!({"term": {"verification.place": place}}), &["*"])
        .await;
    assert_eq!(recorded.len(), 6, "each verification leaves a document");
    let gaps = recorded.values().flatten().filter(|hit| hit.source["verification"]["outcome"] == "gap");
    assert_eq!(gaps.count(), 3);
}

/// What operators look at: a daemon's metrics, incidents and a panel. The daemon has a queue of its own, so it ships
/// nothing.
struct Watch {
    daemon: Daemon,
    search: Search,
    account: String,
}

impl Watch {
    async fn start(stack: &Stack, account: &str) -> Self {
        let idle = Cloud::create(stack, "verify-watch", QueueSettings::default()).await;
        let mut daemon = Daemon::start(stack, &idle, &[]);
        daemon.until_ready().await;
        Self { daemon, search: Search::new(&stack.opensearch), account: account.to_owned() }
    }

    /// Waits until the metric says so; the daemon reads once a minute.
    async fn until_missing_files(&self, count: u64) {
        eventually(std::time::Duration::from_secs(90), async || {
            match self.daemon.count(r#"sagetrail_verification_gaps{kind="missing_file"}"#).await {
                found if found == count => Ok(()),
                found => Err(format!("{found} missing files")),
            }
        })
        .await;
        let age = OffsetDateTime::now_utc().unix_timestamp().cast_unsigned()
            - self.daemon.count("sagetrail_verification_last_run_timestamp_seconds").await;
        assert!(age < 600, "{age}");
    }

    /// Waits until the account's incident is in a state; whoever correlates looks once a minute.
    async fn until_incident(&self, state: &str) {
        let subject = format!("{} {}", self.account, REGIONS[0]);
        let question = json!({"query": {"bool": {"filter": [
            {"term": {"incident.rule": "verification_gap"}}, {"term": {"incident.subject": subject}},
            {"term": {"incident.state": state}}
        ]}}});
        eventually(std::time::Duration::from_mins(3), async || {
            let path = "sagetrail-incidents/_search";
            let (_, answer) = self.search.request("POST", path, Some(question.clone())).await;
            if answer["hits"]["total"]["value"] == 1 { Ok(()) } else { Err(answer.to_string()) }
        })
        .await;
    }

    /// The rows about the account in the panel that shows days with gaps.
    async fn rows(&self) -> usize {
        let objects = saved::all();
        let panel = &objects[&("visualization".to_owned(), "sagetrail-pipeline-unproven".to_owned())];
        let now = OffsetDateTime::now_utc();
        let span = Span { from: now - Duration::hours(24), to: now };
        let mut request = Request::of(panel, &objects, &span).unwrap();
        let of_account = json!({"term": {"cloud.account.id": self.account}});
        request.body["query"]["bool"]["filter"].as_array_mut().unwrap().push(of_account);
        let path = format!("{}/_search", request.index);
        let (status, answer) = self.search.request("POST", &path, Some(request.body.clone())).await;
        assert_eq!(status, 200, "{answer}");
        request.rows(&answer)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_each_region_are_asked_for_page_by_page_and_a_key_that_is_not_there_proves_nothing() {
    let Some(stack) = Stack::running() else { return };
    let account = "610000000003";
    let cloud = Cloud::create(&stack, "verify-keys", QueueSettings::default()).await;
    let signers = [Signer::new("aa"), Signer::new("bb")];
    let mut delivered = Vec::new();
    for (signer, region) in signers.iter().zip(REGIONS) {
        delivered.push(signer.deliver(&cloud, (account, region), 3, None).await);
    }
    for (key, bytes) in delivered.iter().flat_map(|delivered| &delivered.files) {
        cloud.upload(key, bytes.clone()).await;
    }
    let place = format!("s3://{}/", cloud.bucket);
    assert_eq!(sagetrail(&stack, &["replay", &place]).0, Some(0));
    let (before, after) = (datetime!(2026-09-20 00:00 UTC), datetime!(2026-10-20 00:00 UTC));
    let key = |signer: &Signer| Key::of(signer, before, after);
    let retired = |signer: &Signer| Key::of(signer, before, datetime!(2026-09-30 00:00 UTC));
    let verify = |api: &KeysApi| {
        let period = ["--from", "2026-10-01", "--to", "2026-10-01"];
        let mut command = command(&stack, &[&["verify", &place], &period[..]].concat());
        command.env("AWS_ENDPOINT_URL_CLOUDTRAIL", &api.url);
        run(command)
    };
    // The end of the chains is earlier than the end of the day, which is told of both.
    let ends = |report: &Value| report["counts"]["broken_chain"].clone();

    // Each region is asked once for all of its pages, and its key is on the second.
    let others = [Signer::new("cc"), Signer::new("dd")];
    let api = KeysApi::serve([
        (REGIONS[0], vec![key(&others[0]), key(&signers[0])]),
        (REGIONS[1], vec![key(&others[1]), key(&signers[1])]),
    ])
    .await;
    let (_, report) = verify(&api);
    assert_eq!(
        (&report["digests"], &report["delivered"], &report["shipped"]),
        (&json!(6), &json!(2), &json!(2))
    );
    assert_eq!((&report["counts"]["invalid_digest"], ends(&report)), (&json!(0), json!(2)), "{report}");
    let mut asked = api.asked();
    asked.sort_unstable();
    assert_eq!(asked, [REGIONS[0], REGIONS[0], REGIONS[1], REGIONS[1]]);

    // A key of the trail's home region serves too; one that was retired before does not come back.
    let api = KeysApi::serve([(REGIONS[0], vec![key(&signers[0]), key(&signers[1])])]).await;
    let (_, report) = verify(&api);
    assert_eq!(
        (&report["counts"]["invalid_digest"], &report["delivered"]),
        (&json!(0), &json!(2)),
        "{report}"
    );
    api.asked();
    let api =
        KeysApi::serve([(REGIONS[0], vec![key(&signers[0])]), (REGIONS[1], vec![retired(&signers[1])])])
            .await;
    let (code, report) = verify(&api);
    assert_eq!(
        (code, &report["counts"]["invalid_digest"], &report["delivered"]),
        (Some(3), &json!(3), &json!(1))
    );
    assert!(report.to_string().contains("no public key has the fingerprint bb"), "{report}");
    api.asked();

    // A backfill digest is signed with the key of the time when it is made, long after the hour that it is about.
    let made_at = datetime!(2026-11-10 12:34 UTC);
    let signer = Signer::new("ee");
    let backfill = Making {
        of: (account, REGIONS[0]),
        started: BEGIN,
        ended: BEGIN + Duration::hours(1),
        before: None,
        files: Vec::new(),
        made_at: Some(made_at),
    };
    signer.make(&cloud, backfill).await;
    let of_then = |days: i64| {
        let days = Duration::days(days);
        Key::of(&signer, made_at - Duration::days(1) + days, made_at + Duration::days(1) + days)
    };
    for (days, invalid) in [(0, 0), (3, 1)] {
        let api = KeysApi::serve([
            (REGIONS[0], vec![key(&signers[0]), of_then(days)]),
            (REGIONS[1], vec![key(&signers[1])]),
        ])
        .await;
        let (_, report) = verify(&api);
        assert_eq!(report["counts"]["invalid_digest"], invalid, "{report}");
        assert_eq!(report["digests"], 7, "{report}");
        api.asked();
    }

    // One region's API may be closed, when that of the home answers for its digests.
    let api = KeysApi::serve([(REGIONS[0], vec![key(&signers[0]), key(&signers[1])])]).await;
    api.close(REGIONS[1]);
    let (_, report) = verify(&api);
    assert_eq!((&report["digests"], &report["delivered"]), (&json!(7), &json!(2)), "{report}");

    // Without an answer there is no report, and the error says what to do.
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let mut unanswered = command(&stack, &["verify", &place, "--from", "2026-10-01", "--to", "2026-10-01"]);
    unanswered.env("AWS_ENDPOINT_URL_CLOUDTRAIL", nowhere);
    let output = unanswered.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{output:?}");
    assert!(
        complaint.contains("grant cloudtrail:ListPublicKeys, or give the keys with --keys"),
        "{complaint}"
    );
}
