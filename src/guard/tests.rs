//! The evaluation against what another implementation of IAM says of the same policies and records.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::find;
use super::keys::Call;
use super::library::{Guardrail, guardrails};
use super::policy::{Policy, Verdict};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn json(path: &str) -> Option<Value> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

fn policy(guardrail: &Guardrail, placeholders: &BTreeMap<String, Vec<String>>) -> Policy {
    guardrail.read(&guardrail.filled(placeholders).document).unwrap()
}

/// The rows of a policy in `simulation.md`: the title of the rule, the example, and what the policy did with it.
fn rows(golden: &str, name: &str) -> Vec<(String, String, String)> {
    let section = golden.split("\n## ").find(|section| section.lines().next() == Some(name)).unwrap();
    let rows = section.lines().filter_map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [example, said, found] = cells[..] else { return None };
        let (title, file) = example.trim_end_matches('`').split_once(": `")?;
        (said == "matches" || said == "does not match")
            .then(|| (title.to_owned(), file.to_owned(), found.split(':').next().unwrap().to_owned()))
    });
    rows.collect()
}

#[test]
fn every_example_of_the_posture_rules_is_judged_as_the_simulation_of_iam_judged_it() {
    let golden = read("deploy/guardrails/simulation.md");
    let mut count = 0;
    let mut other = Vec::new();
    for guardrail in guardrails() {
        for (title, file, said) in rows(&golden, &guardrail.name) {
            let rule = guardrail.rules.iter().find(|rule| rule.title == title).unwrap();
            let record = json(&format!("tests/rules/{}/{file}.json", rule.id)).unwrap();
            let values = json(&format!("tests/rules/{}/placeholders.json", rule.id));
            let placeholders =
                values.map_or_else(BTreeMap::new, |values| serde_json::from_value(values).unwrap());
            let found = policy(guardrail, &placeholders).judge(&Call::read(&record, true));
            let expected = match said.as_str() {
                "denies" => Verdict::Denied,
                "allows" => Verdict::Allowed,
                "may do either" | "not judged" => Verdict::Undecided,
                said => panic!("{said}"),
            };
            if found != expected {
                other.push(format!(
                    "{}: {title}/{file}: {found:?}, and the simulation {said}",
                    guardrail.name
                ));
            }
            count += 1;
        }
    }
    assert!(count > 100, "{count} examples");
    assert_eq!(other, [""; 0]);
}

#[test]
fn every_case_besides_is_judged_as_it_is_listed() {
    let index = json("deploy/guardrails/guardrails.json").unwrap();
    let mut count = 0;
    for described in index["policies"].as_array().unwrap() {
        let guardrail = find(described["name"].as_str().unwrap()).unwrap();
        for case in described["cases"].as_array().into_iter().flatten() {
            let caller = case["principal"].as_str().unwrap_or("arn:aws:iam::111122223333:role/DataScientist");
            let mut told = BTreeMap::from([("aws:PrincipalArn".to_owned(), vec![caller.to_owned()])]);
            for (key, values) in case["context"].as_object().into_iter().flatten() {
                let values = values.as_array().cloned().unwrap_or_else(|| vec![values.clone()]);
                let texts = values.iter().map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
                told.insert(key.clone(), texts.collect());
            }
            let call = Call::told(case["action"].as_str().unwrap(), case["resource"].as_str(), &told);
            let found = policy(guardrail, &BTreeMap::new()).judge(&call);
            let expected = if case["denied"] == true { Verdict::Denied } else { Verdict::Allowed };
            assert_eq!(found, expected, "{}: {}", guardrail.name, case["what"]);
            count += 1;
        }
    }
    assert!(count >= 18, "{count}");
}

#[test]
fn a_policy_that_uses_more_of_the_language_is_refused() {
    let statement = |effect: &str, condition: Value| {
        serde_json::json!({"Version": "2012-10-17", "Statement": [{"Sid": "S", "Effect": effect, "Action": "sagemaker:CreateModel",
            "Resource": "*", "Condition": condition}]})
    };
    let cases = [
        statement("Allow", serde_json::json!({})),
        statement("Deny", serde_json::json!({"StringLike": {"aws:PrincipalArn": "x"}})),
        statement("Deny", serde_json::json!({"StringEquals": {"aws:RequestedRegion": "eu-central-1"}})),
        statement("Deny", serde_json::json!({"NotIpAddress": {"aws:SourceIp": "somewhere"}})),
        serde_json::json!({"Version": "2012-10-17", "Statement": [{"Sid": "S", "Effect": "Deny", "NotAction": "x", "Resource": "*"}]}),
    ];
    for case in cases {
        assert!(Policy::read(&case).is_err(), "{case}");
    }
}

#[test]
fn what_a_record_does_not_show_is_undecided_and_what_it_shows_is_decided() {
    let record = |parts: Value| {
        let mut record = serde_json::json!({
            "eventSource": "sagemaker.amazonaws.com", "eventName": "CreatePresignedNotebookInstanceUrl",
            "sourceIPAddress": "192.0.2.1", "requestParameters": {"notebookInstanceName": "n"},
            "userIdentity": {"arn": "arn:aws:iam::111122223333:user/a"}
        });
        for (member, value) in parts.as_object().unwrap() {
            record[member] = value.clone();
        }
        record
    };
    let links = policy(find("presigned-url-networks").unwrap(), &BTreeMap::new());
    let cases = [
        (serde_json::json!({}), Verdict::Denied),
        (serde_json::json!({"sourceIPAddress": "203.0.113.9"}), Verdict::Allowed),
        // Through an endpoint of a VPC there is no public address to judge by.
        (serde_json::json!({"vpcEndpointId": "vpce-1"}), Verdict::Allowed),
        (serde_json::json!({"sourceIPAddress": "sagemaker.amazonaws.com"}), Verdict::Allowed),
        (
            serde_json::json!({"userIdentity": {"type": "AWSAccount", "principalId": "AROA1:x"}}),
            Verdict::Undecided,
        ),
    ];
    for (parts, expected) in cases {
        assert_eq!(links.judge(&Call::read(&record(parts.clone()), true)), expected, "{parts}");
    }
    let root = policy(find("no-root-access").unwrap(), &BTreeMap::new());
    let create = |whole| {
        root.judge(&Call::read(&record(serde_json::json!({"eventName": "CreateNotebookInstance"})), whole))
    };
    assert_eq!((create(true), create(false)), (Verdict::Denied, Verdict::Undecided));
}
