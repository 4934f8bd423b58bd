//! Names by which filters and overrides find a rule.

/// What is known of a rule when filters and overrides name it.
#[derive(Debug)]
pub struct KnownRule {
    pub id: String,
    pub name: Option<String>,
    pub title: String,
}

impl KnownRule {
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [Some(&self.id), self.name.as_ref(), Some(&self.title)].into_iter().flatten().map(String::as_str)
    }

    pub fn is_called(&self, name: &str) -> bool {
        self.names().any(|own| own.eq_ignore_ascii_case(name))
    }
}
