//! Keeps what the latest verification found of each account, region and day of delivery.
//!
//! The document of a run says what that run found. A later run over another period may have closed its gaps, so each
//! day has a document of its own, which every verification writes again.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};
use time::{Date, OffsetDateTime};

use super::finding::{Finding, plural, words};
use crate::document::DocumentId;
use crate::labels::{FindingKind, Label};
use crate::names::Names;
use crate::opensearch::bulk::{self, Action};
use crate::record::{is_account, is_region};
use crate::source::folder::{ROOT, day_of};
use crate::timestamp;

/// How long a gap that nobody has closed is told, in days after it was last found. A history that was verified once
/// must not be an alert for ever.
pub const TOLD_DAYS: u32 = 30;

/// Documents in one bulk: some hundred kilobytes.
const BULK: usize = 1_000;

/// Stands for account and region where a trail holds nothing at all.
const NOTHING: &str = "none";

/// What is known of each day that was verified.
#[derive(Debug, Clone, Default)]
pub struct DayStatus(BTreeMap<Folder, Tally>);

/// The folder of one day in a trail's tree, whatever kind of files is in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Folder {
    /// The tree, down to the folder before the account's.
    trail: String,
    account: String,
    region: String,
    day: Date,
}

#[derive(Debug, Clone, Default)]
struct Tally {
    delivered: u64,
    shipped: u64,
    /// Valid digests that ended on that day.
    digests: u64,
    found: BTreeMap<FindingKind, u64>,
    /// The first gaps, as kind and object, so that nobody has to verify again to see where to look.
    objects: Vec<(FindingKind, String)>,
}

/// Gaps of a day that its document names.
const NAMED: usize = 10;

impl DayStatus {
    /// Takes over the days whose folders are there, so that a day without findings is known to be whole.
    pub fn cover<'d>(
        &mut self,
        bucket: &str,
        days: impl IntoIterator<Item = &'d String>,
        (from, to): (Date, Date),
    ) {
        for day in days {
            let object = format!("s3://{bucket}/{day}");
            let folder = Folder::of(&object, to);
            // Digests of days around the period are read too, but those days are not verified.
            if day_of(day).is_some_and(|day| (from..=to).contains(&day)) {
                self.0.entry(folder).or_default();
            }
        }
    }

    /// Takes over that a trail is there at all.
    pub fn cover_trail(&mut self, place: &str, from: Date) {
        self.0.entry(Folder::nothing(place, from)).or_default();
    }

    /// Takes over each day of a region's folder.
    pub fn cover_days(&mut self, base: &str, from: Date, to: Date) {
        let mut day = Some(from);
        while let Some(today) = day.filter(|day| *day <= to) {
            self.0.entry(Folder { day: today, ..Folder::of(base, to) }).or_default();
            day = today.next_day();
        }
    }

    /// Counts a valid digest on the day of its folder.
    pub fn prove(&mut self, digest: &str, to: Date) {
        self.0.entry(Folder::of(digest, to)).or_default().digests += 1;
    }

    /// Counts a file that a valid digest names, on the day of its folder.
    pub fn deliver(&mut self, object: &str, to: Date) {
        self.0.entry(Folder::of(object, to)).or_default().delivered += 1;
    }

    /// Counts a file that the ledger has with the signed content, on the day of its folder.
    pub fn ship(&mut self, object: &str, to: Date) {
        self.0.entry(Folder::of(object, to)).or_default().shipped += 1;
    }

    /// Counts a finding on its day. One about a whole region counts on each day that is known of it.
    pub fn find(&mut self, finding: &Finding, from: Date, to: Date) {
        let of = Folder::of(&finding.object, to);
        if day_of(folder_of(&finding.object)).is_none() {
            let mut is_known = false;
            for (folder, tally) in &mut self.0 {
                if (&folder.trail, &folder.account, &folder.region) == (&of.trail, &of.account, &of.region) {
                    tally.find(finding);
                    is_known = true;
                }
            }
            if is_known {
                return;
            }
        }
        let day = of.day.max(from);
        self.0.entry(Folder { day, ..of }).or_default().find(finding);
    }

    /// A missing file was shipped.
    pub fn repair(&mut self, object: &str, to: Date) {
        if let Some(tally) = self.0.get_mut(&Folder::of(object, to)) {
            tally.shipped += 1;
            if let Some(count) = tally.found.get_mut(&FindingKind::MissingFile) {
                *count = count.saturating_sub(1);
            }
            tally.objects.retain(|named| *named != (FindingKind::MissingFile, object.to_owned()));
        }
    }

    /// Adds the findings of another part of the trail.
    pub fn merge(&mut self, other: Self) {
        for (folder, tally) in other.0 {
            let known = self.0.entry(folder).or_default();
            known.delivered += tally.delivered;
            known.shipped += tally.shipped;
            known.digests += tally.digests;
            let room = NAMED.saturating_sub(known.objects.len());
            known.objects.extend(tally.objects.into_iter().take(room));
            for (kind, count) in tally.found {
                *known.found.entry(kind).or_default() += count;
            }
        }
    }

    /// The bodies of bulks that write every day anew.
    pub fn bulks(&self, index: &str, now: OffsetDateTime) -> Vec<Bytes> {
        let days: Vec<(&Folder, &Tally)> = self.0.iter().collect();
        let bulk = |days: &[(&Folder, &Tally)]| {
            let mut body = Vec::new();
            for (folder, tally) in days {
                let source = document(folder, tally, now).to_string();
                bulk::push(&mut body, Action::Index, index, folder.id().as_str(), source.as_bytes());
            }
            Bytes::from(body)
        };
        days.chunks(BULK).map(bulk).collect()
    }
}

impl Tally {
    fn find(&mut self, finding: &Finding) {
        *self.found.entry(finding.kind).or_default() += 1;
        if finding.kind.is_gap() && self.objects.len() < NAMED {
            self.objects.push((finding.kind, finding.object.clone()));
        }
    }

    fn gaps(&self) -> u64 {
        self.found.iter().filter(|(kind, _)| kind.is_gap()).map(|(_, count)| count).sum()
    }
}

impl Folder {
    /// The day's folder of an object, a folder or a prefix. What lies after the period belongs to its last day.
    fn of(object: &str, to: Date) -> Self {
        let path = folder_of(object);
        let segments: Vec<&str> = path.split('/').collect();
        let below = segments.iter().rposition(|segment| *segment == ROOT).map(|root| {
            let is_organisation = segments.get(root + 1).is_some_and(|segment| segment.starts_with("o-"));
            root + 1 + usize::from(is_organisation)
        });
        let Some(below) = below.filter(|at| segments.get(*at).is_some_and(|account| is_account(account)))
        else {
            return Self::nothing(object, to);
        };
        let region = segments.get(below + 2).copied().filter(|region| is_region(region));
        Self {
            trail: format!("{}/", segments[..below].join("/")),
            account: segments[below].to_owned(),
            region: region.unwrap_or(NOTHING).to_owned(),
            day: day_of(path).unwrap_or(to).min(to),
        }
    }

    fn nothing(place: &str, day: Date) -> Self {
        Self { trail: place.to_owned(), account: NOTHING.to_owned(), region: NOTHING.to_owned(), day }
    }

    /// Whether a trail holds anything is one document, whatever the period was.
    fn id(&self) -> DocumentId {
        let Self { trail, account, region, day } = self;
        let day = if account == NOTHING { String::new() } else { day.to_string() };
        DocumentId::of(None, format!("{trail} {account} {region} {day}").as_bytes())
    }
}

/// What stands before the last slash.
fn folder_of(object: &str) -> &str {
    object.rsplit_once('/').map_or(object, |(folder, _)| folder)
}

fn document(folder: &Folder, tally: &Tally, now: OffsetDateTime) -> Value {
    let mut verification = json!({
        "place": folder.trail, "day": folder.day.to_string(),
        "outcome": if tally.gaps() == 0 { "whole" } else { "gap" }, "gaps": tally.gaps(),
        "delivered": tally.delivered, "shipped": tally.shipped, "digests": tally.digests
    });
    if !tally.objects.is_empty() {
        let named = tally.objects.iter().map(|(kind, object)| format!("{}: {object}", words(*kind)));
        verification["objects"] = named.collect();
    }
    for kind in FindingKind::ALL.iter().copied() {
        verification[plural(kind)] = json!(tally.found.get(&kind).copied().unwrap_or_default());
    }
    json!({
        "@timestamp": timestamp::format(now),
        "cloud": {"account": {"id": folder.account}, "region": folder.region},
        "verification": verification
    })
}

/// The sums over all days, for metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenGaps {
    /// Gaps of each kind that were found within [`TOLD_DAYS`] and are not closed.
    pub gaps: BTreeMap<FindingKind, u64>,
    /// When the latest verification ran.
    pub last_run_at: Option<OffsetDateTime>,
}

impl OpenGaps {
    /// The path of the search. A missing index counts as empty.
    pub fn path(names: &Names) -> String {
        format!("{}/_search?ignore_unavailable=true&allow_no_indices=true", names.verified())
    }

    /// The search for the last run, and for the sums of what was found of days that were verified within [`TOLD_DAYS`].
    pub fn question() -> Value {
        let sums: serde_json::Map<String, Value> = FindingKind::ALL
            .iter()
            .map(|kind| {
                let sum = json!({"sum": {"field": format!("verification.{}", plural(*kind))}});
                (plural(*kind), sum)
            })
            .collect();
        json!({
            "size": 0,
            "aggs": {
                "last": {"max": {"field": "@timestamp"}},
                "told": {
                    "filter": {"range": {"@timestamp": {"gte": format!("now-{TOLD_DAYS}d")}}},
                    "aggs": sums
                }
            }
        })
    }

    /// Reads the answer; none when it is not that of OpenSearch.
    pub fn read(answer: &Value) -> Option<Self> {
        // Absent where no index was there to be asked.
        let Some(aggregations) = answer.as_object()?.get("aggregations") else {
            return Some(Self::default());
        };
        let sum = |kind: FindingKind| {
            // A sum over whole numbers, written as a number with a point.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "counts are small and not negative"
            )]
            Some((kind, aggregations["told"][plural(kind)]["value"].as_f64()? as u64))
        };
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds since 1970 are far below 2^52")]
        let last_run_at = aggregations["last"]["value"]
            .as_f64()
            .and_then(|millis| OffsetDateTime::from_unix_timestamp(millis as i64 / 1_000).ok());
        let gaps =
            FindingKind::ALL.iter().copied().filter(|kind| kind.is_gap()).map(sum).collect::<Option<_>>()?;
        Some(Self { gaps, last_run_at })
    }
}

#[cfg(test)]
mod tests;
