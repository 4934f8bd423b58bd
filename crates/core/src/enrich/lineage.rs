//! Finds who is behind a session, from the person or workload to the caller: its lineage.
//!
//! A link is known from the record itself, or from the call that issued the credentials. One that is not known is named as
//! missing; none is guessed, and no name counts that a caller can choose.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::actor::Actor;
use crate::memory::{Key, Known, Lookup, State};
use crate::record::Record;

/// The most links that are followed; AWS lets roles be chained without end.
pub const MOST_LINKS: usize = 8;

/// Where the roles of IAM Identity Center lie, whose sessions AWS names after the person. Nobody else can make a role there,
/// while a role of such a name can lie elsewhere.
static PERMISSION_SETS: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new(":role/aws-reserved/sso.amazonaws.com/"));

/// Who is behind a caller.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// From the first that is known to the caller.
    pub chain: Vec<String>,
    /// The person or workload at the root; none where a link is missing.
    pub origin: Option<String>,
    /// The notebook, job or function whose credentials are used.
    pub works_for: Option<String>,
    /// What is not known of it.
    pub missing: Option<String>,
}

/// The person or workload that the record itself shows, by a name that the caller did not choose.
pub fn person<'r>(record: &'r Record<'_>, actor: &Actor<'r>) -> Option<&'r str> {
    let vouched = actor.source_identity.or(actor.on_behalf_of).or_else(|| works_for(record));
    vouched.or_else(|| named_person(record, actor))
}

fn named_person<'r>(record: &'r Record<'_>, actor: &Actor<'r>) -> Option<&'r str> {
    match actor.kind? {
        "IAMUser" | "Root" | "Role" => actor.arn,
        "SAMLUser" | "WebIdentityUser" => record.text(&["userIdentity", "userName"]),
        "IdentityCenterUser" => actor.name(),
        "AWSService" => actor.invoked_by.or(actor.name()),
        "AssumedRole" => {
            let issuer = actor.issuer.as_ref().and_then(|issuer| issuer.arn);
            let is_of_identity_center = |arn: &str| PERMISSION_SETS.find(arn.as_bytes()).is_some();
            actor.session_name.filter(|_| issuer.is_some_and(is_of_identity_center))
        }
        _ => None,
    }
}

fn works_for<'r>(record: &'r Record<'_>) -> Option<&'r str> {
    let scope = |member| record.text(&["userIdentity", "inScopeOf", member]);
    scope("credentialsIssuedTo").or_else(|| scope("sourceArn"))
}

/// The lineage of a record's caller, with the person that the record shows.
pub fn lineage(record: &Record<'_>, actor: &Actor<'_>, person: Option<&str>, known: &Known) -> Lineage {
    let caller = actor.arn.or(actor.principal_id).or(actor.name()).unwrap_or("unknown");
    let access_key =
        record.text(&["userIdentity", "accessKeyId"]).filter(|_| actor.temporary_key == Some(true));
    let mut lineage = trace(person.map(str::to_owned), caller, access_key, known);
    lineage.works_for = works_for(record).map(str::to_owned);
    lineage
}

/// The lineage of somebody whom memory knows by name and access key only.
pub fn trace(person: Option<String>, caller: &str, access_key: Option<&str>, known: &Known) -> Lineage {
    let mut chain = vec![caller.to_owned()];
    let mut root = person;
    let mut key = access_key.map(str::to_owned);
    let mut missing = None;
    while root.is_none() {
        let Some(access_key) = key.take() else { break };
        let session = match session(&access_key, known) {
            Ok(session) if chain.len() < MOST_LINKS => session,
            Ok(_) => {
                missing = Some(format!("more than {MOST_LINKS} links"));
                break;
            }
            Err(reason) => {
                missing = Some(reason);
                break;
            }
        };
        root = session.value("issued.person").map(str::to_owned);
        match session.value("issued.by") {
            Some(issuer) => chain.push(issuer.to_owned()),
            None => break,
        }
        key = session.value("issued.key").filter(|key| key.starts_with("ASIA")).map(str::to_owned);
    }
    if let Some(root) = &root
        && chain.last() != Some(root)
    {
        chain.push(root.clone());
    }
    chain.reverse();
    let missing = missing.or_else(|| root.is_none().then(|| format!("who is behind {}", chain[0])));
    Lineage { chain, origin: root, works_for: None, missing }
}

fn session<'k>(access_key_id: &str, known: &'k Known) -> Result<&'k State, String> {
    match known.get(&Key::session(access_key_id)) {
        Lookup::Found(session) => Ok(session),
        Lookup::Nothing => Err(format!("the call that issued {access_key_id}")),
        Lookup::NotAsked | Lookup::NotRecalled => Err(format!("memory of {access_key_id}")),
    }
}

/// Whether two names are of one person: the last part of the ARN of a user or session, or the name itself, whatever its
/// case. A workload has a name that anybody can give, so its whole ARN counts.
pub fn is_same_person(a: &str, b: &str) -> bool {
    fn name(text: &str) -> &str {
        let is_person = [":user/", ":assumed-role/"].iter().any(|kind| text.contains(kind));
        if is_person { text.rsplit('/').next().unwrap_or(text) } else { text }
    }
    name(a).eq_ignore_ascii_case(name(b))
}

#[cfg(test)]
mod tests;
