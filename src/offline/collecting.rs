//! Reads the records of files that rules could select, each with its place in the order of time.

use std::borrow::Borrow;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;

use time::OffsetDateTime;

use super::sorted::{Entry, Form, Order};
use crate::config::ContentHash;
use crate::decode::{Decoded, Limits, Scratch, decode};
use crate::enrich::{self, Enricher};
use crate::memory::Known;

/// Hands over the records of a file that one of the sets of rules could select. One without a time has that of the one
/// before it. What the files tell of names decides nothing yet: a record that needs it may stand in an earlier file.
pub fn candidates(
    bytes: &[u8],
    limits: &Limits,
    enrichers: &[impl Borrow<Enricher>],
    file: u32,
    mut take: impl FnMut(Entry) -> ControlFlow<()>,
) -> Decoded {
    let known = Known::whole();
    let (mut number, mut last) = (0, None);
    decode(bytes, limits, ContentHash::None, &mut Scratch::default(), |raw| {
        number += 1;
        if !enrichers.iter().any(|enricher| enrich::could_be_selected(raw, enricher.borrow(), &known)) {
            return ControlFlow::Continue(());
        }
        last = enrich::time_of(raw).map(nanoseconds).or(last);
        let order = Order { time: last, form: Form::Record, number, content: hash(raw), file };
        take(Entry { order, bytes: raw.to_vec() })
    })
}

/// A year beyond 2262 is the latest that can be told.
pub fn nanoseconds(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos()).unwrap_or(if time.year() > 1970 { i64::MAX } else { i64::MIN })
}

fn hash(raw: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    raw.hash(&mut hasher);
    hasher.finish()
}
