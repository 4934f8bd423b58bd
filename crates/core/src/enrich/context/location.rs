//! Takes the places in S3 that a call reads from and writes to.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde::Serialize;
use serde_json_borrow::Value;

use super::texts::Texts;
use crate::record::{is_service_domain, member};

/// Each location stands in one list, by what the call does there; its bucket stands in the list of all buckets as well.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct S3<'r> {
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub inputs: Texts<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub outputs: Texts<'r>,
    /// Artefacts of models.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub models: Texts<'r>,
    /// Scripts, sources and templates that are run.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub code: Texts<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub input_buckets: Texts<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub output_buckets: Texts<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub model_buckets: Texts<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub code_buckets: Texts<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub buckets: Texts<'r>,
}

impl<'r> S3<'r> {
    /// Takes a text that is a location, which is known by its look.
    pub fn take(&mut self, text: &'r str, direction: Direction) {
        let Some(bucket) = bucket(text) else { return };
        let (locations, buckets) = self.of(direction);
        locations.take(text);
        buckets.take(bucket);
        self.buckets.take(bucket);
    }

    /// Takes the bucket of a location that is given as bucket and key, as that of a pipeline's definition.
    pub fn take_parts(&mut self, location: &'r Value<'_>) {
        if let Some(bucket) = member(location, "bucket").as_str().filter(|bucket| !bucket.is_empty()) {
            self.code_buckets.take(bucket);
            self.buckets.take(bucket);
        }
    }

    fn of(&mut self, direction: Direction) -> (&mut Texts<'r>, &mut Texts<'r>) {
        match direction {
            Direction::Read => (&mut self.inputs, &mut self.input_buckets),
            Direction::Written => (&mut self.outputs, &mut self.output_buckets),
            Direction::Model => (&mut self.models, &mut self.model_buckets),
            Direction::Code => (&mut self.code, &mut self.code_buckets),
        }
    }
}

/// What a call does at a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Read,
    Written,
    /// It takes a model from there.
    Model,
    /// It runs what is there.
    Code,
}

impl Direction {
    /// The direction of what a member holds, by the member's name in lower case. None where the name does not say, and
    /// what the member stands in decides.
    pub fn of(name: &str) -> Option<Self> {
        // What an endpoint captured, which a monitoring job reads.
        if name == "datacaptureddestinations3uri" {
            return Some(Self::Read);
        }
        let word = WORDS.find(name)?.pattern().as_usize();
        Some(BY_WORD[word].1)
    }
}

/// Words in the names of members that say what is done with a location. The first in a name decides.
const BY_WORD: &[(&str, Direction)] = &[
    ("output", Direction::Written),
    ("destination", Direction::Written),
    ("datacapture", Direction::Written),
    // A job saves its state there.
    ("checkpointconfig", Direction::Written),
    ("offlinestoreconfig", Direction::Written),
    // The artefacts of MLflow and of Canvas.
    ("artifactstoreuri", Direction::Written),
    ("s3artifactpath", Direction::Written),
    ("s3failurepath", Direction::Written),
    ("s3upload", Direction::Written),
    // What an inference experiment captures.
    ("datastorageconfig", Direction::Written),
    ("projects3path", Direction::Written),
    ("modeldata", Direction::Model),
    ("modelsource", Direction::Model),
    ("modelartifact", Direction::Model),
    ("artifacturl", Direction::Model),
    ("adaptersource", Direction::Model),
    // The scripts of a cluster's nodes and of a monitoring job.
    ("sources3uri", Direction::Code),
    ("processorsourceuri", Direction::Code),
    ("submit_directory", Direction::Code),
    ("uitemplates3uri", Direction::Code),
    ("templateurl", Direction::Code),
];

static WORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let words = AhoCorasick::new(BY_WORD.iter().map(|(word, _)| word));
    words.expect("a few words can be looked for")
});

fn bucket(text: &str) -> Option<&str> {
    parts(text).map(|(bucket, _)| bucket)
}

/// The bucket and the key of `s3://bucket/key`, `https://bucket.s3.region.amazonaws.com/key` or
/// `https://s3.region.amazonaws.com/bucket/key`.
pub fn parts(text: &str) -> Option<(&str, &str)> {
    let in_path = |path: &'_ str| path.find('/').map_or((path.len(), path.len()), |slash| (slash, slash + 1));
    let text = text.trim();
    if let Some(path) = without_scheme(text, "s3://") {
        let (end, begin) = in_path(path);
        return Some((&path[..end], &path[begin..])).filter(|(bucket, _)| !bucket.is_empty());
    }
    let (host, path) = without_scheme(text, "https://")?.split_once('/')?;
    let path = path.split('?').next().unwrap_or(path);
    let (bucket, key) = match host.rsplit_once(".s3.").or_else(|| host.rsplit_once(".s3-")) {
        Some((bucket, endpoint)) if is_s3_endpoint(endpoint) => (bucket, path),
        Some(_) => return None,
        None => {
            let endpoint = host.strip_prefix("s3.").or_else(|| host.strip_prefix("s3-"))?;
            let (end, begin) = in_path(path);
            Some((&path[..end], &path[begin..])).filter(|_| is_s3_endpoint(endpoint))?
        }
    };
    (!bucket.is_empty()).then_some((bucket, key))
}

/// The text behind a scheme, which may be written in capital letters.
fn without_scheme<'t>(text: &'t str, scheme: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
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
            (" s3://training/x", Some("training")),
            ("S3://training/x", Some("training")),
            ("HTTPS://models.s3.amazonaws.com/m", Some("models")),
            ("s3:/ü", None),
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
