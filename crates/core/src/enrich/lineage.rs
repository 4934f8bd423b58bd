//! Finds who is behind a session, from the person or workload to the caller: its lineage.
//!
//! A link is known from the record itself, or from the call that issued the credentials. One that is not known is named
//! as missing; none is guessed, and no name counts that a caller is known to have chosen.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::actor::Actor;
use crate::memory::{Key, Known, Lookup, State};
use crate::record::Record;

/// The most links that are followed; AWS lets roles be chained without end.
pub const MOST_LINKS: usize = 8;

/// Where the roles of IAM Identity Center lie, whose sessions AWS names after the person. Nobody else can make a role
/// there, while a role of such a name can lie elsewhere.
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
    /// The source identity that it has and that somebody else chose.
    pub claimed: Option<String>,
}

/// The person or workload that the record itself shows: by a name that AWS gives, or by the source identity, of which
/// memory can know that somebody else [chose](chosen) it.
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
    let name = actor.arn.or(actor.principal_id).or(actor.name()).unwrap_or("unknown");
    let access_key =
        record.text(&["userIdentity", "accessKeyId"]).filter(|_| actor.temporary_key == Some(true));
    let mut lineage = trace(&Caller { name, person, access_key }, known);
    lineage.works_for = works_for(record).map(str::to_owned);
    lineage
}

/// Somebody whom a record or memory shows.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'c> {
    pub name: &'c str,
    /// Who is said to be behind the caller.
    pub person: Option<&'c str>,
    pub access_key: Option<&'c str>,
}

/// The lineage of a caller. Who is said to be behind it is believed, except where somebody else is known to have said
/// so.
pub fn trace(caller: &Caller<'_>, known: &Known) -> Lineage {
    chosen(caller, known).unwrap_or_else(|| follow(caller, caller.person.map(str::to_owned), None, known))
}

/// The lineage of a caller whose source identity somebody else chose, as far as memory knows who. An identity provider
/// sets that of its own people; whoever takes a role sets any.
fn chosen(caller: &Caller<'_>, known: &Known) -> Option<Lineage> {
    let (person, access_key) = caller.person.zip(caller.access_key)?;
    let issued = session(access_key, known).ok()?;
    if issued.value("issued.source_identity") != Some(person) {
        return None;
    }
    let mut lineage = follow(caller, None, Some(person), known);
    let origin = lineage.origin.as_deref()?;
    let claimed = Person { name: person, account: account_of(caller.name) };
    if claimed.is_same(Person { name: origin, account: None }) {
        return None;
    }
    lineage.claimed = Some(format!("the source identity {person}, which {origin} chose"));
    Some(lineage)
}

/// Follows a caller to the root, or to whoever chose the source identity that it has.
fn follow(caller: &Caller<'_>, person: Option<String>, mut claim: Option<&str>, known: &Known) -> Lineage {
    let mut chain = vec![caller.name.to_owned()];
    let mut root = person;
    let mut key = caller.access_key.map(str::to_owned);
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
        let person = session.value("issued.person");
        // Whoever has a source identity hands it on; who has none and took a role with it chose it.
        let is_handed_on = claim.is_some() && person == claim;
        if !is_handed_on {
            if claim.take().is_some() && session.value("issued.call") != Some("AssumeRole") {
                break;
            }
            root = person.map(str::to_owned);
        }
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
    Lineage { chain, origin: root, missing, ..Lineage::default() }
}

/// The key with which a session was issued, where somebody else may be behind it than it says.
pub fn link(session: &State) -> Option<&str> {
    let person = session.value("issued.person");
    let is_claim = person.is_some() && person == session.value("issued.source_identity");
    session.value("issued.key").filter(|_| person.is_none() || is_claim)
}

/// Whether a person may be one whom a caller chose to name: AWS itself names users and workloads by their ARN.
pub fn may_be_claimed(person: &str) -> bool {
    !person.starts_with("arn:")
}

fn session<'k>(access_key_id: &str, known: &'k Known) -> Result<&'k State, String> {
    match known.get(&Key::session(access_key_id)) {
        Lookup::Found(session) => Ok(session),
        Lookup::Nothing => Err(format!("the call that issued {access_key_id}")),
        Lookup::NotAsked | Lookup::NotRecalled => Err(format!("memory of {access_key_id}")),
    }
}

/// Who is behind something: an ARN, or a name as it is known in an account.
#[derive(Debug, Clone, Copy)]
pub struct Person<'p> {
    pub name: &'p str,
    /// Where the name is used; an ARN says so itself.
    pub account: Option<&'p str>,
}

impl Person<'_> {
    /// Whether both are one person, whatever the case. A user of IAM has the name that stands last in the ARN, and only
    /// in its own account: everybody can make a user of any name in another. A workload and a session have names that
    /// anybody can give, so that their whole ARN counts.
    pub fn is_same(self, other: Self) -> bool {
        let (one, another) = (user(self.name), user(other.name));
        match (one, another) {
            (Some(one), Some(another)) => is_same_user(one, another),
            (Some(user), None) => other.is_user(user),
            (None, Some(user)) => self.is_user(user),
            (None, None) => self.name.eq_ignore_ascii_case(other.name),
        }
    }

    fn is_user(self, (account, name): (&str, &str)) -> bool {
        self.account == Some(account) && self.name.eq_ignore_ascii_case(name)
    }
}

fn is_same_user((account, name): (&str, &str), (other_account, other_name): (&str, &str)) -> bool {
    account == other_account && name.eq_ignore_ascii_case(other_name)
}

/// The account and the name of a user of IAM.
fn user(arn: &str) -> Option<(&str, &str)> {
    let (_, path) = arn.split_once(":user/")?;
    Some((account_of(arn)?, path.rsplit('/').next().unwrap_or(path)))
}

fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|_| arn.starts_with("arn:"))
}

#[cfg(test)]
mod tests;
