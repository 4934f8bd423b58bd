//! The templates of stacks, written from the policies and the list of AWS Config rules.

use serde_json::{Map, Value, json};

use super::files::{ConfigRule, Guardrails, bundles};

const VERSION: &str = "2010-09-09";

/// The service control policies, with a parameter for each list that differs by site.
pub fn policies(guardrails: &Guardrails) -> Value {
    let mut parameters = Map::new();
    parameters.insert(
        "TargetIds".to_owned(),
        json!({
            "Type": "CommaDelimitedList",
            "Description": "Organizational units or accounts to attach the policies to. Begin with a staging unit."
        }),
    );
    for (name, parameter) in &guardrails.parameters {
        let default: Vec<&str> =
            parameter.default.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        parameters.insert(
            camel_case(name, '_'),
            json!({
                "Type": "CommaDelimitedList",
                "Description": format!("{}.", capitalised(&parameter.meaning)),
                "Default": default.join(",")
            }),
        );
    }
    let resources: Map<String, Value> = bundles(guardrails)
        .into_iter()
        .map(|(bundle, mut content)| {
            refer_to_parameters(&mut content, guardrails);
            let resource = json!({
                "Type": "AWS::Organizations::Policy",
                "Properties": {
                    "Name": format!("sagemaker-guardrails-{bundle}"),
                    "Description": format!("Guardrails of SageMaker: {bundle}."),
                    "Type": "SERVICE_CONTROL_POLICY",
                    "TargetIds": {"Ref": "TargetIds"},
                    "Content": content
                }
            });
            (camel_case(bundle, '-'), resource)
        })
        .collect();
    json!({
        "AWSTemplateFormatVersion": VERSION,
        "Description": "Service control policies for SageMaker. Generated: edit deploy/guardrails instead.",
        "Parameters": parameters,
        "Resources": resources
    })
}

/// The managed rules of AWS Config for one account and region.
pub fn config_rules(rules: &[ConfigRule]) -> Value {
    let resources: Map<String, Value> = rules
        .iter()
        .map(|rule| {
            let mut properties = json!({
                "ConfigRuleName": rule.name,
                "Scope": {"ComplianceResourceTypes": [rule.resource_type]},
                "Source": {"Owner": "AWS", "SourceIdentifier": rule.identifier}
            });
            if let Some(parameters) = &rule.parameters {
                properties["InputParameters"] = parameters.clone();
            }
            let resource = json!({"Type": "AWS::Config::ConfigRule", "Properties": properties});
            (camel_case(&rule.name, '-'), resource)
        })
        .collect();
    json!({
        "AWSTemplateFormatVersion": VERSION,
        "Description": "Managed AWS Config rules for SageMaker. Generated: edit deploy/guardrails instead.",
        "Resources": resources
    })
}

/// Puts a parameter in the place of each list that is its default.
fn refer_to_parameters(value: &mut Value, guardrails: &Guardrails) {
    let parameter = guardrails.parameters.iter().find(|(_, parameter)| parameter.default == *value);
    if let Some((name, _)) = parameter {
        *value = json!({"Ref": camel_case(name, '_')});
        return;
    }
    match value {
        Value::Array(elements) => {
            for inner in elements {
                refer_to_parameters(inner, guardrails);
            }
        }
        Value::Object(members) => {
            for inner in members.values_mut() {
                refer_to_parameters(inner, guardrails);
            }
        }
        _ => {}
    }
}

fn camel_case(name: &str, between: char) -> String {
    name.split(between).map(capitalised).collect()
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}
