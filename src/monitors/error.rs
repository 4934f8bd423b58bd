//! Why monitors cannot be made from the configuration.

/// Why the monitors cannot be made. Each message names the key or the file.
#[derive(Debug, thiserror::Error)]
pub enum MonitorsError {
    #[error("monitors.disabled: there is no monitor \"{id}\"; the monitors are {}", known.join(", "))]
    UnknownMonitor { id: String, known: Vec<String> },
    #[error("monitors.disabled: the monitor \"{id}\" is gone: {went}")]
    RetiredMonitor { id: String, went: &'static str },
    #[error("monitors.thresholds.{name} is gone: {went}")]
    RetiredThreshold { name: String, went: &'static str },
    #[error("monitors.thresholds.{name}: there is no such threshold; {}", advice(nearest.as_deref()))]
    UnknownThreshold { name: String, nearest: Option<String> },
    #[error("monitors.thresholds.{name}: must be {expected}")]
    Threshold { name: String, expected: &'static str },
}

fn advice(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || "config/monitors.toml names all of them".to_owned(),
        |name| format!("did you mean `{name}`?"),
    )
}
