//! What is usual for an identity: pairs of it and something that it works with, each with the first record that showed it.

use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};

use super::actor::Actor;
use super::context::Context;
use super::networks::{NetworkKind, SourceNetwork};
use crate::memory::{Seen, Stamp, State};
use crate::record::Record;
use crate::timestamp;

/// The days on which the identity was at work.
pub const DAYS: &str = "days";
/// The records of the identity that asked for a closer look by themselves.
pub const FLAGGED: &str = "flagged";

/// Distinct days of which something has to be known of an identity before anything counts as new for it.
pub const LEARNING_DAYS: usize = 3;

/// How long what an identity does after a record that asked for a closer look does not become usual.
const DOUBT: time::Duration = time::Duration::days(1);

/// One pair of a record: the set of the identity's state, what `sagemaker.first` calls it, and the member.
#[derive(Debug, PartialEq, Eq)]
pub struct Usual {
    pub set: &'static str,
    pub name: &'static str,
    pub member: String,
}

impl Usual {
    /// The pairs that a record shows.
    pub fn of(
        record: &Record<'_>,
        context: &Context<'_>,
        actor: &Actor<'_>,
        network: &SourceNetwork<'_>,
    ) -> Vec<Self> {
        let mut pairs = Vec::new();
        let mut add = |set, name, member: &str| pairs.push(Self { set, name, member: member.to_owned() });
        if let Some(network) = network_of(record, network) {
            add("networks", "network", &network);
        }
        if let Some(region) = record.text(&["awsRegion"]) {
            add("regions", "region", region);
        }
        add("agents", "agent", actor.agent);
        add("services", "service", record.event_source());
        if let Some(session) = actor.session_name.filter(|_| actor.role.is_some()) {
            add("session_names", "session_name", session);
        }
        let reads = context.access_level.is_some_and(super::catalogue::Access::reads);
        if let Some(resource) = &context.resource {
            if let Some(kind) = resource.kind.as_deref().filter(|_| !reads) {
                add("resource_types", "resource_type", kind);
            }
            if let Some(arn) = resource.arn.as_deref().filter(|_| reaches_inside(record.event_name())) {
                add("resources", "resource", &arn.to_ascii_lowercase());
            }
        }
        if record.is_sagemaker() {
            context.execution_role.arn.iter().for_each(|role| add("passed_roles", "role", role));
            context.image.uri.iter().for_each(|image| {
                add("images", "image", image.split(['@', ':']).next().unwrap_or(image));
            });
            context
                .s3
                .output_buckets
                .iter()
                .for_each(|bucket| add("output_buckets", "output_bucket", bucket));
        }
        pairs
    }

    /// Whether the record at a time is the first that showed the pair. None where the identity is not known for long
    /// enough, or so many members are known that this one may have been forgotten.
    pub fn is_first(&self, identity: &State, at: &Stamp) -> Option<bool> {
        if !is_established(identity, at) {
            return None;
        }
        match identity.seen(self.set, &self.member) {
            Seen::Never => Some(true),
            Seen::Unknown => None,
            Seen::At(first) => Some(first >= at || is_in_doubt(identity, first, at)),
        }
    }
}

/// Whether the identity was seen on enough days before.
fn is_established(identity: &State, at: &Stamp) -> bool {
    let today = at.as_str().get(..10).unwrap_or_default();
    identity.members(DAYS).filter(|(day, _)| *day < today).nth(LEARNING_DAYS - 1).is_some()
}

/// Whether the pair was first seen while something about the identity asked for a closer look, as it still does.
fn is_in_doubt(identity: &State, first: &Stamp, at: &Stamp) -> bool {
    let Some(since) = at.time().and_then(|at| at.checked_sub(DOUBT)) else { return false };
    let since = timestamp::format(since);
    identity.members(FLAGGED).any(|(_, flagged)| flagged.as_str() >= since.as_str() && flagged <= first)
}

/// Whether a call takes or opens what a resource holds, so that it matters who did before.
fn reaches_inside(event_name: &str) -> bool {
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
    let address: IpAddr = record.text(&["sourceIPAddress"])?.parse().ok()?;
    Some(match address {
        IpAddr::V4(address) => Ipv4Net::new(address, 24).ok()?.trunc().to_string(),
        IpAddr::V6(address) => Ipv6Net::new(address, 48).ok()?.trunc().to_string(),
    })
}
