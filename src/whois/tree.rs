//! The tree that is printed, as text and as JSON (pure).

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_with::skip_serializing_none;

use crate::templates::{fill, visible};

/// Values of one field that are shown.
pub const MOST_VALUES: usize = 12;
/// Characters of one text that are shown: as many as the longest ARN of a resource of SageMaker has.
const LONGEST: usize = 300;

/// What is known of one thing, with its root.
#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub struct Report {
    pub asked: String,
    pub root: Node,
    /// The bound that was reached, where the tree is not all that is known.
    pub cut: Option<String>,
    /// The indices that were read.
    pub read: Vec<String>,
}

/// One thing with what is known of it.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What it is, such as `role` or `temporary key`.
    pub what: String,
    pub name: String,
    /// Whether a record told of it, and not only something else named it.
    pub known: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<Fact>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<Branch>,
}

/// A field as memory keeps it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    pub field: String,
    pub values: Vec<String>,
    /// How many there are beyond.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: u64,
}

/// Things that are related alike to the one above.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Branch {
    pub says: &'static str,
    pub twigs: Vec<Twig>,
    /// How many there are beyond.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: u64,
}

/// One related thing, or why the tree does not go on there.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Twig {
    Node(Node),
    /// It stands elsewhere in the tree, with what is known of it.
    Elsewhere(String),
    /// A link that nobody told of.
    Missing(String),
    /// What is known of it is beyond a bound.
    Beyond(String),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Node {
    /// Whether nothing is known of it, nor of anything that is related to it.
    pub fn is_bare(&self) -> bool {
        let is_known = |twig: &Twig| match twig {
            Twig::Node(node) => !node.is_bare(),
            Twig::Elsewhere(_) | Twig::Beyond(_) => true,
            Twig::Missing(_) => false,
        };
        !self.known && !self.branches.iter().any(|branch| branch.twigs.iter().any(is_known))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&fill(include_str!("tree.txt.j2"), shown, self))
    }
}

/// A text of a record as a terminal can show it: what would move the cursor, break the line or turn the direction of
/// writing is shown as its number, so that two names never look like one.
pub fn shown(text: &str) -> Cow<'_, str> {
    visible(text, LONGEST, &['\\'])
}
