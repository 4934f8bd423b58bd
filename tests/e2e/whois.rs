//! `sagetrail whois` on a real OpenSearch, with what a replay taught memory.

use std::io::Write;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::memory_daemon::install_script;
use crate::support::{Stack, search::Search, trail};

const ACCOUNT: &str = "940000000001";
const PREFIX: &str = "whois";
/// The key with which the team's endpoint was made, which a person of the directory asked for.
const DEPLOYING: &str = "ASIA9400000000000001";
/// The key with which that was asked for, of which nobody told.
const SIGNED_IN: &str = "ASIA9400000000000002";
/// A key of somebody of whom only a name is known that he chose.
const STRANGE: &str = "ASIA9400000000000003";

fn arn(resource: &str) -> String {
    format!("arn:aws:sagemaker:eu-central-1:{ACCOUNT}:{resource}")
}

fn role(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

fn record(minute: u8, (role, session, key): (&str, &str, &str), name: &str, parts: &Value) -> Value {
    let source = if name == "AssumeRole" { "sts" } else { "sagemaker" };
    let path = if role.starts_with("AWSReserved") { "aws-reserved/sso.amazonaws.com/" } else { "" };
    let mut record = json!({
        "eventVersion": "1.11", "eventID": format!("94000000-0000-4000-8000-{minute:012}"),
        "eventTime": format!("2031-12-02T12:{minute:02}:00Z"), "eventSource": format!("{source}.amazonaws.com"),
        "eventName": name, "awsRegion": "eu-central-1", "sourceIPAddress": "203.0.113.5", "recipientAccountId": ACCOUNT,
        "userIdentity": {
            "type": "AssumedRole", "principalId": format!("AROA{}:{session}", role.to_uppercase()), "accountId": ACCOUNT,
            "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}"), "accessKeyId": key,
            "sessionContext": {"sessionIssuer": {
                "type": "Role", "principalId": format!("AROA{}", role.to_uppercase()), "accountId": ACCOUNT,
                "arn": format!("arn:aws:iam::{ACCOUNT}:role/{path}{role}"), "userName": role
            }}
        }
    });
    for (member, value) in parts.as_object().unwrap() {
        record[member] = value.clone();
    }
    record
}

/// A person makes an endpoint by way of a role for deployments; somebody else moves it.
fn history() -> Vec<Value> {
    let carol = ("AWSReservedSSO_Dev_0a1b2c3d4e5f6a7b", "carol@acme.example", SIGNED_IN);
    let deploying = ("deploy", "pipeline", DEPLOYING);
    let takes = |key: &str, session: &str| {
        json!({
            "requestParameters": {"roleArn": role("deploy"), "roleSessionName": session},
            "responseElements": {"credentials": {"accessKeyId": key, "sessionToken": "x"},
                "assumedRoleUser": {"arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/deploy/{session}"), "assumedRoleId": "AROADEPLOY:x"}},
            "resources": [{"ARN": role("deploy"), "accountId": ACCOUNT, "type": "AWS::IAM::Role"}]
        })
    };
    let made = |parameters: Value| json!({"requestParameters": parameters, "responseElements": {}});
    vec![
        record(1, carol, "AssumeRole", &takes(DEPLOYING, "pipeline")),
        record(
            2,
            deploying,
            "CreateModel",
            &made(json!({"modelName": "fraud-model", "executionRoleArn": role("exec"), "primaryContainer": {
                "image": format!("{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com/serve:1"),
                "modelDataUrl": "s3://team-models/fraud/model.tar.gz"}})),
        ),
        record(
            3,
            deploying,
            "CreateEndpointConfig",
            &made(
                json!({"endpointConfigName": "fraud-config", "productionVariants": [{"modelName": "fraud-model",
                "variantName": "a", "instanceType": "ml.m5.large", "initialInstanceCount": 1}]}),
            ),
        ),
        record(
            4,
            deploying,
            "CreateEndpoint",
            &made(json!({"endpointName": "fraud", "endpointConfigName": "fraud-config"})),
        ),
        record(
            5,
            ("deploy", "carol@acme.example", STRANGE),
            "CreateNotebookInstance",
            &made(
                json!({"notebookInstanceName": "fraud-model", "instanceType": "ml.t3.medium", "roleArn": role("exec")}),
            ),
        ),
    ]
}

fn sagetrail(arguments: &[&str]) -> Output {
    let stack = Stack::running().expect("the test has begun");
    Command::new(env!("CARGO_BIN_EXE_sagetrail"))
        .args(arguments)
        .env("SAGETRAIL__SINK__URL", stack.opensearch)
        .env("SAGETRAIL__SINK__INDEX_PREFIX", PREFIX)
        .env("SAGETRAIL__SELECT__SCOPE", "all")
        .output()
        .unwrap()
}

fn tree(asked: &str) -> String {
    let output = sagetrail(&["whois", asked]);
    assert!(output.status.success(), "{asked}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn problem(asked: &str) -> String {
    let output = sagetrail(&["whois", asked]);
    assert_eq!(output.status.code(), Some(1), "{asked}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replay_taught_is_told_as_a_tree_and_what_is_not_known_is_named() {
    let Some(stack) = Stack::running() else { return };
    install_script(&stack, PREFIX).await;
    let mut file = tempfile::Builder::new().suffix(".json.gz").tempfile().unwrap();
    file.write_all(&trail::file(&history())).unwrap();
    let replayed = sagetrail(&["replay", file.path().to_str().unwrap()]);
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let search = Search::new(&stack.opensearch);
    search.request("POST", &format!("{PREFIX}-*/_refresh"), None).await;

    // Who is behind a key, and what was done with it.
    let key = tree(DEPLOYING);
    for part in
        ["origin ", "issued.from", "203.0.113.5", "person or workload carol@acme.example", "fraud-config"]
    {
        assert!(key.contains(part), "{part} in {key}");
    }
    // What is touched when the role is lost, down to the endpoint.
    let exec = tree(&role("exec"));
    let indent = |part: &str| {
        let line = exec.lines().find(|line| line.trim_end().ends_with(part));
        let line = line.unwrap_or_else(|| panic!("{part} in {exec}"));
        line.len() - line.trim_start().len()
    };
    assert!(indent("model/fraud-model") < indent("endpoint-config/fraud-config"), "{exec}");
    assert!(indent("endpoint-config/fraud-config") < indent("endpoint/fraud"), "{exec}");
    assert!(exec.contains("notebook-instance/fraud-model"), "{exec}");
    // What the endpoint stands on, down to the bucket, by its name alone.
    let endpoint = tree("fraud");
    for part in
        ["arn:aws:s3:::team-models", "repository/serve", &role("exec"), "origin", "carol@acme.example"]
    {
        assert!(endpoint.contains(part), "{part} in {endpoint}");
    }
    let bucket = tree("team-models");
    assert!(bucket.contains(&arn("endpoint/fraud")), "{bucket}");
    // A name that its caller chose is no person.
    let strange = tree(STRANGE);
    assert!(strange.contains(&format!("not known: the call that issued {STRANGE}")), "{strange}");
    let person = tree("carol@acme.example");
    assert!(person.contains(DEPLOYING) && !person.contains(STRANGE), "{person}");

    let several = problem("fraud-model");
    for candidate in [arn("model/fraud-model"), arn("notebook-instance/fraud-model")] {
        assert!(several.contains(&candidate), "{several}");
    }
    for nobody in ["nobody", "ASIA9400000000000009", "arn:aws:s3:::nothing", "fraud*"] {
        let problem = problem(nobody);
        assert!(problem.contains("whois-resources, whois-identities, whois-sessions"), "{problem}");
    }
    let json: Value = serde_json::from_slice(&sagetrail(&["whois", "--json", DEPLOYING]).stdout).unwrap();
    assert_eq!(json["root"]["branches"][0]["twigs"][0]["node"]["name"], "carol@acme.example", "{json:#}");
}
