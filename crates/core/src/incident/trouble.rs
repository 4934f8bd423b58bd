//! What can be wrong with the pipeline itself.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// What an incident is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    #[default]
    Attack,
    /// Something is wrong with the pipeline itself.
    Health,
}

/// One thing that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What it is about. It is one incident for as long as that is the same.
    pub subject: String,
    pub account: Option<String>,
    pub region: Option<String>,
    pub since: OffsetDateTime,
    /// When it was seen last; the same as long as nothing new came.
    pub last: OffsetDateTime,
    /// How many records or findings tell of it.
    pub records: u64,
    /// In one sentence, without its level and its last dot.
    pub said: String,
}
