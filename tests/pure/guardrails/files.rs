//! The hand-written files of `deploy/guardrails`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Where AWS describes the controls of SageMaker.
pub const HUB_PAGE: &str = "https://docs.aws.amazon.com/securityhub/latest/userguide/sagemaker-controls.html";
/// Below this address each managed rule of SageMaker has a page of its name.
pub const CONFIG_PAGES: &str = "https://docs.aws.amazon.com/config/latest/developerguide/";

/// `guardrails.json`.
#[derive(Deserialize)]
pub struct Guardrails {
    pub parameters: BTreeMap<String, Parameter>,
    pub policies: Vec<Policy>,
    pub inexpressible: Vec<Inexpressible>,
}

/// A list that differs from site to site.
#[derive(Deserialize)]
pub struct Parameter {
    pub default: Value,
    pub meaning: String,
}

#[derive(Deserialize)]
pub struct Policy {
    pub name: String,
    pub title: String,
    /// The policy of AWS Organizations that it becomes a part of.
    pub bundle: String,
    /// The number of the control in the playbook.
    pub playbook: Option<u8>,
    pub rules: Vec<Tied>,
}

/// A rule that a policy or a rule of AWS Config is about.
#[derive(Deserialize)]
pub struct Tied {
    pub id: String,
    pub title: String,
}

/// A posture rule that no policy can express.
#[derive(Deserialize)]
pub struct Inexpressible {
    pub rule: Tied,
    pub reason: String,
}

/// A managed rule of AWS Config, from `config-rules.json`.
#[derive(Deserialize)]
pub struct ConfigRule {
    pub name: String,
    pub identifier: String,
    pub resource_type: String,
    pub parameters: Option<Value>,
    pub security_hub: Option<String>,
    pub rules: Vec<Tied>,
    /// What the managed rule finds and no call shows.
    pub not_in_a_call: Option<String>,
}

pub fn guardrails() -> Guardrails {
    read("guardrails.json")
}

pub fn config_rules() -> Vec<ConfigRule> {
    read("config-rules.json")
}

/// The document of a policy.
pub fn policy(name: &str) -> Value {
    read(&format!("policies/{name}.json"))
}

/// The documents that go to AWS Organizations: each holds the statements of all policies of its bundle.
pub fn bundles(guardrails: &Guardrails) -> BTreeMap<&str, Value> {
    let mut bundles = BTreeMap::new();
    for entry in &guardrails.policies {
        let document = bundles
            .entry(entry.bundle.as_str())
            .or_insert_with(|| json!({"Version": "2012-10-17", "Statement": []}));
        let statements = document["Statement"].as_array_mut().expect("it was made as a list");
        statements.extend(policy(&entry.name)["Statement"].as_array().unwrap().iter().cloned());
    }
    bundles
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/guardrails")
}

fn read<T: DeserializeOwned>(file: &str) -> T {
    let path = folder().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
