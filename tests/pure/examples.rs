//! The example records themselves: those of SageMaker's operations hold what the API knows, and a near miss is near.
//!
//! Records of other services are not compared: their APIs are not in `tests/api`.

use std::collections::{BTreeMap, BTreeSet};

use sagetrail::record::is_sagemaker_family;
use serde::Deserialize;
use serde_json::Value;

use crate::support::examples::{self, Example};

/// The members of an operation's input and output, as `tests/api/README.md` describes them.
#[derive(Deserialize)]
struct Shape {
    input: Vec<String>,
    output: Vec<String>,
}

/// Members that SageMaker adds to what the caller sent. All were seen in CloudTrail's records of `CreateTrainingJob`.
const ADDED: [(&str, &str); 6] = [
    ("CreateTrainingJob", "disableEFA"),
    ("CreateTrainingJob", "trainingJobArn"),
    ("CreateTrainingJob", "withWarmPoolValidationError"),
    ("CreateTrainingJob", "inputDataConfig.enableFFM"),
    ("CreateTrainingJob", "outputDataConfig.disableModelUpload"),
    ("CreateTrainingJob", "outputDataConfig.removeJobNameFromS3OutputPath"),
];

/// Where a fixture breaks the API on purpose.
const ODD: &str = "odd-shapes.json";

#[test]
fn the_examples_of_sagemakers_operations_hold_only_members_of_the_api() {
    let shapes: BTreeMap<String, Shape> =
        serde_json::from_str(include_str!("../api/sagemaker-shapes.json")).unwrap();
    let mut compared = 0;
    let mut strangers = BTreeSet::new();
    for Example { path, record, .. } in examples::all() {
        let (source, name) = (text(&record, "eventSource"), text(&record, "eventName"));
        let Some(shape) = shapes.get(name).filter(|_| is_sagemaker_family(source) && !path.ends_with(ODD))
        else {
            continue;
        };
        compared += 1;
        for (side, ends) in [("requestParameters", &shape.input), ("responseElements", &shape.output)] {
            for member in ends_of(&record[side]) {
                let added = side == "requestParameters" && ADDED.contains(&(name, &member));
                if !added && !ends.iter().any(|end| leads_to(&member, end)) {
                    strangers.insert(format!("{}: {name} has no {side}.{member}", path.display()));
                }
            }
        }
    }
    assert!(compared > 400, "{compared}");
    assert_eq!(strangers, BTreeSet::new());
}

fn text<'r>(record: &'r Value, member: &str) -> &'r str {
    record[member].as_str().unwrap_or_default()
}

/// The dotted paths to everything in a value that holds nothing more; an array counts for nothing.
fn ends_of(value: &Value) -> BTreeSet<String> {
    match value {
        // What CloudTrail writes in place of what it left out.
        Value::Object(members) if members.get("omitted") == Some(&Value::Bool(true)) => BTreeSet::new(),
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match ends_of(value) {
                inner if inner.is_empty() => BTreeSet::from([name.clone()]),
                inner => inner.into_iter().map(|end| format!("{name}.{end}")).collect(),
            })
            .collect(),
        Value::Array(elements) => elements.iter().flat_map(ends_of).collect(),
        _ => BTreeSet::new(),
    }
}

/// Whether the path in a record is the one of the shape, or ends early because the record's value is empty.
fn leads_to(path: &str, end: &str) -> bool {
    let (mut path, mut end) = (path.split('.'), end.split('.'));
    loop {
        match (path.next(), end.next()) {
            (None, _) | (_, Some("**")) => return true,
            (Some(_), Some("*")) => {}
            (Some(name), Some(known)) if name == known => {}
            _ => return false,
        }
    }
}

#[test]
fn paths_are_compared_with_the_shape_as_it_is_written() {
    let cases = [
        ("resourceConfig.instanceType", "resourceConfig.instanceType", true),
        ("resourceConfig", "resourceConfig.instanceType", true),
        ("resourceConfig.instanceType.size", "resourceConfig.instanceType", false),
        ("resourceConfig.type", "resourceConfig.instanceType", false),
        ("environment.MODE", "environment.*", true),
        ("filters.a.b.c", "filters.**", true),
    ];
    for (path, end, expected) in cases {
        assert_eq!(leads_to(path, end), expected, "{path} {end}");
    }
}

/// Things in which a near miss may differ from the match that is nearest. Mostly it is one; a call that another kind of
/// caller makes, or that fails for another reason, differs in two.
const MOST_DIFFERENCES: usize = 2;

#[test]
fn a_near_miss_differs_from_a_match_of_its_rule_by_little() {
    let mut counted: BTreeMap<usize, usize> = BTreeMap::new();
    let mut far = Vec::new();
    for folder in examples::folders() {
        let matches: Vec<Example> = examples::records(&folder, "match-").collect();
        for miss in examples::records(&folder, "miss-") {
            let nearest = matches
                .iter()
                .map(|example| differences(&example.record, &miss.record))
                .min_by_key(BTreeSet::len)
                .unwrap_or_else(|| panic!("{} has no match", folder.display()));
            *counted.entry(nearest.len()).or_default() += 1;
            // After a history the time alone can make the difference.
            let is_same = nearest.is_empty() && miss.history.is_empty();
            if nearest.len() > MOST_DIFFERENCES || is_same {
                far.push(format!("{}: {nearest:?}", miss.path.display()));
            }
        }
    }
    println!("near misses by the number of things in which they differ: {counted:?}");
    assert!(far.is_empty(), "{}", far.join("\n"));
}

/// What a person would say is different: who called, what was called, how it ended, or which parameter. The parameters
/// of another call, and those that a failure took away, say nothing more.
fn differences(one: &Value, other: &Value) -> BTreeSet<String> {
    let mut differences: BTreeSet<String> = differing(one, other)
        .into_iter()
        .filter_map(|name| match name.as_str() {
            "eventID" | "requestID" | "eventTime" | "requestParameters" => None,
            "userIdentity" | "sourceIPAddress" | "userAgent" | "sessionCredentialFromConsole" => {
                Some("the caller".to_owned())
            }
            "eventName" | "eventSource" | "eventCategory" | "managementEvent" | "readOnly" | "resources" => {
                Some("the call".to_owned())
            }
            "errorCode" | "errorMessage" | "responseElements" => Some("the end".to_owned()),
            _ => Some(name),
        })
        .collect();
    let (parameters, others) = (&one["requestParameters"], &other["requestParameters"]);
    let taken_away = differences.contains("the end") && (parameters.is_null() || others.is_null());
    if !differences.contains("the call") && !taken_away {
        differences.extend(differing(parameters, others));
    }
    differences
}

/// The members that only one of two objects has, or that differ.
fn differing(one: &Value, other: &Value) -> BTreeSet<String> {
    let names = |value: &Value| -> BTreeSet<String> {
        value.as_object().into_iter().flat_map(|members| members.keys().cloned()).collect()
    };
    names(one).union(&names(other)).filter(|name| one.get(name) != other.get(name)).cloned().collect()
}
