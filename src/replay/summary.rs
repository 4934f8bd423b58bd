//! Sums up a replay, for people and for machines.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::pipeline::Shipped;

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
        let Self { objects, skipped, records, selected, created, duplicate, rejected, facts, .. } = self;
        writeln!(formatter, "objects    {objects} shipped, {} failed, {skipped} skipped", self.failed.len())?;
        writeln!(formatter, "records    {records} read, {selected} selected")?;
        writeln!(formatter, "documents  {created} new, {duplicate} duplicate, {rejected} rejected")?;
        match facts {
            Some(facts) => {
                writeln!(formatter, "memory     {facts} facts written, of what was not known already")?;
            }
            None => writeln!(formatter, "memory     off: nothing was remembered of these records")?,
        }
        writeln!(formatter, "bytes      {} stored, {} uncompressed", self.stored_bytes, self.raw_bytes)?;
        writeln!(
            formatter,
            "time       {:.1} s, {:.0} records/s",
            self.took.as_secs_f64(),
            self.rate(self.took)
        )?;
        for Failure { object, reason } in &self.failed {
            writeln!(formatter, "failed     {object}: {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "objects    {} would be read, {} skipped", self.objects, self.skipped)?;
        writeln!(formatter, "bytes      {} stored", self.bytes)
    }
}
