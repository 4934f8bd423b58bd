//! What an incident says of the drill that opened it. It is no attack: it joins no other incident, and ends with its
//! drill.

use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::enrich::drill;
use crate::timestamp::Timestamp;

/// The drill, and when each of its steps was seen to be done. A step that was not has no time.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillFields {
    pub id: String,
    pub uploaded: Option<Timestamp>,
    pub read: Option<Timestamp>,
    pub stored: Option<Timestamp>,
    pub opened: Option<Timestamp>,
    pub told: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// Whether every step was done in time. None while it runs, and of one that was broken off.
    pub worked: Option<bool>,
    /// The links that it could not show to work, each with who can tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_checked: Vec<String>,
}

impl DrillFields {
    /// Of the drill whose records have this origin; none of any other origin.
    pub(super) fn of_origin(origin: &str) -> Option<Self> {
        drill::of_origin(origin).map(|id| Self { id: id.to_owned(), ..Self::default() })
    }
}

/// What to do about a drill.
pub(super) fn next_steps() -> Vec<String> {
    vec![NOTHING_TO_DO.to_owned()]
}

const NOTHING_TO_DO: &str = "Nothing: this is a drill of `sagetrail drill`, which closes it. No call was made, and nobody and nothing that it names was touched.";
