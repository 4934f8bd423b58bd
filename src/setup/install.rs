//! Installs, updates and removes objects one by one, and reports what it did with each.

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;

use super::inventory::Inventory;
use super::object::{Kind, Object, Server};
use super::outcome::Outcome;
use super::plan::{Entry, Leftover, Step, plan, plan_leftover};
use super::remote::{Found, Lack, Remote, accepted};
use super::{SetupError, content, difference, exists_already, retention};
use crate::document::IndexName;
use crate::opensearch::{Method, OpenSearch};

/// What to do about objects that a person has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edits {
    Keep,
    Overwrite,
}

/// Installs everything, in order, removes what is no longer wanted, and reports each object when it is done.
///
/// A server that refuses stops its own objects only: without Dashboards, monitors still have to page.
pub async fn install(
    remote: &Remote,
    objects: &[Object],
    edits: Edits,
    mut tell: impl FnMut(&str, &Outcome),
) -> Result<(), SetupError> {
    let inventory = Inventory::read(&remote.opensearch).await?;
    inventory.prepare().await?;
    let mut work = Work { remote, inventory: &inventory, edits, broken: Vec::new(), kept: Vec::new() };
    let (mut remembered, mut forgotten) = (Vec::new(), Vec::new());
    let mut done = work.bring_all(objects, &mut remembered, &mut tell).await;
    if done.is_ok() {
        done = work.clear_leftovers(objects, &mut forgotten, &mut tell).await;
    }
    inventory.write(&remembered, &forgotten).await?;
    done
}

/// What an installation would do with one object.
#[derive(Debug)]
pub struct Difference {
    pub object: String,
    pub outcome: Outcome,
    pub text: String,
}

/// Returns what `install` would do, as a readable diff of each object, and changes nothing.
pub async fn difference(
    remote: &Remote,
    objects: &[Object],
    edits: Edits,
) -> Result<Vec<Difference>, SetupError> {
    let inventory = Inventory::read(&remote.opensearch).await?;
    let mut differences = Vec::new();
    let mut add = |object: &Object, outcome: Outcome, text: String| {
        differences.push(Difference { object: object.to_string(), outcome, text });
    };
    let leftovers: Vec<Object> = inventory.leftovers(objects).into_iter().map(bare).collect();
    let mut saved = Saved::find(remote, objects.iter().chain(&leftovers)).await?;
    for object in objects {
        if let Some(needs) = remote.lacks(object.kind) {
            add(object, Outcome::Skipped { needs }, String::new());
            continue;
        }
        let (step, found) = look(remote, &inventory, object, &mut saved).await?;
        let outcome = Outcome::of(step, edits);
        if outcome != Outcome::Unchanged {
            add(object, outcome, difference::between(found.as_ref().map(|found| &found.body), object));
        }
        if object.kind == Kind::Policy {
            let ungoverned = retention::ungoverned(&remote.opensearch, object, found.as_ref()).await?;
            if !ungoverned.is_empty() {
                let indices: Vec<String> = ungoverned.indices().map(|index| format!("+{index}\n")).collect();
                add(object, Outcome::Governs { indices: indices.len(), refused: 0 }, indices.concat());
            }
        }
    }
    for entry in inventory.leftovers(objects) {
        if is_template(entry.kind) || remote.lacks(entry.kind).is_some() {
            continue;
        }
        let object = bare(entry);
        let found = saved.or_find(remote, &object, Some(&entry.address)).await?;
        match plan_leftover(found.as_ref().map(|found| &found.body), entry) {
            Leftover::Forget => {}
            Leftover::Newer => add(&object, Outcome::KeptNewer, String::new()),
            Leftover::Edited if edits == Edits::Keep => add(&object, Outcome::KeptEdited, String::new()),
            Leftover::Edited | Leftover::Remove => add(&object, Outcome::Removed, String::new()),
        }
    }
    Ok(differences)
}

/// Removes what was installed, and neither indices nor, unless they are to be overwritten, a person's edits. Templates
/// stay as well, because the next month's index of a daemon that still runs would have no mapping.
pub async fn uninstall(
    remote: &Remote,
    edits: Edits,
    mut tell: impl FnMut(&str, &Outcome),
) -> Result<(), SetupError> {
    let inventory = Inventory::read(&remote.opensearch).await?;
    let work = Work { remote, inventory: &inventory, edits, broken: Vec::new(), kept: Vec::new() };
    let mut forgotten = Vec::new();
    let mut is_left = false;
    let entries: Vec<&Entry> = inventory.backwards().filter(|entry| !is_template(entry.kind)).collect();
    work.clear_all(&entries, &mut forgotten, &mut |name, outcome| {
        is_left |= *outcome != Outcome::Removed;
        tell(name, outcome);
    })
    .await?;
    for template in content::templates(remote.opensearch.names()).iter().rev() {
        let Some(found) = remote.find(template, None).await? else { continue };
        let outcome = match edits {
            Edits::Keep => Outcome::KeptTemplate,
            Edits::Overwrite => {
                remote.remove(template, &found).await?;
                Outcome::Removed
            }
        };
        tell(&template.to_string(), &outcome);
    }
    if is_left { inventory.write(&[], &forgotten).await } else { inventory.remove().await }
}

/// One run over the objects.
struct Work<'w> {
    remote: &'w Remote,
    inventory: &'w Inventory,
    edits: Edits,
    /// Servers that refused something which they would refuse of every object.
    broken: Vec<(Server, Lack)>,
    /// What a person or a newer sagetrail has made of our objects.
    kept: Vec<Value>,
}

impl Work<'_> {
    async fn bring_all(
        &mut self,
        objects: &[Object],
        remembered: &mut Vec<Entry>,
        tell: &mut impl FnMut(&str, &Outcome),
    ) -> Result<(), SetupError> {
        let mut data_is_ready = false;
        for some in objects.chunk_by(|left, right| left.kind.server() == right.kind.server()) {
            // Monitors ask indices, so those are made once their templates and their retention are there.
            if some[0].kind > Kind::Index && !data_is_ready {
                make_indices(&self.remote.opensearch, tell).await?;
                data_is_ready = true;
            }
            if some[0].kind.server() == Server::Dashboards && self.lack(some[0].kind).is_none() {
                self.bring_saved(some, remembered, tell).await;
                continue;
            }
            for object in some {
                let name = object.to_string();
                if let Some(needs) = self.lack(object.kind) {
                    tell(&name, &Outcome::Skipped { needs });
                    continue;
                }
                match self.bring(object, remembered).await {
                    Ok(outcomes) => outcomes.iter().for_each(|outcome| tell(&name, outcome)),
                    Err(error) if is_hopeless(&error, object.kind.server()) => return Err(error),
                    Err(error) => self.fail(object, &error, tell),
                }
            }
        }
        Ok(())
    }

    fn fail(&mut self, object: &Object, error: &SetupError, tell: &mut impl FnMut(&str, &Outcome)) {
        let problem = error.to_string();
        if concerns_server(error) {
            self.broken.push((object.kind.server(), Lack::Server { problem: problem.clone() }));
        }
        tell(&object.to_string(), &Outcome::Failed { problem });
    }

    /// Brings saved objects of Dashboards to what they should be, all with few requests: each waits there until
    /// searches see what it changed, which for hundreds of objects would take minutes.
    async fn bring_saved(
        &mut self,
        objects: &[Object],
        remembered: &mut Vec<Entry>,
        tell: &mut impl FnMut(&str, &Outcome),
    ) {
        let found = match self.remote.find_saved(objects).await {
            Ok(found) => found,
            Err(error) => {
                self.fail(&objects[0], &error, tell);
                let problem = error.to_string();
                let skipped = Outcome::Skipped { needs: Lack::Server { problem } };
                for object in &objects[1..] {
                    tell(&object.to_string(), &skipped);
                }
                return;
            }
        };
        let mut to_write = Vec::new();
        for (object, found) in objects.iter().zip(found) {
            let step = plan(object, found.as_ref().map(|found| &found.body), self.inventory.entry(object));
            let outcome = Outcome::of(step, self.edits);
            if outcome.writes() {
                to_write.push((object, outcome));
                continue;
            }
            if let (Step::Remember, Some(found)) = (step, &found) {
                remembered.push(Entry::of(object, &found.body, &found.address));
            }
            tell(&object.to_string(), &outcome);
        }
        let bodies: Vec<&Object> = to_write.iter().map(|(object, _)| *object).collect();
        let mut written = self.remote.write_saved(&bodies).await.into_iter();
        for (object, outcome) in to_write {
            match (written.next(), self.lack(object.kind)) {
                (Some(Ok(found)), _) => {
                    remembered.push(Entry::of(object, &found.body, &found.address));
                    tell(&object.to_string(), &outcome);
                }
                (Some(Err(error)), _) => self.fail(object, &error, tell),
                (None, needs) => {
                    let unknown = || Lack::Server { problem: "an answer is missing".to_owned() };
                    let needs = needs.unwrap_or_else(unknown);
                    tell(&object.to_string(), &Outcome::Skipped { needs });
                }
            }
        }
    }

    /// Brings one object to what it should be.
    async fn bring(
        &mut self,
        object: &Object,
        remembered: &mut Vec<Entry>,
    ) -> Result<Vec<Outcome>, SetupError> {
        let (step, mut found) = look(self.remote, self.inventory, object, &mut Saved::default()).await?;
        let outcome = Outcome::of(step, self.edits);
        let writes = outcome.writes();
        if writes {
            found = Some(self.remote.write(object, found.as_ref()).await?);
        }
        let Some(found) = found else { return Ok(vec![outcome]) };
        if writes || step == Step::Remember {
            remembered.push(Entry::of(object, &found.body, &found.address));
        }
        let governs = match object.kind {
            Kind::Policy => govern(&self.remote.opensearch, object, &found).await?,
            _ => None,
        };
        if matches!(outcome, Outcome::KeptEdited | Outcome::KeptNewer) {
            self.kept.push(found.body);
        }
        Ok([Some(outcome), governs].into_iter().flatten().collect())
    }

    async fn clear_leftovers(
        &self,
        objects: &[Object],
        forgotten: &mut Vec<Entry>,
        tell: &mut impl FnMut(&str, &Outcome),
    ) -> Result<(), SetupError> {
        let leftovers = self.inventory.leftovers(objects).into_iter();
        let entries: Vec<&Entry> =
            leftovers.filter(|entry| !is_template(entry.kind) && self.lack(entry.kind).is_none()).collect();
        self.clear_all(&entries, forgotten, tell).await
    }

    /// Removes what was installed: saved objects together, and everything else one by one.
    async fn clear_all(
        &self,
        entries: &[&Entry],
        forgotten: &mut Vec<Entry>,
        tell: &mut impl FnMut(&str, &Outcome),
    ) -> Result<(), SetupError> {
        for some in entries.chunk_by(|left, right| left.kind.server() == right.kind.server()) {
            if let Some(needs) = self.lack(some[0].kind) {
                let skipped = Outcome::Skipped { needs };
                for entry in some {
                    tell(&bare(entry).to_string(), &skipped);
                }
            } else if some[0].kind.server() == Server::Dashboards {
                self.clear_saved(some, forgotten, tell).await?;
            } else {
                for entry in some {
                    if let Some(outcome) = self.clear(entry, forgotten).await? {
                        tell(&bare(entry).to_string(), &outcome);
                    }
                }
            }
        }
        Ok(())
    }

    async fn clear_saved(
        &self,
        entries: &[&Entry],
        forgotten: &mut Vec<Entry>,
        tell: &mut impl FnMut(&str, &Outcome),
    ) -> Result<(), SetupError> {
        let objects: Vec<Object> = entries.iter().map(|entry| bare(entry)).collect();
        let found = self.remote.find_saved(&objects).await?;
        let mut to_remove = Vec::new();
        for ((entry, object), found) in entries.iter().zip(&objects).zip(found) {
            match plan_leftover(found.as_ref().map(|found| &found.body), entry) {
                Leftover::Newer => tell(&object.to_string(), &Outcome::KeptNewer),
                Leftover::Edited if self.edits == Edits::Keep => {
                    tell(&object.to_string(), &Outcome::KeptEdited);
                }
                Leftover::Forget => forgotten.push((*entry).clone()),
                Leftover::Edited | Leftover::Remove => to_remove.push((*entry, object.clone())),
            }
        }
        let bodies: Vec<Object> = to_remove.iter().map(|(_, object)| object.clone()).collect();
        for ((entry, object), removed) in to_remove.iter().zip(self.remote.remove_saved(&bodies).await?) {
            removed?;
            forgotten.push((*entry).clone());
            tell(&object.to_string(), &Outcome::Removed);
        }
        Ok(())
    }

    /// Removes one object that was installed. None when it was gone already.
    async fn clear(&self, entry: &Entry, forgotten: &mut Vec<Entry>) -> Result<Option<Outcome>, SetupError> {
        let object = bare(entry);
        let found = self.remote.find(&object, Some(&entry.address)).await?;
        match plan_leftover(found.as_ref().map(|found| &found.body), entry) {
            Leftover::Newer => return Ok(Some(Outcome::KeptNewer)),
            Leftover::Edited if self.edits == Edits::Keep => return Ok(Some(Outcome::KeptEdited)),
            Leftover::Forget | Leftover::Edited | Leftover::Remove => {}
        }
        if entry.kind == Kind::Channel && self.kept.iter().any(|body| body.to_string().contains(&entry.id)) {
            return Ok(Some(Outcome::KeptUsed));
        }
        if let Some(found) = &found {
            if entry.kind == Kind::Policy {
                retention::release(&self.remote.opensearch, &object).await?;
            }
            self.remote.remove(&object, found).await?;
        }
        forgotten.push(entry.clone());
        Ok(found.map(|_| Outcome::Removed))
    }

    fn lack(&self, kind: Kind) -> Option<Lack> {
        let refused = self.broken.iter().find(|(broken, _)| *broken == kind.server());
        self.remote.lacks(kind).or_else(|| refused.map(|(_, lack)| lack.clone()))
    }
}

async fn govern(
    opensearch: &OpenSearch,
    policy: &Object,
    found: &Found,
) -> Result<Option<Outcome>, SetupError> {
    let ungoverned = retention::ungoverned(opensearch, policy, Some(found)).await?;
    if ungoverned.is_empty() {
        return Ok(None);
    }
    let refused = retention::govern(opensearch, policy, &ungoverned).await?;
    Ok(Some(Outcome::Governs { indices: ungoverned.indices().count() - refused, refused }))
}

/// Saved objects of Dashboards as they are there, found together.
#[derive(Default)]
struct Saved(BTreeMap<(Kind, String), Option<Found>>);

impl Saved {
    /// Those among these objects; none where Dashboards is not at hand.
    async fn find<'o>(
        remote: &Remote,
        objects: impl Iterator<Item = &'o Object>,
    ) -> Result<Self, SetupError> {
        let is_saved = |object: &&Object| object.kind.server() == Server::Dashboards;
        let objects: Vec<Object> = objects.filter(is_saved).cloned().collect();
        if objects.first().is_none_or(|first| remote.lacks(first.kind).is_some()) {
            return Ok(Self::default());
        }
        let found = remote.find_saved(&objects).await?;
        Ok(Self(objects.into_iter().map(|object| (object.kind, object.id)).zip(found).collect()))
    }

    /// Takes what was found together, and looks everything else up.
    async fn or_find(
        &mut self,
        remote: &Remote,
        object: &Object,
        address: Option<&str>,
    ) -> Result<Option<Found>, SetupError> {
        match self.0.remove(&(object.kind, object.id.clone())) {
            Some(found) => Ok(found),
            None => remote.find(object, address).await,
        }
    }
}

async fn look(
    remote: &Remote,
    inventory: &Inventory,
    object: &Object,
    saved: &mut Saved,
) -> Result<(Step, Option<Found>), SetupError> {
    let entry = inventory.entry(object);
    let found = saved.or_find(remote, object, entry.map(|entry| entry.address.as_str())).await?;
    Ok((plan(object, found.as_ref().map(|found| &found.body), entry), found))
}

/// Makes the indices that monitors ask, where they are not there yet: this month's, which brings the alias, that of
/// rejected records, and those of verifications.
async fn make_indices(
    opensearch: &OpenSearch,
    tell: &mut impl FnMut(&str, &Outcome),
) -> Result<(), SetupError> {
    let names = opensearch.names();
    let month = IndexName::of_event(names, Some(OffsetDateTime::now_utc()));
    for (known_as, index) in [
        (names.events(), month.as_str().to_owned()),
        (names.rejected(), names.rejected()),
        (names.verification(), names.verification()),
        (names.verified(), names.verified()),
    ] {
        if opensearch.request(Method::Get, &format!("{known_as}/_settings"), None).await?.status != 404 {
            continue;
        }
        let answer = opensearch.request(Method::Put, &index, None).await?;
        // A daemon may have made it meanwhile.
        if !exists_already(&answer) {
            let index = Object { kind: Kind::Index, id: index, body: Value::Null };
            accepted(&index, &answer)?;
            tell(&index.to_string(), &Outcome::Created);
        }
    }
    Ok(())
}

/// An object that only the inventory knows.
fn bare(entry: &Entry) -> Object {
    Object { kind: entry.kind, id: entry.id.clone(), body: Value::Null }
}

fn is_template(kind: Kind) -> bool {
    kind.server() == Server::OpenSearch
}

/// Whether the setup has to stop, because OpenSearch does not answer or refuses the templates.
fn is_hopeless(error: &SetupError, server: Server) -> bool {
    server == Server::OpenSearch || (server != Server::Dashboards && matches!(error, SetupError::Request(_)))
}

/// Whether the other objects of the same server would be refused in the same way.
fn concerns_server(error: &SetupError) -> bool {
    match error {
        SetupError::Request(_) => true,
        SetupError::Object { status, .. } => matches!(status, 401 | 403) || *status >= 502,
        _ => false,
    }
}
