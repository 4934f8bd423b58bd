//! The names of what SageMaker works with, as they are looked for in the bytes of a record of another service.

use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// Names of known roles, buckets, repositories and keys.
#[derive(Clone, Default)]
pub enum KnownNames {
    /// Nothing is known, so that nothing holds one.
    #[default]
    None,
    /// Not looked for: any record may hold one.
    Any,
    Some(Arc<AhoCorasick>),
}

/// Names shorter than this are in too many records to say anything.
const LEAST_LETTERS: usize = 4;

impl KnownNames {
    /// One search for all of them, which takes memory in proportion to their length.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let names: Vec<&str> = names.into_iter().filter(|name| name.len() >= LEAST_LETTERS).collect();
        if names.is_empty() {
            return Self::None;
        }
        AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(names)
            // More than can be searched for at once hide nothing.
            .map_or(Self::Any, |search| Self::Some(Arc::new(search)))
    }

    /// Whether a record with these bytes could name one.
    pub fn could_be_in(&self, raw: &[u8]) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::Some(search) => search.is_match(raw),
        }
    }
}

impl fmt::Debug for KnownNames {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "None",
            Self::Any => "Any",
            Self::Some(_) => "Some",
        })
    }
}
