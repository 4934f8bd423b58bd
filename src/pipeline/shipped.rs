//! Tracks an object until its records are stored, and then writes its ledger entry.

use time::OffsetDateTime;
use tracing::info;

use super::chunk::Submitted;
use super::error::ProcessError;
use crate::document::Document;
use crate::ledger::{self, Contents, Entry};
use crate::names::Names;
use crate::sink::{self, Stored};
use crate::source::key::TrailKey;
use crate::source::notification::ObjectRef;

/// An object whose documents are submitted and not yet proven to be stored.
pub(super) struct PendingObject {
    pub(super) object: String,
    /// None when its key says that it holds no records.
    pub(super) read: Result<Option<ReadObject>, ProcessError>,
    pub(super) submissions: Vec<Submitted>,
}

pub(super) struct ReadObject {
    pub(super) object: ObjectRef,
    /// What its name tells, where CloudTrail gave it.
    pub(super) trail_key: Option<TrailKey>,
    pub(super) etag: Option<String>,
    pub(super) version: Option<String>,
    pub(super) last_modified: Option<OffsetDateTime>,
    pub(super) contents: Contents,
}

/// One file whose records are all stored, not selected or rejected.
#[derive(Debug)]
pub struct Shipped {
    pub contents: Contents,
    pub documents: Stored,
    /// The ledger entry that is still to be written.
    pub(super) entry: Option<Document>,
}

impl PendingObject {
    /// Waits for the submitted documents, also of an object that could not be read whole.
    pub(super) async fn stored(self, names: &Names) -> Result<Option<Shipped>, ProcessError> {
        let documents = all_stored(self.submissions).await;
        let Some(ReadObject { object, trail_key, etag, version, last_modified, contents }) = self.read?
        else {
            return Ok(None);
        };
        let documents =
            documents.map_err(|source| ProcessError::NotStored { object: self.object.clone(), source })?;
        let Stored { created, duplicate, rejected, .. } = documents;
        let (records, selected) = (contents.records, contents.selected);
        info!(object = self.object, records, selected, created, duplicate, rejected, "an object was shipped");
        let entry = Entry {
            names,
            object: &object,
            trail_key: trail_key.as_ref(),
            etag: etag.as_deref(),
            version: version.as_deref(),
            last_modified,
            contents: &contents,
            documents,
            shipped_at: OffsetDateTime::now_utc(),
        };
        let entry = Some(ledger::document(&entry));
        Ok(Some(Shipped { contents, documents, entry }))
    }
}

/// Waits for every submission, and returns the first failure.
pub(super) async fn all_stored(submissions: Vec<Submitted>) -> Result<Stored, sink::StoreError> {
    let mut all = Ok(Stored::default());
    for submission in submissions {
        let stored = submission.stored().await;
        if let Ok(sum) = &mut all {
            match stored {
                Ok(stored) => *sum += stored,
                Err(error) => all = Err(error),
            }
        }
    }
    all
}
