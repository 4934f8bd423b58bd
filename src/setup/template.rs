//! The templates of indices, which the daemon installs as well.

use bytes::Bytes;
use serde_json::Value;
use tracing::info;

use super::answer::{SetupError, shown};
use crate::opensearch::{Method, OpenSearch};

macro_rules! template {
    ($path:literal, $file:literal) => {
        Template { path: $path, text: include_str!(concat!("../../mappings/", $file)) }
    };
}

/// A template and where it is installed, in the order in which one needs the other.
pub(super) const TEMPLATES: &[Template] = &[
    template!("_component_template/sagetrail-settings", "component-settings.json"),
    template!("_component_template/sagetrail-events-mappings", "component-events-mappings.json"),
    template!("_index_template/sagetrail-events", "template-events.json"),
    template!("_index_template/sagetrail-rejected", "template-rejected.json"),
    template!("_index_template/sagetrail-objects", "template-objects.json"),
    template!("_index_template/sagetrail-resources", "template-resources.json"),
    template!("_index_template/sagetrail-identities", "template-identities.json"),
    template!("_index_template/sagetrail-sessions", "template-sessions.json"),
    template!("_index_template/sagetrail-verification", "template-verification.json"),
    template!("_index_template/sagetrail-verified", "template-verified.json"),
    template!("_index_template/sagetrail-incidents", "template-incidents.json"),
    template!("_index_template/sagetrail-correlated", "template-correlated.json"),
    template!("_index_template/sagetrail-correlator", "template-correlator.json"),
];

/// A template as its file has it, for the default prefix.
pub(super) struct Template {
    pub(super) path: &'static str,
    pub(super) text: &'static str,
}

impl Template {
    pub(super) async fn install(&self, client: &OpenSearch) -> Result<(), SetupError> {
        let path = client.names().in_text(self.path);
        let answer = client.request(Method::GET, &path, None).await?;
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
        let answer = client.request(Method::PUT, &path, Some(body)).await?;
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
    SetupError::Refused { path: path.to_owned(), status, body: shown(body) }
}

/// The version in the answer for a component or an index template; none when a person made it without one.
fn installed_version(body: &[u8]) -> Option<u64> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let component = &answer["component_templates"][0]["component_template"];
    let index = &answer["index_templates"][0]["index_template"];
    component["version"].as_u64().or(index["version"].as_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

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
