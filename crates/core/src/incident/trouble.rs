//! What can be wrong with the pipeline itself.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};
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

/// What the correlator watches over, beside what people do.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum HealthRule {
    /// An account and region sent records, and sends none any more.
    Silence,
    /// Also the freshest records of an account and region are old when they are stored.
    Lag,
    /// Records could not be read, or OpenSearch refused their documents.
    Rejected,
    /// A verification found files that are missing or not what they were.
    VerificationGap,
    /// A place was verified again and again, and is not any more.
    VerificationSilence,
    /// Two records have one eventID and say something else.
    TwoContents,
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
