//! Reads the configuration once at start-up, from TOML and the environment.
//!
//! `config/sagetrail.toml` documents each key with its default; a test keeps the two the same. An environment variable
//! `SAGETRAIL__SECTION__KEY` overrides the file. The AWS SDK reads region, credentials and endpoints by itself.

use std::path::Path;

use figment::Figment;
use figment::providers::{Env, Format, Toml};

pub use alertmanager::AlertmanagerConfig;
pub use channel::{Channel, Severity, Target};
pub use content::{DashboardsConfig, MonitorsConfig, RetentionConfig};
pub use drill::DrillConfig;
pub use enrich::EnrichConfig;
pub use error::ConfigError;
pub use exposed::exposed;
pub use health::HealthConfig;
pub use pattern::KeyPatterns;
pub use sagetrail_core::settings::{ContentHash, Override, RedactionConfig, RulesConfig, Scope};
pub use sections::{
    AdminConfig, Config, CorrelateConfig, IncidentsConfig, LogConfig, LogFormat, MemoryConfig, ReplayConfig,
    SelectConfig, ShutdownConfig, SourceConfig,
};
pub use sink::{AuthKind, Sigv4Service, SinkConfig};
use variable::Misspelt;

mod alertmanager;
mod channel;
mod content;
mod defaults;
pub mod drill;
mod enrich;
mod error;
mod exposed;
mod health;
mod mistake;
mod pattern;
pub mod placeholder;
mod sections;
mod sink;
mod variable;

/// Reads the file, if one is given, lays the environment over it and checks the whole.
pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
    let mut figment = Figment::new();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        figment = figment.merge(Toml::string(&text));
    }
    let variables = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    if let Some(Misspelt { name, meant }) = variable::find_misspelt(variables) {
        let problem = format!("{name}: there is no such variable; did you mean `{meant}`?");
        return Err(ConfigError::Parse { origin: "environment variables".to_owned(), problem });
    }
    figment = figment.merge(Env::prefixed(variable::PREFIX).split("__"));
    // A secret of digits alone must stay text: the environment provider would read it as a number.
    for (variable, key) in [
        ("SAGETRAIL__SINK__PASSWORD", "sink.password"),
        ("SAGETRAIL__DASHBOARDS__PASSWORD", "dashboards.password"),
        ("SAGETRAIL__REDACTION__KEY", "redaction.key"),
    ] {
        if let Ok(secret) = std::env::var(variable) {
            figment = figment.merge((key, secret));
        }
    }
    let config: Config = figment.extract().map_err(|error| ConfigError::from_figment(&error, file))?;
    config.validate().map_err(|error| error.located(&figment, file))?;
    Ok(config)
}

#[cfg(test)]
mod tests;
