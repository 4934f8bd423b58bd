//! The scripts that a resource starts with: its own, and those of what it lies in.

use super::Asking;
use crate::enrich::facts;
use crate::memory::{Key, Known, State};

impl Asking<'_, '_, '_> {
    /// The scripts that the call attaches and those that its resource starts with, as far as it is known.
    pub(super) fn scripts(&self, resource: Option<&State>) -> impl Iterator<Item = Key> {
        let lifecycle = &self.context.lifecycle;
        let place = self.context.resource.as_ref().and_then(|resource| resource.arn.as_deref());
        let named = lifecycle.name.iter().filter_map(move |name| {
            let (before, _) = place?.split_once(":notebook-instance/")?;
            Some(format!("{before}:notebook-instance-lifecycle-config/{name}"))
        });
        let named = lifecycle.arn.iter().map(|arn| (*arn).to_owned()).chain(named);
        named.map(|arn| Key::resource(&arn)).chain(resource.into_iter().flat_map(attached))
    }

    /// The space, profile and domain of Studio that the resource lies in, by the record and by what is known: a space
    /// has an owner, whose profile has scripts too.
    pub(super) fn homes(&self, resource: Option<&State>, known: &Known) -> Vec<Key> {
        let arn = self.context.resource.as_ref().and_then(|resource| resource.arn.as_deref());
        // A read starts nothing.
        let Some(arn) = arn.filter(|_| !self.reads()) else { return Vec::new() };
        let mut homes: Vec<Key> =
            facts::homes(self.context, arn).iter().map(|arn| Key::resource(arn)).collect();
        let mut next = 0;
        let mut state = resource;
        while homes.len() < MOST_HOMES {
            let uses = state.and_then(|state| state.values("uses")).unwrap_or_default();
            for arn in uses.iter().filter(|arn| is_home(arn)) {
                let home = Key::resource(arn);
                if !homes.contains(&home) {
                    homes.push(home);
                }
            }
            let Some(home) = homes.get(next) else { break };
            next += 1;
            state = known.get(home).found();
        }
        homes.truncate(MOST_HOMES);
        homes
    }

    /// The scripts that known spaces, profiles and domains have.
    pub(super) fn scripts_of(homes: &[Key], known: &Known) -> impl Iterator<Item = Key> {
        homes.iter().filter_map(|home| known.get(home).found()).flat_map(attached)
    }
}

/// A space, its owner, the profile and the domain, and some more for what is damaged.
const MOST_HOMES: usize = 8;

fn is_home(arn: &str) -> bool {
    [":space/", ":user-profile/", ":domain/"].iter().any(|kind| arn.contains(kind))
}

/// The scripts that a resource is known to start with.
fn attached(state: &State) -> impl Iterator<Item = Key> {
    let uses = state.values("uses").unwrap_or_default();
    uses.iter().filter(|arn| arn.contains("lifecycle-config/")).map(|arn| Key::resource(arn))
}
