//! Finds the facts that one selected record tells memory. They depend on the record alone, so that any daemon finds the
//! same ones.
//!
//! A call that failed tells nothing of resources and makes nothing usual: only that somebody tried.

mod configuration;
mod deed;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::actor::Actor;
use super::arn::Arn;
use super::artefact;
use super::catalogue::{Access, Catalogue};
use super::context::Context;
use super::keys::{self, Keys};
use super::rule::{Rule, Severity};
use super::tags;
use super::usual::{self, Usual};
use crate::document::DocumentId;
use crate::memory::{Key, NEWEST, Stamp, Told};
use crate::record::Record;
use crate::timestamp;
pub use configuration::homes;
use configuration::{configuration, function, repository, uses};
use deed::{CHANGED, CREATED, GONE, deed, fields_of};

/// Members of one set, and things of one kind, that a record makes known. One record must not fill a set, of which
/// nothing can be said from then on, nor memory.
pub const LEARNT_AT_ONCE: usize = 16;

/// What a record is, for its facts.
pub struct Subject<'t, 'r, 'a> {
    pub record: &'r Record<'a>,
    pub context: &'t Context<'r>,
    pub actor: &'t Actor<'r>,
    pub keys: &'t Keys<'r>,
    pub pairs: &'t [Usual<'r>],
    pub catalogue: &'t Catalogue,
    /// The rules that match the record by itself, whatever a site has muted.
    pub matches: &'t [&'t Rule],
    pub time: &'t Times,
}

/// The stamps of a record, and its time as text.
pub struct Times {
    at: Stamp,
    day: Stamp,
    text: String,
}

impl Times {
    /// The stamps of a record, which is known by the id of its document.
    pub fn of(time: OffsetDateTime, id: &DocumentId) -> Self {
        Self { at: Stamp::of(time, id.as_str()), day: Stamp::of_day(time), text: timestamp::format(time) }
    }
}

/// Everything that the record tells, of each thing by itself.
pub fn facts<'t>(subject: &Subject<'t, '_, '_>) -> Vec<Told<'t>> {
    let succeeded = subject.record.text(&["errorCode"]).is_none();
    let mut facts = identities(subject, succeeded);
    if succeeded {
        facts.extend(session(subject));
        facts.extend(resource(subject));
        facts.extend(parts(subject));
        facts.extend(foundations(subject));
    }
    facts
}

/// What the caller is known by and what is usual for it, and the same for all callers of its account together.
fn identities<'t>(subject: &Subject<'t, '_, '_>, succeeded: bool) -> Vec<Told<'t>> {
    let Subject { actor, keys, pairs, time: Times { at, day, text }, .. } = subject;
    let (Some(identity), Some(together), Some(account)) = (&keys.identity, &keys.account, actor.account_id)
    else {
        return Vec::new();
    };
    let mut told = Told::about(identity.clone());
    told.say("cloud.account.id", Stamp::always(), account);
    told.say("last_seen", day, day.as_str());
    told.add_newest("active_days", day, day.as_str());
    if is_flagged(subject.matches) {
        told.add_newest(usual::FLAGGED, day, day.as_str());
    }
    if succeeded {
        told.say_first(usual::FIRST_SEEN, at, text.as_str());
        for (number, Usual { set, member, .. }) in pairs.iter().enumerate() {
            let before = || pairs[..number].iter().filter(|before| before.set == *set).count();
            if number < LEARNT_AT_ONCE || before() < LEARNT_AT_ONCE {
                told.add_oldest(*set, at, &**member);
            }
        }
    }
    told.say_id("key");
    let together = told.of_another(together.clone());
    if let Some(arn) = actor.issuer.as_ref().and_then(|issuer| issuer.arn).or(actor.arn) {
        told.say("arn", Stamp::always(), arn);
    }
    vec![told, together]
}

/// Whether the record shows by itself what asks for a closer look.
fn is_flagged(matches: &[&Rule]) -> bool {
    matches.iter().any(|rule| rule.level >= Severity::Medium)
}

/// The temporary credentials that the call issued.
fn session<'t>(subject: &Subject<'t, '_, '_>) -> Option<Told<'t>> {
    let Subject { record, actor, keys, time: Times { at, text, .. }, .. } = subject;
    let issued = record.text(&["responseElements", "credentials", "accessKeyId"])?;
    let mut told = Told::about(Key::session(issued));
    // A call across accounts has a record in each, of which one hides the caller: what it does not say is not absent.
    let mut say = |field: &'static str, value: Option<&'t str>| {
        if let Some(value) = value {
            told.say(field, at, value);
        }
    };
    say("key", Some(issued));
    say("issued.at", Some(text));
    say("issued.call", Some(record.event_name()));
    say("issued.to", record.text(&["responseElements", "assumedRoleUser", "arn"]));
    say("issued.by", actor.arn);
    say("issued.key", record.text(&["userIdentity", "accessKeyId"]));
    say("issued.from", record.text(&["sourceIPAddress"]));
    say("issued.person", keys.person);
    // A session hands on the one that it has.
    let chosen = record.text(&["requestParameters", "sourceIdentity"]);
    say("issued.source_identity", chosen.or(actor.source_identity));
    if actor.arn.is_none()
        && let Some(name) = actor.name()
    {
        // A record that shows the ARN wins, whichever comes later.
        told.say("issued.by", Stamp::always(), name);
    }
    Some(told)
}

/// What became of the resource that the call was about.
fn resource<'t>(subject: &Subject<'t, '_, '_>) -> Option<Told<'t>> {
    let Subject { record, context, actor, keys, catalogue, time: Times { at, day, text }, .. } = subject;
    let resource = context.resource.as_ref()?;
    let arn = resource.arn.as_deref()?;
    let access = context.access_level?;
    let mut told = known_as(arn, keys.resource.clone()?);
    for (field, value) in [("resource.type", &resource.kind), ("resource.name", &resource.name)] {
        // Records spell one name in several cases, and the same one has to win whatever their order.
        if let Some(value) = value {
            told.say(field, Stamp::always(), lowered(value));
        }
    }
    let place = Arn::parse(arn)?;
    told.say("cloud.account.id", Stamp::always(), place.account);
    told.say("cloud.region", Stamp::always(), place.region);
    let caller = actor.arn.or(actor.name());
    if let Some(caller) = caller {
        told.add_newest("used_by", day, caller);
    }
    let name = record.event_name();
    let person = keys.person;
    if usual::reaches_inside(name)
        && let Some(person) = person
    {
        told.add_oldest(usual::OPENED_BY, at, person);
    }
    let Some(deed) = deed(name, access) else { return Some(told) };
    told.say("stands", at, if deed == GONE { "false" } else { "true" });
    let [when, by, call, key, behind, principal] = fields_of(deed);
    let mut say = |field: &'static str, value: Option<&'t str>| told.say_what_is(field, at, value);
    say(when, Some(text));
    say(by, caller);
    say(call, Some(name));
    if deed != GONE {
        say(key, record.text(&["userIdentity", "accessKeyId"]));
        say(behind, person);
        say(principal, actor.principal_id);
        let added = context.tags.iter().filter(|_| deed != CREATED).take(NEWEST);
        added.for_each(|tag| told.add_newest(tags::ADDED, at, tag.as_str()));
        tags::removed(record).take(NEWEST).for_each(|key| told.add_newest(tags::REMOVED, at, key));
        if deed == CREATED {
            let tags = context.tags.iter().map(|tag| Cow::Borrowed(tag.as_str()));
            told.say_all(tags::MADE_WITH, at, tags.collect());
        }
        for (field, values) in configuration(context) {
            // Who makes a thing says all of it; who changes it says what changes.
            if deed == CREATED || !values.is_empty() {
                told.say_all(field, at, values);
            }
        }
        let script = context.lifecycle.shell.is_some();
        if script {
            let worst = subject.matches.iter().filter(|rule| rule.judges_scripts);
            let worst = worst.map(|rule| rule.level).max().map_or("none", Severity::name);
            told.say("script.verdict", at, worst);
        }
        let uses = uses(context, &catalogue.kinds, &place);
        // What it lies in is no change of what it is made of.
        let homes = homes(context, arn);
        if deed == CREATED || uses.iter().any(|part| !homes.contains(part)) {
            told.say_all("uses", at, uses.into_iter().map(Cow::Owned).collect());
        }
    }
    Some(told)
}

/// What is known of a thing from its ARN alone.
fn named<'t>(arn: &str) -> Told<'t> {
    known_as(arn, Key::resource(arn))
}

/// The same, with the key of the ARN.
fn known_as<'t>(arn: &str, key: Key) -> Told<'t> {
    // As documents of events have it, so that they are found by it: a key leaves the partition out.
    let partition = arn.split(':').nth(1).unwrap_or_default();
    let other_name = key.id.strip_prefix("arn:aws:").filter(|_| partition != "aws");
    let other_name = other_name.map(|rest| format!("arn:{}:{rest}", partition.to_ascii_lowercase()));
    let mut told = Told::about(key);
    told.say_id("key");
    match other_name {
        Some(name) => told.say("arn", Stamp::always(), name),
        None => told.say_id("arn"),
    }
    told
}

/// A text in lower case, which most are in already.
fn lowered(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        text.to_ascii_lowercase().into()
    } else {
        text.into()
    }
}

/// The resources of SageMaker that one is made of, each with what uses it.
fn parts<'t>(subject: &Subject<'t, '_, '_>) -> Vec<Told<'t>> {
    let Subject { record, context, catalogue, time, .. } = subject;
    let user = context.resource.as_ref().and_then(|resource| resource.arn.as_deref());
    let deed = context.access_level.and_then(|access| deed(record.event_name(), access));
    let (Some(user), Some(CREATED | CHANGED)) = (user, deed) else { return Vec::new() };
    let Some(place) = Arn::parse(user) else { return Vec::new() };
    let about = |arn: &String| {
        let mut told = named(arn);
        let part = Arn::parse(arn)?;
        told.say("resource.type", Stamp::always(), catalogue.kinds.read(&part)?.kind.to_owned());
        told.say("cloud.account.id", Stamp::always(), part.account.to_owned());
        told.say("cloud.region", Stamp::always(), part.region.to_owned());
        told.add_newest("used_for", &time.day, lowered(user));
        Some(told)
    };
    uses(context, &catalogue.kinds, &place).iter().take(LEARNT_AT_ONCE).filter_map(about).collect()
}

/// The roles, buckets, repositories, keys, functions, pools of users and parts of a network that a resource of
/// SageMaker stands on, and the roles that trust it.
fn foundations<'t>(subject: &Subject<'t, '_, '_>) -> Vec<Told<'t>> {
    let Subject { record, context, actor, keys, time: Times { at, day, .. }, .. } = subject;
    let with_kind = |kind: &'static str, mut told: Told<'t>| {
        told.say("resource.type", Stamp::always(), kind);
        told
    };
    if record.event_source() == "iam.amazonaws.com" {
        let is_trusted =
            context.policy.principals.iter().any(|principal| principal.contains("sagemaker.amazonaws.com"));
        let role = record.text(&["responseElements", "role", "arn"]).map(str::to_owned).or_else(|| {
            let account = record.text(&["recipientAccountId"])?;
            Some(format!("arn:aws:iam::{account}:role/{}", record.text(&["requestParameters", "roleName"])?))
        });
        let trusted = role.filter(|_| is_trusted).map(|role| {
            let mut told = with_kind("role", named(&role));
            told.say("execution_role", Stamp::always(), "true");
            told
        });
        return trusted.into_iter().collect();
    }
    if !record.is_sagemaker() {
        return Vec::new();
    }
    let mut facts = Vec::new();
    // Who is behind a role that calls SageMaker is told by the calls that take it.
    let role = actor.issuer.as_ref().and_then(|issuer| issuer.arn).zip(keys.role.as_ref());
    if let Some((arn, key)) = role {
        let mut told = with_kind("role", known_as(arn, key.clone()));
        told.say("calls_sagemaker", Stamp::always(), "true");
        facts.push(told);
    }
    if context.access_level.is_none_or(Access::reads) {
        return facts;
    }
    let used_for = context.resource.as_ref().and_then(|resource| resource.arn.as_deref());
    let (artefacts, places) = (artefact::artefacts(context), artefact::places(context));
    for (kind, arn) in stands_on(record, context) {
        let mut told = with_kind(kind, named(&arn));
        if let Some(resource) = used_for {
            told.add_newest("used_for", day, lowered(resource));
        }
        if kind == "role" {
            told.say("execution_role", Stamp::always(), "true");
            let given = places.iter().take(LEARNT_AT_ONCE);
            given.for_each(|place| told.add_newest(artefact::GIVEN, day, place.clone()));
        } else if kind == "bucket" {
            let bucket = arn.rsplit(':').next().unwrap_or_default().to_ascii_lowercase();
            let in_it = artefacts.iter().filter(|place| artefact::is_in(place, &bucket)).take(LEARNT_AT_ONCE);
            in_it.for_each(|place| told.add_oldest(artefact::ARTEFACTS, at, place.clone()));
        }
        facts.push(told);
    }
    facts
}

/// What a call of SageMaker makes its resource stand on, each with its kind, up to a number of each kind.
fn stands_on(record: &Record<'_>, context: &Context<'_>) -> Vec<(&'static str, String)> {
    let Context { execution_role, s3, network, image, functions, user_pools, .. } = context;
    let mut all = Vec::new();
    let mut take = |kind: &'static str, arns: &mut dyn Iterator<Item = String>| {
        all.extend(arns.take(LEARNT_AT_ONCE).map(|arn| (kind, arn)));
    };
    take("role", &mut execution_role.arn.iter().map(|arn| (*arn).to_owned()));
    take("bucket", &mut s3.buckets.iter().map(|bucket| format!("arn:aws:s3:::{bucket}")));
    take("key", &mut named_keys(context).map(str::to_owned));
    take("subnet", &mut network.subnets.iter().map(|subnet| (*subnet).to_owned()));
    take("security-group", &mut network.security_groups.iter().map(|group| (*group).to_owned()));
    take("repository", &mut image.uri.iter().filter_map(|uri| repository(uri)));
    take("function", &mut functions.iter().filter_map(|arn| function(arn)));
    take("user-pool", &mut user_pools.iter().filter_map(|pool| keys::user_pool(record, pool)));
    all
}

fn named_keys<'c>(context: &'c Context<'_>) -> impl Iterator<Item = &'c str> {
    context.kms_key.iter().copied().filter(|key| key.contains(":key/"))
}

/// The names of what a record has more of than it makes known.
pub fn learnt_in_part(
    record: &Record<'_>,
    context: &Context<'_>,
    pairs: &[Usual<'_>],
) -> BTreeSet<&'static str> {
    let mut more = BTreeSet::new();
    // Few records have so many pairs at all.
    if pairs.len() > LEARNT_AT_ONCE {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for pair in pairs {
            *counts.entry(pair.name).or_default() += 1;
        }
        more.extend(counts.into_iter().filter(|(_, count)| *count > LEARNT_AT_ONCE).map(|(name, _)| name));
    }
    if record.is_sagemaker() && !context.access_level.is_none_or(Access::reads) {
        let counts = [
            ("key", named_keys(context).count()),
            ("subnet", context.network.subnets.len()),
            ("security-group", context.network.security_groups.len()),
            ("function", context.functions.len()),
            ("repository", context.image.uri.iter().filter(|uri| repository(uri).is_some()).count()),
        ];
        more.extend(counts.into_iter().filter(|(_, count)| *count > LEARNT_AT_ONCE).map(|(name, _)| name));
    }
    more
}

#[cfg(test)]
mod tests;
