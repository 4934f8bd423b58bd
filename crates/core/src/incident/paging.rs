//! Decides what is worth a page, and remembers what the last one told: only what that did not tell is news.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::told::{NewsFields, ToldFields};
use super::{Finding, Incident, IncidentFields, Surroundings, Tally, sentence, severity};
use crate::enrich::Severity;
use crate::timestamp::Timestamp;

/// What a decision does about pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    Not,
    Opens,
    Escalates,
}

/// What is decided about pages, and what the incident says because of it.
#[derive(Debug)]
pub struct Decision {
    pub paging: Paging,
    pub reason: String,
    pub sentence: String,
    pub told: ToldFields,
    pub news: Option<NewsFields>,
}

/// What is decided upon.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    pub tally: &'q Tally,
    /// What those did whom no page has told of.
    pub untold: Option<&'q Tally>,
    pub standing: Option<&'q Incident>,
    pub severity: Severity,
    pub score: u64,
    /// Whom the incident is named after.
    pub origin: &'q str,
}

/// Who of these is in no page of the incident yet.
pub fn untold<'o>(incident: &Incident, origins: impl IntoIterator<Item = &'o String>) -> Vec<String> {
    let told: BTreeSet<String> = incident.incident.told().origins.into_iter().collect();
    origins.into_iter().filter(|origin| !told.contains(*origin)).cloned().collect()
}

/// Decides whether an incident that opens or goes on pages now, later or not, and what it tells.
pub fn decide(asked: Question<'_>, around: Surroundings<'_>) -> Decision {
    let Question { tally, standing, severity, score, origin, .. } = asked;
    let reason = || sentence::reason(tally, score, around.weights);
    let told = |sentence: Option<String>| ToldFields {
        rules: criticals(tally).map(|(rule, _)| rule.clone()).collect(),
        origins: tally.origins.by_time(),
        sentence,
    };
    let all = || sentence::sentence(tally, severity, origin);
    let pages = |paging, reason, about: Option<String>| Decision {
        paging,
        reason,
        sentence: about.clone().unwrap_or_else(all),
        told: told(about),
        news: None,
    };
    let Some(standing) = standing.map(|standing| &standing.incident) else {
        return pages(Paging::Opens, reason(), None);
    };
    if severity > standing.severity {
        return pages(Paging::Escalates, reason(), None);
    }
    let before = standing.told();
    let due = standing.paged.0 + around.weights.times.again_after.value;
    // Whoever was paged twice within hours looks at it: one attack is two pages. After that a rule has to match when
    // the last page is old enough.
    let counts_from = (standing.pages > 1).then_some(due);
    let news = news(asked, &before, counts_from, around);
    match news {
        Some((reason, about)) if around.now >= due => pages(Paging::Escalates, reason, about),
        news => Decision {
            paging: Paging::Not,
            reason: standing.reason.clone(),
            sentence: before.sentence.clone().unwrap_or_else(all),
            told: before,
            news: news.map(|(reason, sentence)| NewsFields { due: Timestamp(due), reason, sentence }),
        },
    }
}

/// What is worth a page that the last one did not tell: why, and the sentence where it is about somebody else.
fn news(
    asked: Question<'_>,
    before: &ToldFields,
    counts_from: Option<OffsetDateTime>,
    around: Surroundings<'_>,
) -> Option<(String, Option<String>)> {
    let Question { tally, untold, severity: of_incident, origin, .. } = asked;
    let is_new = |(rule, finding): &(&String, &Finding)| {
        !before.rules.contains(rule) && counts_from.is_none_or(|from| finding.last >= from)
    };
    let new = criticals(tally).filter(is_new);
    if let Some((_, finding)) = new.max_by(|(_, a), (_, b)| a.first.cmp(&b.first)) {
        return Some((sentence::critical(finding), None));
    }
    let others = untold.filter(|others| severity(others, around).is_some())?;
    let score = others.score(around.usual, around.weights);
    let why = sentence::reason(others, score, around.weights);
    let who = others.origins.by_time();
    Some((sentence::joined(&who, &why), Some(sentence::of_joined(others, tally, of_incident, &who, origin))))
}

fn criticals(tally: &Tally) -> impl Iterator<Item = (&String, &Finding)> {
    tally.findings.iter().filter(|(_, finding)| finding.severity == Severity::Critical)
}

impl IncidentFields {
    /// What its last page told. What earlier releases wrote does not say it: all that it holds counts as told then.
    pub(super) fn told(&self) -> ToldFields {
        self.told.clone().unwrap_or_else(|| ToldFields {
            rules: self.critical_rules(),
            origins: self.origins.clone(),
            sentence: None,
        })
    }

    fn critical_rules(&self) -> Vec<String> {
        let criticals = self.findings.iter().filter(|finding| finding.level == Severity::Critical);
        criticals.map(|finding| finding.id.clone()).collect()
    }
}

impl Incident {
    /// When it pages for what came too soon after its last page.
    pub fn due(&self) -> Option<OffsetDateTime> {
        self.incident.news.as_ref().map(|news| news.due.0)
    }

    /// Pages for what came too soon after the last page.
    pub(super) fn escalated(&self, news: NewsFields, now: OffsetDateTime) -> Self {
        let mut escalated = self.clone();
        let fields = &mut escalated.incident;
        let before = fields.told();
        let also = |mut before: Vec<String>, now: Vec<String>| {
            let known: BTreeSet<String> = before.iter().cloned().collect();
            before.extend(now.into_iter().filter(|name| !known.contains(name)));
            before
        };
        fields.told = Some(ToldFields {
            rules: also(before.rules, fields.critical_rules()),
            origins: also(before.origins, fields.origins.clone()),
            sentence: news.sentence.clone(),
        });
        fields.news = None;
        fields.state = super::State::Escalated;
        fields.pages += 1;
        fields.page = format!("{}/{}", fields.id, fields.pages);
        fields.paged = Timestamp(now);
        fields.escalated = Some(Timestamp(now));
        fields.quiet = None;
        fields.reason = news.reason;
        if let Some(sentence) = news.sentence {
            escalated.message = sentence;
        }
        escalated.event.ingested = Timestamp(now);
        escalated
    }
}
