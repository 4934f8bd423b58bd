//! Locations: where in S3 a call reads and where it writes.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde::Serialize;
use serde_json_borrow::Value;

use super::texts::Texts;
use crate::record::{is_service_domain, member};

#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct S3<'r> {
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub inputs: Texts<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub outputs: Texts<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub buckets: Texts<'r>,
}

impl<'r> S3<'r> {
    /// Takes a text that is a location, which is known by its look.
    pub fn take(&mut self, text: &'r str, direction: Direction) {
        let Some(bucket) = bucket(text) else { return };
        self.buckets.take(bucket);
        match direction {
            Direction::Read => self.inputs.take(text),
            Direction::Written => self.outputs.take(text),
        }
    }

    /// Takes the bucket of a location that is given as bucket and key, as that of a pipeline's definition.
    pub fn take_bucket(&mut self, location: &'r Value<'_>) {
        if let Some(bucket) = member(location, "bucket").as_str().filter(|bucket| !bucket.is_empty()) {
            self.buckets.take(bucket);
        }
    }
}

/// Whether a call reads a location or writes to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Read,
    Written,
}

impl Direction {
    /// The direction of what a member holds, by the member's name in lower case. None where the name does not say, and
    /// what the member stands in decides.
    pub fn of(name: &str) -> Option<Self> {
        if name == "datacaptureddestinations3uri" {
            // What an endpoint captured, which a monitoring job reads.
            return Some(Self::Read);
        }
        WRITTEN.is_match(name).then_some(Self::Written)
    }
}

/// Words in the names of members that say where something is written.
static WRITTEN: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let words = AhoCorasick::new([
        "output",
        "destination",
        "datacapture",
        // A job saves its state there.
        "checkpointconfig",
        // The offline store of a feature group.
        "offlinestoreconfig",
        // The artefacts of MLflow and of Canvas.
        "artifactstoreuri",
        "s3artifactpath",
        "s3failurepath",
        "s3upload",
    ]);
    words.expect("a few words can be looked for")
});

/// The bucket of `s3://bucket/key`, `https://bucket.s3.region.amazonaws.com/key` or
/// `https://s3.region.amazonaws.com/bucket/key`.
fn bucket(text: &str) -> Option<&str> {
    if let Some(path) = text.strip_prefix("s3://") {
        return path.split('/').next().filter(|bucket| !bucket.is_empty());
    }
    let (host, path) = text.strip_prefix("https://")?.split_once('/')?;
    let bucket = match host.rsplit_once(".s3.").or_else(|| host.rsplit_once(".s3-")) {
        Some((bucket, endpoint)) if is_s3_endpoint(endpoint) => bucket,
        Some(_) => return None,
        None => {
            let endpoint = host.strip_prefix("s3.").or_else(|| host.strip_prefix("s3-"))?;
            path.split(['/', '?']).next().filter(|_| is_s3_endpoint(endpoint))?
        }
    };
    (!bucket.is_empty()).then_some(bucket)
}

/// What follows `s3.` or `s3-` in the name of a host: at most a region before AWS's domain.
fn is_s3_endpoint(endpoint: &str) -> bool {
    is_service_domain(endpoint)
        || endpoint.match_indices('.').any(|(at, _)| is_service_domain(&endpoint[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bucket_is_found_in_every_form_of_a_location() {
        for (text, expected) in [
            ("s3://training/in/x", Some("training")),
            ("s3://training", Some("training")),
            ("https://models.s3.eu-west-1.amazonaws.com/m.tar.gz", Some("models")),
            ("https://my.models.s3-eu-west-1.amazonaws.com/m.tar.gz", Some("my.models")),
            ("https://models.s3.amazonaws.com/m.tar.gz", Some("models")),
            ("https://s3.eu-west-1.amazonaws.com/models/m.tar.gz", Some("models")),
            ("https://s3-eu-west-1.amazonaws.com/models/m.tar.gz", Some("models")),
            ("https://s3.amazonaws.com/models?x=1", Some("models")),
            ("https://s3.cn-north-1.amazonaws.com.cn/models/m", Some("models")),
            ("https://models.s3.dualstack.eu-west-1.amazonaws.com/m", Some("models")),
            ("https://models.s3.eu-west-1.amazonaws.com.example.net/m", None),
            ("https://models.s3.us-iso-east-1.c2s.ic.gov/m", Some("models")),
            ("https://s3.eusc-de-east-1.amazonaws.eu/models/m", Some("models")),
            ("https://s3.evilamazonaws.com/models/m", None),
            ("https://example.com/s3/m", None),
            ("s3://", None),
            ("https://s3.amazonaws.com/", None),
            ("s3", None),
        ] {
            assert_eq!(bucket(text), expected, "{text}");
        }
    }
}
