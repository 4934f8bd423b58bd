//! Finds the incident that somebody means, by the beginning of its id.

use serde_json::json;

use crate::incident::Incident;
use crate::opensearch::{Found, OpenSearch, Query, QueryError};

/// The shortest beginning of an id that is taken for one.
const SHORTEST: usize = 8;
/// How many digits an id has.
const LONGEST: usize = 32;
/// Incidents that are named where it is not clear which is meant.
const NAMED: usize = 20;

const QUERY: Query =
    Query { operation: "reading incidents", grant: "indices:data/read/search on the index of incidents" };

/// Why no incident is meant.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error("there is no incident whose id begins with {id}; there are:{known}")]
    None { id: String, known: String },
    #[error("several incidents begin with {id}; ask for one of them:{known}")]
    Several { id: String, known: String },
}

/// What somebody may mean with an id: that of an incident, the beginning of one, or that of a page.
pub fn id_in(asked: &str) -> Option<&str> {
    let (id, page) = asked.split_once('/').unwrap_or((asked, ""));
    let is_id = (SHORTEST..=LONGEST).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (is_id && page.bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
}

/// The stored incidents whose ids begin so, the latest first.
pub async fn stored(client: &OpenSearch, id: &str) -> Result<Vec<Incident>, QueryError> {
    let path =
        format!("{}/_search?ignore_unavailable=true&allow_no_indices=true", client.names().incidents());
    let body = json!({
        "size": NAMED, "query": {"prefix": {"incident.id": {"value": id}}},
        "sort": [{"incident.opened": {"order": "desc", "unmapped_type": "date"}}],
    });
    let Found::<serde_json::Value> { hits } = QUERY.ask_patiently(client, &path, &body).await?;
    Ok(hits.hits.into_iter().filter_map(|hit| serde_json::from_value(hit.source).ok()).collect())
}

/// The incident whose id begins so.
pub fn the_one(incidents: Vec<Incident>, id: &str) -> Result<Incident, IncidentError> {
    let is_meant = |incident: &Incident| incident.incident.id.starts_with(id);
    let (mut meant, others): (Vec<Incident>, Vec<Incident>) = incidents.into_iter().partition(is_meant);
    match (meant.pop(), meant.is_empty()) {
        (Some(incident), true) => Ok(incident),
        (None, _) => Err(IncidentError::None { id: id.to_owned(), known: names(&others) }),
        (Some(last), false) => {
            meant.push(last);
            Err(IncidentError::Several { id: id.to_owned(), known: names(&meant) })
        }
    }
}

fn names(incidents: &[Incident]) -> String {
    let line = |it: &Incident| format!("\n  {}  {}", it.incident.id, it.message);
    let lines: Vec<String> = incidents.iter().take(NAMED).map(line).collect();
    if lines.is_empty() { " none".to_owned() } else { lines.concat() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_told_from_names_by_its_form() {
        const WHOLE: &str = "ef59c50419a67acb64ab3f936e02b75d";
        for (asked, id) in [
            (WHOLE, Some(WHOLE)),
            ("ef59c504", Some("ef59c504")),
            ("ef59c504/2", Some("ef59c504")),
            ("ef59c50", None),
            ("EF59C504", None),
            ("ef59c504/model", None),
            ("fraud-research", None),
        ] {
            assert_eq!(id_in(asked), id, "{asked}");
        }
    }
}
