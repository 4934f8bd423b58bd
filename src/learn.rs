//! Learns from a site's own history what the values of placeholders could be, and writes nothing.
//!
//! Values are counted by OpenSearch and judged here: what comes again is suggested, what looks like an attack is
//! flagged. Then the rules are evaluated on the latest documents again, with the suggestions and without.

use std::collections::{BTreeMap, BTreeSet};

use sagetrail_core::wildcard::is_like;
use time::OffsetDateTime;

use crate::config::Config;
use crate::config::placeholder::form;
use crate::enrich::rules::{Folder, RuleSet, RulesError};
use crate::enrich::{Enricher, Severity};
use crate::opensearch::{self, OpenSearch, OpenSearchError, QueryError};
use effect::Effects;
use evidence::Evidence;
use history::{Against, Documents, MOST_DOCUMENTS, Period};
use judge::{Judgement, Seen};
pub use report::Report;
use report::{Evaluated, Learned, NotLearned};
use source::{SOURCES, Source, Values, Whose};

mod effect;
mod evidence;
mod history;
mod judge;
mod network;
mod report;
mod source;

/// Why nothing could be learned.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    #[error(transparent)]
    Request(#[from] OpenSearchError),
    #[error(transparent)]
    Query(#[from] QueryError),
    #[error(transparent)]
    Rules(#[from] RulesError),
}

/// Reads the history of so many days before a time. `load` loads what is known with other values of placeholders.
pub async fn run(
    config: &Config,
    enricher: &Enricher,
    load: impl Fn(&Config) -> Result<Enricher, RulesError>,
    days: u16,
    now: OffsetDateTime,
) -> Result<Report, LearnError> {
    let client = opensearch::connect(config, None).await?;
    let period = Period::before(now, days);
    let learned = learn(&client, &enricher.rules, period).await?;

    let mut suggested = config.clone();
    for Learned { placeholder, judgement, .. } in &learned {
        if !judgement.suggested.is_empty() {
            let values = judgement.suggested.iter().map(|suggestion| suggestion.value.clone());
            let known = enricher.rules.values().get(placeholder).cloned().unwrap_or_default();
            suggested
                .rules
                .placeholders
                .insert(placeholder.clone(), known.into_iter().chain(values).collect());
        }
    }
    let suggested = load(&suggested)?;
    let mut effects = Effects::new(enricher, &suggested);
    let mut documents = Documents::of(period);
    loop {
        let page = documents.next(&client).await?;
        if page.is_empty() {
            break;
        }
        for document in &page {
            effects.take(&document.source, now);
        }
        if effects.documents >= MOST_DOCUMENTS as u64 {
            break;
        }
    }
    let evaluated = Evaluated {
        documents: effects.documents,
        of: documents.total,
        unreadable: effects.unreadable,
        effects: effects.into_effects(),
    };
    Ok(Report::new(period, days, learned, not_learned(&enricher.rules), evaluated))
}

/// The placeholders of the rules that the history says nothing about, with the reason.
fn not_learned(rules: &RuleSet) -> Vec<NotLearned> {
    let names: BTreeSet<&String> = rules.all().flat_map(|rule| &rule.placeholders).collect();
    let unlearned = names.into_iter().filter(|name| !is_learned(name));
    unlearned
        .map(|name| {
            let reason = SOURCES.iter().find(|source| source.placeholder == *name);
            let reason = reason.and_then(|source| source.unless.as_deref());
            NotLearned {
                placeholder: name.clone(),
                reason: reason.unwrap_or("it is of the site's own rules").to_owned(),
            }
        })
        .collect()
}

/// Asks for the values of each placeholder that a rule has, and judges them.
async fn learn(client: &OpenSearch, rules: &RuleSet, period: Period) -> Result<Vec<Learned>, QueryError> {
    let used: BTreeSet<&str> = rules.all().flat_map(|rule| &rule.placeholders).map(String::as_str).collect();
    let is_used = |source: &&Source| used.contains(source.placeholder.as_str());
    let against = against(rules);
    let mut own_accounts = BTreeSet::new();
    let mut learned: Vec<Learned> = Vec::new();
    // Own accounts first: they say which others are foreign.
    let mut sources: Vec<&Source> = SOURCES.iter().filter(is_used).collect();
    sources.sort_by_key(|source| source.of != Whose::Own);
    for source in sources {
        let Some(field) = &source.field else { continue };
        let mut found = history::values(client, source, field, period, &against).await?;
        if source.of == Whose::Own {
            own_accounts.extend(found.evidence.keys().cloned());
        }
        let configured = rules.values().get(&source.placeholder).map_or(&[][..], Vec::as_slice);
        found.evidence.retain(|value, _| !is_configured(value, configured));
        let seen = found.evidence.len();
        if source.values == Values::AsTheyStand {
            // A value of another form would never compare equal to anything.
            let form = form(&source.placeholder);
            found.evidence.retain(|value, _| form.fits(value));
        }
        let other_form = seen - found.evidence.len();
        let judgement = judge::judge(Seen {
            values: found.evidence,
            form: source.values,
            whose: source.of,
            own_accounts: &own_accounts,
        });
        match learned.iter_mut().find(|known| known.placeholder == source.placeholder) {
            Some(known) => {
                known.add(judgement, found.more);
                known.other_form += other_form;
            }
            None => learned.push(Learned {
                placeholder: source.placeholder.clone(),
                configured: configured.to_vec(),
                judgement,
                more: found.more,
                other_form,
            }),
        }
    }
    Ok(learned)
}

/// The rules that say something against a value: not those that have a placeholder which is learned. They judge what
/// the site is about to say, and everyday work trips them until then.
fn against(rules: &RuleSet) -> Against<'_> {
    let others = || rules.all().filter(|rule| !rule.placeholders.iter().any(|name| is_learned(name)));
    // Posture says how something is set up, and nothing of who did it.
    let of_level = |level: Severity| {
        others().filter(move |rule| rule.level >= level && rule.place.folder != Folder::Posture)
    };
    Against {
        worrying: of_level(Severity::High).map(|rule| (rule.id.as_str(), rule.title.as_str())).collect(),
        any: of_level(Severity::Medium).map(|rule| rule.id.as_str()).collect(),
    }
}

fn is_learned(placeholder: &str) -> bool {
    SOURCES.iter().any(|source| source.placeholder == placeholder && source.field.is_some())
}

/// Whether a value is among those of the configuration, which may be networks or have wildcards.
fn is_configured(value: &str, configured: &[String]) -> bool {
    configured.iter().any(|known| {
        if let (Ok(network), Ok(address)) = (known.parse::<ipnet::IpNet>(), value.parse::<std::net::IpAddr>())
        {
            return network.contains(&address);
        }
        is_like(known, value)
    })
}

impl Learned {
    /// Adds what another source of the same placeholder shows.
    fn add(&mut self, other: Judgement, more: bool) {
        self.more |= more;
        let known: BTreeMap<String, Evidence> =
            self.judgement.suggested.iter().map(|it| (it.value.clone(), it.evidence.clone())).collect();
        let is_new = |value: &str| !known.contains_key(value);
        self.judgement.suggested.extend(other.suggested.into_iter().filter(|it| is_new(&it.value)));
        self.judgement.flagged.extend(other.flagged.into_iter().filter(|it| is_new(&it.value)));
    }
}
