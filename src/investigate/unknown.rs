//! Says what the records do not tell: what is not logged, not read, left out, or not come yet (pure).

use std::collections::BTreeMap;

use super::answers::counted;
use super::entry::Entry;
use super::left_out::{LeftOut, Part, Why};
use super::material::{MOST_RECORDS, Material, Source, Verification};
use super::report::Unknown;
use crate::timestamp;

/// Ids that one of these names.
const MOST_IDS: usize = 20;

/// What was cut while the report was written.
#[derive(Debug, Default)]
pub struct Cuts {
    pub resources: usize,
    pub indicators: usize,
    pub sessions: usize,
    pub steps: usize,
    pub sentences: usize,
}

/// Lists what a reader might take for granted and the records do not show, each with the records concerned.
///
/// What was cut for length is among it.
pub fn unknown(material: &Material, cuts: &Cuts) -> Vec<Unknown> {
    let entries = &material.entries;
    let mut told = Vec::new();
    let mut tell = |topic: &str, text: String, records: Vec<&Entry>| {
        let more = records.len().saturating_sub(MOST_IDS);
        let records = records.iter().take(MOST_IDS).map(|entry| entry.id.clone()).collect();
        told.push(Unknown { topic: topic.to_owned(), text, records, more });
    };
    let data_events = entries.iter().filter(|entry| entry.is_data_event).count();
    if data_events == 0 {
        tell(
            "data events",
            "No data event was read. Unless the trail logs them, calls of endpoints (InvokeEndpoint), reads and writes of \
             objects in S3 and of features leave no record: that nothing was taken cannot be said."
                .to_owned(),
            Vec::new(),
        );
    } else {
        let text = format!(
            "{data_events} data events were read. Whether the trail logs those of every bucket and endpoint, the records do not tell."
        );
        tell("data events", text, Vec::new());
    }
    let elsewhere = match material.source {
        Source::OpenSearch => {
            "Of other services only records that concern SageMaker are kept (select.scope). What the same credentials did \
             elsewhere is in the trail itself: --from-files reads all that its files have."
        }
        Source::Files => {
            "Of other services everything that these files have is read, whatever select.scope says. What the same credentials did \
             elsewhere is in files of other regions, accounts and days."
        }
    };
    tell("other services", elsewhere.to_owned(), Vec::new());
    verification(material, &mut tell);
    omitted(entries, &mut tell);
    for flaw in &material.flaws {
        let text = format!("{flaw}. What stands in the rest of it is not in this report.");
        tell("damaged files", text, Vec::new());
    }
    links(entries, &mut tell);
    let muted: Vec<&Entry> = entries.iter().filter(|entry| entry.muted > 0).collect();
    if !muted.is_empty() {
        let text = format!(
            "The site mutes rules that match {}; they count as no finding here.",
            counted(muted.len(), "record")
        );
        tell("muted findings", text, muted);
    }
    retention(material, &mut tell);
    gone(material, &mut tell);
    late(material, &mut tell);
    if material.rejected > 0 {
        let place = match material.source {
            Source::OpenSearch => "are in the index of rejected documents",
            Source::Files => "in the files are malformed",
        };
        tell(
            "rejected records",
            format!("{} records {place}, and were not read.", material.rejected),
            Vec::new(),
        );
    }
    caps(material, cuts, &mut tell);
    told
}

/// What is missing of requests and of answers, and why.
fn omitted<'e>(entries: &'e [Entry], tell: &mut Tell<'_, 'e>) {
    let mut whys: BTreeMap<LeftOut, Vec<&Entry>> = BTreeMap::new();
    let mut others = Vec::new();
    for entry in entries.iter().filter(|entry| !entry.omitted.is_empty()) {
        for why in &entry.left_out {
            whys.entry(*why).or_default().push(entry);
        }
        if entry.left_out.is_empty() {
            others.push(entry);
        }
    }
    for ((why, part), entries) in whys {
        let what = match part {
            Part::Request => "what was asked for",
            Part::Answer => "what was answered",
        };
        let count = counted(entries.len(), "record");
        let text = match why {
            Why::TooLarge => {
                format!(
                    "CloudTrail left out what was too large of {count}, so that {what} is not known in full."
                )
            }
            Why::Hidden => {
                format!("CloudTrail hides values in {count} for security, which are part of {what}.")
            }
            Why::NoParameters => {
                format!("{count} of calls that take parameters show none, so that {what} is not known.")
            }
        };
        tell("omitted parameters", text, entries);
    }
    if !others.is_empty() {
        let text =
            format!("CloudTrail left parts out of {}, which are not known.", counted(others.len(), "record"));
        tell("omitted parameters", text, others);
    }
}

type Tell<'t, 'e> = dyn FnMut(&str, String, Vec<&'e Entry>) + 't;

fn verification(material: &Material, tell: &mut Tell<'_, '_>) {
    let text = match &material.verification {
        Verification::NotAsked => {
            "Whether the files are whole and untouched was not asked; sagetrail verify compares a trail with CloudTrail's signed digests.".to_owned()
        }
        Verification::Never => {
            "No verification of these days is stored: files may be missing or altered. Run sagetrail verify.".to_owned()
        }
        Verification::Found { days, gaps: 0, last } => {
            format!("The last verification ({last}) found no gap on the {days} days that it compared; what it did not compare is not known.")
        }
        Verification::Found { days, gaps, last } => {
            format!("The last verification ({last}) found {gaps} gaps on {days} days: files are missing, altered or unproven. See sagetrail verify.")
        }
    };
    tell("verification", text, Vec::new());
}

/// What memory could not say of a record, each link once.
fn links<'e>(entries: &'e [Entry], tell: &mut Tell<'_, 'e>) {
    let mut missing: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        for what in &entry.missing {
            missing.entry(what).or_default().push(entry);
        }
    }
    let more = missing.len().saturating_sub(30);
    for (what, entries) in missing.into_iter().take(30) {
        let text = format!("Not known: {what}. Judged without it: {}.", counted(entries.len(), "record"));
        tell("missing links", text, entries);
    }
    if more > 0 {
        tell("missing links", format!("{more} more links are not known."), Vec::new());
    }
}

fn retention(material: &Material, tell: &mut Tell<'_, '_>) {
    let Some(oldest) = material.oldest else { return };
    let at = timestamp::format(oldest);
    let where_ = match material.source {
        Source::OpenSearch => "that is stored",
        Source::Files => "in the files",
    };
    let text = match material.since {
        Some(since) if since < oldest => format!(
            "The range begins before the oldest record {where_} ({at}): retention, a late start or missing files hide what was before."
        ),
        _ => format!("The oldest record {where_} is of {at}. What was before is not known here."),
    };
    tell("retention", text, Vec::new());
}

/// Records in which rules found the incident, and which are not there.
fn gone(material: &Material, tell: &mut Tell<'_, '_>) {
    let Some(incident) = &material.incident else { return };
    let is_read =
        |id: &&String| material.entries.iter().chain(&material.beyond).any(|entry| entry.id == **id);
    let gone = incident.records.iter().filter(|id| !is_read(id)).count();
    if gone > 0 {
        let text = format!(
            "{gone} of the {} records in which rules first found the incident were not read: they are not kept so long, or out of \
             the range.",
            incident.records.len()
        );
        tell("records of the incident", text, Vec::new());
    }
}

fn late(material: &Material, tell: &mut Tell<'_, '_>) {
    let newest = material.entries.last().map_or("unknown".to_owned(), Entry::at);
    let slowest = material.slowest_seconds.map_or(String::new(), |seconds| {
        format!(" The slowest of these took {} minutes to be stored.", seconds.div_euclid(60))
    });
    let until = material
        .until
        .map_or(String::new(), |until| format!(" The range ends at {}.", timestamp::format(until)));
    let text = format!(
        "The newest record read is of {newest}.{until} CloudTrail delivers most records within 15 minutes and some after hours, so \
         what is as new may still come; ask again.{slowest}"
    );
    tell("late records", text, Vec::new());
}

fn caps(material: &Material, cuts: &Cuts, tell: &mut Tell<'_, '_>) {
    if let (Some(count), Some(last)) = (material.left_out, material.entries.last()) {
        let text = format!(
            "{count} later records of the range were not read, because a report is of {MOST_RECORDS} at most: ask for them with --since {}.",
            last.at()
        );
        tell("bounds", text, Vec::new());
    }
    let mut cut = |count: u64, what: &str| {
        if count > 0 {
            tell("bounds", format!("{count} {what} are left out of this report."), Vec::new());
        }
    };
    let of = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    cut(of(cuts.resources), "resources with the least findings");
    cut(of(cuts.indicators), "indicators");
    cut(of(cuts.sessions), "sets of credentials");
    cut(of(cuts.steps), "steps of the timeline with the least findings");
    cut(of(cuts.sentences), "sentences of answers");
    if let Some(incident) = &material.incident
        && !incident.cut.is_empty()
    {
        let text = format!(
            "The incident had more {} than it keeps; records of others were not asked for.",
            incident.cut.join(", ")
        );
        tell("bounds", text, Vec::new());
    }
}
