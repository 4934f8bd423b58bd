//! What records tell memory fits the templates of its indices, and no field in them stays empty for ever.

use std::collections::{BTreeMap, BTreeSet};

use sagetrail::config::Scope;
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich_knowing, enrich_remembering};
use sagetrail::memory::{Fact, Key, Kind, Known};
use sagetrail::offline::Remembered;
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

#[test]
fn a_thing_stands_from_its_making_until_its_removal_and_is_known_by_what_uses_it_in_any_order() {
    let arn = |kind: &str| format!("arn:aws-cn:sagemaker:cn-north-1:111122223333:{kind}/churn");
    let call = |day: u8, name: &str, response: Value| {
        json!({
            "eventVersion": "1.11", "eventTime": format!("2026-11-{day:02}T12:00:00Z"), "awsRegion": "cn-north-1",
            "eventSource": "sagemaker.amazonaws.com", "eventName": name, "sourceIPAddress": "203.0.113.5",
            "userIdentity": {"type": "IAMUser", "principalId": "AIDAEXAMPLE", "accountId": "111122223333",
                "arn": "arn:aws-cn:iam::111122223333:user/ann", "userName": "ann"},
            "requestParameters": {"endpointName": "churn", "endpointConfigName": "churn"},
            "responseElements": response, "recipientAccountId": "111122223333",
            "eventID": format!("10000000-0000-4000-8000-0000000000{day:02}")
        })
    };
    let made = json!({"endpointArn": arn("endpoint")});
    let mut failed = call(9, "DeleteEndpoint", Value::Null);
    failed["errorCode"] = json!("AccessDenied");
    let steps = [
        (call(1, "CreateEndpoint", made.clone()), "true"),
        (call(2, "UpdateEndpoint", made.clone()), "true"),
        (call(3, "DeleteEndpoint", Value::Null), "false"),
        (call(4, "CreateEndpoint", made), "true"),
        (failed, "true"),
    ];
    let endpoint = Key::resource(&arn("endpoint"));
    for until in 1..=steps.len() {
        let (_, stands) = &steps[until - 1];
        let mut records: Vec<Value> = steps[..until].iter().map(|(record, _)| record.clone()).collect();
        for _ in 0..until {
            records.rotate_left(1);
            let known = known(&records);
            let found = known.get(&endpoint).found().unwrap();
            assert_eq!(found.value("stands"), Some(*stands), "{until} in the order of {records:?}");
            assert_eq!(found.value("arn"), Some(arn("endpoint").as_str()));
        }
    }
    let known = known(&[steps[0].0.clone()]);
    let part = known.get(&Key::resource(&arn("endpoint-config"))).found().unwrap();
    let users: Vec<&str> = part.members("used_for").map(|(user, _)| user).collect();
    assert_eq!(
        (part.value("resource.type"), users),
        (Some("endpoint-config"), vec![arn("endpoint").as_str()])
    );
    assert_eq!(part.value("stands"), None, "no call said so of it");
}

#[test]
fn whatever_a_record_needs_of_memory_is_asked_for() {
    let enricher = Enricher::built_in(Scope::All);
    let origin = Origin { path: "example", written_at: None, now: datetime!(2026-11-23 12:00 UTC) };
    let settings = json!({"jupyterLabAppSettings": {
        "lifecycleConfigArns": ["arn:aws:sagemaker:eu-central-1:111122223333:studio-lifecycle-config/stop"]
    }});
    let mut domain = others()[1].clone();
    domain["eventName"] = json!("CreateDomain");
    domain["requestParameters"] = json!({"domainName": "ml", "defaultUserSettings": settings});
    let records = examples::all().into_iter().map(|example| example.record).chain([domain]);
    let document = |judged| match judged {
        Enriched::Selected { document, .. } => String::from_utf8(document.source.to_vec()).unwrap(),
        _ => String::new(),
    };
    for mut record in records {
        // A call whose answer CloudTrail does not write names no resource that it made.
        record["responseElements"] = Value::Null;
        let raw = record.to_string();
        let mut asked = Remembered::default();
        let expected = document(enrich_knowing(raw.as_bytes(), origin, &enricher, &Known::whole()));
        let said = document(enrich_remembering(raw.as_bytes(), origin, &enricher, &mut asked));
        assert_eq!(said, expected, "{raw}");
    }
}

/// What is known after these records.
fn known(records: &[Value]) -> Known {
    let mut known = Known::whole();
    known.learn(&told(records.iter().cloned()));
    known
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
            // Another name of a field that facts write.
            Some("alias") => {}
            Some(kind) => drop(types.insert(format!("{path}{name}"), kind.to_owned())),
            None => collect(&field["properties"], &format!("{path}{name}."), types),
        }
    }
}

/// Of every example of a rule, and of calls that rules do not ask for.
fn facts() -> Vec<Fact> {
    told(examples::all().into_iter().map(|example| example.record).chain(others()))
}

fn told(records: impl Iterator<Item = Value>) -> Vec<Fact> {
    let enricher = Enricher::built_in(Scope::All);
    let now: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
    let origin = Origin { path: "example", written_at: None, now };
    let known = Known::whole();
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
