//! Holds what a site chooses for its drills.

use serde::Deserialize;

use super::defaults::section;
use super::error::ConfigError;
use crate::record::{is_account, is_region};

section! {
    /// Where a drill puts its file, and what it calls what it tells of.
    pub struct DrillConfig {
        /// The trail, as `s3://BUCKET/PREFIX`.
        pub trail: Option<String> = None,
        /// Whose calls the records tell of.
        pub account: Option<String> = None,
        pub region: Option<String> = None,
        /// How each name in the records begins.
        pub names: String = "sagetrail-drill".to_owned(),
    }
}

/// Characters of the longest beginning of names: what is added has room in every name of SageMaker.
const MOST_NAME_LENGTH: usize = 30;

impl DrillConfig {
    /// Refuses what no trail, account, region or name is.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |key, problem: &str| Err(ConfigError::Value { key, problem: problem.to_owned() });
        if self.trail.as_deref().is_some_and(|trail| !is_trail(trail)) {
            return refuse("drill.trail", TRAIL);
        }
        if self.account.as_deref().is_some_and(|account| !is_account(account)) {
            return refuse("drill.account", ACCOUNT);
        }
        if self.region.as_deref().is_some_and(|region| !is_region(region)) {
            return refuse("drill.region", REGION);
        }
        if is_name(&self.names) { Ok(()) } else { refuse("drill.names", NAMES) }
    }
}

/// What `drill.trail` has to be, as an error says it.
pub const TRAIL: &str = "give the trail as \"s3://BUCKET/PREFIX\", such as \"s3://my-trail/\", where PREFIX is what stands before AWSLogs/";
/// What `drill.account` has to be, as an error says it.
pub const ACCOUNT: &str = "give an account's id whose files the daemons read, such as \"111122223333\"";
/// What `drill.region` has to be, as an error says it.
pub const REGION: &str = "give a region of that trail, such as \"eu-central-1\"";
/// What `drill.names` has to be, as an error says it.
const NAMES: &str =
    "give up to 30 small letters, digits and hyphens, beginning with a letter, such as \"fire-drill\"";

fn is_trail(text: &str) -> bool {
    text.strip_prefix("s3://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
}

/// Whether names may begin so. It becomes part of names of SageMaker and IAM.
fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MOST_NAME_LENGTH).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(is_plain)
}
