//! Writes the report of an incident, a principal or a resource: the answers to the fifteen questions, each sentence
//! with the records that carry it, and what is not known.
//!
//! What a report says follows from values alone and is pure; so are the forms in which it is written. `stored` and
//! `files` read the values.

mod answers;
mod chain;
mod entry;
mod evidence;
mod files;
mod impact;
mod indicators;
mod lineage;
mod left_out;
mod looked;
mod material;
mod needed;
mod out;
mod page;
mod picture;
mod practices;
mod report;
mod restoring;
mod shown;
mod states;
mod stored;
mod tell;
mod timeline;
mod timesketch;
mod unknown;
mod wanted;

pub use answers::counted;
pub use chain::Trail;
pub use entry::{Entry, FIELDS};
pub use evidence::{Collected, collect};
pub use files::{Files, from_files};
pub use material::{MOST_RECORDS, Material, Source, Verification};
pub use out::EvidenceError;
pub use page::{html, markdown};
pub use report::*;
pub use stored::from_opensearch;
pub use tell::{tell, unread};
pub use timesketch::{timesketch, timesketch_csv};
pub use wanted::{Asked, Range, Wanted, around};

use crate::incidents::IncidentError;
use crate::offline::OfflineError;
use crate::opensearch::QueryError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum InvestigateError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Offline(#[from] OfflineError),
    #[error(transparent)]
    Incident(#[from] IncidentError),
}
