//! The tree that is printed, as text and as JSON (pure).

use std::fmt::{self, Write as _};

use sagetrail_core::enrich::is_invisible;
use serde::Serialize;
use serde_with::skip_serializing_none;

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

    fn write(&self, out: &mut impl fmt::Write, depth: usize) -> fmt::Result {
        writeln!(out, "{:indent$}{} {}", "", shown(&self.what), shown(&self.name), indent = 2 * depth)?;
        let indent = 2 * depth + 4;
        let width = self.facts.iter().map(|fact| fact.field.len()).max().unwrap_or_default();
        for Fact { field, values, more } in &self.facts {
            let values: Vec<String> = values.iter().map(|value| shown(value)).collect();
            write!(out, "{:indent$}{:width$}  {}", "", shown(field), values.join(", "))?;
            if *more > 0 {
                write!(out, " and {more} more")?;
            }
            writeln!(out)?;
        }
        let indent = 2 * depth + 2;
        for Branch { says, twigs, more } in &self.branches {
            writeln!(out, "{:indent$}{says}:", "")?;
            for twig in twigs {
                match twig {
                    Twig::Node(node) => node.write(out, depth + 2)?,
                    Twig::Elsewhere(name) => {
                        writeln!(out, "{:indent$}  {} (see elsewhere in this tree)", "", shown(name))?;
                    }
                    Twig::Missing(what) => writeln!(out, "{:indent$}  not known: {}", "", shown(what))?,
                    Twig::Beyond(name) => {
                        writeln!(out, "{:indent$}  {} (and what is beyond)", "", shown(name))?;
                    }
                }
            }
            if *more > 0 {
                writeln!(out, "{:indent$}  and {more} more", "")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.root.write(formatter, 0)?;
        if let Some(cut) = &self.cut {
            writeln!(formatter, "\nThis is not all: {cut}.")?;
        }
        Ok(())
    }
}

/// A text of a record as a terminal can show it: what would move the cursor, break the line or turn the direction of
/// writing is shown as its number, so that two names never look like one.
pub fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (place, character) in text.chars().enumerate() {
        if place == LONGEST {
            shown.push('…');
            break;
        }
        if is_invisible(character) || character == '\\' {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}
