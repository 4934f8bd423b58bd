//! Reads the incidents that stand, and the last one of an origin.

use sagetrail_core::incident::Incident;
use serde_json::{Value, json};

use super::asking::{Asking, Writing};
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

impl Stored {
    /// Writes another version in place of this one.
    pub(super) fn replaced(&self, index: String, incident: &Incident) -> Writing {
        writing(index, incident, self.version)
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

/// The incidents about attacks that are not closed, the latest first.
pub(super) async fn standing(asking: &Asking) -> Result<Vec<Stored>, QueryError> {
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
    Ok(read(&answer))
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
