//! What all clones of a memory share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cache::Cache;
use super::recall::Recall;
use crate::labels::FactOutcome;
use crate::metrics::{Metrics, whole};
use sagetrail_core::memory::KnownNames;

pub(super) struct Shared {
    pub(super) cache: Mutex<Cache>,
    /// What records of other services are searched for.
    pub(super) names: Mutex<KnownNames>,
    pub(super) recall: Recall,
    pub(super) metrics: Arc<Metrics>,
}

impl Shared {
    pub(super) fn cache(&self) -> MutexGuard<'_, Cache> {
        // Each change leaves the cache whole, and what a panic kept out of it is recalled or told again.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn names(&self) -> MutexGuard<'_, KnownNames> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn show(&self, cache: &Cache) {
        self.metrics.memory_cache_bytes.set(whole(cache.bytes()));
        self.metrics.memory_cache_entries.set(whole(cache.len()));
    }

    pub(super) fn count(&self, outcome: FactOutcome) {
        self.metrics.memory_facts.count(outcome);
    }
}
