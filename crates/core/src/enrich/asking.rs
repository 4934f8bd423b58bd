//! What a record asks memory for, and what it makes of the answer.

mod scripts;

use std::borrow::Cow;
use std::sync::Arc;

use time::OffsetDateTime;

use super::actor::Actor;
use super::artefact::{self, Expected, Reading};
use super::catalogue::Access;
use super::context::Context;
use super::deployment::{Deployed, Named, other_origin};
use super::facts;
use super::hardening::{Says, lost_by_move, taken_away};
use super::keys::Keys;
use super::lineage::{self, Caller, Lineage, Person};
use super::remembered::{COMPLETE, MEMORY_OF, Names, Remembered, RememberedActor, RememberedResource};
use super::tags;
use super::usual::{self, Experience, Novelty, Usual};
use crate::memory::{Key, Known, Lookup, Said, Stamp, State};
use crate::record::Record;
use crate::timestamp;

/// The pairs of a record by what is known of them.
#[derive(Default)]
struct Pairs {
    first: Names,
    usual: Names,
    /// Of sets that are full, so that nothing can be said.
    forgotten: Names,
}

/// What a record is, as far as memory asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'q, 'r, 'a> {
    pub record: &'r Record<'a>,
    pub context: &'q Context<'r>,
    pub actor: &'q Actor<'r>,
    pub time: Option<OffsetDateTime>,
    pub keys: &'q Keys<'r>,
}

impl Asking<'_, '_, '_> {
    /// The keys that have to be recalled before the record can be judged, as far as what is known already tells them.
    pub fn wanted(&self, known: &Known) -> Vec<Key> {
        let Keys { identity, account, role, resource, touched, person } = self.keys;
        let mut wanted = Vec::new();
        let mut want = |key: &Key| {
            if known.get(key) == Lookup::NotAsked && !wanted.contains(key) {
                wanted.push(key.clone());
            }
        };
        [identity, account, role].into_iter().flatten().chain(touched).for_each(&mut want);
        let mut sessions: Vec<&str> = Vec::new();
        // Whoever takes a role may claim to be anybody by a source identity.
        let is_claimed = person.is_none() || self.actor.source_identity.is_some();
        if is_claimed && self.actor.temporary_key == Some(true) {
            sessions.extend(self.record.text(&["userIdentity", "accessKeyId"]));
        }
        resource.iter().for_each(&mut want);
        let state = resource.as_ref().and_then(|key| known.get(key).found());
        if let Some(state) = state
            && state.value("created.person").is_none_or(lineage::may_be_claimed)
        {
            sessions.extend(state.value("created.key"));
        }
        // A call names scripts also where it has no resource yet.
        let homes = self.homes(state, known);
        let scripts = self.scripts(state).chain(Self::scripts_of(&homes, known));
        scripts.for_each(|key| want(&key));
        homes.iter().for_each(&mut want);
        if let Some((before, now)) = state.and_then(|state| self.moved(state)) {
            before.keys(known).iter().chain(&now.keys(known)).for_each(&mut want);
        }
        for session in sessions.into_iter().filter(|key| key.starts_with("ASIA")) {
            let mut next = Some(session);
            // Sessions that issue each other have no end.
            for _ in 0..lineage::MOST_LINKS {
                let Some(session) = next.take() else { break };
                let key = Key::session(session);
                if let Lookup::Found(state) = known.get(&key) {
                    next = lineage::link(state);
                }
                want(&key);
            }
        }
        wanted
    }

    /// What is remembered for the record.
    pub fn remember(&self, known: &Known, pairs: &[Usual<'_>]) -> Remembered {
        let lineage = lineage::lineage(self.record, self.actor, self.keys.person, known);
        let mut context: Vec<String> = lineage.missing.iter().chain(&lineage.claimed).cloned().collect();
        let mut find = |key: Option<&Key>, what: &str| match known.get(key?) {
            Lookup::Found(state) => Some(Some(state)),
            Lookup::Nothing => Some(None),
            Lookup::NotAsked | Lookup::NotRecalled => {
                context.push(format!("{MEMORY_OF}the {what}"));
                None
            }
        };
        let keys = self.keys;
        let identity = find(keys.identity.as_ref(), "identity");
        let account = find(keys.account.as_ref(), "account").flatten();
        let role = find(keys.role.as_ref(), "role").flatten();
        let resource = find(keys.resource.as_ref(), "resource").flatten();
        let homes = self.homes(resource, known);
        for home in &homes {
            find(Some(home), "space, profile or domain");
        }
        let scripts = self.scripts(resource).chain(Self::scripts_of(&homes, known));
        let scripts: Vec<&State> = scripts.filter_map(|key| find(Some(&key), "script").flatten()).collect();
        let moved = resource.and_then(|resource| Some((resource, self.moved(resource)?)));
        let deployed = moved.map(|(resource, (before, now))| {
            for key in before.keys(known).iter().chain(&now.keys(known)) {
                find(Some(key), "model");
            }
            (resource, before.deployed(known), now.deployed(known))
        });
        let mut touches: Vec<String> = keys
            .touched
            .iter()
            .filter_map(|key| find(Some(key), "touched resource").flatten().and_then(kind_of_foundation))
            .collect();
        let reading = identity.and_then(|identity| self.reading(identity, role, known));
        touches.extend(
            reading.filter(|reading| *reading != Reading::Repeated).map(|_| artefact::NAME.to_owned()),
        );
        touches.sort_unstable();
        touches.dedup();
        let learnt_in_part = facts::learnt_in_part(self.record, self.context, pairs);
        context.extend(learnt_in_part.iter().map(|name| format!("more of {name} than is learnt at once")));
        let reads_unexpectedly = reading == Some(Reading::First(Expected::No));
        let pairs = pairs.iter().filter(|pair| reads_unexpectedly || pair.set != artefact::READ);
        let Pairs { first, usual, forgotten } =
            identity.map(|identity| self.pairs(pairs, identity, account, resource)).unwrap_or_default();
        context.extend(forgotten.iter().map(|name| format!("more of {name} than is kept")));
        if context.is_empty() {
            context.push(COMPLETE.to_owned());
        }
        Remembered {
            touches,
            first,
            usual,
            resource: self
                .compare(deployed.as_ref(), self.remember_resource(resource, &scripts, &lineage, known)),
            actor: RememberedActor {
                execution_role: role.filter(|role| is_true(role, "execution_role")).map(|_| true),
                chain: lineage.chain,
                origin: lineage.origin,
                works_for: lineage.works_for,
            },
            context,
            repeats_read: reading == Some(Reading::Repeated),
        }
    }

    /// What of the record is new for its caller, and what is usual.
    fn pairs<'p>(
        &self,
        pairs: impl Iterator<Item = &'p Usual<'p>>,
        identity: Option<&State>,
        account: Option<&State>,
        resource: Option<&State>,
    ) -> Pairs {
        let Some(at) = self.time else { return Pairs::default() };
        let experience = Experience::of(identity, account, at);
        let new = experience.is_of_somebody_new().then_some(usual::IDENTITY);
        let person = self.keys.person.zip(resource).filter(|(person, resource)| {
            usual::reaches_inside(self.record.event_name()) && usual::is_new_person(resource, person, at)
        });
        let mut first: Names =
            new.into_iter().chain(person.map(|_| usual::PERSON)).map(Cow::Borrowed).collect();
        let (mut usual, mut forgotten) = (Names::new(), Names::new());
        for pair in pairs {
            match experience.novelty(pair) {
                Novelty::First => first.push(pair.name.into()),
                Novelty::Usual => usual.push(pair.name.into()),
                Novelty::Forgotten => forgotten.push(pair.name.into()),
                Novelty::Recent | Novelty::TooEarly => {}
            }
        }
        // Of several members of one set, one that is new makes the whole no longer usual.
        usual.retain(|name| !first.contains(name) && !forgotten.contains(name));
        for names in [&mut first, &mut usual, &mut forgotten] {
            names.dedup();
        }
        Pairs { first, usual, forgotten }
    }

    /// How the record reads an artefact of a model, where it does.
    fn reading(&self, identity: Option<&State>, role: Option<&State>, known: &Known) -> Option<Reading> {
        let place = artefact::read_by(self.record)?;
        let bucket = known.get(&artefact::bucket(&place)).found()?;
        artefact::reading(self.record, self.time?, &place, bucket, identity, role)
    }

    fn remember_resource(
        &self,
        resource: Option<&State>,
        scripts: &[&State],
        caller: &Lineage,
        known: &Known,
    ) -> RememberedResource {
        let script_verdict = scripts
            .iter()
            .chain(&resource)
            .filter_map(|state| state.said("script.verdict").filter(|said| self.is_before(said))?.is.first())
            .max_by_key(|verdict| severity_rank(verdict))
            .cloned();
        let Some(state) = resource else {
            return RememberedResource { script_verdict, ..Default::default() };
        };
        let text = |field: &str| state.value(field).map(str::to_owned);
        let created_at = text("created.at");
        let made = created_at.as_deref().and_then(timestamp::parse);
        // What this record made is told by the record itself, and not yet before it.
        let is_older = made.zip(self.time).is_none_or(|(made, now)| made < now);
        if !is_older {
            return RememberedResource { script_verdict, ..Default::default() };
        }
        let owner = state.value("created.by").map(|by| {
            let (person, access_key) = (state.value("created.person"), state.value("created.key"));
            lineage::trace(&Caller { name: by, person, access_key }, known)
        });
        RememberedResource {
            created_by: text("created.by"),
            is_owner: owner.as_ref().and_then(|owner| self.is_owner(owner, state, caller)),
            owner: owner.and_then(|owner| owner.origin),
            age: made.zip(self.time).map(|(made, now)| (now - made).whole_seconds()),
            created_at,
            configuration: state
                .fields("configuration.")
                .filter(|(_, said)| !said.is.is_empty() && self.is_before(said))
                .filter_map(|(field, said)| {
                    Some((field.strip_prefix("configuration.")?.to_owned(), Arc::clone(&said.is)))
                })
                .collect(),
            tags: tags::tags(state, |at| self.is_earlier(at)),
            script_verdict,
            ..Default::default()
        }
    }

    /// Adds what the call takes away, and what it brings from elsewhere.
    fn compare(
        &self,
        deployed: Option<&(&State, Deployed<'_>, Deployed<'_>)>,
        mut remembered: RememberedResource,
    ) -> RememberedResource {
        if remembered.created_at.is_none() && remembered.configuration.is_empty() || self.reads() {
            return remembered;
        }
        let says =
            if self.record.event_name().starts_with("Create") { Says::Everything } else { Says::Changes };
        let mut weakened = taken_away(&remembered.configuration, self.context, says);
        if let Some((endpoint, before, now)) = deployed {
            weakened.extend(lost_by_move(before, now));
            remembered.other_origin =
                other_origin(before, now, endpoint).into_iter().map(Cow::Borrowed).collect();
        }
        remembered.weakened = weakened.into_iter().map(Cow::Borrowed).collect();
        remembered
    }

    fn reads(&self) -> bool {
        self.context.access_level.is_none_or(Access::reads)
    }

    /// What stands behind an endpoint before the call and after it, where it says so.
    fn moved(&self, endpoint: &State) -> Option<(Named, Named)> {
        let Context { endpoint_config, model, .. } = self.context;
        if self.reads() || endpoint_config.name.is_empty() && model.name.is_empty() {
            return None;
        }
        let arn = &self.keys.resource.as_ref()?.id;
        let now = Named::at(arn, endpoint_config.name.iter().copied(), model.name.iter().copied())?;
        let told = |field: &str| {
            let said = endpoint.said(field).filter(|said| self.is_before(said));
            said.into_iter().flat_map(|said| said.is.iter().map(String::as_str))
        };
        let before = Named::at(arn, told("configuration.endpoint_config"), told("configuration.model"))?;
        let is_moved = !before.is_empty() && before != now;
        is_moved.then_some((before, now))
    }

    /// Whether it was told before the record: what a later one told says nothing of what this one found.
    fn is_before(&self, said: &Said) -> bool {
        self.is_earlier(&said.at)
    }

    fn is_earlier(&self, at: &Stamp) -> bool {
        self.time.is_some_and(|time| at.is_before(time))
    }

    /// Two origins that are known decide. Without both, one caller is itself, another role or user is another, and two
    /// sessions of one role can be anybody.
    fn is_owner(&self, owner: &Lineage, resource: &State, caller: &Lineage) -> Option<bool> {
        if let (Some(owner), Some(caller)) = (&owner.origin, &caller.origin) {
            let owner = Person { name: owner, account: resource.value("cloud.account.id") };
            return Some(owner.is_same(Person { name: caller, account: self.actor.account_id }));
        }
        let (made_by, principal) = (resource.value("created.by")?, resource.value("created.principal")?);
        let id = |principal: &str| principal.split(':').next().unwrap_or_default().to_owned();
        if self.actor.arn == Some(made_by) {
            return Some(true);
        }
        (id(principal) != id(self.actor.principal_id?)).then_some(false)
    }
}

/// The kind of what SageMaker stands on, and `caller` of a role that only calls it; none of its own resources.
fn kind_of_foundation(state: &State) -> Option<String> {
    let kind = state.value("resource.type")?;
    let kind = match kind {
        "role" if is_true(state, "execution_role") => "role",
        "role" if is_true(state, "calls_sagemaker") => "caller",
        "bucket" | "repository" | "key" | "subnet" | "security-group" | "function" | "user-pool" => kind,
        _ => return None,
    };
    Some(kind.to_owned())
}

fn is_true(state: &State, field: &str) -> bool {
    state.value(field) == Some("true")
}

fn severity_rank(verdict: &str) -> usize {
    ["none", "informational", "low", "medium", "high", "critical"]
        .iter()
        .position(|it| *it == verdict)
        .unwrap_or(0)
}
