//! What an installation would do, without doing it.

use super::answer::SetupError;
use super::difference;
use super::inventory::Inventory;
use super::object::{Kind, Object};
use super::outcome::Outcome;
use super::plan::{Edits, Entry, Leftover, plan_leftover};
use super::remote::Remote;
use super::retention;
use super::saved::{Saved, look};

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
    let leftovers: Vec<Object> = inventory.leftovers(objects).into_iter().map(Entry::object).collect();
    let mut saved = Saved::find(remote, objects.iter().chain(&leftovers)).await?;
    for object in objects {
        if let Some(needs) = remote.lacks(object.kind) {
            add(object, Outcome::Skipped { needs }, String::new());
            continue;
        }
        let (step, found) = look(remote, &inventory, object, &mut saved).await?;
        let outcome = Outcome::of(step, edits);
        if outcome == Outcome::Renewed {
            add(object, outcome, String::new());
        } else if outcome != Outcome::Unchanged {
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
        if entry.kind.is_template() || remote.lacks(entry.kind).is_some() {
            continue;
        }
        let object = entry.object();
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
