//! Holds the settings of what the correlator says about the pipeline itself.

use std::time::Duration;

use sagetrail_core::labels::HealthRule;
use serde::Deserialize;

use super::defaults::section;
use super::error::ConfigError;

section! {
    /// When something is wrong with the pipeline itself.
    pub struct HealthConfig {
        /// What is not watched.
        pub disabled: Vec<HealthRule> = Vec::new(),
        /// Records that were older when they were stored are a replay.
        #[serde(with = "humantime_serde")]
        pub event_age: Duration = HOUR * 24,
        #[serde(with = "humantime_serde")]
        pub silence: Duration = HOUR * 24,
        #[serde(with = "humantime_serde")]
        pub silence_history: Duration = HOUR * 24 * 7,
        pub silence_records: u64 = 200,
        #[serde(with = "humantime_serde")]
        pub lag: Duration = Duration::from_mins(30),
        #[serde(with = "humantime_serde")]
        pub lag_window: Duration = Duration::from_mins(15),
        pub lag_records: u64 = 10,
        #[serde(with = "humantime_serde")]
        pub rejected_window: Duration = Duration::from_mins(15),
        pub rejected_records: u64 = 1,
        #[serde(with = "humantime_serde")]
        pub verification_history: Duration = HOUR * 24 * 30,
        #[serde(with = "humantime_serde")]
        pub verification_silence: Duration = HOUR * 24 * 3,
        pub verification_runs: u64 = 3,
    }
}

const HOUR: Duration = Duration::from_hours(1);
const SHORTEST: Duration = Duration::from_mins(1);

impl HealthConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |key, problem: &str| Err(ConfigError::Value { key, problem: problem.to_owned() });
        let lengths = [
            ("health.event_age", self.event_age, HOUR * 24 * 30),
            ("health.silence", self.silence, HOUR * 24 * 30),
            // Each hour of it is asked once.
            ("health.silence_history", self.silence_history, HOUR * 24 * 31),
            ("health.lag", self.lag, HOUR * 24),
            // Each minute of it is a bucket.
            ("health.lag_window", self.lag_window, HOUR),
            ("health.rejected_window", self.rejected_window, HOUR * 24),
            ("health.verification_history", self.verification_history, HOUR * 24 * 400),
            ("health.verification_silence", self.verification_silence, HOUR * 24 * 400),
        ];
        for (key, length, longest) in lengths {
            if !(SHORTEST..=longest).contains(&length) {
                let days = longest.as_secs() / (24 * 60 * 60);
                let most = if days == 0 { "an hour".to_owned() } else { format!("{days} day(s)") };
                return refuse(key, &format!("must be between a minute and {most}"));
            }
        }
        let counts = [
            ("health.silence_records", self.silence_records),
            ("health.lag_records", self.lag_records),
            ("health.rejected_records", self.rejected_records),
            ("health.verification_runs", self.verification_runs),
        ];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return refuse(key, "must be above zero");
        }
        if self.silence >= self.silence_history {
            return refuse("health.silence", "must be shorter than health.silence_history");
        }
        if self.verification_silence >= self.verification_history {
            return refuse("health.verification_silence", "must be shorter than health.verification_history");
        }
        if self.lag >= self.event_age {
            return refuse("health.lag", "must be shorter than health.event_age");
        }
        Ok(())
    }
}
