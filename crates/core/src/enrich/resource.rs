//! Finds what a SageMaker call acted on, and what that lies in.
//!
//! The catalogue says where each operation has it. Of an operation that the catalogue does not know, the noun in its
//! name says what it is about. Where a record has no ARN and every part of one, the ARN is built: a call that failed
//! has no response, and the resource that it asked for is worth knowing by the name that other records give it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json_borrow::Value;
use serde_with::skip_serializing_none;

use super::arn::Arn;
use super::catalogue::{About, Catalogue, Operation, ParentPath, first_text};
use super::denied::Denied;
use super::kind::{Kinds, Place};
use super::path::{Path, listed_arns};
use super::remembered::RememberedResource;
use crate::record::{Record, is_account};

/// One resource, as far as the record says.
#[skip_serializing_none]
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Resource<'r> {
    #[serde(rename = "type")]
    pub kind: Option<Cow<'r, str>>,
    /// The name, or the id where that is all that the record has, as the call wrote it.
    pub name: Option<Cow<'r, str>>,
    pub arn: Option<Cow<'r, str>>,
    /// What AWS calls it, where that is not a name that a person chose: one domain has one id, whether a call says its
    /// name or not.
    pub id: Option<String>,
    /// What it lies in or belongs to. That of a parent is not followed.
    pub parent: Option<Box<Resource<'r>>>,
    /// What memory says of it.
    #[serde(flatten)]
    pub remembered: Option<Box<RememberedResource>>,
}

/// The resource of a record; one of another service has one when its list or its parameters hold a SageMaker ARN.
pub fn resource<'r>(record: &'r Record<'_>, catalogue: &'r Catalogue) -> Option<Resource<'r>> {
    let kinds = &catalogue.kinds;
    let named = match catalogue.operation(record) {
        Some(operation) => by_catalogue(record, operation, kinds),
        None if record.is_sagemaker() => by_convention(record, kinds),
        None => {
            let listed = listed_arns(record).find(Arn::is_sagemaker);
            let arn = listed.or_else(|| any_arn(record.at(&["requestParameters"])));
            arn.map(|arn| of_arn(&arn, kinds))
        }
    };
    let is_named = |resource: &Resource<'_>| resource.arn.is_some() || resource.name.is_some();
    let mut resource = match named {
        Some(resource) if is_named(&resource) => resource,
        // A denied call may come without its parameters.
        other => denied(record, kinds).or(other)?,
    };
    if resource.parent.is_none() {
        resource.parent = resource.arn.as_deref().and_then(|arn| parent_in_arn(arn, kinds)).map(Box::new);
    }
    resource.id = resource.arn.as_deref().and_then(|arn| kinds.id(&Arn::parse(arn)?)).map(str::to_owned);
    Some(resource)
}

/// What the message of a denied call names.
fn denied<'r>(record: &'r Record<'_>, kinds: &'r Kinds) -> Option<Resource<'r>> {
    let arn = Arn::parse(Denied::of(record)?.resource?).filter(Arn::is_sagemaker)?;
    Some(of_arn(&arn, kinds))
}

fn by_catalogue<'r>(
    record: &'r Record<'_>,
    operation: &'r Operation,
    kinds: &'r Kinds,
) -> Option<Resource<'r>> {
    let listed = || listed_arn(record, &operation.about, kinds);
    let kind = match &operation.about {
        About::Nothing => return listed().map(|arn| of_arn(&arn, kinds)),
        About::Anything => None,
        About::Kind(kind) => Some(kind.as_str()),
    };
    let named = first_text(&operation.name, record).map(|(_, text)| text);
    let arn_as_name = named.as_ref().and_then(sagemaker_arn);
    let said = operation.arn.iter().find_map(|path| match path {
        Path::Listed => listed(),
        Path::Request(_) | Path::Response(_) => sagemaker_arn(&path.text(record)?),
    });
    let mut resource = match said.or(arn_as_name).or_else(listed) {
        Some(arn) => of_arn(&arn, kinds),
        None => {
            let built = kind.and_then(|kind| build_arn(record, kind, kinds, &operation.name));
            Resource { kind: kind.map(Cow::Borrowed), arn: built.map(Cow::Owned), ..Resource::default() }
        }
    };
    // A response may spell the name in lower case; the call has it as people know it.
    if named.is_some() && arn_as_name.is_none() && resource.kind.as_deref() == kind {
        resource.name = named;
    }
    resource.parent = parent(record, operation, kinds).map(Box::new);
    (resource != Resource::default()).then_some(resource)
}

/// The ARN that a value of a record is. A number's text is owned, and no ARN.
fn sagemaker_arn<'r>(text: &Cow<'r, str>) -> Option<Arn<'r>> {
    match text {
        Cow::Borrowed(text) => Arn::parse(text).filter(Arn::is_sagemaker),
        Cow::Owned(_) => None,
    }
}

/// The ARN of the record's own list that is of the kind that the call is about, or else the first of SageMaker's.
fn listed_arn<'r>(record: &'r Record<'_>, about: &About, kinds: &Kinds) -> Option<Arn<'r>> {
    let is_of_kind = |arn: &Arn<'_>| match about {
        About::Kind(kind) => kinds.read(arn).is_some_and(|parsed| parsed.kind == kind),
        About::Nothing | About::Anything => false,
    };
    listed_arns(record).find(is_of_kind).or_else(|| listed_arns(record).find(Arn::is_sagemaker))
}

fn parent<'r>(record: &'r Record<'_>, operation: &'r Operation, kinds: &'r Kinds) -> Option<Resource<'r>> {
    let found = |parent: &'r ParentPath| Some((parent, parent.path.text(record)?));
    let (parent, text) = operation.parent.iter().find_map(found)?;
    if let Some(arn) = sagemaker_arn(&text) {
        return Some(of_arn(&arn, kinds));
    }
    let arn = build_arn(record, &parent.kind, kinds, std::slice::from_ref(&parent.path));
    Some(Resource {
        kind: Some(Cow::Borrowed(&parent.kind)),
        name: Some(text),
        arn: arn.map(Cow::Owned),
        ..Resource::default()
    })
}

/// The ARN that the parameters give, where they have all of it. The value at `own` is the resource's own name.
fn build_arn(record: &Record<'_>, kind: &str, kinds: &Kinds, own: &[Path]) -> Option<String> {
    let kind = kinds.get(kind)?;
    let account = record
        .text(&["recipientAccountId"])
        .or_else(|| record.text(&["userIdentity", "accountId"]))
        .filter(|account| is_account(account))?;
    let region = record.text(&["awsRegion"]).filter(|region| !region.contains([':', '/']))?;
    kinds.arn(kind, Place { region, account }, |parameter| {
        let is_own = kind.own_parameters().iter().any(|name| name == parameter);
        let found = first_text(own, record);
        match found {
            Some((path, text)) if is_own && holds(path, parameter) => Some(text),
            _ => Path::Request(vec![parameter.to_owned()]).text(record),
        }
    })
}

/// Whether a path leads to what a parameter of the ARN's form stands for: the same member, or a name for a name.
/// `name` is not the `clusterId`, and `alias` not the `version`.
fn holds(path: &Path, parameter: &str) -> bool {
    let member = path.last_member().unwrap_or_default();
    let is_name = |text: &str| {
        let text = text.strip_suffix('s').unwrap_or(text);
        text == "name" || text.ends_with("Name")
    };
    member == parameter || is_name(member) && is_name(parameter) && !member.ends_with("DisplayName")
}

fn of_arn<'r>(arn: &Arn<'r>, kinds: &'r Kinds) -> Resource<'r> {
    let parsed = kinds.read(arn);
    Resource {
        kind: parsed.as_ref().map(|parsed| Cow::Borrowed(parsed.kind)),
        name: parsed.map(|parsed| Cow::Borrowed(parsed.name)),
        arn: Some(Cow::Borrowed(arn.text)),
        ..Resource::default()
    }
}

/// The domain in the ARN of a space, the hub in that of a hub's content.
fn parent_in_arn<'r>(arn: &str, kinds: &'r Kinds) -> Option<Resource<'r>> {
    let arn = Arn::parse(arn)?;
    let parsed = kinds.read(&arn)?;
    let (kind, name) =
        parsed.surroundings().find_map(|(parameter, name)| Some((kinds.named_by(parameter)?, name)))?;
    let place = Place { region: arn.region, account: arn.account };
    let built =
        kinds.arn(kind, place, |parameter| parsed.part(parameter).map(|part| Cow::Owned(part.to_owned())));
    Some(Resource {
        kind: Some(Cow::Borrowed(&kind.name)),
        name: Some(Cow::Owned(name.to_owned())),
        arn: built.map(Cow::Owned),
        ..Resource::default()
    })
}

/// The first SageMaker ARN among the values, at any depth.
fn any_arn<'r>(value: &'r Value<'_>) -> Option<Arn<'r>> {
    match value {
        Value::Str(text) => Arn::parse(text).filter(Arn::is_sagemaker),
        Value::Array(elements) => elements.iter().find_map(any_arn),
        Value::Object(object) => object.iter().find_map(|(_, value)| any_arn(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// By the noun in the operation's name: `CreateMoonBase` has a `moonBaseArn` or a `moonBaseName`.
fn by_convention<'r>(record: &'r Record<'_>, kinds: &'r Kinds) -> Option<Resource<'r>> {
    let noun = noun(record.event_name());
    let (request, response) = (record.at(&["requestParameters"]), record.at(&["responseElements"]));
    let arn = listed_arns(record)
        .find(Arn::is_sagemaker)
        .or_else(|| own_arn(response, noun))
        .or_else(|| own_arn(request, noun));
    if let Some(arn) = arn {
        return Some(of_arn(&arn, kinds));
    }
    let name = noun_member(request, noun, &["Name", "Id"])?;
    let kind = kebab_case(noun);
    let arn = build_arn(record, &kind, kinds, &[]);
    Some(Resource {
        kind: Some(Cow::Owned(kind)),
        name: Some(Cow::Borrowed(name)),
        arn: arn.map(Cow::Owned),
        ..Resource::default()
    })
}

/// `CreateNotebookInstance` is about a `NotebookInstance`.
fn noun(event_name: &str) -> &str {
    let verb = event_name.char_indices().skip(1).find(|(_, character)| character.is_ascii_uppercase());
    verb.map_or("", |(at, _)| &event_name[at..])
}

fn own_arn<'r>(value: &'r Value<'_>, noun: &str) -> Option<Arn<'r>> {
    let sagemaker = |text: &'r str| Arn::parse(text).filter(Arn::is_sagemaker);
    noun_member(value, noun, &["Arn"]).and_then(sagemaker).or_else(|| {
        let object = value.as_object()?;
        object
            .iter()
            .filter(|(name, _)| name.ends_with("Arn"))
            .find_map(|(_, value)| sagemaker(value.as_str()?))
    })
}

/// The text of the member that is called like the noun, first letter lowered, with one of the endings.
fn noun_member<'r>(value: &'r Value<'_>, noun: &str, endings: &[&str]) -> Option<&'r str> {
    let object = value.as_object()?;
    endings
        .iter()
        .flat_map(|ending| object.iter().map(move |(name, value)| (ending, name, value)))
        .find(|(ending, name, _)| {
            name.strip_suffix(**ending)
                .is_some_and(|stem| !stem.is_empty() && stem.eq_ignore_ascii_case(noun))
        })
        .and_then(|(_, _, value)| value.as_str())
        .filter(|text| !text.is_empty())
}

fn kebab_case(noun: &str) -> String {
    let mut kebab = String::with_capacity(noun.len() + 4);
    for character in noun.chars() {
        if character.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(character.to_ascii_lowercase());
    }
    kebab
}

#[cfg(test)]
mod tests;
