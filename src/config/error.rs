//! Why a configuration was refused.

use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::{Format, Toml};
use figment::{Figment, Metadata};
use sagetrail_core::nearest::nearest;

use super::mistake;

/// Why a configuration was refused. Each message names the key, what is wrong with it and what is allowed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{origin}: {problem}")]
    Parse { origin: String, problem: String },
    #[error("{key}: {problem}")]
    Value { key: &'static str, problem: String },
    #[error("rules.placeholders.{name}: {problem}")]
    Placeholder { name: String, problem: String },
    #[error("channels.{name}: {problem}")]
    Channel { name: String, problem: &'static str },
}

impl ConfigError {
    pub(super) fn from_figment(error: &figment::Error, file: Option<&Path>) -> Self {
        let key = error.path.join(".");
        let problem = match &error.kind {
            Kind::UnknownField(name, allowed) => {
                let whole = if key.is_empty() || key.ends_with(name.as_str()) {
                    if key.is_empty() { name.clone() } else { key.clone() }
                } else {
                    format!("{key}.{name}")
                };
                match nearest(name, allowed.iter().copied()) {
                    Some(right) => format!("{whole}: there is no such key; did you mean `{right}`?"),
                    None => {
                        format!("{whole}: there is no such key; the keys here are {}", allowed.join(", "))
                    }
                }
            }
            kind if key.is_empty() => mistake::describe(&key, kind),
            kind => format!("{key}: {}", mistake::describe(&key, kind)),
        };
        Self::Parse { origin: origin(error.metadata.as_ref(), file), problem }
    }

    /// The same with where the refused value stands.
    pub(super) fn located(self, figment: &Figment, file: Option<&Path>) -> Self {
        let (key, problem) = match self {
            Self::Value { key, problem } => (key.to_owned(), problem),
            Self::Placeholder { name, problem } => (format!("rules.placeholders.{name}"), problem),
            Self::Channel { name, problem } => (format!("channels.{name}"), problem.to_owned()),
            other @ (Self::Read { .. } | Self::Parse { .. }) => return other,
        };
        let origin = origin(figment.find_metadata(&key), file);
        Self::Parse { origin, problem: format!("{key}: {problem}") }
    }
}

/// Where a value stands. One that is set nowhere is missed in the file, and what is in no file is from the environment.
fn origin(metadata: Option<&Metadata>, file: Option<&Path>) -> String {
    match metadata {
        Some(metadata) if !metadata.name.starts_with(Toml::NAME) => "environment variables".to_owned(),
        _ => file.map_or_else(|| "configuration".to_owned(), |path| path.display().to_string()),
    }
}
