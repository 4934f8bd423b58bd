//! What has to be remembered of the records, in any order and however often each was delivered.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use sagetrail::config::Scope;
use sagetrail::document::Document;
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich_knowing};
use sagetrail::memory::{Known, State};
use sagetrail::names::Names;
use serde_json::Value;
use time::OffsetDateTime;

use crate::schedule::Record;
use crate::world::{Inner, REJECTED, is_of_fact};

pub static KNOWLEDGE: LazyLock<Arc<Enricher>> =
    LazyLock::new(|| Arc::new(Enricher::built_in(Scope::Sagemaker)));

/// A fact of a record, and where it is stored.
type Told = ((String, String), State);

fn facts(record: &Record) -> Vec<Told> {
    let origin = Origin { path: "x", written_at: None, now: OffsetDateTime::UNIX_EPOCH };
    let judged = enrich_knowing(record.text.as_bytes(), origin, &KNOWLEDGE, &Known::whole());
    let Enriched::Selected { facts, event_time: Some(time), .. } = judged else { return Vec::new() };
    let place = |document: Document| (document.index.as_str().to_owned(), document.id.as_str().to_owned());
    let told = facts.into_iter().map(|fact| {
        (place(Document::of_fact(&Names::default(), &fact, time)), Arc::unwrap_or_clone(fact.state))
    });
    told.collect()
}

impl Inner {
    /// Whether memory knows everything that a record told, or a fault made OpenSearch refuse it for good.
    pub fn remembered(&self, number: usize) -> Result<(), String> {
        let lacking = facts(&self.records[number]).into_iter().find(|(place, told)| {
            let is_known = self.memory.get(place).is_some_and(|known| known.knows(told));
            !is_known && !self.is_refused(told)
        });
        lacking
            .map_or(Ok(()), |(place, _)| Err(format!("memory lacks what record {number} told of {place:?}")))
    }

    /// Memory knows nothing that no record told.
    pub fn check_memory(&mut self) {
        let mut whole: BTreeMap<(String, String), State> = BTreeMap::new();
        for (place, told) in self.records.iter().flat_map(facts) {
            whole.entry(place).or_default().join(&told);
        }
        let wrong = |(place, known): (&(String, String), &State)| {
            let is_told = whole.get(place).is_some_and(|whole| whole.knows(known));
            (!is_told).then(|| format!("memory knows of {place:?} what no record told"))
        };
        let wrong: Vec<String> = self.memory.iter().filter_map(wrong).collect();
        for problem in wrong {
            self.breach(problem);
        }
        let told = self.memory.values().filter(|known| !known.is_empty()).count();
        self.tell(format!("{told} of {} things are remembered", whole.len()));
    }

    fn is_refused(&self, told: &State) -> bool {
        let reports = self.documents.iter().filter(|((index, _), _)| index == REJECTED);
        reports.filter_map(|(_, report)| serde_json::from_str::<Value>(report).ok()).any(|report| {
            let text = report["text"].as_str().unwrap_or_default();
            is_of_fact(&report) && serde_json::from_str::<State>(text).is_ok_and(|state| state.knows(told))
        })
    }
}
