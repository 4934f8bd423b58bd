//! One finding of a verification, and what to do about its kind.

use serde::Serialize;

use crate::labels::{FindingKind, Label};

/// One object that is missing, changed or unproven, or one period of which nothing is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub kind: FindingKind,
    /// Its S3 URI.
    pub object: String,
    pub detail: String,
}

impl Finding {
    pub fn new(kind: FindingKind, bucket: &str, key: &str, detail: String) -> Self {
        Self { kind, object: format!("s3://{bucket}/{key}"), detail }
    }
}

/// The name of a count of findings in documents, such as `missing_files`.
pub fn plural(kind: FindingKind) -> String {
    format!("{}s", kind.label())
}

/// A count's name for people, such as `missing files`.
pub fn words(kind: FindingKind) -> String {
    plural(kind).replace('_', " ")
}

/// What an operator should do about it.
pub fn advice(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::MissingFile => {
            "ship them: run the same command with --repair; then look why the queue did not hear of them"
        }
        FindingKind::DeletedFile => {
            "find out who deleted them (s3:DeleteObject* and lifecycle rules); restore a version or a copy"
        }
        FindingKind::AlteredFile => {
            "keep them as evidence and find out who wrote them; restore the version that was signed"
        }
        FindingKind::UnprovenFile => {
            "find out who put them there, or restore the digest that names them; do not trust their content"
        }
        FindingKind::MissingDigest => {
            "find out who deleted it, or who switched off logging or validation; restore a version of it"
        }
        FindingKind::InvalidDigest => {
            "keep it as evidence and find out who wrote it; restore the version that was signed"
        }
        FindingKind::BrokenChain => {
            "look for StopLogging, UpdateTrail and DeleteTrail at that time; switch logging and validation on"
        }
        FindingKind::UnreadObject => {
            "grant s3:GetObject and kms:Decrypt on it, or restore it from an archive class, and verify again"
        }
        FindingKind::LateFile => "nothing is missing; look at the daemon's backlog if there are many",
        FindingKind::UnknownPeriod => {
            "ask when the trail was created; if earlier, its digests were removed, or validation was off"
        }
    }
}
