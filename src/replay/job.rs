//! Parses what a person asks to replay.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::config::{Scope, SourceConfig};
use crate::source::folder::TrailFilter;

/// The place that stands for standard input.
pub const STANDARD_INPUT: &str = "-";

/// What to replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub places: Vec<Place>,
    pub filter: TrailFilter,
}

/// A place with CloudTrail files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A part of a bucket; the prefix is that of a trail, a folder of it or a single object.
    Bucket {
        bucket: String,
        prefix: String,
    },
    /// A file, or a folder with all below it.
    Path(PathBuf),
    StandardInput,
}

/// Why a job is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    #[error("{0}: there is no bucket in it; give s3://BUCKET or s3://BUCKET/PREFIX")]
    NoBucket(String),
    #[error("{0}: only s3:// is understood; give a bucket as s3://BUCKET/PREFIX, or a file by its path")]
    Scheme(String),
    #[error("--from {from} is after --to {to}")]
    Backwards { from: time::Date, to: time::Date },
    #[error(
        "bucket {0} is not in source.allowed_buckets; add it there, or set SAGETRAIL__SOURCE__ALLOWED_BUCKETS='[]' for this run"
    )]
    NotAllowed(String),
    #[error("standard input cannot be read twice; leave out --checkpoint, or give files")]
    InputWithCheckpoint,
}

impl Job {
    /// Puts a job together; a period that ends before it begins is refused.
    pub fn new(places: Vec<Place>, filter: TrailFilter) -> Result<Self, JobError> {
        if let (Some(from), Some(to)) = (filter.from, filter.to)
            && from > to
        {
            return Err(JobError::Backwards { from, to });
        }
        Ok(Self { places, filter })
    }

    /// Whether a place is in S3, so that settings for AWS are needed.
    pub fn reads_buckets(&self) -> bool {
        self.places.iter().any(|place| matches!(place, Place::Bucket { .. }))
    }

    /// Refuses at once what the pipeline would refuse object by object.
    pub fn check_allowed(&self, config: &SourceConfig) -> Result<(), JobError> {
        for place in &self.places {
            if let Place::Bucket { bucket, .. } = place
                && !config.allowed_buckets.is_empty()
                && !config.allowed_buckets.contains(bucket)
            {
                return Err(JobError::NotAllowed(bucket.clone()));
            }
        }
        Ok(())
    }

    /// Everything that decides which records are shipped in which order, on one line. Two jobs that say the same can
    /// share a checkpoint.
    pub fn describe(&self, scope: Scope) -> String {
        let TrailFilter { accounts, regions, from, to, .. } = &self.filter;
        let mut text: Vec<String> = self.places.iter().map(ToString::to_string).collect();
        text.extend(from.map(|from| format!("--from {from}")));
        text.extend(to.map(|to| format!("--to {to}")));
        text.extend(accounts.iter().map(|account| format!("--account {account}")));
        text.extend(regions.iter().map(|region| format!("--region {region}")));
        text.push(format!("select.scope={scope:?}").to_lowercase());
        text.join(" ")
    }
}

impl FromStr for Place {
    type Err = JobError;

    fn from_str(text: &str) -> Result<Self, JobError> {
        if text == STANDARD_INPUT {
            return Ok(Self::StandardInput);
        }
        match text.split_once("://") {
            Some(("s3", rest)) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err(JobError::NoBucket(text.to_owned()));
                }
                Ok(Self::Bucket { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
            }
            Some(_) => Err(JobError::Scheme(text.to_owned())),
            None => Ok(Self::Path(PathBuf::from(text))),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bucket { bucket, prefix } => write!(formatter, "s3://{bucket}/{prefix}"),
            Self::Path(path) => write!(formatter, "{}", path.display()),
            Self::StandardInput => formatter.write_str(STANDARD_INPUT),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;

    #[test]
    fn a_place_is_a_bucket_a_path_or_standard_input() {
        let bucket =
            |bucket: &str, prefix: &str| Place::Bucket { bucket: bucket.into(), prefix: prefix.into() };
        for (text, expected) in [
            ("s3://trail", Ok(bucket("trail", ""))),
            ("s3://trail/", Ok(bucket("trail", ""))),
            ("s3://trail/org/AWSLogs/", Ok(bucket("trail", "org/AWSLogs/"))),
            ("folder/file.json.gz", Ok(Place::Path("folder/file.json.gz".into()))),
            ("-", Ok(Place::StandardInput)),
            ("s3:///x", Err(JobError::NoBucket("s3:///x".to_owned()))),
            ("https://x/y", Err(JobError::Scheme("https://x/y".to_owned()))),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }

    #[test]
    fn whatever_changes_what_is_shipped_changes_the_description() {
        let job = |text: &str, filter: TrailFilter| Job::new(vec![text.parse().unwrap()], filter).unwrap();
        let plain = job("s3://a/b", TrailFilter::default());
        let mut descriptions = vec![
            plain.describe(Scope::Related),
            plain.describe(Scope::All),
            job("s3://a/c", TrailFilter::default()).describe(Scope::Related),
            job("s3://a/b", TrailFilter { from: Some(date!(2026 - 01 - 01)), ..TrailFilter::default() })
                .describe(Scope::Related),
            job("s3://a/b", TrailFilter { to: Some(date!(2026 - 01 - 01)), ..TrailFilter::default() })
                .describe(Scope::Related),
            job("s3://a/b", TrailFilter { accounts: vec!["1".into()], ..TrailFilter::default() })
                .describe(Scope::Related),
            job("s3://a/b", TrailFilter { regions: vec!["1".into()], ..TrailFilter::default() })
                .describe(Scope::Related),
        ];
        let all = descriptions.len();
        descriptions.sort();
        descriptions.dedup();
        assert_eq!(descriptions.len(), all, "{descriptions:#?}");
    }

    #[test]
    fn a_period_that_ends_before_it_begins_and_a_bucket_that_is_not_allowed_are_refused() {
        let (from, to) = (Some(date!(2026 - 02 - 01)), Some(date!(2026 - 01 - 01)));
        assert!(Job::new(vec![], TrailFilter { from, to, ..TrailFilter::default() }).is_err());
        let job = Job::new(vec!["s3://mine/x".parse().unwrap()], TrailFilter::default()).unwrap();
        let allowed = |bucket: &str| SourceConfig {
            allowed_buckets: vec![bucket.to_owned()],
            ..SourceConfig::default()
        };
        assert_eq!(job.check_allowed(&allowed("mine")), Ok(()));
        assert_eq!(job.check_allowed(&SourceConfig::default()), Ok(()));
        assert_eq!(job.check_allowed(&allowed("other")), Err(JobError::NotAllowed("mine".to_owned())));
    }
}
