//! What a report holds. Each sentence names the records that carry it (pure).

use serde::Serialize;
use serde_with::skip_serializing_none;

use super::entry::Entry;

/// The most ids that one sentence names; it says how many more there are.
pub const MOST_IDS: usize = 100;

/// Everything that a report tells, as its JSON has it; the pages are written from it.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was asked for, as it was written.
    pub asked: String,
    pub subject: Subject,
    pub since: Option<String>,
    pub until: Option<String>,
    pub first: Option<String>,
    pub last: Option<String>,
    pub counts: Counts,
    pub incident: Option<IncidentFacts>,
    pub summary: Vec<Sentence>,
    pub answers: Vec<Answer>,
    pub impact: Vec<Impact>,
    pub unknown: Vec<Unknown>,
    pub timeline: Vec<Step>,
    pub lineage: Vec<Session>,
    pub resources: Vec<Touched>,
    pub denied: Vec<Sentence>,
    pub indicators: Vec<Indicator>,
    pub practices: Vec<Practice>,
    /// Every record that is named above.
    pub records: Vec<Cited>,
}

/// What sort of thing a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    Incident,
    Principal,
    Resource,
}

/// How many records the report rests on; those that were denied are among the failed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub records: usize,
    pub succeeded: usize,
    pub failed: usize,
    pub denied: usize,
}

/// What the incident says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct IncidentFacts {
    pub id: String,
    pub state: String,
    pub severity: String,
    pub reason: String,
    pub opened: String,
    pub sentence: String,
    pub origins: Vec<String>,
    /// Lists that had more names than an incident keeps.
    pub cut: Vec<String>,
    /// The records that told each of its findings first.
    pub records: Vec<String>,
}

/// Something that the report says, and the ids of the records that say so. There is none without a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sentence {
    /// When the first of the records was.
    pub at: String,
    pub text: String,
    pub records: Vec<String>,
    /// How many records beyond those carry it as well.
    #[serde(skip_serializing_if = "is_none")]
    pub more: usize,
}

/// One question of the analysis with what the records say to it.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    pub number: u64,
    pub question: String,
    pub sentences: Vec<Sentence>,
    /// How many sentences there would be beyond those.
    #[serde(skip_serializing_if = "is_none")]
    pub more: usize,
}

/// What became of one side of security, by the rules of `config/impact.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Impact {
    pub side: String,
    pub verdict: Verdict,
    pub sentences: Vec<Sentence>,
}

/// How far one side of security was harmed, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No record that was read shows it, which is no proof that it did not happen.
    NotShown,
    Attempted,
    AtRisk,
    Harmed,
}

/// Something that the records do not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unknown {
    pub topic: String,
    pub text: String,
    pub records: Vec<String>,
    #[serde(skip_serializing_if = "is_none")]
    pub more: usize,
}

/// One step of the timeline: a call, or several alike with no other between them.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    #[serde(flatten)]
    pub sentence: Sentence,
    pub until: Option<String>,
    pub count: usize,
    pub principal: String,
    pub action: String,
    pub level: String,
    pub succeeded: bool,
    pub findings: Vec<String>,
}

/// A set of credentials that was used, and where it comes from.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Session {
    pub key: String,
    pub principal: String,
    /// The key that asked for this one.
    pub parent: Option<String>,
    pub calls: usize,
    pub denied: usize,
    pub first: Option<String>,
    pub last: Option<String>,
    pub addresses: Vec<String>,
    pub agents: Vec<String>,
    /// Persons and sessions behind it, as the records name them, the first one first.
    pub chain: Vec<String>,
    /// The link that is missing at its root, where one is.
    pub missing: Option<String>,
    pub sentences: Vec<Sentence>,
}

/// A resource and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Touched {
    pub kind: String,
    pub name: String,
    pub arn: Option<String>,
    pub before: Presence,
    pub after: Presence,
    pub settings: Vec<Setting>,
    pub sentences: Vec<Sentence>,
}

/// Whether a resource was there at a time, as far as records or memory tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    There,
    Absent,
    Unknown,
}

/// One setting before and after; None is unknown, and an empty list is not set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Setting {
    pub name: String,
    pub before: Option<Vec<String>>,
    pub after: Option<Vec<String>>,
    /// The record that said what it is after.
    pub record: Option<String>,
}

/// Something to search other logs for, such as an address or a key.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Indicator {
    pub kind: String,
    pub value: String,
    pub note: Option<String>,
    pub records: Vec<String>,
    #[serde(skip_serializing_if = "is_none")]
    pub more: usize,
}

/// A control or setting that would have prevented or found what happened.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Practice {
    #[serde(flatten)]
    pub sentence: Sentence,
    /// The rule of posture that matched; none where only a policy tells.
    pub rule: Option<String>,
    /// The policy of `deploy/guardrails` that denies such a call.
    pub control: Option<String>,
    /// Managed rules of AWS Config that find it.
    pub config_rules: Vec<String>,
    pub reference: Option<String>,
}

/// One record that the report names. Only its id is known where memory names it and it was not read.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cited {
    pub id: String,
    pub index: Option<String>,
    pub at: Option<String>,
    pub action: Option<String>,
    pub text: Option<String>,
    pub principal: Option<String>,
    pub address: Option<String>,
    pub error: Option<String>,
    pub file: Option<String>,
}

impl Sentence {
    /// None where no record carries it.
    pub fn of(text: impl Into<String>, entries: &[&Entry]) -> Option<Self> {
        let first = entries.iter().map(|entry| entry.time).min()?;
        Some(Self {
            at: crate::timestamp::format(first),
            text: text.into(),
            records: entries.iter().take(MOST_IDS).map(|entry| entry.id.clone()).collect(),
            more: entries.len().saturating_sub(MOST_IDS),
        })
    }
}

impl Report {
    /// Every sentence, wherever it stands.
    pub fn sentences(&self) -> impl Iterator<Item = &Sentence> {
        let answers = self.answers.iter().flat_map(|answer| &answer.sentences);
        let impact = self.impact.iter().flat_map(|impact| &impact.sentences);
        let steps = self.timeline.iter().map(|step| &step.sentence);
        let sessions = self.lineage.iter().flat_map(|session| &session.sentences);
        let resources = self.resources.iter().flat_map(|touched| &touched.sentences);
        let practices = self.practices.iter().map(|practice| &practice.sentence);
        self.summary
            .iter()
            .chain(answers)
            .chain(impact)
            .chain(steps)
            .chain(sessions)
            .chain(resources)
            .chain(&self.denied)
            .chain(practices)
    }

    /// Every id that is named, wherever it stands.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        let sentences = self.sentences().flat_map(|sentence| &sentence.records);
        let unknown = self.unknown.iter().flat_map(|unknown| &unknown.records);
        let indicators = self.indicators.iter().flat_map(|indicator| &indicator.records);
        let settings = self.resources.iter().flat_map(|it| &it.settings).filter_map(|it| it.record.as_ref());
        let incident = self.incident.iter().flat_map(|incident| &incident.records);
        sentences.chain(unknown).chain(indicators).chain(settings).chain(incident).map(String::as_str)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_none(count: &usize) -> bool {
    *count == 0
}
