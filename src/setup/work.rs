//! One run over the objects, and what it has met so far.

use serde_json::Value;

use super::answer::SetupError;
use super::inventory::Inventory;
use super::object::{Kind, Object, Server};
use super::outcome::Outcome;
use super::plan::Edits;
use super::remote::{Lack, Remote};

/// One run over the objects.
pub(super) struct Work<'w> {
    pub(super) remote: &'w Remote,
    pub(super) inventory: &'w Inventory,
    pub(super) edits: Edits,
    /// Servers that refused something which they would refuse of every object.
    pub(super) broken: Vec<(Server, Lack)>,
    /// What a person or a newer sagetrail has made of our objects.
    pub(super) kept: Vec<Value>,
}

impl<'w> Work<'w> {
    pub(super) fn new(remote: &'w Remote, inventory: &'w Inventory, edits: Edits) -> Self {
        Self { remote, inventory, edits, broken: Vec::new(), kept: Vec::new() }
    }

    /// Tells of a refusal, and remembers one that would meet every object of its server.
    pub(super) fn fail(
        &mut self,
        object: &Object,
        error: &SetupError,
        tell: &mut impl FnMut(&str, &Outcome),
    ) {
        let problem = error.to_string();
        if concerns_server(error) {
            self.broken.push((object.kind.server(), Lack::Server { problem: problem.clone() }));
        }
        tell(&object.to_string(), &Outcome::Failed { problem });
    }

    /// What is missing to install a kind of objects.
    pub(super) fn lack(&self, kind: Kind) -> Option<Lack> {
        let refused = self.broken.iter().find(|(broken, _)| *broken == kind.server());
        self.remote.lacks(kind).or_else(|| refused.map(|(_, lack)| lack.clone()))
    }
}

/// Whether the other objects of the same server would be refused in the same way.
fn concerns_server(error: &SetupError) -> bool {
    match error {
        SetupError::Request(_) => true,
        SetupError::Object { status, .. } => matches!(status, 401 | 403) || *status >= 502,
        _ => false,
    }
}
