//! The facts: what one selected record tells memory. They depend on the record alone, so that any daemon finds the same ones.
//!
//! A call that failed tells nothing of resources and makes nothing usual: only that somebody tried.

mod configuration;

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::actor::Actor;
use super::arn::Arn;
use super::artefact;
use super::catalogue::{Access, Catalogue};
use super::context::Context;
use super::lineage;
use super::networks::SourceNetwork;
use super::rule::{Rule, Severity};
use super::usual::{self, Usual};
use crate::document::DocumentId;
use crate::memory::{Fact, Key, Stamp, State, day};
use crate::record::Record;
use crate::timestamp;
pub use configuration::homes;
use configuration::{configuration, uses};

/// Members of one set, and things of one kind, that a record makes known. One record must not fill a set, of which nothing
/// can be said from then on, nor memory.
pub const LEARNT_AT_ONCE: usize = 16;

/// What a record is, for its facts.
pub struct Told<'t, 'r, 'a> {
    pub record: &'r Record<'a>,
    pub context: &'t Context<'r>,
    pub actor: &'t Actor<'r>,
    pub network: &'t SourceNetwork<'r>,
    pub catalogue: &'t Catalogue,
    /// The rules that match the record by itself, whatever a site has muted.
    pub matches: &'t [&'t Rule],
    pub time: OffsetDateTime,
    pub id: &'t DocumentId,
}

/// Everything that the record tells, one fact for each thing.
pub fn facts(told: &Told<'_, '_, '_>) -> Vec<Fact> {
    let at = Stamp::of(told.time, told.id.as_str());
    let succeeded = told.record.text(&["errorCode"]).is_none();
    let mut facts = identities(told, &at, succeeded);
    if succeeded {
        facts.extend(session(told, &at));
        facts.extend(resource(told, &at));
        facts.extend(parts(told));
        facts.extend(foundations(told, &at));
    }
    facts
}

/// What the caller is known by and what is usual for it, and the same for all callers of its account together.
fn identities(told: &Told<'_, '_, '_>, at: &Stamp, succeeded: bool) -> Vec<Fact> {
    let Told { actor, time, .. } = told;
    let (Some(account), Some(id)) = (actor.account_id, actor.principal_id) else { return Vec::new() };
    let mut state = State::default();
    state.say("cloud.account.id", &Stamp::ALWAYS, [account]);
    state.say("last_seen", &Stamp::of_day(*time), [day(*time)]);
    state.add_newest("active_days", &Stamp::of_day(*time), day(*time));
    if is_flagged(told.matches) {
        state.add_newest(usual::FLAGGED, &Stamp::of_day(*time), day(*time));
    }
    if succeeded {
        state.say_first(usual::FIRST_SEEN, at, timestamp::format(*time));
        let mut learnt: BTreeMap<&str, usize> = BTreeMap::new();
        for Usual { set, member, .. } in Usual::of(told.record, told.context, actor, told.network) {
            let count = learnt.entry(set).or_default();
            *count += 1;
            if *count <= LEARNT_AT_ONCE {
                state.add_oldest(set, at, member);
            }
        }
    }
    let fact = |key: Key, mut state: State| {
        state.say("key", &Stamp::ALWAYS, [key.id.as_str()]);
        Fact { key, state }
    };
    let together = fact(Key::account(account), state.clone());
    if let Some(arn) = actor.issuer.as_ref().and_then(|issuer| issuer.arn).or(actor.arn) {
        state.say("arn", &Stamp::ALWAYS, [arn]);
    }
    vec![fact(Key::identity(account, id), state), together]
}

/// Whether the record shows by itself what asks for a closer look.
fn is_flagged(matches: &[&Rule]) -> bool {
    matches.iter().any(|rule| rule.level >= Severity::Medium)
}

/// The temporary credentials that the call issued.
fn session(told: &Told<'_, '_, '_>, at: &Stamp) -> Option<Fact> {
    let Told { record, actor, time, .. } = told;
    let issued = record.text(&["responseElements", "credentials", "accessKeyId"])?;
    let mut state = State::default();
    let mut say = |field: &str, value: Option<&str>| state.say(field, at, value);
    say("key", Some(issued));
    say("issued.at", Some(&timestamp::format(*time)));
    say("issued.call", Some(record.event_name()));
    say("issued.to", record.text(&["responseElements", "assumedRoleUser", "arn"]));
    say("issued.by", actor.arn.or(actor.name()));
    say("issued.key", record.text(&["userIdentity", "accessKeyId"]));
    say("issued.from", record.text(&["sourceIPAddress"]));
    say("issued.person", lineage::person(record, actor).as_deref());
    say("issued.source_identity", record.text(&["requestParameters", "sourceIdentity"]));
    Some(Fact { key: Key::session(issued), state })
}

/// What became of the resource that the call was about.
fn resource(told: &Told<'_, '_, '_>, at: &Stamp) -> Option<Fact> {
    let Told { record, context, actor, catalogue, time, .. } = told;
    let resource = context.resource.as_ref()?;
    let arn = resource.arn.as_deref()?;
    let access = context.access_level?;
    let (key, mut state) = named(arn);
    for (field, value) in [("resource.type", &resource.kind), ("resource.name", &resource.name)] {
        // Records spell one name in several cases, and the same one has to win whatever their order.
        if let Some(value) = value {
            state.say(field, &Stamp::ALWAYS, [value.to_ascii_lowercase()]);
        }
    }
    let place = Arn::parse(arn)?;
    state.say("cloud.account.id", &Stamp::ALWAYS, [place.account]);
    state.say("cloud.region", &Stamp::ALWAYS, [place.region]);
    if let Some(caller) = actor.arn.or(actor.name()) {
        state.add_newest("used_by", &Stamp::of_day(*time), caller);
    }
    let name = record.event_name();
    if usual::reaches_inside(name)
        && let Some(person) = lineage::person(record, actor)
    {
        state.add_oldest(usual::OPENED_BY, at, person);
    }
    let Some(deed) = deed(name, access) else { return Some(Fact { key, state }) };
    state.say("stands", at, [if deed == GONE { "false" } else { "true" }]);
    let mut say = |member: &str, value: Option<&str>| state.say(&format!("{deed}.{member}"), at, value);
    say("at", Some(&timestamp::format(*time)));
    say("by", actor.arn.or(actor.name()));
    say("call", Some(name));
    if deed != GONE {
        say("key", record.text(&["userIdentity", "accessKeyId"]));
        say("person", lineage::person(record, actor).as_deref());
        say("principal", actor.principal_id);
        for (field, values) in configuration(context) {
            // Who makes a thing says all of it; who changes it says what changes.
            if deed == CREATED || !values.is_empty() {
                state.say(field, at, values);
            }
        }
        let script = context.lifecycle.shell.is_some();
        if script {
            let worst = told.matches.iter().filter(|rule| rule.judges_scripts);
            let worst = worst.map(|rule| rule.level).max().map_or("none", Severity::name);
            state.say("script.verdict", at, [worst]);
        }
        let uses = uses(context, &catalogue.kinds, &place);
        // What it lies in is no change of what it is made of.
        let homes = homes(context, arn);
        if deed == CREATED || uses.iter().any(|part| !homes.contains(part)) {
            state.say("uses", at, uses);
        }
    }
    Some(Fact { key, state })
}

const CREATED: &str = "created";
const CHANGED: &str = "changed";
const GONE: &str = "gone";

/// What a call does to its resource; nothing where it only reads.
fn deed(name: &str, access: Access) -> Option<&'static str> {
    let begins_with = |verbs: &[&str]| verbs.iter().any(|verb| name.starts_with(verb));
    if access.reads() {
        None
    } else if begins_with(&["Create", "Register", "Import"]) && !is_link(name) {
        Some(CREATED)
    } else if begins_with(&["Delete", "Deregister"]) && access == Access::Write {
        Some(GONE)
    } else {
        Some(CHANGED)
    }
}

/// What is known of a thing from its ARN alone.
fn named(arn: &str) -> (Key, State) {
    let key = Key::resource(arn);
    let mut state = State::default();
    state.say("key", &Stamp::ALWAYS, [key.id.as_str()]);
    // As documents of events have it, so that they are found by it: a key leaves the partition out.
    let partition = arn.split(':').nth(1).unwrap_or_default().to_ascii_lowercase();
    let known_as = key
        .id
        .strip_prefix("arn:aws:")
        .map_or_else(|| key.id.clone(), |rest| format!("arn:{partition}:{rest}"));
    state.say("arn", &Stamp::ALWAYS, [known_as]);
    (key, state)
}

/// A link to a resource is no resource of its own.
fn is_link(name: &str) -> bool {
    name.starts_with("CreatePresigned")
}

/// The resources of SageMaker that one is made of, each with what uses it.
fn parts(told: &Told<'_, '_, '_>) -> Vec<Fact> {
    let Told { record, context, catalogue, time, .. } = told;
    let user = context.resource.as_ref().and_then(|resource| resource.arn.as_deref());
    let deed = context.access_level.and_then(|access| deed(record.event_name(), access));
    let (Some(user), Some(CREATED | CHANGED)) = (user, deed) else { return Vec::new() };
    let Some(place) = Arn::parse(user) else { return Vec::new() };
    let about = |arn: &String| {
        let (key, mut state) = named(arn);
        let part = Arn::parse(arn)?;
        state.say("resource.type", &Stamp::ALWAYS, [catalogue.kinds.read(&part)?.kind]);
        state.say("cloud.account.id", &Stamp::ALWAYS, [part.account]);
        state.say("cloud.region", &Stamp::ALWAYS, [part.region]);
        state.add_newest("used_for", &Stamp::of_day(*time), user.to_ascii_lowercase());
        Some(Fact { key, state })
    };
    uses(context, &catalogue.kinds, &place).iter().take(LEARNT_AT_ONCE).filter_map(about).collect()
}

/// The roles, buckets, repositories, keys and subnets that a resource of SageMaker stands on, and the roles that trust it.
fn foundations(told: &Told<'_, '_, '_>, stamp: &Stamp) -> Vec<Fact> {
    let Told { record, context, actor, time, .. } = told;
    let about = |kind: &str, arn: &str| {
        let (key, mut state) = named(arn);
        state.say("resource.type", &Stamp::ALWAYS, [kind]);
        (key, state)
    };
    if record.event_source() == "iam.amazonaws.com" {
        let is_trusted =
            context.policy.principals.iter().any(|principal| principal.contains("sagemaker.amazonaws.com"));
        let role = record.text(&["responseElements", "role", "arn"]).map(str::to_owned).or_else(|| {
            let account = record.text(&["recipientAccountId"])?;
            Some(format!("arn:aws:iam::{account}:role/{}", record.text(&["requestParameters", "roleName"])?))
        });
        return role
            .filter(|_| is_trusted)
            .map(|role| {
                let (key, mut state) = about("role", &role);
                state.say("execution_role", &Stamp::ALWAYS, ["true"]);
                Fact { key, state }
            })
            .into_iter()
            .collect();
    }
    if !record.is_sagemaker() {
        return Vec::new();
    }
    let mut facts = Vec::new();
    // Who is behind a role that calls SageMaker is told by the calls that take it.
    if let Some(arn) =
        actor.issuer.as_ref().filter(|issuer| issuer.kind == Some("Role")).and_then(|it| it.arn)
    {
        let (key, mut state) = about("role", arn);
        state.say("calls_sagemaker", &Stamp::ALWAYS, ["true"]);
        facts.push(Fact { key, state });
    }
    if context.access_level.is_none_or(Access::reads) {
        return facts;
    }
    let used_for = context.resource.as_ref().and_then(|resource| resource.arn.as_deref());
    let at = Stamp::of_day(*time);
    let (artefacts, places) = (artefact::artefacts(context), artefact::places(context));
    for (kind, arn) in stands_on(context) {
        let (key, mut state) = about(kind, &arn);
        if let Some(resource) = used_for {
            state.add_newest("used_for", &at, resource.to_ascii_lowercase());
        }
        if kind == "role" {
            state.say("execution_role", &Stamp::ALWAYS, ["true"]);
            let given = places.iter().take(LEARNT_AT_ONCE);
            given.for_each(|place| state.add_newest(artefact::GIVEN, &at, place.as_str()));
        } else if kind == "bucket" {
            let bucket = arn.rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
            let in_it = artefacts.iter().filter(|place| artefact::is_in(place, &bucket)).take(LEARNT_AT_ONCE);
            in_it.for_each(|place| state.add_oldest(artefact::ARTEFACTS, stamp, place.as_str()));
        }
        facts.push(Fact { key, state });
    }
    facts
}

/// What a call of SageMaker makes its resource stand on, each with its kind, up to a number of each kind.
fn stands_on(context: &Context<'_>) -> Vec<(&'static str, String)> {
    let Context { execution_role, s3, network, image, .. } = context;
    let mut all = Vec::new();
    let mut take = |kind: &'static str, arns: &mut dyn Iterator<Item = String>| {
        all.extend(arns.take(LEARNT_AT_ONCE).map(|arn| (kind, arn)));
    };
    take("role", &mut execution_role.arn.iter().map(|arn| (*arn).to_owned()));
    take("bucket", &mut s3.buckets.iter().map(|bucket| format!("arn:aws:s3:::{bucket}")));
    take("key", &mut keys(context).map(str::to_owned));
    take("subnet", &mut network.subnets.iter().map(|subnet| (*subnet).to_owned()));
    take("repository", &mut image.uri.iter().filter_map(|uri| repository(uri)));
    all
}

fn keys<'c>(context: &'c Context<'_>) -> impl Iterator<Item = &'c str> {
    context.kms_key.iter().copied().filter(|key| key.contains(":key/"))
}

/// The names of what a record has more of than it makes known.
pub fn learnt_in_part(record: &Record<'_>, context: &Context<'_>, pairs: &[Usual]) -> BTreeSet<&'static str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for pair in pairs {
        *counts.entry(pair.name).or_default() += 1;
    }
    let mut more: BTreeSet<&str> =
        counts.into_iter().filter(|(_, count)| *count > LEARNT_AT_ONCE).map(|(name, _)| name).collect();
    if record.is_sagemaker() && !context.access_level.is_none_or(Access::reads) {
        let counts = [
            ("key", keys(context).count()),
            ("subnet", context.network.subnets.len()),
            ("repository", context.image.uri.iter().filter_map(|uri| repository(uri)).count()),
        ];
        more.extend(counts.into_iter().filter(|(_, count)| *count > LEARNT_AT_ONCE).map(|(name, _)| name));
    }
    more
}

/// The repository of an image in a private registry of ECR.
fn repository(uri: &str) -> Option<String> {
    let (registry, path) = uri.split_once('/')?;
    let mut parts = registry.split('.');
    let (account, service, region) = (parts.next()?, (parts.next()?, parts.next()?), parts.next()?);
    let name = path.split(['@', ':']).next()?;
    (service == ("dkr", "ecr")).then(|| format!("arn:aws:ecr:{region}:{account}:repository/{name}"))
}

#[cfg(test)]
mod tests;
