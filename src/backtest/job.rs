//! What a backtest is asked for, what it has read, and why it cannot tell.

use std::io;

use serde::Serialize;
use time::OffsetDateTime;

use crate::decode::Damage;
use crate::offline::sorted::Sorted;
use crate::opensearch::{OpenSearchError, QueryError};
use crate::replay::{JobError, Place, ReplayError};

/// What is judged.
#[derive(Debug, Clone)]
pub struct Job {
    pub places: Vec<Place>,
    /// Whether the stored events are read as well.
    pub index: bool,
    /// From when on is reported; what is older is the site's history.
    pub since: Option<OffsetDateTime>,
}

/// The records of a job in the order of their times, and what was read for them.
#[derive(Debug)]
pub struct Records {
    pub sorted: Sorted,
    pub read: Read,
}

/// What was read.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Read {
    /// Files and objects that were read, to their end or to where they are damaged.
    pub files: u64,
    /// Records in them.
    pub records: u64,
    /// Stored events.
    pub stored: u64,
    /// Files and objects of which something could not be read.
    pub damaged: u64,
    /// Files and objects that could not be read at all.
    pub unread: u64,
    /// The first of both, with what is wrong.
    pub left_out: Vec<LeftOut>,
}

/// A file or object that was not read, or not to its end.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOut {
    pub name: String,
    pub problem: String,
}

/// What is wrong with one file or object. The others are read all the same.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    #[error("{0}")]
    Unread(String),
    #[error("{name} is damaged: {damage}")]
    Damaged { name: String, damage: Damage },
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    #[error(transparent)]
    Job(#[from] JobError),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error(transparent)]
    OpenSearch(#[from] OpenSearchError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(
        "cannot keep records in a temporary file: {0}; TMPDIR names the folder, which needs room for the records"
    )]
    Sort(#[from] io::Error),
    #[error("a task that reads records panicked; this is a bug, please report it")]
    Panicked,
}

/// Names of files that a report has. All are counted.
const NAMED: usize = 100;

impl Read {
    pub(super) fn leave_out(&mut self, name: String, flaw: &Flaw) {
        match flaw {
            Flaw::Unread(_) => self.unread += 1,
            Flaw::Damaged { .. } => self.damaged += 1,
        }
        if self.left_out.len() < NAMED {
            self.left_out.push(LeftOut { name, problem: flaw.to_string() });
        }
    }
}
