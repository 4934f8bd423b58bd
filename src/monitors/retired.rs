//! Reads where what monitors and thresholds that are gone did went to, so that a configuration that names one is
//! refused with what to write instead.

use std::sync::LazyLock;

use serde::Deserialize;

static RETIRED: LazyLock<Retired> = LazyLock::new(|| {
    toml::from_str(include_str!("../../config/retired.toml")).expect("a test reads the file")
});

#[derive(Deserialize)]
struct Retired {
    monitors: Vec<Gone>,
    thresholds: Vec<Gone>,
}

#[derive(Deserialize)]
struct Gone {
    names: Vec<String>,
    went: String,
}

/// Where what the monitor of this id told has gone to; none for one that never was.
pub(super) fn monitor(id: &str) -> Option<&'static str> {
    let (_, name) = id.rsplit_once("-monitor-")?;
    went(&RETIRED.monitors, name)
}

/// Where what this threshold decided has gone to; none for one that never was.
pub(super) fn threshold(name: &str) -> Option<&'static str> {
    went(&RETIRED.thresholds, name)
}

fn went(gone: &'static [Gone], name: &str) -> Option<&'static str> {
    gone.iter().find(|gone| gone.names.iter().any(|known| known == name)).map(|gone| gone.went.as_str())
}
