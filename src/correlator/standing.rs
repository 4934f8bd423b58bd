//! The incidents that stand, and the last one of an origin.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use sagetrail_core::incident::{self, Incident, Tally};
use serde_json::{Value, json};

use super::asking::{Asking, Writing};
use crate::enrich::selves;
use crate::opensearch::QueryError;
use crate::opensearch::bulk::Action;

/// Incidents that are looked at. A site with more that stand at once has another problem; the latest count.
const MOST_STANDING: usize = 1_000;

/// An incident with the version in which it was read.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub incident: Incident,
    version: Action,
}

/// The incidents that are not closed, as they were read or written last.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    /// Those that were opened last at the end.
    stored: Vec<Stored>,
    /// The place of the incident of each origin.
    origins: HashMap<String, usize>,
    /// Hashes of what somebody can be tied to one of them by.
    ties: HashSet<u64>,
    hasher: RandomState,
}

impl Stored {
    /// Writes another version in place of this one.
    pub(super) fn replaced(&self, index: String, incident: &Incident) -> Writing {
        writing(index, incident, self.version)
    }
}

impl Standing {
    /// Reads those about attacks; the answer has the latest first.
    pub(super) async fn read(asking: &Asking) -> Result<Self, QueryError> {
        let question = json!({
            "size": MOST_STANDING, "seq_no_primary_term": true, "track_total_hits": false,
            "query": {"bool": {"must_not": [
                {"term": {"incident.state": "closed"}}, {"term": {"incident.kind": "health"}}
            ]}},
            "sort": [
                {"incident.opened": {"order": "desc", "unmapped_type": "date"}},
                {"incident.id": {"order": "asc", "unmapped_type": "keyword"}}
            ]
        });
        let answer = asking.search(&asking.client.names().incidents(), &question).await?;
        let mut standing = Self::default();
        read(&answer).into_iter().rev().for_each(|stored| standing.add(stored));
        Ok(standing)
    }

    /// Takes in a version that was written just now.
    pub(super) fn put(&mut self, incident: Incident, version: Action) {
        let is_it = |stored: &&mut Stored| stored.incident.incident.id == incident.incident.id;
        match self.stored.iter_mut().find(is_it) {
            Some(stored) => *stored = Stored { incident, version },
            None => return self.add(Stored { incident, version }),
        }
        // It may have taken in somebody.
        let all = std::mem::take(&mut self.stored);
        for stored in all {
            self.add(stored);
        }
    }

    pub(super) fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.iter().map(|stored| &stored.incident)
    }

    /// All that are not closed, the latest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Stored> {
        self.stored.iter().rev().filter(|stored| stored.incident.is_standing())
    }

    pub(super) fn of_origin(&self, origin: &str) -> Option<&Stored> {
        let stored = self.origins.get(origin).and_then(|place| self.stored.get(*place));
        stored.filter(|stored| stored.incident.is_standing())
    }

    /// The latest that somebody with these signals belongs to.
    pub(super) fn tied(&self, tally: &Tally) -> Option<&Stored> {
        // To compare with each of many takes long, and most people are tied to nothing.
        let is_known = |key: &str| self.ties.contains(&self.hasher.hash_one(key));
        if !tally.ties.names().any(is_known) && !tally.selves().iter().any(|key| is_known(key)) {
            return None;
        }
        self.iter().find(|stored| incident::is_tied(tally, &stored.incident))
    }

    fn add(&mut self, stored: Stored) {
        let fields = &stored.incident.incident;
        for origin in &fields.origins {
            self.origins.insert(origin.clone(), self.stored.len());
        }
        let selves = selves(fields.origins.iter().chain(&fields.principals).map(String::as_str));
        let keys: Vec<u64> = selves
            .into_iter()
            .chain(fields.ties.iter().cloned())
            .map(|key| self.hasher.hash_one(key.as_str()))
            .collect();
        self.ties.extend(keys);
        self.stored.push(stored);
    }
}

/// Writes a new incident.
pub(super) fn created(index: String, incident: &Incident) -> Writing {
    writing(index, incident, Action::Create)
}

fn writing(index: String, incident: &Incident, action: Action) -> Writing {
    let source = serde_json::to_value(incident).expect("an incident is made of texts and numbers");
    Writing { index, id: incident.incident.id.clone(), action, source }
}

/// The search for the last incidents of an origin.
pub(super) fn question_of_last(origin: &str) -> Value {
    json!({
        // One that stands can have been opened before one that is closed, when this origin joined it.
        "size": 5, "seq_no_primary_term": true, "track_total_hits": false,
        "query": {"bool": {
            "filter": [{"term": {"incident.origins": origin}}],
            "must_not": [{"term": {"incident.kind": "health"}}]
        }},
        "sort": [{"incident.opened": {"order": "desc", "unmapped_type": "date"}}]
    })
}

/// The one that stands, or else the last of those that are closed.
pub(super) fn last(answer: &Value) -> Option<Stored> {
    let mut found = read(answer);
    let position = found.iter().position(|stored| stored.incident.is_standing()).unwrap_or(0);
    (position < found.len()).then(|| found.swap_remove(position))
}

pub(super) fn read(answer: &Value) -> Vec<Stored> {
    let hits = answer["hits"]["hits"].as_array().into_iter().flatten();
    let stored = |hit: &Value| {
        let version = Action::Replace {
            seq_no: hit["_seq_no"].as_u64()?,
            primary_term: hit["_primary_term"].as_u64()?,
        };
        let incident = serde_json::from_value(hit["_source"].clone()).ok()?;
        Some(Stored { incident, version })
    };
    hits.filter_map(stored).collect()
}
