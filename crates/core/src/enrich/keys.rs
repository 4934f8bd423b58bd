//! What memory knows things by that a record names.

use super::actor::Actor;
use super::artefact;
use super::context::Context;
use super::lineage;
use crate::memory::Key;
use crate::record::Record;

/// What memory knows things by that a record names itself.
#[derive(Debug)]
pub struct Keys<'r> {
    pub identity: Option<Key>,
    pub account: Option<Key>,
    /// The role of the caller.
    pub role: Option<Key>,
    pub resource: Option<Key>,
    /// What a record of another service names that SageMaker may work with.
    pub touched: Vec<Key>,
    /// The person that the record shows.
    pub person: Option<&'r str>,
}

impl<'r> Keys<'r> {
    /// Finds the keys of a record in what was read of it; one is None where the record lacks what it is made of.
    pub fn of(record: &'r Record<'_>, context: &Context<'r>, actor: &Actor<'r>) -> Self {
        let caller = actor.account_id.zip(actor.principal_id);
        let issuer = actor.issuer.as_ref().filter(|issuer| issuer.kind == Some("Role"));
        Self {
            identity: caller.map(|(account, principal)| Key::identity(account, principal)),
            account: caller.map(|(account, _)| Key::account(account)),
            role: issuer.and_then(|issuer| issuer.arn).map(Key::resource),
            resource: context
                .resource
                .as_ref()
                .and_then(|resource| resource.arn.as_deref())
                .map(Key::resource),
            touched: touched(record, context).collect(),
            person: lineage::person(record, actor),
        }
    }
}

fn touched(record: &Record<'_>, context: &Context<'_>) -> impl Iterator<Item = Key> {
    let account = record.text(&["recipientAccountId"]);
    let here = |service: &str| {
        Some(format!(
            "arn:aws:{service}:{}:{}",
            record.text(&["awsRegion"])?,
            record.text(&["recipientAccountId"])?
        ))
    };
    let read = artefact::read_by(record).map(|place| artefact::bucket(&place));
    let named = context.related_resources.iter().filter_map(move |related| {
        if let Some(arn) = related.arn {
            // An object lies in its bucket.
            let of_bucket = arn.contains(":::").then(|| arn.split_once('/')).flatten();
            return Some(Key::resource(of_bucket.map_or(arn, |(bucket, _)| bucket)));
        }
        Some(Key::resource(&match related.kind? {
            "role" => format!("arn:aws:iam::{}:role/{}", account?, related.name),
            "bucket" => format!("arn:aws:s3:::{}", related.name),
            "repository" => format!("{}:repository/{}", here("ecr")?, related.name),
            // An alias says nothing of the key behind it.
            "key" if !related.name.starts_with("alias/") => format!("{}:key/{}", here("kms")?, related.name),
            "function" => {
                // A call may name the version or the alias as well, or the account.
                let name = related.name.rsplit_once("function:").map_or(related.name, |(_, name)| name);
                format!("{}:function:{}", here("lambda")?, name.split(':').next()?)
            }
            "user-pool" => user_pool(record, related.name)?,
            // They are known by their ids, as calls of SageMaker name them.
            "security-group" | "subnet" => related.name.to_owned(),
            _ => return None,
        }))
    });
    named.chain(read)
}

/// The ARN of a pool of users in the place of a record.
pub fn user_pool(record: &Record<'_>, id: &str) -> Option<String> {
    let (region, account) = (record.text(&["awsRegion"])?, record.text(&["recipientAccountId"])?);
    Some(format!("arn:aws:cognito-idp:{region}:{account}:userpool/{id}"))
}
