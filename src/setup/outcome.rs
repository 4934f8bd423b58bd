//! Words what became of an object during a setup.

use std::fmt;

use super::plan::{Edits, Step};
use super::remote::Lack;

/// The outcome of an object, or the one that it would have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Updated,
    Overwritten,
    /// A monitor was removed and made anew, with its alerts.
    Renewed,
    Unchanged,
    /// A person has changed it.
    KeptEdited,
    /// A newer sagetrail has installed it.
    KeptNewer,
    /// A channel that is not wanted any more, but that a monitor of a person's making pages.
    KeptUsed,
    /// A template, which daemons need.
    KeptTemplate,
    Removed,
    /// The retention policy was attached to older indices.
    Governs {
        indices: usize,
        refused: usize,
    },
    /// Something that it needs is missing.
    Skipped {
        needs: Lack,
    },
    /// The server refused it.
    Failed {
        problem: String,
    },
}

impl Outcome {
    /// What a step comes to.
    pub(super) fn of(step: Step, edits: Edits) -> Self {
        match (step, edits) {
            (Step::Create, _) => Self::Created,
            (Step::Update, _) => Self::Updated,
            (Step::Keep | Step::Remember, _) => Self::Unchanged,
            (Step::Stuck, _) => Self::Renewed,
            (Step::Edited, Edits::Overwrite) => Self::Overwritten,
            (Step::Edited, Edits::Keep) => Self::KeptEdited,
            (Step::Newer, _) => Self::KeptNewer,
        }
    }

    /// Whether the object has to be written.
    pub(super) fn writes(&self) -> bool {
        matches!(self, Self::Created | Self::Updated | Self::Overwritten | Self::Renewed)
    }

    /// Whether an object is not as the configuration asks. Objects disabled by the configuration do not count.
    pub fn is_incomplete(&self) -> bool {
        match self {
            Self::KeptEdited | Self::KeptNewer | Self::KeptUsed => true,
            Self::Governs { refused, .. } => *refused > 0,
            Self::Skipped { needs } => *needs != Lack::DashboardsUrl,
            _ => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => formatter.write_str("created"),
            Self::Updated => formatter.write_str("updated"),
            Self::Overwritten => formatter.write_str("overwritten"),
            Self::Renewed => formatter
                .write_str("renewed, because a run that failed left alerts that nobody can acknowledge"),
            Self::Unchanged => formatter.write_str("unchanged"),
            Self::KeptEdited => {
                formatter.write_str("kept, because somebody changed it; --force overrides this")
            }
            Self::KeptNewer => formatter.write_str("kept, because a newer sagetrail installed it"),
            Self::KeptUsed => formatter.write_str("kept, because a monitor that somebody changed uses it"),
            Self::KeptTemplate => {
                formatter.write_str("kept, because a running daemon needs it; --force removes it")
            }
            Self::Removed => formatter.write_str("removed"),
            Self::Governs { indices, refused: 0 } => {
                write!(formatter, "attached to {indices} older indices")
            }
            Self::Governs { indices, refused } => {
                write!(formatter, "attached to {indices} older indices; {refused} refused")
            }
            Self::Skipped { needs } => write!(formatter, "skipped, because it needs {needs}"),
            Self::Failed { problem } => write!(formatter, "failed: {problem}"),
        }
    }
}
