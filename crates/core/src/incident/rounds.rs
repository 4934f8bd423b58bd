//! Decides incidents over signals that are at hand, as the correlator does over those that are stored.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use time::{Duration, OffsetDateTime};

use super::correlated::{self, Correlated};
use super::held::Held;
use super::usual::{Matches, hour_of};
use super::{
    Alone, Counted, Decided, Incident, Page, Signal, SignalFinding, Surroundings, Tally, Ties, Weights,
    assets, counts_from, judge_beside, put_together, rest_before, untold,
};
use crate::correlation::Correlations;
use crate::enrich::Severity;
use crate::timestamp;

/// How often the correlator decides.
const EVERY: Duration = Duration::seconds(15);
/// Origins that are decided about at once: what one of them opens, the next ones can belong to.
pub const AT_ONCE: usize = 20;

/// Signals and what was decided about them until now.
///
/// What grows with the records are the incidents, their pages and the matches of correlations, which the result is made
/// of. Of all else it keeps what the correlator could still ask for.
#[derive(Debug)]
pub struct Rounds<'c> {
    weights: Weights,
    correlated: Correlated<'c>,
    /// By origin.
    signals: BTreeMap<String, Held>,
    /// Origins with signals since the last round.
    touched: BTreeSet<String>,
    /// Origins with critical signals since those were judged.
    critical: BTreeSet<String>,
    matches: Matches,
    usual: Usual,
    incidents: Vec<Incident>,
    /// The places of the incidents that an origin was a part of.
    of_origin: BTreeMap<String, BTreeSet<usize>>,
    /// The places of the incidents that are not closed, with what ties others to them.
    standing: BTreeMap<usize, Ties>,
    pages: Vec<Page>,
    /// What the matches of correlations count, by the ids of their documents.
    counted: BTreeMap<String, Vec<Counted>>,
    /// When the round begins that is not decided yet.
    now: Option<OffsetDateTime>,
}

/// What is usual, and since when and without whom.
#[derive(Debug, Default)]
struct Usual {
    hour: Option<OffsetDateTime>,
    suspects: BTreeSet<String>,
    rules: BTreeSet<String>,
}

/// What is decided about together: an incident that stands, or origins without one.
struct Matter {
    /// The place of the incident of before, standing or closed.
    last: Option<usize>,
    origins: BTreeSet<String>,
    from: OffsetDateTime,
}

impl<'c> Rounds<'c> {
    /// Begins with no signals and no incidents.
    pub fn new(weights: Weights, correlations: &'c Correlations) -> Self {
        Self {
            weights,
            correlated: Correlated::new(correlations),
            signals: BTreeMap::new(),
            touched: BTreeSet::new(),
            critical: BTreeSet::new(),
            matches: Matches::default(),
            usual: Usual::default(),
            incidents: Vec::new(),
            of_origin: BTreeMap::new(),
            standing: BTreeMap::new(),
            pages: Vec::new(),
            counted: BTreeMap::new(),
            now: None,
        }
    }

    /// Takes a document. Those before it are decided when it comes in a later round.
    pub fn take(&mut self, index: &str, id: &str, document: &Value) {
        let Some(time) = document["@timestamp"].as_str().and_then(timestamp::parse) else { return };
        self.pass(time);
        self.correlated.take(id, document);
        if let Some(signal) = Signal::read(index, id, document) {
            self.add(signal);
        }
    }

    /// Decides what is left.
    pub fn finish(mut self) -> Decided {
        if let Some(now) = self.now {
            self.decide(now.saturating_add(EVERY));
            self.rest(now.saturating_add(EVERY));
            // What came too soon after a page pages after the last record.
            let last = self.standing().filter_map(Incident::due).max();
            if let Some(last) = last {
                self.rest(last);
            }
        }
        let correlated = self.counted.into_values().flatten().collect();
        Decided { incidents: self.incidents, pages: self.pages, correlated }
    }

    /// Decides what is to be decided before a time.
    fn pass(&mut self, time: OffsetDateTime) {
        let now = *self.now.get_or_insert(time);
        if time >= now.saturating_add(EVERY) {
            self.decide(now.saturating_add(EVERY));
            if hour_of(time) != hour_of(now) {
                self.forget(now);
            }
            self.now = Some(time);
        }
    }

    fn add(&mut self, mut signal: Signal) {
        signal.asset = assets::percent(&self.weights.assets, signal.resource.as_deref(), &signal.tags);
        let held = self.signals.entry(signal.origin.clone()).or_default();
        if held.has(&signal) {
            return;
        }
        self.touched.insert(signal.origin.clone());
        let is_critical =
            |finding: &SignalFinding| !finding.is_attempt && finding.level == Severity::Critical;
        if signal.findings.iter().any(is_critical) {
            self.critical.insert(signal.origin.clone());
        }
        for finding in &signal.findings {
            self.matches.add(&finding.id, &signal.origin, signal.time);
        }
        if let Some(before) = held.put(signal) {
            for finding in &before.findings {
                self.matches.remove(&finding.id, &before.origin, before.time);
            }
        }
    }

    fn decide(&mut self, now: OffsetDateTime) {
        let correlated = self.correlated.judge(now);
        if self.touched.is_empty() && correlated.is_empty() {
            return;
        }
        self.rest(now);
        self.renew_usual(now);
        // As in each part of the correlator's rounds, what is critical comes before all else, so that whoever did it
        // opens the incident that others join.
        let critical = std::mem::take(&mut self.critical);
        self.decide_all(critical, now);
        for (id, document) in correlated {
            let signal = Signal::read(correlated::INDEX, &id, &document);
            self.counted.insert(id, Counted::all_of(&document));
            if let Some(signal) = signal {
                self.add(signal);
            }
        }
        let touched = std::mem::take(&mut self.touched);
        self.decide_all(touched, now);
        // Whoever was tied to nothing until now may be tied to what was found, and others to them.
        let mut seen = BTreeSet::new();
        loop {
            let mut tied = self.tied(now);
            tied.retain(|origin| seen.insert(origin.clone()));
            if tied.is_empty() {
                break;
            }
            self.decide_all(tied, now);
        }
    }

    /// Decides about origins. Incidents that stand are decided after those that these open, each once.
    fn decide_all(&mut self, origins: BTreeSet<String>, now: OffsetDateTime) {
        let mut joining = BTreeMap::new();
        let (standing, alone): (Vec<String>, Vec<String>) =
            origins.into_iter().partition(|origin| self.stands(origin).is_some());
        for origin in standing {
            self.join_own(&mut joining, &origin, now);
        }
        for some in alone.chunks(AT_ONCE) {
            let opening = self.opening(some, &mut joining, now);
            self.decide_matters(opening, now);
        }
        self.decide_matters(joining.into_values().collect(), now);
    }

    /// Origins without an incident that are tied to one that was written just now.
    fn tied(&self, now: OffsetDateTime) -> BTreeSet<String> {
        let is_news = |place: &usize| self.incidents[*place].event.ingested.0 == now;
        let news: Vec<&Ties> =
            self.standing.iter().filter(|(place, _)| is_news(place)).map(|(_, ties)| ties).collect();
        if news.is_empty() {
            return BTreeSet::new();
        }
        let from = counts_from(None, &self.weights, now);
        let is_tied = |origin: &String| {
            let own = Ties::of(&self.tally([origin.as_str()], from));
            news.iter().any(|ties| own.tie(ties))
        };
        let recent = self.signals.iter().filter(|(_, held)| held.latest() >= Some(from));
        let alone = recent.map(|(origin, _)| origin).filter(|origin| self.stands(origin).is_none());
        alone.filter(|origin| is_tied(origin)).cloned().collect()
    }

    fn decide_matters(&mut self, matters: Vec<Matter>, now: OffsetDateTime) {
        let around = Surroundings { usual: &self.usual.rules, weights: &self.weights, now };
        let decided: Vec<_> = matters
            .into_iter()
            .filter_map(|Matter { last, origins, from }| {
                let tally = self.tally(origins.iter().map(String::as_str), from);
                let before = last.map(|place| &self.incidents[place]);
                let others = before.filter(|it| it.is_standing()).map(|it| untold(it, &origins));
                let others = others.filter(|others| !others.is_empty()).map(|others| {
                    let from = from.max(counts_from(None, around.weights, now));
                    self.tally(others.iter().map(String::as_str), from)
                });
                Some((last, judge_beside(&tally, others.as_ref(), before, around)?))
            })
            .collect();
        for (last, decided) in decided {
            self.keep(last.filter(|place| self.standing.contains_key(place)), decided);
        }
    }

    /// What origins without an incident may open. Who belongs to one that stands joins what is decided about it.
    fn opening(
        &self,
        origins: &[String],
        joining: &mut BTreeMap<usize, Matter>,
        now: OffsetDateTime,
    ) -> Vec<Matter> {
        let around = Surroundings { usual: &self.usual.rules, weights: &self.weights, now };
        let mut alone = Vec::new();
        for origin in origins {
            if self.stands(origin).is_some() {
                self.join_own(joining, origin, now);
                continue;
            }
            let last = self.last_of(origin);
            let from = counts_from(last.map(|place| &self.incidents[place]), around.weights, now);
            let tally = self.tally([origin.as_str()], from);
            match (self.latest_tied(&tally), tally.first) {
                (Some(place), Some(first)) => {
                    self.join(joining, place, origin, first.min(self.incidents[place].event.start.0));
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
        let groups = put_together(&those, around).into_iter();
        let opening = groups.map(|places| {
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
        opening.collect()
    }

    /// Adds an origin to what is decided about its own incident, where that stands.
    fn join_own(&self, joining: &mut BTreeMap<usize, Matter>, origin: &str, now: OffsetDateTime) {
        if let Some(place) = self.stands(origin) {
            let from = counts_from(Some(&self.incidents[place]), &self.weights, now);
            self.join(joining, place, origin, from);
        }
    }

    /// The place of the incident of an origin that stands.
    fn stands(&self, origin: &str) -> Option<usize> {
        self.last_of(origin).filter(|place| self.standing.contains_key(place))
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
        if decided.incident.pages > standing.map_or(0, |place| self.incidents[place].incident.pages) {
            self.pages.push(Page::of(&decided));
        }
        let place = standing.unwrap_or(self.incidents.len());
        for origin in &decided.incident.origins {
            self.of_origin.entry(origin.clone()).or_default().insert(place);
        }
        self.standing.insert(place, Ties::of_incident(&decided));
        match standing {
            Some(place) => self.incidents[place] = decided,
            None => self.incidents.push(decided),
        }
    }

    fn tally<'o>(&self, origins: impl IntoIterator<Item = &'o str>, from: OffsetDateTime) -> Tally {
        let origins: BTreeSet<&str> = origins.into_iter().collect();
        let signals = origins.into_iter().filter_map(|origin| self.signals.get(origin));
        Tally::of(signals.flat_map(|held| held.since(from)))
    }

    /// The place of the incident that an origin belongs to: the one that stands, or else the last of those that are
    /// closed.
    fn last_of(&self, origin: &str) -> Option<usize> {
        let places = self.of_origin.get(origin)?;
        let is_of = |place: &&usize| self.incidents[**place].incident.origins.iter().any(|it| it == origin);
        let standing = places.iter().rev().filter(|place| self.standing.contains_key(*place)).find(is_of);
        standing.or_else(|| places.iter().rev().find(is_of)).copied()
    }

    /// Of the incidents that somebody may belong to, the one that was opened last.
    fn latest_tied(&self, own: &Tally) -> Option<usize> {
        let own = Ties::of(own);
        let tied = self.standing.iter().filter(|(_, ties)| own.tie(ties)).map(|(place, _)| *place);
        let opened = |place: &usize| {
            let fields = &self.incidents[*place].incident;
            (fields.opened.0, Reverse(&fields.id))
        };
        tied.max_by_key(opened)
    }

    fn standing(&self) -> impl Iterator<Item = &Incident> {
        self.standing.keys().map(|place| &self.incidents[*place])
    }

    fn rest(&mut self, now: OffsetDateTime) {
        for place in self.standing.keys().copied().collect::<Vec<_>>() {
            // The time of a rest is that of the last signal and the waiting, however long nothing was decided since.
            while let Some(rested) = rest_before(&self.incidents[place], &self.weights, now) {
                if rested.incident.pages > self.incidents[place].incident.pages {
                    self.pages.push(Page::of(&rested));
                }
                self.incidents[place] = rested;
            }
            if !self.incidents[place].is_standing() {
                self.standing.remove(&place);
            }
        }
    }

    /// Asks for the rules that matched before the window, but for those whose incident stands.
    fn renew_usual(&mut self, now: OffsetDateTime) {
        let hour = hour_of(now);
        let suspects: BTreeSet<String> =
            self.standing().flat_map(|it| it.incident.origins.iter().cloned()).collect();
        if self.usual.hour == Some(hour) && self.usual.suspects == suspects {
            return;
        }
        let times = &self.weights.times;
        let rules =
            self.matches.usual(&((hour - times.history.value)..(hour - times.window.value)), &suspects);
        self.usual = Usual { hour: Some(hour), suspects, rules };
    }

    /// Lets go of what nothing can ask for any more.
    fn forget(&mut self, now: OffsetDateTime) {
        let times = &self.weights.times;
        let oldest = now - times.longest.value - times.window.value;
        self.signals.retain(|_, held| held.forget(oldest));
        self.matches.forget(hour_of(now) - times.history.value);
        self.correlated.forget(now);
    }
}
