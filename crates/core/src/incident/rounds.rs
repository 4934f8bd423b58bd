//! Decides incidents over signals that are at hand, as the correlator does over those that are stored.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::correlated::Correlated;
use super::{
    Alone, Incident, Signal, Surroundings, Tally, Weights, assets, counts_from, is_tied, judge, put_together,
    rest,
};
use crate::correlation::Correlations;
use crate::enrich::Severity;
use crate::timestamp::{self, Timestamp};

/// How often the correlator decides.
const EVERY: Duration = Duration::seconds(15);

/// Signals and what was decided about them until now.
#[derive(Debug)]
pub struct Rounds<'c> {
    weights: Weights,
    correlated: Correlated<'c>,
    /// By origin, in the order in which they came.
    signals: BTreeMap<String, Vec<Signal>>,
    /// Origins with signals since the last round.
    touched: BTreeSet<String>,
    /// By rule, when it matched for whom.
    matches: BTreeMap<String, Vec<(OffsetDateTime, String)>>,
    incidents: Vec<Incident>,
    pages: Vec<Page>,
    /// When the round begins that is not decided yet.
    now: Option<OffsetDateTime>,
}

/// What was decided over all signals.
#[derive(Debug)]
pub struct Decided {
    /// In the order in which they were opened.
    pub incidents: Vec<Incident>,
    pub pages: Vec<Page>,
    /// The signals that matches of correlations are.
    pub correlated: Vec<Signal>,
}

/// A page that the monitors would send.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page {
    pub time: Timestamp,
    pub severity: Severity,
    /// The id of the incident.
    pub incident: String,
    pub origin: String,
    pub sentence: String,
    /// Why it was opened or escalated.
    pub reason: String,
}

/// What is decided about together: an incident that stands, or origins without one.
struct Matter {
    /// The place of the incident of before, standing or closed.
    last: Option<usize>,
    origins: BTreeSet<String>,
    from: OffsetDateTime,
}

impl<'c> Rounds<'c> {
    pub fn new(weights: Weights, correlations: &'c Correlations) -> Self {
        Self {
            weights,
            correlated: Correlated::new(correlations),
            signals: BTreeMap::new(),
            touched: BTreeSet::new(),
            matches: BTreeMap::new(),
            incidents: Vec::new(),
            pages: Vec::new(),
            now: None,
        }
    }

    /// Takes a document. Those before it are decided when it comes in a later round.
    pub fn take(&mut self, index: &str, id: &str, document: &Value) -> Option<Signal> {
        let time = document["@timestamp"].as_str().and_then(timestamp::parse)?;
        self.pass(time);
        self.correlated.take(id, document);
        let signal = Signal::read(index, id, document)?;
        self.add(signal.clone());
        Some(signal)
    }

    /// Decides what is left.
    pub fn finish(mut self) -> Decided {
        if let Some(now) = self.now {
            self.decide(now.saturating_add(EVERY));
        }
        let signals = self.signals.into_values().flatten();
        let correlated = signals.filter(|signal| signal.index == super::correlated::INDEX).collect();
        Decided { incidents: self.incidents, pages: self.pages, correlated }
    }

    /// Decides what is to be decided before a time.
    fn pass(&mut self, time: OffsetDateTime) {
        let now = *self.now.get_or_insert(time);
        if time >= now.saturating_add(EVERY) {
            self.decide(now.saturating_add(EVERY));
            self.now = Some(time);
        }
    }

    fn add(&mut self, mut signal: Signal) {
        signal.asset = assets::percent(&self.weights.assets, signal.resource.as_deref(), &signal.tags);
        for finding in &signal.findings {
            let matches = self.matches.entry(finding.id.clone()).or_default();
            matches.push((signal.time, signal.origin.clone()));
        }
        self.touched.insert(signal.origin.clone());
        let signals = self.signals.entry(signal.origin.clone()).or_default();
        match signals.iter_mut().find(|known| known.id == signal.id) {
            Some(known) => *known = signal,
            None => signals.push(signal),
        }
    }

    fn decide(&mut self, now: OffsetDateTime) {
        for signal in self.correlated.judge(now) {
            self.add(signal);
        }
        if self.touched.is_empty() {
            return;
        }
        self.rest(now);
        let usual = self.usual(now);
        let touched = std::mem::take(&mut self.touched);
        self.decide_origins(&touched, &usual, now);
        // Whoever was tied to nothing until now may be tied to what was found, and others to them.
        let mut seen = BTreeSet::new();
        loop {
            let mut tied = self.tied(now);
            tied.retain(|origin| seen.insert(origin.clone()));
            if tied.is_empty() {
                break;
            }
            self.decide_origins(&tied, &usual, now);
        }
        self.forget(now);
    }

    /// Origins without an incident that are tied to one that was written just now.
    fn tied(&self, now: OffsetDateTime) -> BTreeSet<String> {
        let news: Vec<&Incident> = self.incidents.iter().filter(|it| it.event.ingested.0 == now).collect();
        if news.is_empty() {
            return BTreeSet::new();
        }
        let from = counts_from(None, &self.weights, now);
        let is_tied = |origin: &String| {
            let tally = self.tally([origin.as_str()], from);
            news.iter().any(|incident| is_tied(&tally, incident))
        };
        let alone = self
            .signals
            .keys()
            .filter(|origin| self.last_of(origin).is_none_or(|place| !self.incidents[place].is_standing()));
        alone.filter(|origin| is_tied(origin)).cloned().collect()
    }

    fn decide_origins(&mut self, origins: &BTreeSet<String>, usual: &BTreeSet<String>, now: OffsetDateTime) {
        let around = Surroundings { usual, weights: &self.weights, now };
        let matters = self.matters(origins, around);
        let decided: Vec<_> = matters
            .into_iter()
            .filter_map(|Matter { last, origins, from }| {
                let tally = self.tally(origins.iter().map(String::as_str), from);
                Some((last, judge(&tally, last.map(|place| &self.incidents[place]), around)?))
            })
            .collect();
        for (last, decided) in decided {
            self.keep(last.filter(|place| self.incidents[*place].is_standing()), decided);
        }
    }

    /// What is to be decided about when these origins have changed, each incident once.
    fn matters(&self, origins: &BTreeSet<String>, around: Surroundings<'_>) -> Vec<Matter> {
        let mut joining: BTreeMap<usize, Matter> = BTreeMap::new();
        let mut alone = Vec::new();
        for origin in origins {
            let last = self.last_of(origin);
            let from = counts_from(last.map(|place| &self.incidents[place]), around.weights, around.now);
            if let Some(place) = last.filter(|place| self.incidents[*place].is_standing()) {
                self.join(&mut joining, place, origin, from);
                continue;
            }
            let tally = self.tally([origin.as_str()], from);
            match (self.latest_tied(&tally), tally.first) {
                (Some(place), Some(first)) => {
                    self.join(&mut joining, place, origin, first.min(self.incidents[place].event.start.0));
                }
                _ => alone.push((Matter { last, origins: [origin.clone()].into(), from }, tally)),
            }
        }
        let those: Vec<Alone<'_>> = alone
            .iter()
            .map(|(matter, tally)| Alone {
                origin: matter.origins.first().expect("a matter is about somebody"),
                tally,
                last: matter.last.map(|place| &self.incidents[place]),
            })
            .collect();
        let opening = put_together(&those, around).into_iter().map(|places| {
            let members = || places.iter().map(|place| &alone[*place]);
            let (first, _) = &alone[places[0]];
            // What one of several did in an incident that is closed does not count again.
            let from = members().filter_map(|(_, tally)| tally.first).min().filter(|_| places.len() > 1);
            Matter {
                last: first.last,
                origins: members().flat_map(|(matter, _)| matter.origins.clone()).collect(),
                from: from.unwrap_or(first.from),
            }
        });
        joining.into_values().chain(opening).collect()
    }

    /// Adds an origin to what is decided about an incident.
    fn join(&self, joining: &mut BTreeMap<usize, Matter>, place: usize, origin: &str, from: OffsetDateTime) {
        let matter = joining.entry(place).or_insert_with(|| Matter {
            last: Some(place),
            origins: self.incidents[place].incident.origins.iter().cloned().collect(),
            from,
        });
        matter.origins.insert(origin.to_owned());
        matter.from = matter.from.min(from);
    }

    /// Keeps an incident, in the place of the version that stands, and the page that it is.
    fn keep(&mut self, standing: Option<usize>, decided: Incident) {
        let fields = &decided.incident;
        if fields.pages > standing.map_or(0, |place| self.incidents[place].incident.pages) {
            self.pages.push(Page {
                time: fields.paged,
                severity: fields.severity,
                incident: fields.id.clone(),
                origin: fields.origin.clone(),
                sentence: decided.message.clone(),
                reason: fields.reason.clone(),
            });
        }
        match standing {
            Some(place) => self.incidents[place] = decided,
            None => self.incidents.push(decided),
        }
    }

    fn tally<'o>(&self, origins: impl IntoIterator<Item = &'o str>, from: OffsetDateTime) -> Tally {
        let origins: BTreeSet<&str> = origins.into_iter().collect();
        let signals = origins.into_iter().filter_map(|origin| self.signals.get(origin)).flatten();
        Tally::of(signals.filter(|signal| signal.time >= from))
    }

    /// The place of the incident that an origin belongs to: the one that stands, or else the last of those that are closed.
    fn last_of(&self, origin: &str) -> Option<usize> {
        let is_of = |incident: &Incident| incident.incident.origins.iter().any(|known| known == origin);
        self.incidents
            .iter()
            .rposition(|incident| incident.is_standing() && is_of(incident))
            .or_else(|| self.incidents.iter().rposition(is_of))
    }

    /// Of the incidents that somebody may belong to, the one that was opened last.
    fn latest_tied(&self, own: &Tally) -> Option<usize> {
        let tied = self.standing().filter(|(_, incident)| is_tied(own, incident));
        tied.max_by_key(|(_, it)| (it.incident.opened.0, Reverse(&it.incident.id))).map(|(place, _)| place)
    }

    fn standing(&self) -> impl Iterator<Item = (usize, &Incident)> {
        self.incidents.iter().enumerate().filter(|(_, incident)| incident.is_standing())
    }

    fn rest(&mut self, now: OffsetDateTime) {
        for incident in &mut self.incidents {
            // The time of a rest is that of the last signal and the waiting, however long nothing was decided since.
            while let Some(rested) = rest(incident, &self.weights, now) {
                *incident = rested;
            }
        }
    }

    /// The rules that matched before the window, but for those whose incident stands.
    fn usual(&self, now: OffsetDateTime) -> BTreeSet<String> {
        let times = &self.weights.times;
        let (from, to) = (now - times.history.value, now - times.window.value);
        let suspects: BTreeSet<&str> =
            self.standing().flat_map(|(_, it)| &it.incident.origins).map(String::as_str).collect();
        let is_usual = |matches: &[(OffsetDateTime, String)]| {
            matches
                .iter()
                .any(|(time, origin)| (from..to).contains(time) && !suspects.contains(origin.as_str()))
        };
        let usual = self.matches.iter().filter(|(_, matches)| is_usual(matches));
        usual.map(|(rule, _)| rule.clone()).collect()
    }

    /// Lets go of what nothing can ask for any more.
    fn forget(&mut self, now: OffsetDateTime) {
        let times = &self.weights.times;
        let oldest = now - times.longest.value - times.window.value;
        self.signals.retain(|_, signals| {
            signals.retain(|signal| signal.time >= oldest);
            !signals.is_empty()
        });
        let oldest = now - times.history.value;
        self.matches.values_mut().for_each(|matches| matches.retain(|(time, _)| *time >= oldest));
    }
}
