//! What is to be decided about (pure): an incident that stands, or origins without one.

use std::collections::{BTreeMap, BTreeSet};

use sagetrail_core::incident::{self, Alone, Incident, Surroundings, Tally, Weights};
use serde_json::Value;
use time::OffsetDateTime;

use super::changed::Changed;
use super::standing::Stored;
use super::tally;

#[derive(Debug)]
pub(super) struct Matter {
    /// The incident of before, standing or closed.
    pub last: Option<Stored>,
    pub origins: BTreeSet<String>,
    pub from: OffsetDateTime,
    /// What the signals of the origins say, where that was asked already.
    pub tally: Option<Tally>,
    /// What those did of whom no page of the incident has told.
    pub untold: Option<Tally>,
    /// What of it is new, which is marked as judged in the end.
    pub news: Vec<Changed>,
}

/// Incidents that stand and concern somebody of whom there is something new, each once.
#[derive(Debug, Default)]
pub(super) struct Joining(BTreeMap<String, Matter>);

impl Joining {
    /// Adds an origin to what is decided about an incident, and from when its signals count.
    pub(super) fn add(
        &mut self,
        stored: &Stored,
        origin: &str,
        from: OffsetDateTime,
        news: impl IntoIterator<Item = Changed>,
    ) {
        let fields = &stored.incident.incident;
        let matter = self.0.entry(fields.id.clone()).or_insert_with(|| Matter {
            origins: fields.origins.iter().cloned().collect(),
            from,
            last: Some(stored.clone()),
            tally: None,
            untold: None,
            news: Vec::new(),
        });
        matter.origins.insert(origin.to_owned());
        matter.from = matter.from.min(from);
        matter.news.extend(news);
    }

    /// Takes out all of them.
    pub(super) fn take(&mut self) -> Vec<Matter> {
        std::mem::take(&mut self.0).into_values().collect()
    }
}

impl Matter {
    pub(super) fn first(&self) -> Option<OffsetDateTime> {
        self.tally.as_ref().and_then(|tally| tally.first)
    }

    pub(super) fn question(&self, weights: &Weights) -> Value {
        tally::question(&self.all_origins(), self.from, &weights.assets)
    }

    /// What else has to be asked after the answer, where it has not all resources.
    pub(super) fn question_of_assets(&self, answer: &Value, weights: &Weights) -> Option<Value> {
        tally::question_of_assets(answer, &self.all_origins(), self.from, &weights.assets)
    }

    /// What those did of whom no page has told, as far as it would open an incident now.
    pub(super) fn question_of_untold(&self, weights: &Weights, now: OffsetDateTime) -> Option<Value> {
        let standing = self.last.as_ref().filter(|last| last.incident.is_standing())?;
        let origins = incident::untold(&standing.incident, &self.origins);
        let counts = self.news.iter().map(|news| incident::counts_with(None, news.came(), weights, now));
        let from = self.from.max(counts.min().unwrap_or_else(|| incident::counts_from(None, weights, now)));
        (!origins.is_empty()).then(|| tally::question(&origins, from, &weights.assets))
    }

    fn all_origins(&self) -> Vec<String> {
        self.origins.iter().cloned().collect()
    }

    /// Whether somebody can belong to the incident now who did not before.
    pub(super) fn ties_more(&self, incident: &Incident) -> bool {
        let Some(last) = self.last.as_ref().filter(|last| last.incident.is_standing()) else { return true };
        let (before, now) = (&last.incident.incident, &incident.incident);
        (&before.ties, &before.origins, &before.principals) != (&now.ties, &now.origins, &now.principals)
    }

    fn alone(&self) -> Alone<'_> {
        Alone {
            origin: self.origins.first().expect("a matter is about somebody"),
            tally: self.tally.as_ref().expect("it was summed up"),
            last: self.last.as_ref().map(|last| &last.incident),
        }
    }
}

/// Puts together what belongs to an incident that one of these is about to open.
pub(super) fn together(alone: Vec<Matter>, around: Surroundings<'_>) -> Vec<Matter> {
    let groups = incident::put_together(&alone.iter().map(Matter::alone).collect::<Vec<_>>(), around);
    let mut alone: Vec<Option<Matter>> = alone.into_iter().map(Some).collect();
    groups
        .into_iter()
        .map(|places| merged(places.into_iter().filter_map(|place| alone[place].take())))
        .collect()
}

/// One matter of several. It follows what its earliest origin did before.
fn merged(mut members: impl Iterator<Item = Matter>) -> Matter {
    let mut merged = members.next().expect("a group has members");
    let mut first = merged.first();
    for member in members {
        first = [first, member.first()].into_iter().flatten().min();
        merged.origins.extend(member.origins);
        merged.news.extend(member.news);
        // What one of them did in an incident that is closed does not count again.
        merged.from = first.unwrap_or(merged.from);
        merged.tally = None;
    }
    merged
}
