//! Writes the script that contains an incident, a principal or a resource. It asks nothing of AWS and runs nothing.
//!
//! What there is to contain is read from stored records and memory, or from files; which step contains what is data, in
//! `config/containment.toml`; and the script follows from both alone.

mod advice;
mod argument;
mod deed;
mod index;
mod json;
mod plan;
mod policies;
mod scene;
mod shell;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;

use serde_json::Value;
use time::{Duration, OffsetDateTime};

use crate::config::SourceConfig;
use crate::enrich::Enricher;
use crate::incident::{Incident, Weights};
use crate::incidents::{self, IncidentError, id_in, the_one};
use crate::investigate::{around, counted};
use crate::offline::{OfflineError, Records, parsed};
use crate::opensearch::{OpenSearch, OpenSearchError, QueryError};
pub use advice::{Advised, Concerned, advised, reason_for_none};
pub use deed::REQUEST;
use deed::{Deed, MOST_DEEDS};
pub use index::find_policies;
pub use json::document;
pub use plan::Plan;
pub use policies::{Earlier, Policies, PolicyName};
pub use scene::account_of;
use scene::{Scene, Subject};
pub use shell::{Direction, script};
use steps::BOOK;
pub use steps::Phase;

/// How far back the records of a principal or a resource are read, unless somebody says.
const USUAL_HISTORY: Duration = Duration::days(7);

/// Why there is no script.
#[derive(Debug, thiserror::Error)]
pub enum ContainError {
    #[error(transparent)]
    Request(#[from] OpenSearchError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Files(#[from] OfflineError),
    #[error(transparent)]
    Incident(#[from] IncidentError),
    #[error(
        "nothing is known of {asked}: no incident that these records make has that id, and no record since {since} is by a principal or about a \
         resource of that name. Give an id from a page, an ARN or access key as records have it, or an earlier --since"
    )]
    Unknown { asked: String, since: String },
    #[error(
        "the records of incident {id} are not there any more. Give the CloudTrail files of {start} and after with --from-files, \
         those of the days before first"
    )]
    Forgotten { id: String, start: String },
}

/// Plans the containment of what somebody names, by what is stored. It reads records since a time, by default of seven
/// days, and those of an incident since it began.
pub async fn from_index(
    client: &OpenSearch,
    asked: &str,
    since: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> Result<Plan, ContainError> {
    let since_then = since.unwrap_or(now - USUAL_HISTORY);
    let incident = match id_in(asked) {
        Some(id) => meant(incidents::stored(client, id).await?, id)?,
        None => None,
    };
    let query = incident.as_ref().map_or_else(|| index::of_principal(asked, since_then), of_incident);
    let (mut deeds, mut is_cut) = index::deeds(client, &query).await?;
    let mut subject = Subject::Somebody;
    if deeds.is_empty() && incident.is_none() {
        subject = Subject::Resource(asked);
        (deeds, is_cut) = index::deeds(client, &index::of_resource(asked, since_then)).await?;
    }
    match &incident {
        _ if !deeds.is_empty() => {}
        Some(Incident { incident, event, .. }) => {
            let start = crate::timestamp::format(event.start.0);
            return Err(ContainError::Forgotten { id: incident.id.clone(), start });
        }
        None => return Err(unknown(asked, Some(since_then))),
    }
    let begin = begin(incident.as_ref(), &deeds, since);
    let mut policies = Policies::wanted(set_since(&deeds, begin));
    find_policies(client, &mut policies).await?;
    let mut scene = Scene::of(&deeds, subject, begin, &policies);
    let states = index::states(client, &scene.keys()).await?;
    scene.remember(|key| states.get(key));
    scene.notes.extend(is_cut.then(cut));
    scene.notes.extend(notes(incident.as_ref(), &deeds, subject, begin));
    let asked = incident.as_ref().map_or(asked, |incident| incident.incident.id.as_str());
    Ok(Plan::of(&scene, &BOOK, asked))
}

/// Plans the same by files.
pub fn from_files(
    files: &[PathBuf],
    config: &SourceConfig,
    enricher: &Enricher,
    weights: Weights,
    asked: &str,
    since: Option<OffsetDateTime>,
    mut complain: impl FnMut(&OfflineError),
) -> Result<Plan, ContainError> {
    let mut flaws = Vec::new();
    let note = |error: &OfflineError| {
        flaws.push(format!("{error}. What stands in the rest of it is not contained."));
        complain(error);
    };
    // Whoever gives files wants all that they tell of somebody, whatever the site ships.
    let everything = enricher.of_everything();
    let records = Records::read(files, &config.limits(), &everything, note)?;
    let incident = match id_in(asked) {
        Some(id) => meant(records.incidents(enricher, weights)?, id)?,
        None => None,
    };
    let (mut by, mut about) = (Meant::default(), Meant::default());
    let is_meant = |deed: &Deed| match &incident {
        Some(incident) => {
            around(incident).contains(&deed.time)
                && incident.incident.origins.iter().any(|it| deed.actor.keys.contains(it))
        }
        None => deed.actor.is(asked) && since.is_none_or(|since| deed.time >= since),
    };
    let is_about = |deed: &Deed| {
        let is_it = deed.resource.as_ref().is_some_and(|it| it.is(asked));
        is_it && !deed.reads && since.is_none_or(|since| deed.time >= since)
    };
    let read = records.judge(&everything, |document| {
        let source = parsed(document);
        if let Some(deed) = Deed::read(&source) {
            if is_meant(&deed) {
                by.take(deed);
            } else if is_about(&deed) {
                about.take(deed);
            }
        }
        ControlFlow::Continue(())
    })?;
    let (meant, subject) =
        if by.deeds.is_empty() { (about, Subject::Resource(asked)) } else { (by, Subject::Somebody) };
    if meant.deeds.is_empty() {
        return Err(unknown(asked, since));
    }
    let begin = begin(incident.as_ref(), &meant.deeds, since);
    let policies = earlier(&records, &everything, Policies::wanted(set_since(&meant.deeds, begin)))?;
    let mut scene = Scene::of(&meant.deeds, subject, begin, &policies);
    let states = read.remembered.find_all(scene.keys()).map_err(OfflineError::Sort)?;
    scene.remember(|key| states.get(key));
    scene.notes.extend(flaws);
    scene.notes.extend(meant.is_cut.then(cut));
    scene.notes.extend(notes(incident.as_ref(), &meant.deeds, subject, begin));
    let asked = incident.as_ref().map_or(asked, |incident| incident.incident.id.as_str());
    Ok(Plan::of(&scene, &BOOK, asked))
}

/// The records that something is made of, the earliest first.
#[derive(Default)]
struct Meant {
    deeds: Vec<Deed>,
    /// Whether there are more than are held.
    is_cut: bool,
}

impl Meant {
    fn take(&mut self, deed: Deed) {
        if self.deeds.len() < MOST_DEEDS {
            self.deeds.push(deed);
        } else {
            self.is_cut = true;
        }
    }
}

fn cut() -> String {
    format!(
        "there are more than {MOST_DEEDS} records; what came after those is not contained. Ask for single principals."
    )
}

/// The incident that is meant, if any is: what looks like an id can be a name.
fn meant(incidents: Vec<Incident>, id: &str) -> Result<Option<Incident>, IncidentError> {
    match the_one(incidents, id) {
        Err(IncidentError::None { .. }) => Ok(None),
        one => one.map(Some),
    }
}

fn of_incident(incident: &Incident) -> Value {
    let time = around(incident);
    index::of_origins(&incident.incident.origins, *time.start(), *time.end())
}

/// From when on what was made and changed counts: what a service account made in its work before somebody took its key
/// is left alone. None where nothing was found, so that nothing counts.
fn begin(
    incident: Option<&Incident>,
    deeds: &[Deed],
    since: Option<OffsetDateTime>,
) -> Option<OffsetDateTime> {
    let first = || deeds.iter().find(|deed| deed.is_sign).map(|deed| deed.time);
    since.or_else(|| incident.map_or_else(first, |incident| Some(incident.event.start.0)))
}

/// The policies that were set or removed from then on, each with the time before which it was another. Where nothing
/// was found, that is the last change.
fn set_since(deeds: &[Deed], begin: Option<OffsetDateTime>) -> BTreeMap<PolicyName, OffsetDateTime> {
    let set = deeds.iter().filter(|deed| deed.succeeded && begin.is_none_or(|begin| deed.time >= begin));
    set.filter_map(|deed| Some((deed.policy.clone()?, begin.unwrap_or(deed.time)))).collect()
}

/// What policies were, by records that are judged once more: which ones matter is known only now.
pub fn earlier(
    records: &Records,
    enricher: &Enricher,
    mut policies: Policies,
) -> Result<Policies, OfflineError> {
    if !policies.is_empty() {
        records.judge(enricher, |document| {
            policies.take(document.id.as_str(), &parsed(document));
            ControlFlow::Continue(())
        })?;
    }
    Ok(policies)
}

/// What a responder should know before the first step.
fn notes(
    incident: Option<&Incident>,
    deeds: &[Deed],
    subject: Subject<'_>,
    begin: Option<OffsetDateTime>,
) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(incident) = incident {
        let fields = &incident.incident;
        notes.push(format!("{} ({:?}, {} signals)", incident.message, fields.state, fields.signals));
        notes
            .extend(fields.cut.iter().map(|name| format!("the incident names only the first of its {name}")));
    }
    let times = deeds.iter().map(|deed| deed.time);
    if let (Some(first), Some(last)) = (times.clone().min(), times.max()) {
        let (first, last) = (crate::timestamp::format(first), crate::timestamp::format(last));
        notes.push(format!(
            "made from {} of {first} to {last}. What came later, or was not delivered yet, is not in it.",
            counted(deeds.len(), "record")
        ));
    }
    if subject == Subject::Somebody {
        let changes = deeds.iter().filter(|deed| deed.succeeded && !deed.reads);
        let earlier = changes.filter(|deed| begin.is_none_or(|begin| deed.time < begin)).count();
        let what = match begin.map(crate::timestamp::format) {
            Some(begin) => format!("before {begin}, when the first sign of an attack was found"),
            None => "in these records, in which no sign of an attack was found".to_owned(),
        };
        notes.extend((earlier > 0).then(|| {
            let calls = counted(earlier, "call");
            format!(
                "what was made and changed {what}, is left alone ({calls}). Use --since for an earlier time."
            )
        }));
    }
    if matches!(subject, Subject::Resource(_)) {
        let who: BTreeSet<&str> = deeds
            .iter()
            .filter(|deed| deed.succeeded && !deed.reads)
            .filter_map(|deed| deed.actor.arn.as_deref())
            .collect();
        notes.extend(who.into_iter().take(5).map(|who| {
            format!("{who} changed it and is not contained: `sagetrail contain` with that name does it.")
        }));
    }
    notes
}

fn unknown(asked: &str, since: Option<OffsetDateTime>) -> ContainError {
    let since = since.map_or_else(|| "the first one".to_owned(), crate::timestamp::format);
    ContainError::Unknown { asked: asked.escape_debug().to_string(), since }
}

#[cfg(test)]
mod tests;
