//! Records that wait until what is known of them is recalled.

use std::collections::VecDeque;

/// Records and their bytes that wait together.
const MOST_RECORDS: usize = 64;
const MOST_BYTES: usize = 128 * 1024;

/// Raw records in the order of their file.
#[derive(Default)]
pub(super) struct Held {
    records: VecDeque<Box<[u8]>>,
    bytes: usize,
}

impl Held {
    pub(super) fn push(&mut self, raw: &[u8]) {
        self.bytes += raw.len();
        self.records.push_back(raw.into());
    }

    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= MOST_RECORDS || self.bytes >= MOST_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn first(&self) -> Option<&[u8]> {
        self.records.front().map(AsRef::as_ref)
    }

    pub(super) fn remove_first(&mut self) {
        self.bytes -= self.records.pop_front().map_or(0, |raw| raw.len());
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.records.iter().map(AsRef::as_ref)
    }

    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}
