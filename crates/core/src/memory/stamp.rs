//! When something was said, and by which record.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;

use crate::timestamp;

/// The place of a record in the order of all: the time of its event and then its id, as text that sorts like that. A
/// stamp of a day alone lies before all of that day. All that one record tells shares one text.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(Option<Arc<str>>);

impl Stamp {
    /// What holds at all times, such as the name of a thing.
    pub const ALWAYS: Self = Self(None);

    /// [`Self::ALWAYS`], to be lent.
    pub fn always() -> &'static Self {
        static ALWAYS: Stamp = Stamp::ALWAYS;
        &ALWAYS
    }

    /// That of one record, which is known by the id of its document.
    pub fn of(time: OffsetDateTime, id: &str) -> Self {
        Self::new(&[&timestamp::format(time), " ", id].concat())
    }

    /// The day of a record, for what need not be written again with every record of a day.
    pub fn of_day(time: OffsetDateTime) -> Self {
        Self::new(&day(time))
    }

    /// The first of all stamps at a time or after it.
    pub fn at(time: OffsetDateTime) -> Self {
        Self::new(&timestamp::format(time))
    }

    /// When it was; none of a stamp without a time.
    pub fn time(&self) -> Option<OffsetDateTime> {
        let text = self.as_str();
        let (time, _) = text.split_once(' ').unwrap_or((text, ""));
        timestamp::parse(time).or_else(|| timestamp::parse(&format!("{time}T00:00:00Z")))
    }

    /// The text that sorts and is stored; empty for what holds at all times.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    fn new(text: &str) -> Self {
        Self((!text.is_empty()).then(|| text.into()))
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <Cow<'de, str>>::deserialize(deserializer).map(|text| Self::new(&text))
    }
}

/// The day of a time, such as `2026-11-29`.
pub fn day(time: OffsetDateTime) -> String {
    let mut text = timestamp::format(time);
    text.truncate("2026-11-29".len());
    text
}
