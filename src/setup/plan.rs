//! The plan: what has to be done about one object, decided from what is there and what was installed before; pure.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::object::{CONTENT_VERSION, Kind, Object, projected, same};

/// What is remembered of an object that was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub kind: Kind,
    pub id: String,
    /// The version of the content that it was part of.
    pub version: u64,
    /// The hash of the body that was sent, by which a person's edit is told from our own older content.
    pub body: String,
    /// What was sent, so that an edit can be found among what the server adds.
    pub sent: String,
}

impl Entry {
    pub fn of(object: &Object) -> Self {
        Self {
            kind: object.kind,
            id: object.id.clone(),
            version: CONTENT_VERSION,
            body: hash(&object.body),
            sent: object.body.to_string(),
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Create,
    /// Ours, of an older content or another configuration, and untouched since.
    Upgrade,
    /// It is as it should be.
    Keep,
    /// It is as it should be, and not remembered yet.
    Remember,
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
    if same(&projected(theirs, &object.body), &object.body) {
        return match entry {
            Some(entry) if entry.body == hash(&object.body) => Step::Keep,
            _ => Step::Remember,
        };
    }
    let untouched = entry
        .and_then(|entry| serde_json::from_str::<Value>(&entry.sent).ok())
        .is_some_and(|sent| same(&projected(theirs, &sent), &sent));
    // The daemon installs templates as well, at each start, and remembers nothing. Their own version tells.
    if untouched || template_version(theirs) < template_version(&object.body) {
        Step::Upgrade
    } else {
        Step::Edited
    }
}

/// The version that templates carry; zero for everything else.
fn template_version(body: &Value) -> u64 {
    body["_meta"]["managed_by"].as_str().and(body["version"].as_u64()).unwrap_or_default()
}

fn hash(body: &Value) -> String {
    let mut text = String::new();
    for byte in Sha256::digest(body.to_string().as_bytes()) {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_state_of_an_object_has_its_step() {
        let object = |body: Value| Object { kind: Kind::Monitor, id: "m".to_owned(), body };
        let (old, new) = (object(json!({"name": "old"})), object(json!({"name": "new"})));
        let newer = Entry { version: CONTENT_VERSION + 1, ..Entry::of(&old) };
        let there = |name: &str| json!({"name": name, "added_by_the_server": 1});
        let cases = [
            ("absent", None, None, Step::Create),
            ("removed by hand", None, Some(Entry::of(&new)), Step::Create),
            ("as it should be", Some(there("new")), Some(Entry::of(&new)), Step::Keep),
            ("the memory was lost", Some(there("new")), None, Step::Remember),
            ("ours and old", Some(there("old")), Some(Entry::of(&old)), Step::Upgrade),
            ("edited", Some(there("edited")), Some(Entry::of(&new)), Step::Edited),
            ("edited before an upgrade", Some(there("edited")), Some(Entry::of(&old)), Step::Edited),
            ("made by somebody else", Some(there("other")), None, Step::Edited),
            ("of a newer sagetrail", Some(there("old")), Some(newer), Step::Newer),
        ];
        for (case, theirs, entry, expected) in cases {
            assert_eq!(plan(&new, theirs.as_ref(), entry.as_ref()), expected, "{case}");
        }
    }
}
