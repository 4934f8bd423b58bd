//! One word that a record tells of a thing.

use std::borrow::Cow;

use super::stamp::Stamp;

/// One word: what a state keeps under the name in the group.
#[derive(Debug, Clone)]
pub(super) struct Word<'t> {
    pub(super) name: Cow<'t, str>,
    pub(super) at: &'t Stamp,
    pub(super) is: Content<'t>,
}

/// What is said, by the group that keeps it. Most of it is one text.
#[derive(Debug, Clone)]
pub(super) enum Content<'t> {
    Latest(Cow<'t, str>),
    LatestOf(Vec<Cow<'t, str>>),
    /// The id of the key itself.
    Id,
    Earliest(Cow<'t, str>),
    Newest(Cow<'t, str>),
    Oldest(Cow<'t, str>),
}
