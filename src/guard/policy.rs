//! Reads the policies of `deploy/guardrails`, and evaluates them on a call (pure).
//!
//! Only the part of the language that they use is known; a policy that uses another is refused when it is read.

use std::net::IpAddr;

use ipnet::IpNet;
use sagetrail_core::wildcard::fits;
use serde::Deserialize;
use serde_json::Value;
use strum::EnumString;

use super::keys::{Call, Known, is_known};

/// A service control policy.
#[derive(Debug)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// What a policy does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Allowed,
    /// The record does not show what decides.
    Undecided,
    Denied,
}

/// Why a policy cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("it is no policy: {0}")]
    Form(#[from] serde_json::Error),
    #[error("it has a statement that does not deny, which is not evaluated")]
    Effect,
    #[error("it uses the operator {0}, which is not evaluated")]
    Operator(String),
    #[error("it asks for the key {0}, which no record is read for")]
    Key(String),
    #[error("\"{0}\" is no network")]
    Network(String),
}

#[derive(Debug)]
struct Statement {
    /// In small letters.
    actions: Vec<String>,
    resources: Vec<String>,
    conditions: Vec<Condition>,
}

#[derive(Debug)]
struct Condition {
    operator: Operator,
    key: String,
    values: Vec<String>,
    networks: Vec<IpNet>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString)]
enum Operator {
    Null,
    Bool,
    BoolIfExists,
    StringEquals,
    StringNotEquals,
    #[strum(serialize = "ForAnyValue:StringNotLike")]
    AnyStringNotLike,
    ArnNotLike,
    NotIpAddress,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct File {
    #[serde(rename = "Version")]
    _version: String,
    statement: Vec<Stated>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Stated {
    #[serde(rename = "Sid")]
    _sid: String,
    effect: String,
    action: OneOrMany,
    resource: OneOrMany,
    #[serde(default)]
    condition: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Policy {
    /// Reads a policy document; an element, operator or key that is not known here is an error.
    pub fn read(document: &Value) -> Result<Self, PolicyError> {
        let file = File::deserialize(document)?;
        Ok(Self { statements: file.statement.into_iter().map(Statement::read).collect::<Result<_, _>>()? })
    }

    /// The calls that it is about, such as `sagemaker:CreateModel`, in small letters.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().flat_map(|statement| &statement.actions).map(String::as_str)
    }

    /// What it does with a call: of statements and of the ways in which a call may be read, the worst counts where they
    /// agree.
    pub fn judge(&self, call: &Call) -> Verdict {
        let verdicts = call.readings().map(|reading| {
            let of_statements = self.statements.iter().map(|statement| statement.judge(call, reading));
            of_statements.max().unwrap_or(Verdict::Allowed)
        });
        let verdicts: Vec<Verdict> = verdicts.collect();
        match verdicts.split_first() {
            Some((first, rest)) if rest.iter().all(|other| other == first) => *first,
            Some(_) => Verdict::Undecided,
            None => Verdict::Allowed,
        }
    }
}

impl Statement {
    fn read(stated: Stated) -> Result<Self, PolicyError> {
        if stated.effect != "Deny" {
            return Err(PolicyError::Effect);
        }
        let mut conditions = Vec::new();
        for (operator, keys) in stated.condition {
            let known = operator.parse().map_err(|_| PolicyError::Operator(operator.clone()))?;
            let keys = keys.as_object().ok_or_else(|| PolicyError::Operator(operator.clone()))?;
            for (key, values) in keys {
                conditions.push(Condition::read(known, key, values)?);
            }
        }
        let actions = stated.action.all().into_iter().map(|action| action.to_ascii_lowercase());
        Ok(Self { actions: actions.collect(), resources: stated.resource.all(), conditions })
    }

    fn judge(&self, call: &Call, reading: usize) -> Verdict {
        if !self.actions.contains(&call.action) {
            return Verdict::Allowed;
        }
        let of_resource = match &call.resource {
            _ if self.resources.iter().any(|pattern| pattern == "*") => Verdict::Denied,
            Some(arn) if self.resources.iter().any(|pattern| arn_fits(pattern, arn)) => Verdict::Denied,
            Some(_) => Verdict::Allowed,
            None => Verdict::Undecided,
        };
        let of_conditions =
            self.conditions.iter().map(|condition| condition.judge(&call.value(&condition.key, reading)));
        of_conditions.fold(of_resource, Verdict::min)
    }
}

impl Condition {
    fn read(operator: Operator, key: &str, values: &Value) -> Result<Self, PolicyError> {
        if !is_known(key) {
            return Err(PolicyError::Key(key.to_owned()));
        }
        let values = OneOrMany::deserialize(values)?.all();
        let networks = match operator {
            Operator::NotIpAddress => {
                let network = |text: &String| {
                    let whole = text.parse::<IpAddr>().map(IpNet::from);
                    text.parse().or(whole).map_err(|_| PolicyError::Network(text.clone()))
                };
                values.iter().map(network).collect::<Result<_, _>>()?
            }
            _ => Vec::new(),
        };
        Ok(Self { operator, key: key.to_owned(), values, networks })
    }

    /// `Denied` where it holds.
    fn judge(&self, known: &Known) -> Verdict {
        let values = match known {
            Known::Unknown => return Verdict::Undecided,
            Known::Absent => &[][..],
            Known::Values(values) => values,
        };
        let first = values.first();
        let is_any =
            |fits: fn(&str, &str) -> bool, value: &str| self.values.iter().any(|one| fits(one, value));
        let holds = match self.operator {
            Operator::Null => self.values.iter().any(|wanted| (wanted == "true") == first.is_none()),
            Operator::Bool => first.is_some_and(|value| is_any(str::eq_ignore_ascii_case, value)),
            Operator::BoolIfExists => first.is_none_or(|value| is_any(str::eq_ignore_ascii_case, value)),
            Operator::StringEquals => first.is_some_and(|value| is_any(|a, b| a == b, value)),
            Operator::StringNotEquals => first.is_none_or(|value| !is_any(|a, b| a == b, value)),
            Operator::AnyStringNotLike => values.iter().any(|value| !is_any(fits, value)),
            Operator::ArnNotLike => first.is_none_or(|value| !is_any(arn_fits, value)),
            Operator::NotIpAddress => first.is_none_or(|value| {
                value
                    .parse::<IpAddr>()
                    .map_or(true, |address| !self.networks.iter().any(|it| it.contains(&address)))
            }),
        };
        if holds { Verdict::Denied } else { Verdict::Allowed }
    }
}

impl OneOrMany {
    fn all(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// Whether an ARN fits a pattern: each of its six parts by itself, as IAM does it.
fn arn_fits(pattern: &str, arn: &str) -> bool {
    let (patterns, parts): (Vec<&str>, Vec<&str>) =
        (pattern.splitn(6, ':').collect(), arn.splitn(6, ':').collect());
    patterns.len() == parts.len() && patterns.iter().zip(parts).all(|(pattern, part)| fits(pattern, part))
}
