//! Objects as they are there, with those of Dashboards found together.

use std::collections::BTreeMap;

use super::answer::SetupError;
use super::inventory::Inventory;
use super::object::{Kind, Object, Server};
use super::plan::{Step, plan};
use super::remote::{Found, Remote};

/// Saved objects of Dashboards as they are there, found together.
#[derive(Default)]
pub(super) struct Saved(BTreeMap<(Kind, String), Option<Found>>);

impl Saved {
    /// Those among these objects; none where Dashboards is not at hand.
    pub(super) async fn find<'o>(
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
    pub(super) async fn or_find(
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

/// What is to be done about an object, and what is there.
pub(super) async fn look(
    remote: &Remote,
    inventory: &Inventory,
    object: &Object,
    saved: &mut Saved,
) -> Result<(Step, Option<Found>), SetupError> {
    let entry = inventory.entry(object);
    let found = saved.or_find(remote, object, entry.map(|entry| entry.address.as_str())).await?;
    let mut step = plan(object, found.as_ref().map(|found| &found.body), entry);
    if let (Kind::Monitor, Step::Keep | Step::Remember, Some(found)) = (object.kind, step, &found)
        && remote.is_stuck(found).await?
    {
        step = Step::Stuck;
    }
    Ok((step, found))
}
