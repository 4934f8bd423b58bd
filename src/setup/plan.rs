//! Decides what to do with one object, from what is there and what was installed before (pure).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::canonical::{comparable, projected};
use super::object::{CONTENT_VERSION, Kind, Object, fingerprints, same};

/// What is remembered of an object that was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub kind: Kind,
    pub id: String,
    /// The version of the content that it was part of.
    pub version: u64,
    /// The id that the server chose, where it does not take ours.
    pub address: String,
    /// Fingerprints of what was sent; they distinguish new content from old.
    sent: Value,
    /// Fingerprints of what the server made of it; they distinguish a person's edit from additions of the server.
    stored: Value,
    /// Whether they are of the form in which bodies are compared. Those of older installations are not.
    #[serde(default)]
    is_canonical: bool,
}

impl Entry {
    /// The memory of an object that has just been read back.
    pub fn of(object: &Object, stored: &Value, address: &str) -> Self {
        Self {
            kind: object.kind,
            id: object.id.clone(),
            version: CONTENT_VERSION,
            address: address.to_owned(),
            sent: fingerprints(&object.body),
            stored: fingerprints(&comparable(object.kind, stored, &object.expected())),
            is_canonical: true,
        }
    }

    /// The object, of which only this memory is left.
    pub fn object(&self) -> Object {
        Object { kind: self.kind, id: self.id.clone(), body: Value::Null }
    }

    /// Whether the object is unchanged since.
    pub fn is_untouched(&self, theirs: &Value) -> bool {
        let theirs = if self.is_canonical {
            comparable(self.kind, theirs, &self.stored)
        } else {
            projected(theirs, &self.stored, &[])
        };
        fingerprints(&theirs) == self.stored
    }
}

/// What to do about objects that a person has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edits {
    Keep,
    Overwrite,
}

/// What to do with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Create,
    /// Installed by us with older content or another configuration, and unchanged since.
    Update,
    /// It is as it should be.
    Keep,
    /// It is as it should be, and not remembered so yet.
    Remember,
    /// A monitor that is as it should be, with alerts that nobody can acknowledge.
    Stuck,
    /// A person has changed it, or made it.
    Edited,
    /// A newer sagetrail has installed it.
    Newer,
}

/// Decides about one object.
pub fn plan(object: &Object, theirs: Option<&Value>, entry: Option<&Entry>) -> Step {
    let Some(theirs) = theirs else { return Step::Create };
    if entry.is_some_and(|entry| entry.version > CONTENT_VERSION)
        || template_version(theirs) > template_version(&object.body)
    {
        return Step::Newer;
    }
    match entry.filter(|entry| entry.is_untouched(theirs)) {
        Some(entry) if entry.sent != fingerprints(&object.body) => Step::Update,
        Some(entry) if entry.version == CONTENT_VERSION && entry.is_canonical => Step::Keep,
        // Changes that the old fingerprints could not show are overwritten like older content.
        Some(entry) if !entry.is_canonical && !is_as_expected(object, theirs) => Step::Update,
        Some(_) => Step::Remember,
        None if is_as_expected(object, theirs) => Step::Remember,
        // The daemon installs templates too, at each start, without an inventory, so their own version decides.
        None if template_version(theirs) < template_version(&object.body) => Step::Update,
        None => Step::Edited,
    }
}

fn is_as_expected(object: &Object, theirs: &Value) -> bool {
    let expected = object.expected();
    same(&comparable(object.kind, theirs, &expected), &expected)
}

/// Decides about one object of an older content, or of another configuration, that is not wanted any more.
pub fn plan_leftover(theirs: Option<&Value>, entry: &Entry) -> Leftover {
    match theirs {
        None => Leftover::Forget,
        Some(_) if entry.version > CONTENT_VERSION => Leftover::Newer,
        Some(theirs) if entry.is_untouched(theirs) => Leftover::Remove,
        Some(_) => Leftover::Edited,
    }
}

/// What to do with an object that is no longer wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftover {
    /// It is gone already.
    Forget,
    Remove,
    /// A person has changed it.
    Edited,
    /// A newer sagetrail has installed it.
    Newer,
}

/// The version that templates carry; zero for everything else.
fn template_version(body: &Value) -> u64 {
    body["_meta"]["managed_by"].as_str().and(body["version"].as_u64()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str) -> Object {
        Object { kind: Kind::Monitor, id: "m".to_owned(), body: json!({"name": name, "interval": 1}) }
    }

    /// What a server makes of an object: it adds members, and writes numbers as texts.
    fn there(name: &str) -> Value {
        json!({"name": name, "interval": "1", "added_by_the_server": 1})
    }

    fn entry(name: &str, version: u64) -> Entry {
        Entry { version, ..Entry::of(&object(name), &there(name), "x") }
    }

    #[test]
    fn each_state_of_an_object_has_its_step() {
        let (older, newer) = (CONTENT_VERSION - 1, CONTENT_VERSION + 1);
        let cases = [
            ("absent", None, None, Step::Create),
            ("removed by hand", None, Some(entry("new", CONTENT_VERSION)), Step::Create),
            ("as it should be", Some("new"), Some(entry("new", CONTENT_VERSION)), Step::Keep),
            ("the same in an older content", Some("new"), Some(entry("new", older)), Step::Remember),
            ("the memory was lost", Some("new"), None, Step::Remember),
            ("interrupted before it was remembered", Some("new"), Some(entry("old", older)), Step::Remember),
            ("ours and old", Some("old"), Some(entry("old", older)), Step::Update),
            ("of another configuration", Some("old"), Some(entry("old", CONTENT_VERSION)), Step::Update),
            ("edited", Some("edited"), Some(entry("new", CONTENT_VERSION)), Step::Edited),
            ("edited before an upgrade", Some("edited"), Some(entry("old", older)), Step::Edited),
            ("made by somebody else", Some("other"), None, Step::Edited),
            ("of a newer sagetrail", Some("old"), Some(entry("old", newer)), Step::Newer),
        ];
        for (case, theirs, entry, expected) in cases {
            assert_eq!(plan(&object("new"), theirs.map(there).as_ref(), entry.as_ref()), expected, "{case}");
        }
    }

    #[test]
    fn what_a_server_writes_in_its_own_way_is_no_edit() {
        let stored = json!({"name": "migrated by the server", "interval": 1});
        let entry = Entry::of(&object("new"), &stored, "x");
        assert_eq!(plan(&object("new"), Some(&stored), Some(&entry)), Step::Keep);
        assert_eq!(plan(&object("newer"), Some(&stored), Some(&entry)), Step::Update);
    }

    #[test]
    fn a_leftover_is_removed_only_when_nobody_has_changed_it_and_no_newer_sagetrail_needs_it() {
        let cases = [
            (None, CONTENT_VERSION, Leftover::Forget),
            (Some("old"), CONTENT_VERSION, Leftover::Remove),
            (Some("edited"), CONTENT_VERSION, Leftover::Edited),
            (Some("old"), CONTENT_VERSION + 1, Leftover::Newer),
        ];
        for (theirs, version, expected) in cases {
            assert_eq!(plan_leftover(theirs.map(there).as_ref(), &entry("old", version)), expected);
        }
    }

    #[test]
    fn an_entry_holds_no_value_of_its_object() {
        let entry = Entry::of(&object("secret"), &there("secret"), "x");
        assert!(!serde_json::to_string(&entry).unwrap().contains("secret"));
    }
}
