//! Remembers by path what a script has put where.

use std::collections::BTreeMap;

use super::value::{Origin, Value};

/// Files and folders by their paths.
#[derive(Default)]
pub struct Files {
    contents: BTreeMap<String, Value>,
    /// Folders that were filled by an archive or a clone.
    folders: Vec<(String, Origin)>,
    pub folder: String,
}

/// Folders that are remembered; each look at a file compares with all of them.
const MOST_FOLDERS: usize = 16;
/// Files that a wildcard is compared with.
const MOST_LISTED: usize = 32;
/// Bytes of the path of a working folder. Each file in it has them before its name.
const MOST_FOLDER_BYTES: usize = 256;

/// Whether a folder is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    Yes,
    No,
}

impl Files {
    /// One spelling for each path: whole, from the working folder on, with `$HOME` for `~`.
    fn path(&self, path: &str) -> String {
        let path = path.strip_prefix("file://").unwrap_or(path);
        let path = path.strip_prefix("./").unwrap_or(path);
        let path = match path.strip_prefix('~') {
            Some(rest) => format!("$HOME{rest}"),
            None => path.to_owned(),
        };
        if path.starts_with(['/', '$', '<']) || self.folder.is_empty() {
            return path;
        }
        format!("{}/{path}", self.folder.trim_end_matches('/'))
    }

    /// What a file holds. What no script made is of the machine itself, and may be its credentials.
    pub fn read(&self, path: &str) -> Value {
        let path = self.path(path);
        if let Some(value) = self.contents.get(&path) {
            return value.clone();
        }
        if path.contains('*') {
            return self.listed(&path);
        }
        let filled = self.folders.iter().find(|(folder, _)| {
            folder.is_empty() && !path.starts_with('/')
                || path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
        });
        let mut value = Value::unknown();
        match filled {
            Some((_, origin)) => value.origin.join(origin),
            None => value.origin.is_local = true,
        }
        value.origin.is_secret |= super::facts::holds_credentials(&path);
        value
    }

    /// Whether the script itself made this file, or the folder that it is in.
    pub fn is_made(&self, path: &str) -> bool {
        !self.read(path).origin.is_local
    }

    fn listed(&self, pattern: &str) -> Value {
        let (start, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        let end = end.rsplit('*').next().unwrap_or_default();
        let mut all = Value::unknown();
        let candidates =
            self.contents.range(start.to_owned()..).take_while(|(path, _)| path.starts_with(start));
        for (position, (path, value)) in candidates.enumerate() {
            if position == MOST_LISTED {
                all.origin.has_more_sources = true;
                break;
            }
            if path.ends_with(end) {
                all.origin.join(&value.origin);
            }
        }
        all.origin.is_local = all.origin.sources.is_empty();
        all
    }

    /// Puts a content into a file, or behind what it holds.
    pub fn write(&mut self, path: &str, content: Value, appends: bool) {
        let path = self.path(path);
        match self.contents.get_mut(&path) {
            Some(known) if appends => known.append(&content),
            _ => {
                self.contents.insert(path, content);
            }
        }
    }

    /// Remembers where a folder's files come from, unless there is no room for it any more.
    pub fn fill_folder(&mut self, path: &str, origin: &Origin) -> Filled {
        let path = if matches!(path, "." | "") { self.folder.clone() } else { self.path(path) };
        let path = path.trim_end_matches('/');
        if let Some((_, known)) = self.folders.iter_mut().find(|(folder, _)| folder == path) {
            known.join(origin);
        } else if self.folders.len() == MOST_FOLDERS {
            return Filled::No;
        } else {
            self.folders.push((path.to_owned(), origin.clone()));
        }
        Filled::Yes
    }

    /// Changes the working folder, unless its path becomes too long.
    pub fn enter(&mut self, path: &str) {
        let path = self.path(path);
        if path.len() <= MOST_FOLDER_BYTES {
            self.folder = path;
        }
    }
}
