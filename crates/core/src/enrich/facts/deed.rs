//! What a call does to its resource, and the fields that tell it.

use crate::enrich::catalogue::Access;
use crate::enrich::removal::removes;

/// The resource stands since then.
pub const CREATED: &str = "created";
/// It is another one than before, or what it is used for is.
pub const CHANGED: &str = "changed";
/// It stands no more.
pub const GONE: &str = "gone";

/// What a call does to its resource; nothing where it only reads.
pub fn deed(name: &str, access: Access) -> Option<&'static str> {
    let begins_with = |verbs: &[&str]| verbs.iter().any(|verb| name.starts_with(verb));
    if access.reads() {
        None
    } else if begins_with(&["Create", "Register", "Import"]) && !is_link(name) {
        Some(CREATED)
    } else if removes(name) && access == Access::Write {
        Some(GONE)
    } else {
        Some(CHANGED)
    }
}

/// When it was done, by whom, by which call, with which key, who in person is behind it, and the id of the principal.
pub fn fields_of(deed: &str) -> [&'static str; 6] {
    macro_rules! fields {
        ($deed:literal) => {
            [
                concat!($deed, ".at"),
                concat!($deed, ".by"),
                concat!($deed, ".call"),
                concat!($deed, ".key"),
                concat!($deed, ".person"),
                concat!($deed, ".principal"),
            ]
        };
    }
    match deed {
        CREATED => fields!("created"),
        GONE => fields!("gone"),
        _ => fields!("changed"),
    }
}

/// A link to a resource is no resource of its own.
fn is_link(name: &str) -> bool {
    name.starts_with("CreatePresigned")
}
