//! The removal of what was installed and is not wanted any more, of one object or of all.

use super::answer::SetupError;
use super::content;
use super::inventory::Inventory;
use super::object::{Kind, Object, Server};
use super::outcome::Outcome;
use super::plan::{Edits, Entry, Leftover, plan_leftover};
use super::remote::Remote;
use super::retention;
use super::work::Work;

/// Removes what was installed, and neither indices nor, unless they are to be overwritten, a person's edits. Templates
/// stay as well, because the next month's index of a daemon that still runs would have no mapping.
pub async fn uninstall(
    remote: &Remote,
    edits: Edits,
    mut tell: impl FnMut(&str, &Outcome),
) -> Result<(), SetupError> {
    let inventory = Inventory::read(&remote.opensearch).await?;
    let work = Work::new(remote, &inventory, edits);
    let mut forgotten = Vec::new();
    let mut is_left = false;
    let entries: Vec<&Entry> = inventory.backwards().filter(|entry| !entry.kind.is_template()).collect();
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

impl Work<'_> {
    /// Removes what was installed and is not among these objects.
    pub(super) async fn clear_leftovers(
        &self,
        objects: &[Object],
        forgotten: &mut Vec<Entry>,
        tell: &mut impl FnMut(&str, &Outcome),
    ) -> Result<(), SetupError> {
        let leftovers = self.inventory.leftovers(objects).into_iter();
        let entries: Vec<&Entry> =
            leftovers.filter(|entry| !entry.kind.is_template() && self.lack(entry.kind).is_none()).collect();
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
                    tell(&entry.object().to_string(), &skipped);
                }
            } else if some[0].kind.server() == Server::Dashboards {
                self.clear_saved(some, forgotten, tell).await?;
            } else {
                for entry in some {
                    if let Some(outcome) = self.clear(entry, forgotten).await? {
                        tell(&entry.object().to_string(), &outcome);
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
        let objects: Vec<Object> = entries.iter().map(|entry| entry.object()).collect();
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
        let object = entry.object();
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
}
