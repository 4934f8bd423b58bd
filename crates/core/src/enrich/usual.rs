//! What is usual for an identity: pairs of it and something that it works with, each with the first record that showed
//! it.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::Ipv6Net;
use time::{Duration, OffsetDateTime};

use super::actor::Actor;
use super::artefact;
use super::catalogue::Access;
use super::context::Context;
use super::lineage;
use super::networks::{NetworkKind, SourceNetwork};
use crate::memory::{LEARNING, Seen, Stamp, State};
use crate::record::{Record, truth};
use crate::timestamp;

/// The days on which a record of the identity asked for a closer look by itself.
pub const FLAGGED: &str = "flagged";
/// When the identity was seen first.
pub const FIRST_SEEN: &str = "first_seen";

/// Who took or opened what a resource holds.
pub const OPENED_BY: &str = "opened_by";
/// What `sagemaker.first` says when a person opens what others have opened until now.
pub const PERSON: &str = "person";

/// What `sagemaker.first` says when the caller itself was never seen.
pub const IDENTITY: &str = "identity";

/// Sets of what all identities of an account work with alike.
const SHARED: [&str; 5] = ["buckets", "code_repositories", "hosts", "images", "output_buckets"];

/// Sets of what is usual for an identity only by what it did itself.
const OWN: [&str; 4] = ["passed_roles", "read_places", "resources", "taken_roles"];

/// How long after the beginning of such a day what an identity does is in doubt.
const DOUBT: Duration = Duration::days(2);

/// One pair of a record: the set of the identity's state, what `sagemaker.first` calls it, and the member.
#[derive(Debug, PartialEq, Eq)]
pub struct Usual<'r> {
    pub set: &'static str,
    pub name: &'static str,
    pub member: Cow<'r, str>,
}

/// Pairs that a record usually shows.
const PAIRS: usize = 16;

impl<'r> Usual<'r> {
    /// The pairs that a record shows.
    pub fn of(
        record: &'r Record<'_>,
        context: &Context<'r>,
        actor: &Actor<'r>,
        network: &SourceNetwork<'_>,
    ) -> Vec<Self> {
        let mut pairs = Vec::with_capacity(PAIRS);
        let mut add = |set, name, member: Cow<'r, str>| pairs.push(Self { set, name, member });
        if let Some(network) = network_of(record, network) {
            add("networks", "network", network.into());
        }
        if let Some(region) = record.text(&["awsRegion"]) {
            add("regions", "region", region.into());
        }
        add("agents", "agent", actor.agent.into());
        add("services", "service", record.event_source().into());
        if let Some(session) = actor.session_name.filter(|_| actor.role.is_some()) {
            add("session_names", "session_name", session.into());
        }
        let name = record.event_name();
        let reads = context.access_level.is_none_or(Access::reads);
        if !reads || reaches_inside(name) {
            add("operations", "operation", name.into());
        } else if record.event_source() == "iam.amazonaws.com"
            && truth(record.at(&["readOnly"])) == Some(false)
        {
            // Who decides what others may do. SageMaker has operations of such names.
            add("operations", "operation", format!("iam:{name}").into());
        }
        if let Some(resource) = &context.resource {
            if let Some(kind) = resource.kind.as_ref().filter(|_| !reads) {
                add("resource_types", "resource_type", kind.clone());
            }
            if let Some(arn) = resource.arn.as_deref().filter(|_| !reads || reaches_inside(name)) {
                // Several persons work with one role, and what one of them opened the others did not.
                let mut member = arn.to_ascii_lowercase();
                if let Some(person) = lineage::person(record, actor) {
                    member = [&member, " ", person].concat();
                }
                member.truncate(member.trim_end().len());
                add("resources", "resource", member.into());
            }
        }
        if let Some(place) = artefact::read_by(record) {
            add(artefact::READ, artefact::NAME, place.into());
        }
        if let Some(role) = record
            .text(&["requestParameters", "roleArn"])
            .filter(|_| record.event_source() == "sts.amazonaws.com" && name == "AssumeRole")
        {
            add("taken_roles", "taken_role", role.into());
        }
        if record.is_sagemaker() {
            let Context { execution_role, image, s3, code_repository, lifecycle, instance, .. } = context;
            execution_role.arn.iter().for_each(|role| add("passed_roles", "role", (*role).into()));
            let images = image.uri.iter().map(|image| image.split(['@', ':']).next().unwrap_or(image));
            images.for_each(|image| add("images", "image", image.into()));
            s3.output_buckets
                .iter()
                .for_each(|bucket| add("output_buckets", "output_bucket", (*bucket).into()));
            s3.buckets.iter().for_each(|bucket| add("buckets", "bucket", (*bucket).into()));
            code_repository
                .url
                .iter()
                .for_each(|url| add("code_repositories", "code_repository", (*url).into()));
            lifecycle.indicators.hosts().for_each(|host| add("hosts", "host", host.to_owned().into()));
            instance.kinds.iter().for_each(|kind| add("instance_types", "instance_type", (*kind).into()));
        }
        pairs
    }
}

/// What is known of a caller and of its account when a record of them is judged.
pub struct Experience<'s> {
    identity: Option<&'s State>,
    account: Option<&'s State>,
    /// Whether each of the two is known for long enough.
    is_established: [bool; 2],
    now: OffsetDateTime,
    /// When what had become usual by now was seen first.
    learning_since: Option<OffsetDateTime>,
}

impl<'s> Experience<'s> {
    /// What is known of both at the time of an event; None where memory has nothing of one.
    pub fn of(identity: Option<&'s State>, account: Option<&'s State>, now: OffsetDateTime) -> Self {
        let is_established = |known: Option<&State>| known.is_some_and(|known| is_established(known, now));
        Self {
            identity,
            account,
            is_established: [is_established(identity), is_established(account)],
            now,
            learning_since: now.checked_sub(LEARNING),
        }
    }

    /// What a record shows of the pair. What colleagues use alike is new when the account never had it; all else when
    /// the identity never did, or the account where the identity itself is new.
    pub fn novelty(&self, pair: &Usual<'_>) -> Novelty {
        let [knows_identity, knows_account] = self.is_established;
        let knows_identity = knows_identity && !SHARED.contains(&pair.set);
        let identity = self.identity.filter(|_| knows_identity);
        let Some(known) = identity.or(self.account.filter(|_| knows_account)) else {
            return Novelty::TooEarly;
        };
        match known.seen(pair.set, &pair.member) {
            Seen::Never => Novelty::First,
            Seen::Unknown => Novelty::Forgotten,
            Seen::At(first) if !first.is_before(self.now) => Novelty::First,
            // What somebody begins is theirs only when they have had it for days: a second call makes nothing usual.
            Seen::At(first) if self.is_recent(first) && is_in_doubt(known, first) => Novelty::First,
            Seen::At(first) if self.is_recent(first) => Novelty::Recent,
            // What a colleague does with a thing of one's own makes it not usual for a stranger.
            Seen::At(_) if OWN.contains(&pair.set) && !knows_identity => Novelty::TooEarly,
            Seen::At(_) => Novelty::Usual,
        }
    }

    /// Whether the pair has not been there for as long as the identity itself has to be.
    fn is_recent(&self, first: &Stamp) -> bool {
        let is_older = self.learning_since.is_some_and(|since| first.is_before(since));
        !is_older && first.time().is_some_and(|first| self.now < first + LEARNING)
    }

    /// Whether the identity itself is new in an account of which enough is known.
    pub fn is_of_somebody_new(&self) -> bool {
        let is_older = |state: &State| first_seen(state).is_some_and(|first| first < self.now);
        let [_, knows_account] = self.is_established;
        knows_account && !self.identity.is_some_and(is_older)
    }
}

/// Whether the pair was first seen on or after a day on which a record of the identity asked for a closer look, and
/// shortly.
fn is_in_doubt(known: &State, first: &Stamp) -> bool {
    let Some(first) = first.time() else { return false };
    let mut days = known.members(FLAGGED).filter_map(|(_, day)| day.time());
    days.any(|day| day <= first && first - day <= DOUBT)
}

/// How a pair compares with what was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// This is the first record that shows it, or it has been in doubt since the first.
    First,
    /// It was seen before, and not for long enough.
    Recent,
    /// It has been there for as long as the identity or the account itself has to be known.
    Usual,
    /// So many members of its set are known that this one may have been forgotten.
    Forgotten,
    /// Neither the identity nor its account is known for long enough.
    TooEarly,
}

/// Whether a person opens a resource for the first time that others have opened for long enough.
pub fn is_new_person(resource: &State, person: &str, at: OffsetDateTime) -> bool {
    let at_first = resource.members(OPENED_BY).filter_map(|(_, first)| first.time()).min();
    let is_settled = at_first.is_some_and(|first| first + LEARNING <= at);
    is_settled
        && match resource.seen(OPENED_BY, person) {
            Seen::Never => true,
            Seen::At(first) => !first.is_before(at),
            Seen::Unknown => false,
        }
}

fn is_established(known: &State, at: OffsetDateTime) -> bool {
    first_seen(known).is_some_and(|first| first + LEARNING <= at)
}

fn first_seen(known: &State) -> Option<OffsetDateTime> {
    known.value(FIRST_SEEN).and_then(timestamp::parse)
}

/// Whether a call takes or opens what a resource holds, so that it matters who did before.
pub fn reaches_inside(event_name: &str) -> bool {
    ["Invoke", "CreatePresigned", "StartSession", "CreateHubContentPresigned", "GetObject"]
        .iter()
        .any(|beginning| event_name.starts_with(beginning))
}

/// The autonomous system of the caller's address where it is known, or else the part of the address that one site has.
fn network_of(record: &Record<'_>, network: &SourceNetwork<'_>) -> Option<String> {
    if network.kind == Some(NetworkKind::Service) {
        return None;
    }
    if let Some(asn) = &network.asn {
        return Some(format!("AS{}", asn.number));
    }
    let text = record.text(&["sourceIPAddress"])?;
    let address: IpAddr = text.parse().ok()?;
    Some(match address {
        // What is read as such an address is written as it is always written.
        IpAddr::V4(_) => [text.rsplit_once('.')?.0, ".0/24"].concat(),
        IpAddr::V6(address) => Ipv6Net::new(address, 48).ok()?.trunc().to_string(),
    })
}

#[cfg(test)]
mod tests;
