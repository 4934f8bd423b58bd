//! Gives a resource one key, whether a call names it by name or by ARN.

use std::borrow::Cow;

use super::super::arn::Arn;
use super::super::context::Context;
use super::super::related::RelatedResource;
use crate::record::{Record, member};

/// How the ARNs of a type are built from a name.
struct Form {
    kind: &'static str,
    service: &'static str,
    scope: Scope,
    separator: char,
}

/// Within what a name is unique.
enum Scope {
    /// Everywhere.
    World,
    Account,
    Region,
}

const FORMS: &[Form] = &[
    Form { kind: "role", service: "iam", scope: Scope::Account, separator: '/' },
    Form { kind: "user", service: "iam", scope: Scope::Account, separator: '/' },
    Form { kind: "group", service: "iam", scope: Scope::Account, separator: '/' },
    Form { kind: "instance-profile", service: "iam", scope: Scope::Account, separator: '/' },
    Form { kind: "bucket", service: "s3", scope: Scope::World, separator: '/' },
    Form { kind: "trail", service: "cloudtrail", scope: Scope::Region, separator: '/' },
    Form { kind: "repository", service: "ecr", scope: Scope::Region, separator: '/' },
    Form { kind: "log-group", service: "logs", scope: Scope::Region, separator: ':' },
    Form { kind: "key", service: "kms", scope: Scope::Region, separator: '/' },
    Form { kind: "function", service: "lambda", scope: Scope::Region, separator: ':' },
];

/// The key of what the record is about; none where it names nothing.
pub fn resource_key<'e>(record: &Record<'_>, context: &'e Context<'_>) -> Option<Cow<'e, str>> {
    let own = context.resource.as_ref().and_then(|resource| {
        resource.arn.as_deref().or(resource.name.as_deref()).or(resource.kind.as_deref())
    });
    // A policy is what is done to a role or a user.
    let related = &context.related_resources;
    let changed = related.iter().find(|related| related.kind != Some("policy")).or(related.first());
    own.map(Cow::Borrowed).or_else(|| changed.map(|related| of_related(record, related)))
}

fn of_related<'e>(record: &Record<'_>, related: &RelatedResource<'e>) -> Cow<'e, str> {
    if let Some(arn) = related.arn {
        return Arn::parse(arn).map_or(Cow::Borrowed(arn), |arn| canonical(&arn));
    }
    let form = related.kind.and_then(|kind| FORMS.iter().find(|form| form.kind == kind));
    match form.and_then(|form| built(record, form, related.name)) {
        Some(built) => Cow::Owned(built),
        None => Cow::Borrowed(related.name),
    }
}

/// An ARN without what not every call writes: the path of a role, and what logs put behind a group.
pub fn canonical<'e>(arn: &Arn<'e>) -> Cow<'e, str> {
    if arn.service == "iam"
        && let Some((kind, name)) = arn.resource.split_once('/')
        && let Some((_, name)) = name.rsplit_once('/')
    {
        return Cow::Owned(format!("arn:{}:iam::{}:{kind}/{name}", arn.partition, arn.account));
    }
    Cow::Borrowed(arn.text.strip_suffix(":*").unwrap_or(arn.text))
}

fn built(record: &Record<'_>, form: &Form, name: &str) -> Option<String> {
    let Form { kind, service, scope, separator } = form;
    let partition = partition(record);
    let account = || record.text(&["recipientAccountId"]);
    // As in `canonical`: the path of a role or user is not part of what makes it one.
    let name = if *service == "iam" { name.rsplit('/').next().unwrap_or(name) } else { name };
    // What names a key by an alias has the kind of the ARN in it.
    let (kind, name) = name
        .strip_prefix("alias/")
        .filter(|_| *service == "kms")
        .map_or((*kind, name), |name| ("alias", name));
    Some(match scope {
        Scope::World => format!("arn:{partition}:{service}:::{name}"),
        Scope::Account => format!("arn:{partition}:{service}::{}:{kind}{separator}{name}", account()?),
        Scope::Region => {
            let region = record.text(&["awsRegion"])?;
            format!("arn:{partition}:{service}:{region}:{}:{kind}{separator}{name}", account()?)
        }
    })
}

/// As the ARN of the caller has it, or else as the region tells.
fn partition<'r>(record: &'r Record<'_>) -> &'r str {
    let caller = member(record.at(&["userIdentity"]), "arn").as_str();
    let of_region = || match record.text(&["awsRegion"]).unwrap_or_default() {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    caller.and_then(Arn::parse).map_or_else(of_region, |arn| arn.partition)
}
