//! What the pages of an incident have told, and what the next one is about.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::timestamp::Timestamp;

/// What the last page told.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ToldFields {
    /// The critical rules that had matched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Whose signals were a part of the incident.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// The sentence, where it was about somebody who joined. Until the next page it stays the incident's: the page is
    /// told again until somebody acknowledges it.
    pub sentence: Option<String>,
}

/// What came too soon after a page for one of its own.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewsFields {
    /// When it pages.
    pub due: Timestamp,
    pub reason: String,
    /// The sentence, where it is about somebody who joined.
    pub sentence: Option<String>,
}
