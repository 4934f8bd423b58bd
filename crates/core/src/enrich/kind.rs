//! Knows the kinds of SageMaker resources, and the form of each one's ARN.
//!
//! The forms are in `config/resources.toml`. They are read in both directions: an ARN tells the kind, the name and
//! what the resource lies in, and the parameters of a call give the ARN of what it is about.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::arn::Arn;

/// Every kind that has a form.
#[derive(Debug)]
pub struct Kinds {
    all: Vec<Kind>,
    /// Positions in `all`, by the text that the ARNs begin with after the account.
    by_beginning: HashMap<String, Vec<usize>>,
    partitions: BTreeMap<String, String>,
    aws_owned: AwsOwned,
}

/// One kind of resource.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    pub name: String,
    service: String,
    form: Vec<Segment>,
}

/// One part of an ARN's form between slashes.
#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// The parameters that fill it; the first that a call has counts.
    Parameters(Vec<String>),
}

/// Where an ARN is, beside what it names.
#[derive(Debug, Clone, Copy)]
pub struct Place<'r> {
    pub region: &'r str,
    pub account: &'r str,
}

/// What an ARN says.
#[derive(Debug, PartialEq, Eq)]
pub struct ParsedArn<'k, 'r> {
    pub kind: &'k str,
    pub name: &'r str,
    parts: Vec<(&'k [String], &'r str)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    aws_owned: AwsOwned,
    partitions: BTreeMap<String, String>,
    arns: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AwsOwned {
    account: String,
    names: Vec<String>,
}

impl Kinds {
    /// Reads the text of `config/resources.toml`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let File { aws_owned, partitions, arns } = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut kinds = Vec::new();
        for (service, forms) in arns {
            for (name, form) in forms {
                let form =
                    parse_form(&form).ok_or_else(|| format!("{name}: \"{form}\" is no form of an ARN"))?;
                kinds.push(Kind { name, service: service.clone(), form });
            }
        }
        let mut by_beginning: HashMap<String, Vec<usize>> = HashMap::new();
        for (position, kind) in kinds.iter().enumerate() {
            if let Segment::Literal(beginning) = &kind.form[0] {
                by_beginning.entry(beginning.clone()).or_default().push(position);
            }
        }
        Ok(Self { all: kinds, by_beginning, partitions, aws_owned })
    }

    /// Every kind of the file, those of other services among them.
    pub fn all(&self) -> &[Kind] {
        &self.all
    }

    /// The kind with this name, such as `training-job`.
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.all.iter().find(|kind| kind.name == name)
    }

    /// The kind that a parameter names: `domainId`, `clusterArn` and `trialName` name a domain, a cluster and a trial.
    pub fn named_by(&self, parameter: &str) -> Option<&Kind> {
        let stem = stem(parameter);
        self.all
            .iter()
            .find(|kind| kind.own_parameters().iter().any(|own| stem_of_own(own).eq_ignore_ascii_case(stem)))
    }

    /// What a SageMaker ARN says; none for an ARN of another service. Of a kind without a form the beginning is the
    /// kind and the rest the name.
    pub fn read<'k, 'r>(&'k self, arn: &Arn<'r>) -> Option<ParsedArn<'k, 'r>>
    where
        'r: 'k,
    {
        if !arn.is_sagemaker() {
            return None;
        }
        let (beginning, rest) = arn.resource.split_once('/')?;
        let candidates = self.by_beginning.get(beginning).map_or(&[][..], Vec::as_slice);
        candidates
            .iter()
            .filter_map(|position| {
                let kind = &self.all[*position];
                Some((kind.literals(), kind.read(arn.resource)?))
            })
            .max_by_key(|(literals, _)| *literals)
            .map(|(_, parsed)| parsed)
            .or(Some(ParsedArn { kind: beginning, name: rest, parts: Vec::new() }))
    }

    /// The id in a SageMaker ARN whose kind AWS tells apart by an id of its own making.
    pub fn id<'r>(&self, arn: &Arn<'r>) -> Option<&'r str> {
        let ParsedArn { kind, name, .. } = self.read(arn)?;
        self.get(kind)?.has_id().then_some(name)
    }

    /// The ARN of a resource of this kind, when `value` has every part of it.
    pub fn arn<'r>(
        &self,
        kind: &Kind,
        place: Place<'_>,
        value: impl Fn(&str) -> Option<Cow<'r, str>>,
    ) -> Option<String> {
        let mut resource = String::new();
        let mut account = place.account;
        for segment in &kind.form {
            if !resource.is_empty() {
                resource.push('/');
            }
            match segment {
                Segment::Literal(literal) => resource.push_str(literal),
                Segment::Parameters(names) => {
                    let part = names.iter().find_map(|name| value(name))?;
                    if !is_part(&part) {
                        return None;
                    }
                    if self.aws_owned.names.iter().any(|name| name.eq_ignore_ascii_case(&part)) {
                        account = &self.aws_owned.account;
                    }
                    resource.push_str(&part);
                }
            }
        }
        let known =
            self.partitions.iter().find(|(beginning, _)| place.region.starts_with(beginning.as_str()));
        let partition = known.map_or("aws", |(_, partition)| partition);
        Some(format!("arn:{partition}:{}:{}:{account}:{resource}", kind.service, place.region))
    }
}

impl Kind {
    /// The parameters that hold the resource's own name or id.
    pub fn own_parameters(&self) -> &[String] {
        match self.form.last() {
            Some(Segment::Parameters(names)) => names,
            Some(Segment::Literal(_)) | None => &[],
        }
    }

    /// Whether AWS makes up what the ARN ends with. Nobody chooses a name like `randomString`.
    fn has_id(&self) -> bool {
        let is_id = |name: &String| name.ends_with("Id") || name.ends_with("ID") || name == "randomString";
        self.own_parameters().iter().all(is_id)
    }

    fn literals(&self) -> usize {
        self.form.iter().filter(|segment| matches!(segment, Segment::Literal(_))).count()
    }

    fn read<'k, 'r>(&'k self, resource: &'r str) -> Option<ParsedArn<'k, 'r>> {
        let mut values = resource.splitn(self.form.len(), '/');
        let mut parts = Vec::new();
        for segment in &self.form {
            let value = values.next().filter(|value| !value.is_empty())?;
            match segment {
                Segment::Literal(literal) if literal == value => {}
                Segment::Literal(_) => return None,
                Segment::Parameters(names) => parts.push((names.as_slice(), value)),
            }
        }
        let (_, name) = *parts.last()?;
        Some(ParsedArn { kind: &self.name, name, parts })
    }
}

impl<'k, 'r> ParsedArn<'k, 'r> {
    /// The part that stands for a parameter and for no other.
    pub fn part(&self, parameter: &str) -> Option<&'r str> {
        self.parts
            .iter()
            .find(|(names, _)| names.len() == 1 && names[0] == parameter)
            .map(|(_, value)| *value)
    }

    /// What the resource lies in, from the inside out: the parameter that names it, and its name.
    pub fn surroundings(&self) -> impl Iterator<Item = (&'k str, &'r str)> {
        let outer = self.parts.split_last().map_or(&[][..], |(_, outer)| outer);
        outer.iter().rev().filter_map(|(names, value)| match names {
            [name] => Some((name.as_str(), *value)),
            _ => None,
        })
    }
}

/// Reads `app/{domainId}/{userProfileName|spaceName}/…`. A form begins with a literal and ends with a parameter.
fn parse_form(text: &str) -> Option<Vec<Segment>> {
    let form: Vec<Segment> = text
        .split('/')
        .map(|segment| match segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
            Some(inner) => Segment::Parameters(inner.split('|').map(str::to_owned).collect()),
            None => Segment::Literal(segment.to_owned()),
        })
        .collect();
    let is_form = matches!(form.first(), Some(Segment::Literal(_)))
        && matches!(form.last(), Some(Segment::Parameters(_)))
        && form.iter().all(|segment| match segment {
            Segment::Literal(literal) => !literal.is_empty() && !literal.contains(['{', '}']),
            Segment::Parameters(names) => names.iter().all(|name| !name.is_empty()),
        });
    is_form.then_some(form)
}

/// A part of an ARN holds neither its separators nor a wildcard; a record could hold anything.
fn is_part(text: &str) -> bool {
    !text.is_empty() && !text.contains([':', '/', '*', ' '])
}

/// `domainId` and `domainArn` are about a `domain`.
fn stem(parameter: &str) -> &str {
    ["Name", "Id", "Arn"].iter().find_map(|ending| parameter.strip_suffix(ending)).unwrap_or(parameter)
}

/// A parameter such as `version` or `randomString` says nothing of the kind.
fn stem_of_own(parameter: &str) -> &str {
    let stem = stem(parameter);
    if stem == parameter { "" } else { stem }
}
