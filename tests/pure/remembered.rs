//! What records tell memory fits the templates of its indices, and no field in them stays empty for ever.

use std::collections::{BTreeMap, BTreeSet};

use sagetrail::config::Scope;
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich_knowing};
use sagetrail::memory::{Fact, Kind, Known};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::support::examples;

/// The field that holds the state itself, which is not searched.
const STATE: &str = "memory";

#[test]
fn every_field_that_facts_write_is_in_the_template_with_a_value_that_fits() {
    let mut problems = BTreeSet::new();
    for fact in facts() {
        let types = types(fact.key.kind);
        for (field, value) in fact.state.document().as_object().unwrap() {
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            let Some(kind) = types.get(field) else {
                problems.insert(format!("{} {field} is not in the template", fact.key.kind));
                continue;
            };
            if !values.iter().all(|value| fits(kind, value)) {
                problems.insert(format!("{} {field} is no {kind}: {value}", fact.key.kind));
            }
        }
    }
    assert_eq!(problems, BTreeSet::new());
}

#[test]
fn each_field_of_a_template_is_written_by_some_record() {
    let mut unwritten = BTreeSet::new();
    for kind in [Kind::Resources, Kind::Identities, Kind::Sessions] {
        unwritten.extend(types(kind).into_keys().map(|field| (kind, field)));
    }
    for fact in facts() {
        for field in fact.state.document().as_object().unwrap().keys() {
            unwritten.remove(&(fact.key.kind, field.clone()));
        }
    }
    assert_eq!(unwritten, BTreeSet::new());
}

fn fits(kind: &str, value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    match kind {
        "date" => {
            let whole = format!("{text}T00:00:00Z");
            [text, &whole].iter().any(|text| sagetrail::timestamp::parse(text).is_some())
        }
        "boolean" => ["true", "false"].contains(&text),
        "long" => text.parse::<u64>().is_ok(),
        "keyword" => value.is_string(),
        "object" => value.is_object(),
        _ => false,
    }
}

/// The types of a template's fields, under the dotted names that facts write.
fn types(kind: Kind) -> BTreeMap<String, String> {
    let text = match kind {
        Kind::Resources => include_str!("../../mappings/template-resources.json"),
        Kind::Identities => include_str!("../../mappings/template-identities.json"),
        Kind::Sessions => include_str!("../../mappings/template-sessions.json"),
    };
    let template: Value = serde_json::from_str(text).unwrap();
    let mapping = &template["template"]["mappings"];
    assert_eq!(mapping["properties"][STATE], json!({"type": "object", "enabled": false}));
    let mut types = BTreeMap::new();
    collect(&mapping["properties"], "", &mut types);
    types
}

fn collect(properties: &Value, path: &str, types: &mut BTreeMap<String, String>) {
    for (name, field) in properties.as_object().into_iter().flatten() {
        match field["type"].as_str() {
            Some(kind) => drop(types.insert(format!("{path}{name}"), kind.to_owned())),
            None => collect(&field["properties"], &format!("{path}{name}."), types),
        }
    }
}

/// Of every example of a rule, and of calls that rules do not ask for.
fn facts() -> Vec<Fact> {
    let enricher = Enricher::built_in(Scope::All);
    let now: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
    let origin = Origin { path: "example", written_at: None, now };
    let known = Known::whole();
    let records = examples::all().into_iter().map(|example| example.record).chain(others());
    records
        .flat_map(|record| match enrich_knowing(record.to_string().as_bytes(), origin, &enricher, &known) {
            Enriched::Selected { facts, .. } => facts,
            _ => Vec::new(),
        })
        .collect()
}

fn others() -> [Value; 2] {
    let call = |source: &str, name: &str, parameters: Value, response: Value| {
        json!({
            "eventVersion": "1.11", "eventTime": "2026-11-01T12:00:01Z", "awsRegion": "eu-central-1",
            "eventSource": source, "eventName": name, "sourceIPAddress": "203.0.113.5", "userAgent": "Boto3/1.40.0",
            "userIdentity": {
                "type": "AssumedRole", "principalId": "AROAEXAMPLE:build", "accountId": "111122223333",
                "arn": "arn:aws:sts::111122223333:assumed-role/Build/build", "accessKeyId": "ASIAEXAMPLE1",
                "sessionContext": {
                    "sourceIdentity": "alice",
                    "sessionIssuer": {"type": "Role", "principalId": "AROAEXAMPLE", "accountId": "111122223333",
                        "arn": "arn:aws:iam::111122223333:role/Build", "userName": "Build"}
                }
            },
            "requestParameters": parameters, "responseElements": response, "recipientAccountId": "111122223333",
            "eventID": "10000000-0000-4000-8000-000000000002"
        })
    };
    [
        call(
            "sts.amazonaws.com",
            "AssumeRole",
            json!({"roleArn": "arn:aws:iam::111122223333:role/Run", "roleSessionName": "x", "sourceIdentity": "alice"}),
            json!({
                "credentials": {"accessKeyId": "ASIAEXAMPLE2"}, "sourceIdentity": "alice",
                "assumedRoleUser": {"arn": "arn:aws:sts::111122223333:assumed-role/Run/x"}
            }),
        ),
        call("sagemaker.amazonaws.com", "DeleteEndpoint", json!({"endpointName": "churn"}), Value::Null),
    ]
}
