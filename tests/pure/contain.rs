//! `sagetrail contain` and `sagetrail guard` over the files of the sample attack.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const ATTACK: &str = "tests/fixtures/attack-story.json.gz";
const QUIET: &str = "tests/fixtures/quiet-day.json.gz";
const AT: &str = "2026-11-03T04:00:00Z";

fn sagetrail(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    command
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("SAGETRAIL_CONFIG")
        .stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SAGETRAIL__")) {
        command.env_remove(name);
    }
    command.output().expect("the binary runs")
}

fn printed(arguments: &[&str]) -> String {
    let output = sagetrail(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn incident() -> String {
    let told: Value = serde_json::from_str(&printed(&["backtest", "--json", QUIET, ATTACK])).unwrap();
    told["incidents"][0]["incident"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn the_script_of_the_sample_attack_is_as_a_person_last_read_it() {
    let id = incident();
    let script = printed(&["contain", &id, "--from-files", QUIET, ATTACK]);
    let by_its_page = printed(&["contain", &format!("{id}/2"), "--from-files", QUIET, ATTACK]);
    assert!(script == by_its_page, "the same incident is the same script");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/contain.sh");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &script).unwrap();
    }
    assert!(
        script == std::fs::read_to_string(golden).unwrap(),
        "the script changed; UPDATE_GOLDEN=1 writes it anew"
    );
    for step in [
        "Deny the older sessions of the role MLOps-SageMakerAdministrator everything",
        "Deny the older sessions of the role AmazonSageMaker-ExecutionRole-20261001T101500 everything",
        "Stop the notebook instance fraud-research",
        "Stop the training job llm-warmup-2",
        "Put the endpoint fraud-detection back to its configuration",
        "Remove the policy of the model package group fraud-detection",
        "Detach the policy arn:aws:iam::aws:policy/AdministratorAccess",
        "Start the logging of the trail",
        "Take root access from the notebook instance fraud-research",
    ] {
        assert!(script.contains(step), "{step}");
    }
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(bash.stdin.as_mut().unwrap(), script.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}

#[test]
fn the_same_is_json_for_programs_and_goes_into_a_file_of_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let id = incident();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json");
    let arguments = [
        "contain",
        &id,
        "--format",
        "json",
        "--at",
        AT,
        "--output",
        file.to_str().unwrap(),
        "--from-files",
        QUIET,
        ATTACK,
    ];
    assert_eq!(printed(&arguments), "");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let plan: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let steps = plan["steps"].as_array().unwrap();
    let job = steps.iter().find(|step| step["title"] == "Stop the training job llm-warmup-2").unwrap();
    assert_eq!(job["run"][0]["input"]["TrainingJobName"], "llm-warmup-2");
    assert_eq!(job["region"], "eu-central-1");
    let undo = printed(&["contain", &id, "--undo", "--from-files", QUIET, ATTACK]);
    assert!(undo.contains("start-notebook-instance") && !undo.contains("stop-training-job"));
    let without = sagetrail(&["contain", &id, "--format", "json", "--from-files", ATTACK]);
    assert_eq!(without.status.code(), Some(2), "json wants a time");
}

#[test]
fn a_resource_and_a_principal_are_contained_by_their_names_and_nobody_is_not() {
    let role = "arn:aws:iam::111122223333:role/MLOps-SageMakerAdministrator";
    assert!(
        printed(&["contain", role, "--from-files", ATTACK]).contains("Stop the training job llm-warmup-2")
    );
    let resource = printed(&["contain", "FRAUD-detection", "--from-files", ATTACK]);
    assert!(resource.contains("is not contained: `sagetrail contain` with that name does it"), "{resource}");
    assert!(!resource.contains("put-role-policy"));
    let nobody = sagetrail(&["contain", "nobody", "--from-files", ATTACK]);
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("nothing is known of nobody"));
}

/// The labels, features and models of a team, poisoned.
const RELABELLED: &str = "tests/investigate/relabelled.json";
/// A release user whose key was taken after two weeks of work.
const RELEASE: &str = "tests/investigate/release-key.json";

#[test]
fn what_a_principal_made_before_the_attack_is_left_alone_and_the_script_says_so() {
    let user = "arn:aws:iam::111122223333:user/svc-model-release";
    let script = printed(&["contain", user, "--from-files", RELEASE]);
    assert!(script.contains("Deactivate the access key AKIAEXAMPLERELEASE01"), "{script}");
    assert!(
        script.contains("what was made and changed before 2026-11-17T01:13")
            && script.contains("is left alone (6 calls)"),
        "{script}"
    );
    for production in ["pricing-live", "pricing-v11", "pricing-v12", "pricing-cfg-11", "pricing-cfg-12"] {
        let is_named = |line: &str| !line.starts_with('#') && line.contains(&format!("={production}"));
        assert!(!script.lines().any(is_named), "{production} in {script}");
    }
    // Whoever says an earlier time means it, and what runs goes only when it is asked for.
    let since = printed(&["contain", user, "--since", "2026-11-01", "--from-files", RELEASE]);
    let deletes = |line: &&str| line.contains("delete-endpoint --endpoint-name=pricing-live");
    let lines: Vec<&str> = since.lines().filter(deletes).collect();
    assert!(lines.iter().all(|line| line.starts_with("removal ") || line.starts_with('#')), "{lines:?}");
    assert!(!lines.is_empty(), "{since}");
}

#[test]
fn what_an_incident_made_after_its_last_signal_is_contained_and_what_was_before_it_is_put_back() {
    let told: Value = serde_json::from_str(&printed(&["backtest", "--json", RELEASE])).unwrap();
    let incidents =
        told["incidents"].as_array().unwrap().iter().map(|it| it["incident"]["id"].as_str().unwrap());
    let scripts: Vec<String> =
        incidents.map(|id| printed(&["contain", id, "--from-files", RELEASE])).collect();
    let all = scripts.concat();
    for said in [
        "Deactivate the access key AKIAEXAMPLEPERSIST01",
        "Put the endpoint pricing-live back to its configuration pricing-cfg-12\n",
        "Put the lifecycle configuration of the notebook instance pricing-lab back to autostop\n",
        "Put the inline policy data-read of the role PricingExecutionRole back",
        r#""s3:GetObject""#,
        "Have the sessions of arn:aws:iam::444455556666:role/DataLakeReader ended",
        "Make the log group /aws/sagemaker/NotebookInstances again",
        "Bring back the objects of the bucket acme-example-pricing-data",
        "revoke-security-group-ingress --group-id sg-0feed0beef0cafe01 --security-group-rule-ids sgr-0123456789abcdef0",
    ] {
        assert!(all.contains(said), "{said} in {all}");
    }
    // A block of public access stops nobody whom a policy names.
    for said in [
        "Remove the policy of the bucket acme-example-pricing-models, or put back what it was",
        "s3api delete-bucket-policy --bucket=acme-example-pricing-models",
    ] {
        assert!(all.contains(said), "{said} in {all}");
    }
    for production in ["pricing-live", "pricing-cfg-12\n", "pricing-v12\n"] {
        assert!(!all.contains(&format!("delete-endpoint --endpoint-name={production}")), "{production}");
    }
}

#[test]
fn a_policy_goes_back_to_its_text_of_before_and_a_package_that_was_rejected_is_not_rejected_again() {
    let told: Value = serde_json::from_str(&printed(&["backtest", "--json", RELABELLED])).unwrap();
    let ids = told["incidents"].as_array().unwrap().iter().map(|it| it["incident"]["id"].as_str().unwrap());
    let all: String = ids.map(|id| printed(&["contain", id, "--from-files", RELABELLED])).collect();
    for said in [
        "Put the policy of the bucket claims-labels-example back\n",
        "role/claims-labelling",
        "set by arn:aws:sts::111122223333:assumed-role/ml-platform/dora@acme.example: read it first.",
        "Take back the approval of the model package claims-triage/5\n",
        "Decide whether the model package claims-triage/4, which was rejected, is approved again\n",
        "Put the records of the feature group claims-features back\n",
    ] {
        assert!(all.contains(said), "{said} in {all}");
    }
    for said in [
        "delete-bucket-policy",
        "Take back the approval of the model package claims-triage/4",
        "claims-features again",
    ] {
        assert!(!all.contains(said), "{said} in {all}");
    }
}

#[test]
fn a_resource_goes_back_to_what_it_was_before_the_change_with_a_finding() {
    let script = printed(&["contain", "pricing-live", "--from-files", RELEASE]);
    assert!(
        script.contains("Put the endpoint pricing-live back to its configuration pricing-cfg-12\n"),
        "{script}"
    );
    assert!(script.contains("--endpoint-config-name=pricing-cfg-12b"), "the undo: {script}");
    assert!(!script.contains("delete-endpoint"), "{script}");
}

#[test]
fn each_policy_is_listed_and_one_is_printed_with_the_values_of_the_site() {
    let list = printed(&["guard"]);
    assert!(list.contains("no-root-access") && list.contains("rule  "), "{list}");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("site.toml");
    std::fs::write(&config, "[rules]\nplaceholders.people_networks = ['192.0.2.0/24']\n").unwrap();
    let config = config.to_str().unwrap();
    let policy: Value =
        serde_json::from_str(&printed(&["guard", "presigned-url-networks", "--config", config])).unwrap();
    let condition = &policy["Statement"][0]["Condition"];
    assert_eq!(condition["NotIpAddress"]["aws:SourceIp"], serde_json::json!(["192.0.2.0/24"]));
    for (arguments, said) in [
        (&["guard", "presigned-url-networks"][..], "set rules.placeholders.people_networks"),
        (&["guard", "--from-files", ATTACK][..], "--from-files goes with simulate"),
        (&["guard", "no-root"][..], "Did you mean no-root-access?"),
    ] {
        let refused = sagetrail(arguments);
        let text = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(1) && text.contains(said), "{text}");
    }
}

#[test]
fn a_simulation_names_who_would_have_been_denied_and_exits_with_3() {
    let output = sagetrail(&["guard", "simulate", "--json", "--from-files", ATTACK]);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let policies = report["policies"].as_array().unwrap();
    let root = policies.iter().find(|policy| policy["policy"] == "no-root-access").unwrap();
    assert_eq!((&root["denied"], &root["lines"][0]["call"]), (&1.into(), &"UpdateNotebookInstance".into()));
    assert_eq!(root["lines"][0]["who"], "arn:aws:iam::111122223333:role/MLOps-SageMakerAdministrator");
    let vpc = policies.iter().find(|policy| policy["policy"] == "vpc-required").unwrap();
    assert!(vpc["denied"].as_u64().unwrap() >= 2, "{vpc:#}");
    let text = String::from_utf8(sagetrail(&["guard", "simulate", "--from-files", ATTACK]).stdout).unwrap();
    let denying = policies.iter().filter(|policy| policy["denied"] != 0).count();
    assert!(
        text.contains(&format!("\n{denying} of {} policies would have denied", policies.len())),
        "{text}"
    );
    assert_eq!(text.matches("break_glass_principals").count(), 1, "{text}");
    let other = "tests/fixtures/other-services.json.gz";
    assert_eq!(sagetrail(&["guard", "simulate", "--from-files", other]).status.code(), Some(0));
}

#[test]
fn what_a_damaged_file_may_hold_is_said_in_whatever_is_made_of_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.json.gz");
    let whole = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(ATTACK)).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let file = path.to_str().unwrap();
    let principal =
        "arn:aws:sts::111122223333:assumed-role/MLOps-SageMakerAdministrator/botocore-session-1762132500";
    for command in [
        &["contain", principal, "--from-files", file][..],
        &["investigate", principal, "--from-files", file][..],
    ] {
        let output = sagetrail(command);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(65), "{command:?}");
        assert!(said.contains("is damaged") && said.contains("What stands in the rest of it"), "{said}");
    }
    let simulated = sagetrail(&["guard", "simulate", "--from-files", file]);
    assert!(
        String::from_utf8(simulated.stdout)
            .unwrap()
            .contains("1 file(s), 1 of them not read or only in part")
    );
}
