//! Puts together what there is to contain: who acted, and what was made, changed and opened (pure).

use std::collections::{BTreeMap, BTreeSet};

use sagetrail_core::memory::{Key, State};
use time::OffsetDateTime;

use super::deed::{Deed, Resource};
use super::policies::{Earlier, Policies};
use super::steps::Happened;
use crate::enrich::removes;

/// What is contained.
#[derive(Debug, Default)]
pub struct Scene {
    /// In the order in which they appeared.
    pub things: Vec<Thing>,
    /// What is to be known beside the steps.
    pub notes: Vec<String>,
    /// Those who are contained, by their ARNs.
    pub actors: BTreeSet<String>,
}

/// Somebody or something that steps are for.
#[derive(Debug, Default, Clone)]
pub struct Thing {
    pub kind: String,
    pub account: Option<String>,
    pub region: Option<String>,
    /// What fills the placeholders of steps.
    pub facts: BTreeMap<String, String>,
    pub happened: BTreeSet<Happened>,
    /// The calls that changed it, each with what it asked for.
    pub calls: Vec<(String, BTreeMap<String, String>)>,
    /// What memory knows of who uses it.
    pub used: Vec<String>,
    /// Whether memory knew its configuration before.
    pub has_before: bool,
    /// Whether what it was before is that of a change with a finding, which no later change replaces.
    pub is_settled: bool,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'s> {
    /// Somebody: an incident's origins, or one principal.
    Somebody,
    /// One resource, whoever changed it.
    Resource(&'s str),
}

impl Scene {
    /// Reads what was done, the earliest first. Of somebody, only what was done since `begin` was made or changed for
    /// the attack: the same name may have worked for years before somebody else took it.
    pub fn of(
        deeds: &[Deed],
        subject: Subject<'_>,
        begin: Option<OffsetDateTime>,
        policies: &Policies,
    ) -> Self {
        let mut scene = Self::default();
        let counts = |deed: &&Deed| begin.is_some_and(|begin| deed.time >= begin);
        for deed in deeds.iter().filter(|_| subject == Subject::Somebody) {
            scene.actors.extend(deed.actor.arn.clone());
            scene.take_actor(deed);
            if counts(&deed) {
                scene.take_handed(deed);
                scene.take_resource(deed, subject, earlier(policies, deed));
            }
        }
        for deed in deeds.iter().filter(|_| subject != Subject::Somebody) {
            scene.take_resource(deed, subject, earlier(policies, deed));
        }
        if let Subject::Resource(asked) = subject {
            scene.things.retain(|thing| {
                ["name", "arn", "id"]
                    .iter()
                    .any(|name| thing.facts.get(*name).is_some_and(|it| it.eq_ignore_ascii_case(asked)))
            });
            for thing in &mut scene.things {
                // Whoever asks for it by itself may have made it long ago, so that a change is what is taken back.
                if thing.happened.contains(&Happened::Changed) {
                    thing.happened.remove(&Happened::Made);
                }
                thing.happened.insert(Happened::Asked);
            }
        }
        scene
    }

    /// The keys of memory that say who uses what is there.
    pub fn keys(&self) -> Vec<Key> {
        let keys = self.things.iter().filter_map(Thing::key).collect::<BTreeSet<_>>();
        keys.into_iter().collect()
    }

    /// Adds what memory knows.
    pub fn remember<'k>(&mut self, known: impl Fn(&Key) -> Option<&'k State>) {
        let is_other = |name: &String| !self.actors.iter().any(|actor| actor.eq_ignore_ascii_case(name));
        for thing in &mut self.things {
            let Some(state) = thing.key().and_then(|key| known(&key)) else { continue };
            for set in ["used_for", "used_by"] {
                let members = state.members(set).map(|(member, _)| member.to_owned());
                thing.used.extend(
                    members.filter(is_other).filter(|member| !thing.facts.values().any(|it| it == member)),
                );
            }
            for (field, said) in state.fields("configuration.") {
                let name = field.trim_start_matches("configuration.");
                if let Some(value) = said.is.first() {
                    // Somebody else may have changed it since the last of these records.
                    thing.facts.insert(format!("now.{name}"), value.clone());
                }
            }
        }
    }

    fn take_actor(&mut self, deed: &Deed) {
        let actor = &deed.actor;
        let arn = actor.arn.as_deref().unwrap_or_default();
        let name = actor.name.as_deref().or(actor.arn.as_deref());
        let home = account_of(actor.issuer.as_deref().unwrap_or(arn)).or(actor.account.as_deref());
        let role = actor.issuer.clone().or_else(|| role_of_session(arn));
        let is_foreign = home.is_some() && deed.account.is_some() && home != deed.account.as_deref();
        match (actor.kind.as_deref(), &role) {
            (Some("AWSService") | None, None) => {}
            _ if is_foreign => {
                let Some(name) = actor.keys.first().map(String::as_str).or(name) else { return };
                self.thing("foreign", name, deed).happened.insert(Happened::Acted);
            }
            (Some("AssumedRole" | "Role") | None, Some(role)) if role.contains(":role/") => {
                let session = arn.rsplit('/').next().unwrap_or_default().to_owned();
                if let Some(thing) = self.role(role, deed) {
                    thing.happened.insert(Happened::Acted);
                    thing.facts.entry("session".to_owned()).or_insert(session);
                }
            }
            (Some("IAMUser"), _) => {
                let Some(name) = actor.name.as_deref().or(arn.rsplit('/').next()).filter(|it| !it.is_empty())
                else {
                    return;
                };
                self.thing("user", name, deed).happened.insert(Happened::Acted);
                if let Some(key) = actor.access_key.as_deref().filter(|key| key.starts_with("AKIA")) {
                    self.access_key(key, name, deed).happened.insert(Happened::Acted);
                }
            }
            (Some("Root"), _) => {
                let account = deed.account.clone().unwrap_or_default();
                self.thing("root", &account, deed).happened.insert(Happened::Acted);
            }
            _ => {
                if let Some(name) = name {
                    self.thing("federated", name, deed).happened.insert(Happened::Acted);
                }
            }
        }
    }

    /// The role that a call took, and what it made for somebody to act with.
    fn take_handed(&mut self, deed: &Deed) {
        if !deed.succeeded {
            return;
        }
        if deed.call.starts_with("AssumeRole")
            && let Some(role) = deed.request.get("roleArn")
        {
            if account_of(role) != deed.account.as_deref() {
                let thing = self.thing("foreign-role", role, deed);
                thing.facts.insert("owner".to_owned(), account_of(role).unwrap_or_default().to_owned());
                thing.happened.insert(Happened::Handed);
            } else if let Some(thing) = self.role(role, deed) {
                thing.happened.insert(Happened::Handed);
            }
        }
        if deed.call == "CreateAccessKey"
            && let Some(key) = &deed.made_key
            && let Some(user) = deed.request.get("userName").or(deed.actor.name.as_ref())
        {
            self.access_key(key, user, deed).happened.insert(Happened::Made);
        }
    }

    /// `policy` is what the policy was that the call set.
    fn take_resource(&mut self, deed: &Deed, subject: Subject<'_>, policy: Option<&Earlier>) {
        let opens = deed.call.starts_with("CreatePresigned") || deed.call == "StartSession";
        let Some(resource) = &deed.resource else { return };
        let is_key_of_user = deed.call == "CreateAccessKey" || deed.call.starts_with("AssumeRole");
        if !deed.succeeded || (deed.reads && !opens) || is_key_of_user {
            return;
        }
        let thing = self.resource(resource, deed);
        let before = deed.before.iter().map(|(field, value)| (format!("before.{field}"), value.clone()));
        let before: Vec<_> = before.collect();
        let is_first = thing.calls.is_empty();
        let mut request = deed.request.clone();
        request.extend(policy.into_iter().flat_map(Earlier::request));
        thing.calls.push((deed.call.clone(), request));
        let begins = |verbs: &[&str]| verbs.iter().any(|verb| deed.call.starts_with(verb));
        let is_made = begins(&["Create", "Register", "Import"]);
        let happened = &mut thing.happened;
        if opens {
            happened.insert(Happened::Opened);
        } else if is_made
            || (deed.call.starts_with("Start") && resource.kind.ends_with("execution"))
            || begins(&["StartHumanLoop", "StartEarthObservationJob", "StartVectorEnrichmentJob"])
        {
            happened.remove(&Happened::Gone);
            happened.insert(Happened::Made);
        } else if begins(&["Delete", "Deregister"]) && takes_the_whole(&deed.call, &resource.kind) {
            let was_made = happened.contains(&Happened::Made);
            happened.clear();
            if !was_made {
                happened.insert(Happened::Gone);
            }
        } else if !deed.call.starts_with("Stop") {
            happened.insert(Happened::Changed);
        }
        let tells_before = match subject {
            Subject::Somebody => is_first && !thing.happened.contains(&Happened::Made),
            // Many changed it in their work: the first with a finding counts, or else the last.
            Subject::Resource(_) => !is_made && !opens && !thing.is_settled,
        };
        if tells_before {
            thing.facts.retain(|name, _| !name.starts_with("before."));
            thing.has_before = !before.is_empty();
            thing.is_settled = deed.is_sign;
            thing.facts.extend(before);
        }
        for (field, value) in &deed.after {
            thing.facts.insert(format!("now.{field}"), value.clone());
            if matches!(field.as_str(), "domain" | "user_profile" | "space" | "app_type") {
                thing.facts.insert(field.clone(), value.clone());
            }
        }
    }

    fn resource(&mut self, resource: &Resource, deed: &Deed) -> &mut Thing {
        if resource.kind == "role"
            && let Some(arn) = &resource.arn
        {
            let kind = role_kind(arn);
            return self.thing(kind, name_of(arn), deed);
        }
        let parts: Vec<&str> = resource.arn.iter().flat_map(|arn| arn.splitn(6, ':')).collect();
        let part =
            |place: usize| parts.get(place).filter(|part| !part.is_empty()).map(|part| (*part).to_owned());
        // What is of another account stays there.
        let account = part(4).or_else(|| deed.account.clone());
        let region = part(3).or_else(|| deed.region.clone());
        let thing = self.thing_at(&resource.kind, name_of(&resource.name), account, region);
        for (place, part) in part(5).unwrap_or_default().split('/').enumerate() {
            thing.facts.entry(format!("parent.{place}")).or_insert_with(|| part.to_owned());
        }
        if let Some(arn) = &resource.arn {
            thing.facts.entry("arn".to_owned()).or_insert_with(|| arn.clone());
        }
        let id = resource.id.as_deref().unwrap_or(&resource.name);
        thing.facts.entry("id".to_owned()).or_insert_with(|| id.to_owned());
        thing
    }

    fn role(&mut self, arn: &str, deed: &Deed) -> Option<&mut Thing> {
        let name = name_of(arn);
        if arn.contains(":role/aws-service-role/") {
            let note = format!(
                "{arn} is a role of a service of AWS, which nobody else can take: it is left as it is."
            );
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
            return None;
        }
        let thing = self.thing(role_kind(arn), name, deed);
        thing.facts.insert("arn".to_owned(), arn.to_owned());
        Some(thing)
    }

    fn access_key(&mut self, key: &str, user: &str, deed: &Deed) -> &mut Thing {
        let thing = self.thing("access-key", key, deed);
        thing.facts.insert("key".to_owned(), key.to_owned());
        thing.facts.insert("user".to_owned(), user.to_owned());
        thing
    }

    fn thing(&mut self, kind: &str, name: &str, deed: &Deed) -> &mut Thing {
        self.thing_at(kind, name, deed.account.clone(), deed.region.clone())
    }

    fn thing_at(
        &mut self,
        kind: &str,
        name: &str,
        account: Option<String>,
        region: Option<String>,
    ) -> &mut Thing {
        let is_it = |thing: &Thing| {
            thing.kind == kind
                && (thing.account == account || kind == "bucket")
                && (thing.region == region || !has_region(kind))
                && thing.facts.get("name").is_some_and(|known| known.eq_ignore_ascii_case(name))
        };
        let place = self.things.iter().position(is_it).unwrap_or_else(|| {
            self.things.push(Thing {
                kind: kind.to_owned(),
                account,
                region,
                facts: BTreeMap::from([("name".to_owned(), name.to_owned())]),
                ..Thing::default()
            });
            self.things.len() - 1
        });
        &mut self.things[place]
    }
}

impl Thing {
    /// Under what memory knows it; none for a thing without an ARN.
    fn key(&self) -> Option<Key> {
        self.facts.get("arn").filter(|arn| arn.starts_with("arn:")).map(|arn| Key::resource(arn))
    }
}

/// What the policy was that a call set or removed, where a record tells.
fn earlier<'p>(policies: &'p Policies, deed: &Deed) -> Option<&'p Earlier> {
    policies.before(deed.policy.as_ref()?)
}

/// The role of a session, without the path, which the ARN of a session does not have.
fn role_of_session(arn: &str) -> Option<String> {
    let (account, session) = arn.split_once(":assumed-role/")?;
    let (name, _) = session.split_once('/')?;
    Some(format!("{}:role/{name}", account.replacen(":sts:", ":iam:", 1)))
}

fn role_kind(arn: &str) -> &'static str {
    let is_reserved =
        arn.contains("/aws-reserved/sso.amazonaws.com/") || name_of(arn).starts_with("AWSReservedSSO_");
    if is_reserved { "permission-set" } else { "role" }
}

/// Whether a call that deletes something deletes the thing, and not a part of it.
fn takes_the_whole(call: &str, kind: &str) -> bool {
    match kind {
        "bucket" => call == "DeleteBucket",
        "role" => call == "DeleteRole",
        "user" => call == "DeleteUser",
        _ => removes(call),
    }
}

fn has_region(kind: &str) -> bool {
    !matches!(
        kind,
        "role"
            | "permission-set"
            | "user"
            | "access-key"
            | "root"
            | "federated"
            | "foreign"
            | "foreign-role"
            | "bucket"
    )
}

/// The name at the end of an ARN, or the name itself.
fn name_of(text: &str) -> &str {
    if text.starts_with("arn:") { text.rsplit(['/', ':']).next().unwrap_or(text) } else { text }
}

/// The account in an ARN; none where it has none, such as that of a bucket.
pub fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}
