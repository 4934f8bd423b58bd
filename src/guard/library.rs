//! The policies of `deploy/guardrails`, and what they are with a site's own values (pure).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::policy::{Policy, PolicyError};

static POLICIES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/deploy/guardrails/policies");

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../deploy/guardrails/guardrails.json"))
        .expect("a test reads the file")
});

/// Characters that a service control policy may have.
const MOST_CHARACTERS: usize = 5_120;

/// What `guardrails.json` says, as far as it is needed here.
#[derive(Debug, Deserialize)]
struct Index {
    parameters: BTreeMap<String, Parameter>,
    policies: Vec<Guardrail>,
}

/// A list that differs by site.
#[derive(Debug, Deserialize)]
struct Parameter {
    default: Vec<String>,
    meaning: String,
}

/// One policy with the posture rules that find what it denies.
#[derive(Debug, Deserialize, Serialize)]
pub struct Guardrail {
    pub name: String,
    pub title: String,
    pub rules: Vec<Rule>,
    /// Whom it stops besides.
    pub stops: String,
}

/// A posture rule that finds what the policy denies.
#[derive(Debug, Deserialize, Serialize)]
pub struct Rule {
    pub id: String,
    pub title: String,
}

/// A policy with a site's values.
#[derive(Debug)]
pub struct Filled {
    pub document: Value,
    /// Lists that have the values of the example, with what they mean.
    pub examples: Vec<String>,
    /// Those among them that are placeholders of the rules, so that the site has its own.
    pub missing: Vec<String>,
}

/// Why a policy cannot be shown, tried or attached.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    #[error("there is no policy {name}; `sagetrail guard` lists them{nearest}")]
    Unknown { name: String, nearest: String },
    #[error("{name}: {problem}")]
    Policy { name: String, problem: PolicyError },
    #[error("{name} needs {list}, of which the configuration has none: set rules.placeholders.{list}")]
    Missing { name: String, list: String },
    #[error(
        "{name} has {characters} characters with these values, and a policy may have {MOST_CHARACTERS}: use patterns, such as ml.m5.*"
    )]
    Long { name: String, characters: usize },
}

/// All policies of `guardrails.json`, in its order.
pub fn guardrails() -> &'static [Guardrail] {
    &INDEX.policies
}

/// The policy with this name; the error names one that is written alike.
pub fn find(name: &str) -> Result<&'static Guardrail, GuardError> {
    guardrails().iter().find(|it| it.name == name).ok_or_else(|| {
        let near = guardrails().iter().find(|it| it.name.contains(name) || name.contains(&it.name));
        let nearest = near.map_or(String::new(), |it| format!(". Did you mean {}?", it.name));
        GuardError::Unknown { name: name.escape_debug().to_string(), nearest }
    })
}

impl Guardrail {
    /// The policy with the values of the placeholders, where it has lists of them.
    pub fn filled(&self, placeholders: &BTreeMap<String, Vec<String>>) -> Filled {
        let file =
            POLICIES.get_file(format!("{}.json", self.name)).expect("a test reads each policy of the index");
        let mut document: Value = serde_json::from_slice(file.contents()).expect("a test reads each policy");
        let (mut examples, mut missing) = (Vec::new(), Vec::new());
        for (name, parameter) in &INDEX.parameters {
            if !has(&document, &parameter.default) {
                continue;
            }
            // The older name goes on counting for networks.
            let older = placeholders.get("allowed_networks").filter(|_| name == "people_networks");
            match placeholders.get(name).or(older).filter(|values| !values.is_empty()) {
                Some(values) => replace(&mut document, &parameter.default, values),
                None => {
                    examples.push(format!("{name} ({})", parameter.meaning));
                    if IS_PLACEHOLDER.contains(&name.as_str()) {
                        missing.push(name.clone());
                    }
                }
            }
        }
        Filled { document, examples, missing }
    }

    /// The same, ready to attach.
    pub fn to_attach(&self, placeholders: &BTreeMap<String, Vec<String>>) -> Result<Filled, GuardError> {
        let filled = self.filled(placeholders);
        if let Some(list) = filled.missing.first() {
            return Err(GuardError::Missing { name: self.name.clone(), list: list.clone() });
        }
        let characters = filled.document.to_string().chars().count();
        if characters > MOST_CHARACTERS {
            return Err(GuardError::Long { name: self.name.clone(), characters });
        }
        self.read(&filled.document)?;
        Ok(filled)
    }

    /// Reads a filled policy of this name, so that an error says which one it is.
    pub fn read(&self, document: &Value) -> Result<Policy, GuardError> {
        Policy::read(document).map_err(|problem| GuardError::Policy { name: self.name.clone(), problem })
    }
}

/// Lists that the configuration of the rules has.
const IS_PLACEHOLDER: [&str; 3] = ["people_networks", "notebook_instance_types", "studio_instance_types"];

/// The policies with their rules, for people.
pub fn list() -> String {
    let mut text = String::new();
    for guardrail in guardrails() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}\n    {}", guardrail.name, guardrail.title);
        for rule in &guardrail.rules {
            let _ = writeln!(text, "    rule  {}  {}", rule.id, rule.title);
        }
        let _ = writeln!(text, "    stops {}", guardrail.stops);
    }
    text
}

fn has(document: &Value, list: &[String]) -> bool {
    match document {
        Value::Array(values) => is_list(values, list) || values.iter().any(|value| has(value, list)),
        Value::Object(members) => members.values().any(|value| has(value, list)),
        _ => false,
    }
}

fn replace(document: &mut Value, list: &[String], by: &[String]) {
    match document {
        Value::Array(values) if is_list(values, list) => {
            *document = by.iter().cloned().map(Value::String).collect();
        }
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, list, by)),
        Value::Object(members) => members.values_mut().for_each(|value| replace(value, list, by)),
        _ => {}
    }
}

fn is_list(values: &[Value], list: &[String]) -> bool {
    values.len() == list.len() && values.iter().zip(list).all(|(value, text)| value.as_str() == Some(text))
}
