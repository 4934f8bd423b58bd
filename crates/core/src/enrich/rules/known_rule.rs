//! Names by which filters, overrides and correlations find a rule.

/// Whether it judges a record or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Rule,
    Correlation,
}

/// What is known of a rule when filters, overrides and correlations name it.
#[derive(Debug)]
pub struct KnownRule {
    pub id: String,
    pub name: Option<String>,
    pub title: String,
    pub kind: Kind,
}

impl KnownRule {
    /// What it may be called by: its id, its name where it has one, and its title.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [Some(&self.id), self.name.as_ref(), Some(&self.title)].into_iter().flatten().map(String::as_str)
    }

    /// Whether one of these is that name, in any case.
    pub fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| own.eq_ignore_ascii_case(name))
    }
}
