//! The catalogue against the shapes of the API, the forms of the ARNs and the rules.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::enrich::dispatch::Source;
use crate::enrich::rules::{Folder, RuleSet};
use crate::settings::RulesConfig;

const CATALOGUE: &str = include_str!("../../../../../config/catalogue.toml");
const RESOURCES: &str = include_str!("../../../../../config/resources.toml");

/// The playbook's names that are no operations. The rules keep them, so that a search for one explains itself.
const ALIASES: [&str; 3] =
    ["getmodelpackagemodelmetrics", "putmodelpackagemodelmetrics", "updateendpointconfig"];

const CATEGORIES: [&str; 9] = [
    "configuration-change",
    "credential-theft",
    "cryptojacking",
    "data-model-exfiltration",
    "data-poisoning",
    "denial-of-service",
    "log-tampering",
    "malware-deployment",
    "resource-abuse",
];

#[derive(Deserialize)]
struct Shape {
    input: BTreeSet<String>,
    output: BTreeSet<String>,
}

fn shapes() -> BTreeMap<String, Shape> {
    serde_json::from_str(include_str!("../../../../../tests/api/sagemaker-shapes.json")).unwrap()
}

#[test]
fn each_operation_of_the_api_has_a_line_and_each_line_an_operation() {
    let catalogue = Catalogue::built_in();
    let known: BTreeSet<&str> = catalogue.operations.keys().map(String::as_str).collect();
    let shapes = shapes();
    let api: BTreeSet<String> = shapes.keys().map(|name| name.to_ascii_lowercase()).collect();
    assert_eq!(known, api.iter().map(String::as_str).collect());
}

#[test]
fn each_path_leads_to_a_member_of_the_operation() {
    let catalogue = Catalogue::built_in();
    let mut wrong = Vec::new();
    for (name, shape) in shapes() {
        let operation = &catalogue.operations[&name.to_ascii_lowercase()];
        let parents = operation.parent.iter().map(|parent| &parent.path);
        for path in operation.name.iter().chain(&operation.arn).chain(parents) {
            let found = match path {
                Path::Request(members) => shape.input.contains(&members.join(".")),
                Path::Response(members) => shape.output.contains(&members.join(".")),
                Path::Listed => true,
            };
            if !found {
                wrong.push(format!("{name}: {path:?}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_category_is_one_of_the_nine_and_stands_where_a_rule_of_it_names_the_operation() {
    let catalogue = Catalogue::built_in();
    let rules = RuleSet::load(&RulesConfig::default()).unwrap();
    let mut by_rules: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    // The rules of other services name the operations of those, some of which are called like SageMaker's.
    let is_of_sagemaker = |sources: &Option<BTreeSet<Source>>| {
        sources.iter().flatten().all(|source| matches!(source, Source::Contains(_)))
    };
    let threats = rules.rules().iter().filter(|rule| rule.place.folder == Folder::Threats);
    for rule in threats.filter(|rule| is_of_sagemaker(&rule.calls().sources)) {
        for name in rule.calls().names.iter().flatten().filter(|name| !ALIASES.contains(&name.as_str())) {
            by_rules.entry(name.clone()).or_default().extend(rule.categories.iter().map(String::as_str));
        }
    }
    let mut by_catalogue: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (name, operation) in &catalogue.operations {
        for category in &operation.categories {
            assert!(CATEGORIES.contains(&category.as_str()), "{name}: {category}");
            by_catalogue.entry(name.clone()).or_default().insert(category);
        }
    }
    assert_eq!(by_rules, by_catalogue);
}

#[test]
fn the_forms_of_the_arns_are_those_of_the_reference() {
    let reference: BTreeMap<String, String> =
        serde_json::from_str(include_str!("../../../../../tests/api/sagemaker-arns.json")).unwrap();
    let file: toml::Value = toml::from_str(RESOURCES).unwrap();
    let mut ours = BTreeMap::new();
    for forms in file["arns"].as_table().unwrap().values() {
        for (kind, form) in forms.as_table().unwrap() {
            ours.insert(kind.clone(), form.as_str().unwrap().to_owned());
        }
    }
    let theirs: BTreeMap<String, String> = reference
        .into_iter()
        .map(|(kind, form)| {
            let form = match kind.as_str() {
                // An app belongs to a user profile or to a space, whose name then takes the same place.
                "app" => "app/{domainId}/{userProfileName|spaceName}/{appType}/{appName}".to_owned(),
                // The reference leaves out what a workteam's ARN has before the name.
                "workteam" => "workteam/{crowd}/{workteamName}".to_owned(),
                _ => as_cloudtrail_writes(&form),
            };
            (kind, form)
        })
        .collect();
    assert_eq!(ours, theirs);
}

/// `${DomainId}` is `{domainId}` here.
fn as_cloudtrail_writes(form: &str) -> String {
    let mut parts = form.split("${");
    let mut ours = parts.next().unwrap().to_owned();
    for part in parts {
        let (first, rest) = part.split_at(1);
        ours.push('{');
        ours.push_str(&first.to_ascii_lowercase());
        ours.push_str(rest);
    }
    ours
}

#[test]
fn a_broken_catalogue_is_refused_by_operation_and_key() {
    for (line, expected) in [
        ("X = { resource = \"domain\", categories = [] }", "X: missing field `access`"),
        ("X = { access = \"Lits\", resource = \"domain\", categories = [] }", "X: unknown variant `Lits`"),
        (
            "X = { access = \"List\", resource = \"none\", categories = [], arms = 1 }",
            "X: unknown field `arms`",
        ),
        ("X = { access = \"List\", resource = \"moon\", categories = [] }", "X.resource: "),
        ("X = { access = \"List\", resource = \"domain\", name = \"a.b\", categories = [] }", "X.name: "),
        (
            "X = { access = \"List\", resource = \"app\", parent = \"requestParameters.moonId\", categories = [] }",
            "X.parent: no kind is named by \"moonId\"",
        ),
        ("X = {", "config/catalogue.toml: "),
    ] {
        let error = Catalogue::parse(line, RESOURCES).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}: {error}");
    }
    let error = Catalogue::parse(CATALOGUE, &RESOURCES.replace("app/{domainId}", "app/{}")).unwrap_err();
    assert!(error.to_string().contains("app: "), "{error}");
}

#[test]
fn only_an_unknown_operation_of_sagemaker_is_lacking() {
    let catalogue = Catalogue::built_in();
    for (raw, lacking) in [
        (r#"{"eventSource":"sagemaker.amazonaws.com","eventName":"CreateMoonBase"}"#, true),
        (r#"{"eventSource":"sagemaker.amazonaws.com","eventName":"createendpoint"}"#, false),
        (r#"{"eventSource":"metrics-sagemaker.amazonaws.com","eventName":"BatchPutMetrics"}"#, false),
        (r#"{"eventSource":"sagemaker.amazonaws.com"}"#, false),
        (r#"{"eventSource":"amplify.amazonaws.com","eventName":"CreateMoonBase"}"#, false),
    ] {
        assert_eq!(catalogue.lacks(&Record::parse(raw.as_bytes()).unwrap()), lacking, "{raw}");
    }
}
