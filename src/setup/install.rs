//! The installation: brings what is there to what should be there, object by object, and says what it did with each.

use std::fmt;

use regex::Regex;
use serde_json::Value;
use similar::TextDiff;
use time::OffsetDateTime;

use super::object::{Kind, Object, projected};
use super::plan::{Entry, Step, plan};
use super::remote::{Found, Remote};
use super::{SetupError, ledger};
use crate::document::IndexName;
use crate::sink::Method;

/// What to do about objects that a person has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edits {
    Keep,
    Overwrite,
}

/// What became of an object, or would become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Upgraded,
    Overwritten,
    Unchanged,
    /// A person has changed it.
    KeptEdited,
    /// A newer sagetrail has installed it.
    KeptNewer,
    Removed,
    /// Something that it needs is missing.
    Skipped {
        needs: String,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => formatter.write_str("created"),
            Self::Upgraded => formatter.write_str("upgraded"),
            Self::Overwritten => formatter.write_str("overwritten"),
            Self::Unchanged => formatter.write_str("unchanged"),
            Self::KeptEdited => formatter.write_str("kept, as somebody changed it; --force overwrites it"),
            Self::KeptNewer => formatter.write_str("kept, as a newer sagetrail has installed it"),
            Self::Removed => formatter.write_str("removed"),
            Self::Skipped { needs } => write!(formatter, "skipped, as it needs {needs}"),
        }
    }
}

/// Installs everything, in order, and tells of each object as it is done.
pub async fn install(
    remote: &Remote,
    objects: &[Object],
    edits: Edits,
    mut tell: impl FnMut(&Object, &Outcome),
) -> Result<(), SetupError> {
    ledger::prepare(&remote.opensearch).await?;
    let ledger = ledger::read(&remote.opensearch).await?;
    let mut data_is_ready = false;
    for object in objects {
        if let Some(needs) = remote.lacks(object.kind) {
            tell(object, &Outcome::Skipped { needs });
            continue;
        }
        // Monitors ask indices, so those are made once their templates are there.
        if object.kind > Kind::IndexTemplate && !data_is_ready {
            make_indices(remote).await?;
            data_is_ready = true;
        }
        let found = remote.find(object).await?;
        let entry = ledger.get(&(object.kind, object.id.clone()));
        let step = plan(object, found.as_ref().map(|found| &found.body), entry);
        let outcome = outcome_of(step, edits);
        match outcome {
            Outcome::Created | Outcome::Upgraded | Outcome::Overwritten => {
                remote.write(object, found.as_ref()).await?;
                ledger::remember(&remote.opensearch, &Entry::of(object)).await?;
            }
            _ if step == Step::Remember => {
                ledger::remember(&remote.opensearch, &Entry::of(object)).await?;
            }
            _ => {}
        }
        tell(object, &outcome);
    }
    Ok(())
}

fn outcome_of(step: Step, edits: Edits) -> Outcome {
    match (step, edits) {
        (Step::Create, _) => Outcome::Created,
        (Step::Upgrade, _) => Outcome::Upgraded,
        (Step::Keep | Step::Remember, _) => Outcome::Unchanged,
        (Step::Edited, Edits::Overwrite) => Outcome::Overwritten,
        (Step::Edited, Edits::Keep) => Outcome::KeptEdited,
        (Step::Newer, _) => Outcome::KeptNewer,
    }
}

/// Makes this month's index, which brings the alias, and the index of rejected records, where they are not there yet.
async fn make_indices(remote: &Remote) -> Result<(), SetupError> {
    let month = IndexName::of_event(Some(OffsetDateTime::now_utc()));
    for (exists, index) in [("sagetrail-events", month), ("sagetrail-rejected", IndexName::rejected())] {
        let known = remote.opensearch.request(Method::Get, &format!("{exists}/_settings"), None).await?;
        if known.status != 404 {
            continue;
        }
        let answer = remote.opensearch.request(Method::Put, index.as_str(), None).await?;
        if answer.status != 200 {
            let body = String::from_utf8_lossy(&answer.body).chars().take(500).collect();
            let object = format!("index {}", index.as_str());
            return Err(SetupError::Object { object, status: answer.status, body });
        }
    }
    Ok(())
}

/// What `install` would change, as a readable difference for each object; nothing is changed.
pub async fn difference(
    remote: &Remote,
    objects: &[Object],
    edits: Edits,
) -> Result<Vec<Difference>, SetupError> {
    let ledger = ledger::read(&remote.opensearch).await?;
    let mut differences = Vec::new();
    for object in objects {
        if remote.lacks(object.kind).is_some() {
            continue;
        }
        let found = remote.find(object).await?;
        let entry = ledger.get(&(object.kind, object.id.clone()));
        let outcome = outcome_of(plan(object, found.as_ref().map(|found| &found.body), entry), edits);
        if outcome != Outcome::Unchanged {
            let text = text_difference(found.as_ref(), object);
            differences.push(Difference { object: object.to_string(), outcome, text });
        }
    }
    Ok(differences)
}

/// What would become of one object.
#[derive(Debug)]
pub struct Difference {
    pub object: String,
    pub outcome: Outcome,
    pub text: String,
}

/// Removes what the ledger says was installed. Indices with data stay.
pub async fn uninstall(remote: &Remote, mut tell: impl FnMut(&Object, &Outcome)) -> Result<(), SetupError> {
    let ledger = ledger::read(&remote.opensearch).await?;
    let mut entries: Vec<Entry> = ledger.into_values().collect();
    // What needs others goes before them.
    entries.sort_by(|left, right| (right.kind, &left.id).cmp(&(left.kind, &right.id)));
    let mut left_over = false;
    for entry in entries {
        let body = serde_json::from_str(&entry.sent).unwrap_or(Value::Null);
        let object = Object { kind: entry.kind, id: entry.id, body };
        if let Some(needs) = remote.lacks(object.kind) {
            left_over = true;
            tell(&object, &Outcome::Skipped { needs });
            continue;
        }
        if let Some(found) = remote.find(&object).await? {
            remote.remove(&object, &found).await?;
        }
        ledger::forget(&remote.opensearch, &object).await?;
        tell(&object, &Outcome::Removed);
    }
    if left_over { Ok(()) } else { ledger::remove(&remote.opensearch).await }
}

fn text_difference(found: Option<&Found>, object: &Object) -> String {
    let theirs =
        found.map_or_else(String::new, |found| readable(object.kind, &projected(&found.body, &object.body)));
    let ours = readable(object.kind, &object.body);
    if theirs == ours {
        return "(only a secret changes)\n".to_owned();
    }
    TextDiff::from_lines(&theirs, &ours).unified_diff().context_radius(2).header("there", "here").to_string()
}

/// The body as lines, members in order, without its secrets.
fn readable(kind: Kind, body: &Value) -> String {
    let text = format!("{}\n", serde_json::to_string_pretty(&sorted(body)).expect("JSON can be written"));
    hide_secrets(kind, &text)
}

/// Addresses and headers of channels, and the keys of pages.
pub fn hide_secrets(kind: Kind, text: &str) -> String {
    let replaced = |pattern: &str| {
        Regex::new(pattern)
            .expect("the pattern is well-formed")
            .replace_all(text, "${1}[secret]${2}")
            .into_owned()
    };
    match kind {
        Kind::Channel => replaced(r#"("(?:url|Authorization|[Xx]-[^"]*)": ?")[^"]*(")"#),
        Kind::Monitor => replaced(r#"(routing_key\\":\\")[^"\\]*(\\")"#),
        _ => text.to_owned(),
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(name, value)| (name.clone(), sorted(value))).collect();
            members.sort_by(|left, right| left.0.cmp(&right.0));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}
