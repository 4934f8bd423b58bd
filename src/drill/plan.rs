//! What a drill is made of: what a site has chosen, and what the command line says in its place.

use std::time::Duration;

use crate::config::{Config, ConfigError};

/// What was chosen on the command line.
#[derive(Debug, Clone, Default)]
pub struct Chosen {
    pub trail: Option<String>,
    pub account: Option<String>,
    pub region: Option<String>,
    pub names: Option<String>,
    pub timeout: Option<Duration>,
}

/// Where the file goes and what its records say.
#[derive(Debug, Clone)]
pub struct Plan {
    pub bucket: String,
    /// What stands before `AWSLogs/`, with its slash.
    pub prefix: String,
    pub account: String,
    pub region: String,
    pub names: String,
    /// In place of the usual time of each step.
    pub timeout: Option<Duration>,
}

impl Plan {
    /// Refuses what would not be a drill of this site: without a place, with a key that no daemon has, or with a file
    /// that the daemons may not read.
    pub fn of(config: &Config, chosen: Chosen) -> Result<Self, ConfigError> {
        let mut drill = config.drill.clone();
        drill.trail = chosen.trail.or(drill.trail);
        drill.account = chosen.account.or(drill.account);
        drill.region = chosen.region.or(drill.region);
        drill.names = chosen.names.unwrap_or(drill.names);
        drill.validate()?;
        let refuse = |key, problem: String| ConfigError::Value { key, problem };
        let missing = |key, give: &str| refuse(key, format!("is not set, which a drill needs: {give}"));
        let trail = drill.trail.ok_or_else(|| missing("drill.trail", crate::config::drill::TRAIL))?;
        let account = drill.account.ok_or_else(|| missing("drill.account", crate::config::drill::ACCOUNT))?;
        let region = drill.region.ok_or_else(|| missing("drill.region", crate::config::drill::REGION))?;
        if config.redaction.key.is_none() && config.redaction.key_file.is_none() {
            return Err(missing(
                "redaction.key_file",
                "the key that the daemons have, by which they know the records of a drill, such as \
                 \"/run/secrets/sagetrail-redaction-key\" with what `openssl rand -hex 32` prints",
            ));
        }
        let (bucket, prefix) = place(&trail);
        let source = &config.source;
        if !source.allowed_buckets.is_empty() && !source.allowed_buckets.contains(&bucket) {
            let problem = format!(
                "the daemons read nothing from {bucket}: source.allowed_buckets has {}",
                source.allowed_buckets.join(", ")
            );
            return Err(refuse("drill.trail", problem));
        }
        if !source.allowed_accounts.is_empty() && !source.allowed_accounts.contains(&account) {
            let problem = format!(
                "the daemons read no files of {account}: source.allowed_accounts has {}",
                source.allowed_accounts.join(", ")
            );
            return Err(refuse("drill.account", problem));
        }
        Ok(Self { bucket, prefix, account, region, names: drill.names, timeout: chosen.timeout })
    }
}

/// The bucket and the prefix of a trail, with its slash. Whoever gives a folder of the trail means what stands before
/// it.
pub fn place(trail: &str) -> (String, String) {
    let rest = trail.strip_prefix("s3://").unwrap_or(trail);
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = match prefix.split_once("AWSLogs") {
        Some((before, after)) if after.is_empty() || after.starts_with('/') => before,
        _ => prefix,
    };
    let prefix = prefix.trim_end_matches('/');
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    (bucket.to_owned(), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(settings: &str) -> Result<Plan, String> {
        let config: Config = toml::from_str(settings).unwrap();
        Plan::of(&config, Chosen::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_place_is_what_stands_before_the_folders_of_the_trail() {
        let cases = [
            ("s3://b", "b", ""),
            ("s3://b/", "b", ""),
            ("s3://b/p", "b", "p/"),
            ("s3://b/p/q/", "b", "p/q/"),
            ("s3://b/AWSLogs/", "b", ""),
            ("s3://b/p/AWSLogs/111122223333/CloudTrail/", "b", "p/"),
            ("s3://b/MyAWSLogsCopy", "b", "MyAWSLogsCopy/"),
        ];
        for (trail, bucket, prefix) in cases {
            assert_eq!(place(trail), (bucket.to_owned(), prefix.to_owned()), "{trail}");
        }
    }

    #[test]
    fn what_is_missing_or_could_never_arrive_is_refused_with_what_to_give() {
        const KEY: &str = "[redaction]\nkey = '0123456789abcdef0123456789abcdef'\n";
        const DRILL: &str = "[drill]\ntrail = 's3://b/'\naccount = '111122223333'\nregion = 'eu-central-1'\n";
        assert!(planned(&format!("{KEY}{DRILL}")).is_ok());
        let cases = [
            (KEY.to_owned(), "drill.trail: is not set", "s3://BUCKET/PREFIX"),
            (format!("{KEY}[drill]\ntrail = 's3://b/'"), "drill.account: is not set", "111122223333"),
            (
                format!("{KEY}[drill]\ntrail = 's3://b/'\naccount = '111122223333'"),
                "drill.region: is not set",
                "eu-central-1",
            ),
            (DRILL.to_owned(), "redaction.key_file: is not set", "openssl rand -hex 32"),
            (format!("{KEY}{DRILL}names = 'A b'"), "drill.names: ", "fire-drill"),
            (format!("{KEY}{DRILL}").replace("s3://b/", "b"), "drill.trail: ", "s3://BUCKET/PREFIX"),
            (
                format!("{KEY}{DRILL}[source]\nallowed_buckets = ['other']"),
                "drill.trail: the daemons read nothing from b",
                "other",
            ),
            (
                format!("{KEY}{DRILL}[source]\nallowed_accounts = ['444455556666']"),
                "drill.account: the daemons read no files of 111122223333",
                "444455556666",
            ),
        ];
        for (settings, beginning, example) in cases {
            let problem = planned(&settings).unwrap_err();
            assert!(problem.starts_with(beginning) && problem.contains(example), "{problem}");
        }
    }
}
