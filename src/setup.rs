//! Installs what OpenSearch and Dashboards must hold, from the files in `mappings/` and `dashboards/`.
//!
//! The daemon calls `install_templates` at each start, because no document may be stored without the templates. A
//! person installs the rest.
//!
//! A template is written when it is absent or of an older version. One of a newer version is left alone, because during
//! an upgrade two versions of the daemon run side by side.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use tracing::info;

use crate::monitors::MonitorsError;
use crate::opensearch::{Answer, Info, Method, OpenSearch, OpenSearchError};

pub mod object;
mod canonical;
pub mod content;
mod plan;
mod inventory;
pub mod remote;
pub mod dashboards;
mod retention;
pub mod outcome;
pub mod install;
mod difference;
pub mod export;
pub mod rehearsal;

/// The oldest OpenSearch with all that the mappings use (`flat_object` in its present form).
const OLDEST_VERSION: (u64, u64) = (2, 11);

/// A template and where it is installed, in the order in which one needs the other.
pub(crate) const TEMPLATES: &[Template] = &[
    Template {
        path: "_component_template/sagetrail-settings",
        text: include_str!("../mappings/component-settings.json"),
    },
    Template {
        path: "_component_template/sagetrail-events-mappings",
        text: include_str!("../mappings/component-events-mappings.json"),
    },
    Template {
        path: "_index_template/sagetrail-events",
        text: include_str!("../mappings/template-events.json"),
    },
    Template {
        path: "_index_template/sagetrail-rejected",
        text: include_str!("../mappings/template-rejected.json"),
    },
    Template {
        path: "_index_template/sagetrail-objects",
        text: include_str!("../mappings/template-objects.json"),
    },
    Template {
        path: "_index_template/sagetrail-verification",
        text: include_str!("../mappings/template-verification.json"),
    },
    Template {
        path: "_index_template/sagetrail-verified",
        text: include_str!("../mappings/template-verified.json"),
    },
];

/// A template as its file has it, for the default prefix.
pub(crate) struct Template {
    path: &'static str,
    text: &'static str,
}

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
            "; setup needs the roles index_management_full_access, notifications_full_access and alerting_full_access, and write access to the tenant"
        }
        409 => "; somebody changed it meanwhile; run setup again",
        _ => "",
    }
}

/// The refusal of a request about something.
fn refused(object: String, answer: &Answer) -> SetupError {
    /// Characters of an answer that an error shows: enough for the reason, which comes first.
    const SHOWN: usize = 500;
    let body = String::from_utf8_lossy(&answer.body).chars().take(SHOWN).collect();
    SetupError::Object { object, status: answer.status, body }
}

/// Whether an index could not be made because it is there.
fn exists_already(answer: &Answer) -> bool {
    answer.status == 400 && String::from_utf8_lossy(&answer.body).contains("resource_already_exists")
}

/// Checks the version and installs the templates.
pub async fn install_templates(client: &OpenSearch) -> Result<(), SetupError> {
    let info = client.info().await?;
    check_version(&info)?;
    for template in TEMPLATES {
        template.install(client).await?;
    }
    Ok(())
}

/// Refuses a cluster that cannot hold the content.
pub async fn check_cluster(client: &OpenSearch) -> Result<(), SetupError> {
    check_version(&client.info().await?)
}

fn check_version(info: &Info) -> Result<(), SetupError> {
    let distribution = info.distribution.as_deref().unwrap_or("Elasticsearch or another server");
    let found = || SetupError::TooOld { found: format!("{distribution} {}", info.number) };
    if info.distribution.as_deref() != Some("opensearch") {
        return Err(found());
    }
    let mut parts = info.number.split('.').map(|part| part.parse::<u64>().ok());
    let version = parts.next().flatten().zip(parts.next().flatten()).ok_or_else(found)?;
    // Amazon OpenSearch Service answers 7.10 in its compatibility mode, whatever it runs.
    if version >= OLDEST_VERSION { Ok(()) } else { Err(found()) }
}

impl Template {
    async fn install(&self, client: &OpenSearch) -> Result<(), SetupError> {
        let path = client.names().in_text(self.path);
        let answer = client.request(Method::Get, &path, None).await?;
        let installed = match answer.status {
            200 => installed_version(&answer.body),
            404 => None,
            status => return Err(refused_template(&path, status, &answer.body)),
        };
        let ours = self.version();
        if installed >= Some(ours) {
            return Ok(());
        }
        let body = Bytes::from(client.names().in_text(self.text).into_owned());
        let answer = client.request(Method::Put, &path, Some(body)).await?;
        if answer.status != 200 {
            return Err(refused_template(&path, answer.status, &answer.body));
        }
        info!(template = %path, version = ours, "a template was installed");
        Ok(())
    }

    fn version(&self) -> u64 {
        let template: Value = serde_json::from_str(self.text).expect("the templates are checked in as JSON");
        template["version"].as_u64().expect("each template has a version")
    }
}

fn refused_template(path: &str, status: u16, body: &[u8]) -> SetupError {
    /// Characters of an answer that an error shows: enough for the reason, which comes first.
    const SHOWN: usize = 500;
    let body = String::from_utf8_lossy(body).chars().take(SHOWN).collect();
    SetupError::Refused { path: path.to_owned(), status, body }
}

/// The version in the answer for a component or an index template; none when a person made it without one.
fn installed_version(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        component_templates: Vec<Component>,
        #[serde(default)]
        index_templates: Vec<Index>,
    }
    #[derive(Deserialize)]
    struct Component {
        component_template: Versioned,
    }
    #[derive(Deserialize)]
    struct Index {
        index_template: Versioned,
    }
    #[derive(Deserialize)]
    struct Versioned {
        version: Option<u64>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let component = answer.component_templates.into_iter().map(|found| found.component_template);
    let index = answer.index_templates.into_iter().map(|found| found.index_template);
    component.chain(index).find_map(|template| template.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_cluster_or_another_server_is_refused_with_what_it_is() {
        let cases = [
            (Some("opensearch"), "2.11.0", None),
            (Some("opensearch"), "2.19.4", None),
            (Some("opensearch"), "3.4.0", None),
            (Some("opensearch"), "2.9.0", Some("opensearch 2.9.0")),
            (Some("opensearch"), "1.3.20", Some("opensearch 1.3.20")),
            (None, "8.15.0", Some("Elasticsearch")),
            (Some("opensearch"), "unknown", Some("opensearch unknown")),
        ];
        for (distribution, number, refused) in cases {
            let info = Info { distribution: distribution.map(str::to_owned), number: number.to_owned() };
            let result = check_version(&info).map_err(|error| error.to_string());
            match refused {
                None => assert_eq!(result, Ok(()), "{number}"),
                Some(found) => assert!(result.unwrap_err().contains(found), "{number}"),
            }
        }
    }

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

    #[test]
    fn every_template_is_json_with_a_version() {
        for template in TEMPLATES {
            assert!(template.version() >= 1, "{}", template.path);
        }
    }

    #[test]
    fn the_version_of_an_installed_template_is_read_from_either_answer() {
        let cases = [
            (
                r#"{"component_templates":[{"name":"x","component_template":{"template":{},"version":3}}]}"#,
                Some(3),
            ),
            (
                r#"{"index_templates":[{"name":"x","index_template":{"version":4,"index_patterns":[]}}]}"#,
                Some(4),
            ),
            (r#"{"index_templates":[{"name":"x","index_template":{"index_patterns":[]}}]}"#, None),
            ("<html>", None),
        ];
        for (body, expected) in cases {
            assert_eq!(installed_version(body.as_bytes()), expected, "{body}");
        }
    }
}
