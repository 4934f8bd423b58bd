//! Sums up a replay, for people and for machines.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::pipeline::Shipped;
use crate::templates::{PLAIN, fill};

/// The numbers of one replay.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    pub objects: u64,
    /// Objects that hold no records or were left out by their names.
    pub skipped: u64,
    pub records: u64,
    pub selected: u64,
    pub created: u64,
    /// Documents that were there before.
    pub duplicate: u64,
    pub rejected: u64,
    /// Facts that were joined into memory; None where it is off.
    pub facts: Option<u64>,
    pub stored_bytes: u64,
    pub raw_bytes: u64,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub took: Duration,
    /// Whether the run went on from a checkpoint; the numbers are those of this run alone.
    pub resumed: bool,
    pub interrupted: bool,
    pub failed: Vec<Failure>,
}

/// An object that could not be shipped whole.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    pub object: String,
    pub reason: String,
}

/// What a job would read.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    pub objects: u64,
    pub bytes: u64,
    pub skipped: u64,
}

fn seconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(took.as_secs_f64())
}

impl Summary {
    /// Counts one object that was shipped whole.
    pub fn add(&mut self, shipped: &Shipped) {
        self.objects += 1;
        self.records += shipped.contents.records;
        self.selected += shipped.contents.selected;
        self.stored_bytes += shipped.contents.stored_bytes;
        self.raw_bytes += shipped.contents.raw_bytes;
        self.created += shipped.documents.created;
        self.duplicate += shipped.documents.duplicate;
        self.rejected += shipped.documents.rejected;
        if let Some(facts) = &mut self.facts {
            *facts += shipped.documents.facts;
        }
    }

    /// Records in a second, selected or not.
    pub fn rate(&self, took: Duration) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate of so many records needs no last digit")]
        let records = self.records as f64;
        records / took.as_secs_f64().max(0.001)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&fill(include_str!("summary.txt.j2"), PLAIN, self))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "objects    {} would be read, {} skipped", self.objects, self.skipped)?;
        writeln!(formatter, "bytes      {} stored", self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_was_shipped_how_fast_and_what_failed() {
        let failure = Failure { object: "s3://b/k".to_owned(), reason: "gone".to_owned() };
        let took = Duration::from_millis(2_500);
        let mut summary =
            Summary { objects: 1, records: 30, took, failed: vec![failure], ..Summary::default() };
        let text = summary.to_string();
        assert!(text.starts_with("objects    1 shipped, 1 failed, 0 skipped\nrecords    30 read"), "{text}");
        assert!(text.contains("\nmemory     off: nothing was remembered"), "{text}");
        assert!(text.ends_with("\ntime       2.5 s, 12 records/s\nfailed     s3://b/k: gone\n"), "{text}");
        assert!(!text.contains("pages"), "nothing is new: {text}");
        summary.created = 1;
        let text = summary.to_string();
        assert!(text.contains("1 new, 0 duplicate, 0 rejected\npages      none of what is older"), "{text}");
        summary.facts = Some(7);
        assert!(summary.to_string().contains("\nmemory     7 facts written"));
    }
}
