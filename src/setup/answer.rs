//! What a server answers to an installation: that it was done, or why not and what to do about it.

use serde_json::Value;

use super::object::Object;
use crate::monitors::MonitorsError;
use crate::opensearch::{Answer, OpenSearchError};

/// The oldest OpenSearch with all that the mappings use (`flat_object` in its present form).
pub(super) const OLDEST_VERSION: (u64, u64) = (2, 11);

/// Why the cluster could not be set up. Where the operator must act, the text says how.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("request to OpenSearch failed: {0}{hint}", hint = hint_for_request(.0))]
    Request(#[from] OpenSearchError),
    #[error(
        "the cluster runs {found}; sagetrail needs OpenSearch {}.{} or later, for the field type flat_object",
        OLDEST_VERSION.0,
        OLDEST_VERSION.1
    )]
    TooOld { found: String },
    #[error("{path}: OpenSearch answered {status}: {body}{}", hint(*status))]
    Refused { path: String, status: u16, body: String },
    #[error("{object}: the server answered {status}: {body}{}", hint_for_object(*status))]
    Object { object: String, status: u16, body: String },
    #[error(
        "{object}: not found after a successful write; check whether something else deletes it, and run setup again"
    )]
    Lost { object: String },
    #[error("{problem}")]
    Dashboards { problem: String },
    #[error(transparent)]
    Monitors(#[from] MonitorsError),
}

impl SetupError {
    /// Whether the same request may succeed later by itself.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Request(OpenSearchError::Status { status, .. }) | Self::Refused { status, .. } => {
                *status == 429 || *status >= 500
            }
            Self::Request(error) => {
                matches!(error, OpenSearchError::TimedOut { .. } | OpenSearchError::NoAnswer { .. })
            }
            Self::TooOld { .. }
            | Self::Object { .. }
            | Self::Lost { .. }
            | Self::Dashboards { .. }
            | Self::Monitors(_) => false,
        }
    }
}

fn hint_for_request(error: &OpenSearchError) -> &'static str {
    match error {
        OpenSearchError::Status { status, .. } => hint(*status),
        _ => "",
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => "; check sink.auth and its credentials",
        403 => {
            "; grant the role cluster:monitor/main, cluster_manage_index_templates, indices:data/write/bulk, and create_index and write on its indices; `sagetrail check --permissions` prints it"
        }
        _ => "",
    }
}

fn hint_for_object(status: u16) -> &'static str {
    match status {
        401 => "; check the credentials in [sink], or in [dashboards] for saved objects",
        403 => {
            "; setup needs cluster:admin/script/*, the roles index_management_full_access, notifications_full_access and alerting_full_access, and write access to the tenant"
        }
        409 => "; somebody changed it meanwhile; run setup again",
        _ => "",
    }
}

/// The refusal of a request about something.
pub(super) fn refused(object: String, answer: &Answer) -> SetupError {
    SetupError::Object { object, status: answer.status, body: shown(&answer.body) }
}

/// The part of an answer that an error shows: enough for the reason, which comes first.
pub(super) fn shown(body: &[u8]) -> String {
    const CHARACTERS: usize = 500;
    String::from_utf8_lossy(body).chars().take(CHARACTERS).collect()
}

/// Whether an index could not be made because it is there.
pub(super) fn exists_already(answer: &Answer) -> bool {
    answer.status == 400 && String::from_utf8_lossy(&answer.body).contains("resource_already_exists")
}

/// The answer's JSON, or the refusal with what to do about it, without what the object keeps secret.
pub(super) fn accepted(object: &Object, answer: &Answer) -> Result<Value, SetupError> {
    if matches!(answer.status, 200 | 201) {
        return Ok(serde_json::from_slice(&answer.body).unwrap_or(Value::Null));
    }
    let mut error = refused(object.to_string(), answer);
    if let SetupError::Object { body, .. } = &mut error {
        for secret in object.secrets() {
            *body = body.replace(secret, "[secret]");
        }
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_says_what_to_grant_or_to_check() {
        for (status, advice) in
            [(401, "; check sink.auth"), (403, "; grant the role cluster:monitor/main"), (500, "")]
        {
            let denied = OpenSearchError::Status { operation: "info".to_owned(), host: "h".into(), status };
            let said = SetupError::from(denied).to_string();
            let (_, rest) = said.split_once(&format!("status {status}")).unwrap();
            assert!(rest.starts_with(advice) && rest.is_empty() == advice.is_empty(), "{said}");
        }
    }
}
