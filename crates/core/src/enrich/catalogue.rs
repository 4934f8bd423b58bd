//! Knows what each operation of SageMaker's API is about.
//!
//! It is `config/catalogue.toml`, whose head says what the keys mean, read once into paths and kinds.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::kind::Kinds;
use super::lower::with_lower;
use super::path::Path;
use crate::record::Record;

/// Every operation that is known, and the kinds of resource that they are about.
#[derive(Debug)]
pub struct Catalogue {
    /// By name in lower case, since rules compare without regard to case as well.
    operations: HashMap<String, Operation>,
    pub kinds: Kinds,
}

/// What is known of one operation.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    pub access: Access,
    pub about: About,
    /// Where the name is; the first path that leads to a text counts, here and below.
    pub name: Vec<Path>,
    pub arn: Vec<Path>,
    pub parent: Vec<ParentPath>,
    pub categories: Vec<String>,
}

/// The access level of IAM's service authorisation reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all(serialize = "lowercase"))]
pub enum Access {
    List,
    Read,
    Write,
    Tagging,
    #[serde(rename(serialize = "permissions management", deserialize = "Permissions management"))]
    PermissionsManagement,
}

/// Which kind of resource a call is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    Nothing,
    /// A resource of any kind, whose ARN says which.
    Anything,
    /// The name of a kind that the catalogue knows.
    Kind(String),
}

/// Where the resource is that another one lies in, and of which kind it is.
#[derive(Debug, PartialEq, Eq)]
pub struct ParentPath {
    pub path: Path,
    pub kind: String,
}

/// Why the catalogue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error("config/catalogue.toml: {0}")]
    NotToml(#[from] toml::de::Error),
    #[error("config/resources.toml: {0}")]
    Kinds(String),
    #[error("config/catalogue.toml: {operation}: {problem}")]
    Keys { operation: String, problem: String },
    #[error("config/catalogue.toml: {operation}.{key}: {problem}")]
    Value { operation: String, key: &'static str, problem: String },
}

impl Catalogue {
    /// The catalogue that the binary carries.
    pub fn built_in() -> Self {
        let catalogue = include_str!("../../../../config/catalogue.toml");
        Self::parse(catalogue, include_str!("../../../../config/resources.toml"))
            .expect("a test reads the same texts, which are part of the binary")
    }

    /// Reads the texts of `config/catalogue.toml` and `config/resources.toml`.
    pub fn parse(catalogue: &str, resources: &str) -> Result<Self, CatalogueError> {
        let kinds = Kinds::parse(resources).map_err(CatalogueError::Kinds)?;
        let lines: BTreeMap<String, toml::Value> = toml::from_str(catalogue)?;
        let mut operations = HashMap::with_capacity(lines.len());
        for (name, keys) in lines {
            let line: Line = keys.try_into().map_err(|error: toml::de::Error| CatalogueError::Keys {
                operation: name.clone(),
                problem: error.message().to_owned(),
            })?;
            let operation = line.operation(&kinds).map_err(|(key, problem)| CatalogueError::Value {
                operation: name.clone(),
                key,
                problem,
            })?;
            operations.insert(name.to_ascii_lowercase(), operation);
        }
        Ok(Self { operations, kinds })
    }

    /// The operation that a record of SageMaker is about; none where it is unknown, or the record is another service's.
    pub fn operation(&self, record: &Record<'_>) -> Option<&Operation> {
        let name = record.event_name();
        record.is_sagemaker().then(|| with_lower(name, |name| self.operations.get(name))).flatten()
    }

    /// Whether the record is one of SageMaker and names an operation that nobody has described yet.
    pub fn lacks(&self, record: &Record<'_>) -> bool {
        record.is_sagemaker() && !record.event_name().is_empty() && self.operation(record).is_none()
    }
}

impl Access {
    /// Whether a call of this level leaves everything as it was.
    pub fn reads(self) -> bool {
        matches!(self, Self::List | Self::Read)
    }
}

/// One line of the file as it stands there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    access: Access,
    resource: String,
    #[serde(default)]
    name: Paths,
    #[serde(default)]
    arn: Paths,
    #[serde(default)]
    parent: Paths,
    categories: Vec<String>,
}

/// One path may stand without brackets.
#[derive(Deserialize)]
#[serde(untagged)]
enum Paths {
    One(String),
    Several(Vec<String>),
}

impl Default for Paths {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Line {
    /// The operation, or the key that is wrong and why.
    fn operation(self, kinds: &Kinds) -> Result<Operation, (&'static str, String)> {
        let about = match self.resource.as_str() {
            "none" => About::Nothing,
            "any" => About::Anything,
            kind if kinds.get(kind).is_some() => About::Kind(self.resource),
            kind => return Err(("resource", format!("config/resources.toml has no form for \"{kind}\""))),
        };
        let mut parent = Vec::new();
        for path in self.parent.parse("parent")? {
            let member = path.last_member().unwrap_or_default();
            let kind = kinds
                .named_by(member)
                .ok_or_else(|| ("parent", format!("no kind is named by \"{member}\"")))?;
            parent.push(ParentPath { kind: kind.name.clone(), path });
        }
        Ok(Operation {
            access: self.access,
            about,
            name: self.name.parse("name")?,
            arn: self.arn.parse("arn")?,
            parent,
            categories: self.categories,
        })
    }
}

impl Paths {
    fn parse(self, key: &'static str) -> Result<Vec<Path>, (&'static str, String)> {
        let texts = match self {
            Self::One(text) => vec![text],
            Self::Several(texts) => texts,
        };
        texts.iter().map(|text| Path::parse(text).map_err(|problem| (key, problem))).collect()
    }
}

/// The first of the paths that leads to a text.
pub fn first_text<'p, 'r>(paths: &'p [Path], record: &'r Record<'_>) -> Option<(&'p Path, Cow<'r, str>)> {
    paths.iter().find_map(|path| Some((path, path.text(record)?)))
}

#[cfg(test)]
mod tests;
