//! What the documentation says of settings: each that it names is there, its examples load, and its links lead somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;
use sagetrail::config::Config;

/// Settings with keys of the operator's own below them.
const OPEN: &[&str] = &["channels", "rules.placeholders", "monitors.thresholds"];

/// What pages name besides, under the name of a section.
const FIELDS_AND_FILES: &[&str] = &["source.ip", "source.address", "log.file.path", "dashboards.ndjson"];

/// README and every page in `docs/`, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    [root.join("README.md"), root.join("SECURITY.md"), root.join("ARCHITECTURE.md")]
        .into_iter()
        .chain(pages)
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// Every key of the documented configuration, such as `sink.url`; another test holds that file against the real keys.
fn keys() -> (BTreeSet<String>, BTreeSet<String>) {
    let text = include_str!("../../config/sagetrail.toml");
    let line = Regex::new(r"^(?:\[(\w+)\]|(?:# )?(\w+) = .*)$").unwrap();
    let (mut section, mut sections, mut keys) = (String::new(), BTreeSet::new(), BTreeSet::new());
    for found in text.lines().filter_map(|text| line.captures(text)) {
        if let Some(name) = found.get(1) {
            name.as_str().clone_into(&mut section);
            sections.insert(section.clone());
        } else if let Some(key) = found.get(2) {
            keys.insert(format!("{section}.{}", key.as_str()));
        }
    }
    (sections, keys)
}

#[test]
fn each_setting_that_a_page_names_is_one_of_the_configuration() {
    let (sections, keys) = keys();
    let named = Regex::new(r"`([a-z]+)\.([a-z_0-9.]+)(?: = [^`]*)?`").unwrap();
    let (mut unknown, mut known) = (Vec::new(), BTreeSet::new());
    for (path, text) in pages() {
        for found in named.captures_iter(&text).filter(|found| sections.contains(&found[1])) {
            let key = format!("{}.{}", &found[1], &found[2]);
            if keys.contains(&key) || OPEN.iter().any(|open| key.starts_with(open)) {
                known.insert(key);
            } else if !FIELDS_AND_FILES.contains(&key.as_str())
                && Path::new(&key).extension() != Some("rs".as_ref())
            {
                unknown.push(format!("{}: {key}", path.display()));
            }
        }
    }
    assert_eq!(unknown, [""; 0]);
    assert!(known.len() > 40, "{known:?}");
}

#[test]
fn each_example_of_a_configuration_loads() {
    let block = Regex::new(r"(?s)```toml\n(.*?)```").unwrap();
    let mut examples = 0;
    for (path, text) in pages() {
        for found in block.captures_iter(&text) {
            let read = toml::from_str::<Config>(&found[1]);
            assert!(read.is_ok(), "{}: {}\n{}", path.display(), read.unwrap_err(), &found[1]);
            examples += 1;
        }
    }
    assert!(examples >= 2, "{examples}");
}

#[test]
fn each_link_to_a_file_leads_to_one() {
    let link = Regex::new(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)").unwrap();
    let mut links = 0;
    for (path, text) in pages() {
        for found in link.captures_iter(&text) {
            let target = path.parent().unwrap().join(&found[1]);
            assert!(target.exists(), "{}: {}", path.display(), &found[1]);
            links += 1;
        }
    }
    assert!(links > 50, "{links}");
}
