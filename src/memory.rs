//! Keeps what the daemon has at hand of memory, recalls the rest, and decides which facts have to be sent.
//!
//! What memory is, and the one operation on it, is in the core crate. Here is what can be lost at any moment: a cache
//! of what the index is proven to hold, and what this daemon told and is not proven yet.

mod answer;
mod cache;
mod names;
mod pause;
mod recall;
mod shared;
mod telling;

use std::sync::{Arc, Mutex};

use serde::Deserialize;
use tokio::time::Instant;
use tracing::{info, warn};

use self::cache::{Cache, Cached, LASTS};
pub use self::names::{load_names, watch_names};
use self::recall::Recall;
pub use self::recall::{Attempt, Wanted};
use self::shared::Shared;
pub use self::telling::Telling;
use crate::config::MemoryConfig;
use crate::labels::{FactOutcome, RecallOutcome};
use crate::metrics::Metrics;
use crate::opensearch::OpenSearch;
use crate::setup::{self, SetupError};
pub use sagetrail_core::memory::*;

const OFF: &str = "memory is off, so each record is judged alone, and rules that ask who made a resource, who is behind a \
                   session or what is usual stay silent";

/// How OpenSearch calls the denial of a write.
const DENIED: &str = "security_exception";

/// A document of memory, for those who only read it.
#[derive(Debug, Deserialize)]
pub struct Remembered {
    pub key: String,
    pub memory: State,
}

/// The memory of a process. Clones share everything.
#[derive(Clone)]
pub struct Memory(Option<Arc<Shared>>);

impl Memory {
    /// Each record is judged alone, and tells nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// The memory that is configured, unless nothing can be joined into it; that is said once.
    pub async fn open(
        config: &MemoryConfig,
        client: &OpenSearch,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, SetupError> {
        if !config.enabled {
            info!("{OFF}; set memory.enabled = true to change that");
            return Ok(Self::off());
        }
        match setup::has_join_script(client).await {
            Ok(true) => {}
            Ok(false) => {
                warn!(
                    "{OFF}: the script that joins facts is not installed; run `sagetrail setup` and restart"
                );
                return Ok(Self::off());
            }
            Err(SetupError::Refused { body, .. }) if body == DENIED => {
                warn!(
                    "{OFF}: the role may not write into the indices of memory; grant it what \
                     `sagetrail check --permissions` prints and restart"
                );
                return Ok(Self::off());
            }
            // A state of the cluster says nothing of the script. Facts wait for its end as documents do.
            Err(SetupError::Refused { body, .. }) if !body.is_empty() => {}
            Err(error) => return Err(error),
        }
        Ok(Self::new(config, client, metrics))
    }

    /// Makes a memory that is on, without asking OpenSearch whether the script that joins facts is installed.
    pub fn new(config: &MemoryConfig, client: &OpenSearch, metrics: &Arc<Metrics>) -> Self {
        Self(Some(Arc::new(Shared {
            cache: Mutex::new(Cache::new(config.cache_bytes.get())),
            names: Mutex::default(),
            recall: Recall::new(client.clone(), config.recall_timeout, Arc::clone(metrics)),
            metrics: Arc::clone(metrics),
        })))
    }

    /// Whether nothing is asked or told: the configuration, a missing script or a missing right switched it off.
    pub fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// What is known before anything was looked up.
    pub fn known(&self) -> Known {
        self.0.as_ref().map_or_else(Known::off, |shared| Known::to_be_asked(shared.names().clone()))
    }

    /// Takes the names that records of other services are searched for, and how many more there would be.
    fn know(&self, names: KnownNames, left_out: u64) {
        if let Some(shared) = &self.0 {
            *shared.names() = names;
            let before = shared.metrics.memory_names_left_out.get();
            let left_out = i64::try_from(left_out).unwrap_or(i64::MAX);
            if left_out > 0 && before == 0 {
                warn!(
                    left_out,
                    "memory knows more roles, buckets and other things that SageMaker uses than records of other services are searched \
                     for; what else happens to the rest is not shipped: see whether somebody names thousands of them"
                );
            }
            shared.metrics.memory_names_left_out.set(left_out);
        }
    }

    /// Takes from the cache what it has, and returns the keys that have to be recalled. While recall pauses these are
    /// given up on, so that nothing waits.
    pub fn look_up(&self, keys: Vec<Key>, known: &mut Known) -> Vec<Key> {
        let Some(shared) = &self.0 else { return keys };
        let now = Instant::now();
        let mut cache = shared.cache();
        let mut missing = Vec::new();
        for key in keys {
            let cached = cache.look_up(&key, now);
            missing.extend(take(key, cached, known));
        }
        drop(cache);
        if !missing.is_empty() && shared.recall.is_paused(now) {
            shared.metrics.memory_recalls.count(RecallOutcome::Paused);
            missing.drain(..).for_each(|key| known.miss(key));
        }
        missing
    }

    /// The facts of what a record told, but for what is proven to be stored or travels with the record: nothing is
    /// left to do about that. What is known was looked up at some time after this one.
    fn news(&self, mut told: Vec<Told<'_>>, known: &Known, since: Instant, underway: &Telling) -> Vec<Fact> {
        let Some(shared) = &self.0 else { return told.into_iter().map(Told::into_fact).collect() };
        let now = Instant::now();
        let lasts = now.saturating_duration_since(since) < LASTS;
        told.retain_mut(|told| {
            if lasts {
                known.leave_out_stored(told);
            }
            let outcome = if told.is_empty() { FactOutcome::Known } else { FactOutcome::Joined };
            underway.leave_out(told);
            if told.is_empty() {
                shared.count(outcome);
            }
            !told.is_empty()
        });
        if told.is_empty() {
            return Vec::new();
        }
        let mut cache = shared.cache();
        let stored: Vec<Option<Arc<State>>> =
            told.iter().map(|told| cache.stored(&told.key, now).cloned()).collect();
        // What is compared takes longer than what is looked up, and others wait for the cache.
        drop(cache);
        for (told, stored) in told.iter_mut().zip(&stored) {
            if let Some(stored) = stored {
                known.leave_out(told, stored);
                if told.is_empty() {
                    shared.count(FactOutcome::Known);
                }
            }
        }
        told.into_iter().filter(|told| !told.is_empty()).map(Told::into_fact).collect()
    }

    /// Begins the recall for a number of records, of which all rounds have one time limit.
    pub fn attempt(&self) -> Attempt {
        self.0.as_ref().map_or_else(Attempt::default, |shared| shared.recall.attempt())
    }

    /// Recalls what the cache does not have. What cannot be recalled is given up on.
    pub async fn recall(&self, wanted: Vec<Wanted>, attempt: &mut Attempt, known: &mut Known) {
        let Some(shared) = self.0.as_ref().filter(|_| !wanted.is_empty()) else { return };
        let asked_at = Instant::now();
        let Some(states) = shared.recall.ask(&wanted, attempt).await else {
            return wanted.into_iter().for_each(|Wanted { key, .. }| known.miss(key));
        };
        let mut cache = shared.cache();
        for (Wanted { key, .. }, state) in wanted.into_iter().zip(states) {
            let cached = cache.recalled(&key, state.map(Arc::new), asked_at);
            take(key, cached, known);
        }
        shared.show(&cache);
    }

    /// The facts of a number of documents that travel together.
    pub fn telling(&self) -> Telling {
        Telling::new(self.0.clone())
    }
}

/// Takes into what is known what the cache has of a key, and returns the key where it has nothing.
fn take(key: Key, cached: Cached, known: &mut Known) -> Option<Key> {
    match cached {
        Cached::State(state) => known.recall(key, Some(state)),
        Cached::Stored(state) => known.recall_stored(key, state),
        Cached::Nothing => known.recall(key, None),
        Cached::Missing => return Some(key),
    }
    None
}

/// What is known for a few records, and the cache behind it.
pub struct AtHand<'m> {
    pub known: &'m mut Known,
    /// Before anything was looked up that is known.
    pub since: Instant,
    pub memory: &'m Memory,
    /// What records told that travel with the next one.
    pub underway: &'m Telling,
}

impl Remembering for AtHand<'_> {
    fn known(&self) -> &Known {
        self.known
    }

    fn look_up(&mut self, keys: Vec<Key>) -> Vec<Key> {
        self.memory.look_up(keys, self.known)
    }

    fn news(&self, told: Vec<Told<'_>>) -> Vec<Fact> {
        self.memory.news(told, self.known, self.since, self.underway)
    }
}
