//! Installs what OpenSearch and Dashboards must hold, from the files in `mappings/` and `dashboards/`.
//!
//! The daemon calls `install_templates` at each start, because no document may be stored without the templates. A
//! person installs the rest.
//!
//! A template is written when it is absent or of an older version. One of a newer version is left alone, because during
//! an upgrade two versions of the daemon run side by side.

use crate::opensearch::{Info, OpenSearch};
use answer::OLDEST_VERSION;
pub use answer::SetupError;
pub use script::has_join_script;
use template::TEMPLATES;

mod answer;
mod template;
mod script;
mod kind;
pub mod object;
mod canonical;
pub mod content;
pub mod plan;
mod inventory;
pub mod remote;
pub mod dashboards;
mod retention;
pub mod outcome;
mod saved;
pub mod preview;
mod work;
pub mod install;
pub mod removal;
mod difference;
pub mod export;

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
}
