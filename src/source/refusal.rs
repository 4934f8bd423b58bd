//! Why S3 did not answer with an object, and what the operator must do about it.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::operation::get_object::GetObjectError;

use super::notification::ObjectRef;
use crate::aws;
use crate::denial::Denial;
use crate::labels::{ObjectFailure, VersionPassedOver};

/// Why an object was not read. Where the operator must act, the text says how.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("GetObject {object}: there is no such object; it was deleted or moved after its notification")]
    Missing { object: String, source: Source },
    #[error(
        "GetObject {object}: the announced version was denied ({cause}), and there is no current one; grant s3:GetObjectVersion on it"
    )]
    VersionForbidden { object: String, cause: String, source: Source },
    #[error("GetObject {object}: there is no such bucket; check who may send to the queue")]
    NoSuchBucket { object: String, source: Source },
    #[error(
        "GetObject {object} was denied ({cause}); grant s3:GetObject on it, and s3:ListBucket on its bucket so that a missing object shows as missing"
    )]
    Forbidden { object: String, cause: String, source: Source },
    #[error("GetObject {object} was denied ({cause}): {}", denial.advice())]
    Denied { object: String, denial: Denial, cause: String, source: Source },
    #[error(
        "GetObject {object}: use of its KMS key was denied ({cause}); grant kms:Decrypt on the key that encrypts it"
    )]
    KeyForbidden { object: String, cause: String, source: Source },
    #[error(
        "GetObject {object}: it is archived; restore it, and let a lifecycle rule archive record files only after they were shipped"
    )]
    Archived { object: String, source: Source },
    #[error(
        "GetObject {object}: it has {bytes} bytes or more, and source.max_object_bytes allows {limit}; raise that to read it"
    )]
    TooLarge { object: String, bytes: u64, limit: u64 },
    #[error("GetObject {object} failed: {cause}")]
    Unavailable { object: String, cause: String, source: Option<Source> },
}

type Source = Box<dyn std::error::Error + Send + Sync>;

impl StoreError {
    /// The label that the failure is counted under.
    pub fn failure(&self) -> ObjectFailure {
        match self {
            Self::Missing { .. } | Self::NoSuchBucket { .. } => ObjectFailure::Missing,
            Self::Forbidden { .. }
            | Self::VersionForbidden { .. }
            | Self::KeyForbidden { .. }
            | Self::Denied { .. } => ObjectFailure::Forbidden,
            Self::Archived { .. } => ObjectFailure::Archived,
            Self::TooLarge { .. } => ObjectFailure::TooLarge,
            Self::Unavailable { .. } => ObjectFailure::Unavailable,
        }
    }
}

pub(super) type GetObjectFailure = SdkError<GetObjectError>;

/// Why the announced version cannot be read, where the current one may be.
pub(super) fn passed_over(error: &GetObjectFailure) -> Option<VersionPassedOver> {
    let status = error.raw_response().map(|response| response.status().as_u16());
    match (error.code(), status) {
        (Some("NoSuchBucket" | "InvalidObjectState"), _) => None,
        // A denied KMS key affects every version.
        (Some(code), _) if code.starts_with("KMS.") => None,
        (_, Some(403)) if aws::cause(error).contains("kms:") => None,
        (_, Some(403)) => Some(VersionPassedOver::Denied),
        // The version does not exist, its id is not of this bucket, or it is a delete marker.
        (Some("InvalidArgument"), Some(400)) | (_, Some(404 | 405)) => Some(VersionPassedOver::Gone),
        _ => None,
    }
}

/// Sorts a request that S3 did not answer with an object.
pub(super) fn refusal(object: &ObjectRef, error: Box<GetObjectFailure>) -> StoreError {
    let status = error.raw_response().map(|response| response.status().as_u16());
    let cause = aws::cause(&error);
    let object = object.to_string();
    match error.code() {
        Some("NoSuchBucket") => StoreError::NoSuchBucket { object, source: error },
        Some("InvalidObjectState") => StoreError::Archived { object, source: error },
        Some(code) if code.starts_with("KMS.") => StoreError::KeyForbidden { object, cause, source: error },
        _ if status == Some(404) => StoreError::Missing { object, source: error },
        _ if matches!(status, Some(401 | 403)) => match Denial::read(403, &aws::said(&error)) {
            Denial::Permission => StoreError::Forbidden { object, cause, source: error },
            Denial::Key => StoreError::KeyForbidden { object, cause, source: error },
            Denial::Throttled => StoreError::Unavailable { object, cause, source: Some(error) },
            denial => StoreError::Denied { object, denial, cause, source: error },
        },
        _ => StoreError::Unavailable { object, cause, source: Some(error) },
    }
}
