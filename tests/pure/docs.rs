//! What the documentation says of settings: each that it names is there, its examples load, and its links lead
//! somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;
use sagetrail::config::Config;

/// Settings with keys of the operator's own below them.
const OPEN: &[&str] = &["channels", "rules.placeholders", "rules.override", "monitors.thresholds"];

/// What pages name besides under the name of a section: fields, files and values of the chart.
const FIELDS_AND_FILES: &[&str] = &[
    "source.ip",
    "source.address",
    "source.geo",
    "source.geo.country_iso_code",
    "source.as",
    "source.as.number",
    "log.file.path",
    "dashboards.ndjson",
    "rules.files",
    "drill.enabled",
    "drill.serviceAccountName",
];

/// Every page for readers, with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [
        "",
        "docs",
        "config/rules",
        "deploy",
        "deploy/docker",
        "deploy/helm",
        "deploy/systemd",
        "deploy/terraform",
    ];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let mut pages: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    pages.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    pages.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
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

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings =
        text.lines().filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#').trim()));
    let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
    headings.map(|it| it.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")).collect()
}

#[test]
fn each_link_leads_to_a_file_and_to_a_heading_in_it() {
    let link = Regex::new(r#"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)|src="([^"]*)""#).unwrap();
    let mut links = 0;
    for (path, text) in pages() {
        for found in link.captures_iter(&text) {
            let file = found.get(1).or(found.get(3)).unwrap().as_str();
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {file}", path.display());
            if let Some(anchor) = found.get(2) {
                let known = anchors(&std::fs::read_to_string(&target).unwrap());
                assert!(known.contains(anchor.as_str()), "{}: {}", path.display(), &found[0]);
            }
            links += 1;
        }
    }
    assert!(links > 50, "{links}");
}

#[test]
fn each_metric_and_each_exit_code_that_a_page_names_exists() {
    let exposition = include_str!("../golden/metrics.txt");
    let metric = Regex::new(r#"`(sagetrail_[a-z_]+)(?:\{([a-z_]+)(?:="([a-z_]+)")?\})?`"#).unwrap();
    let code = Regex::new(r"exit codes? (?:is )?(\d+)(?: and (\d+))?|exits with (\d+)").unwrap();
    let codes: BTreeSet<&str> = Regex::new(r"(?m)^\| (\d+) \|")
        .unwrap()
        .captures_iter(include_str!("../../docs/commands.md"))
        .map(|found| found.get(1).unwrap().as_str())
        .collect();
    let (mut metrics, mut exits) = (0, 0);
    for (path, text) in pages() {
        for found in metric.captures_iter(&text) {
            let label = found.get(2).map_or(String::new(), |label| format!("{}=\"", label.as_str()));
            let value = found.get(3).map_or(String::new(), |value| format!("{label}{}\"", value.as_str()));
            let known = exposition
                .lines()
                .any(|line| line.starts_with(&found[1]) && line.contains(&label) && line.contains(&value));
            assert!(known, "{}: {}", path.display(), &found[0]);
            metrics += 1;
        }
        for found in code.captures_iter(&text) {
            for named in found.iter().skip(1).flatten() {
                assert!(codes.contains(named.as_str()), "{}: {}", path.display(), &found[0]);
                exits += 1;
            }
        }
    }
    assert!(metrics > 20 && exits > 5, "{metrics} metrics, {exits} exit codes");
}

/// Where modules are, from which pages name paths.
const ROOTS: &[&str] = &["", "src", "crates/core/src"];

/// Every source file below the folders, with its text.
fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut left, mut found): (Vec<PathBuf>, _) =
        (folders.iter().map(|folder| root.join(folder)).filter(|it| it.exists()).collect(), Vec::new());
    while let Some(folder) = left.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                left.push(path);
            } else if path.extension() == Some("rs".as_ref()) {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

#[test]
fn the_architecture_cites_only_what_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let code = sources(&["src", "crates", "tests"]);
    let said = |needle: &str| code.iter().any(|(_, text)| text.contains(needle));
    let is_module = |name: &str| {
        code.iter().any(|(path, _)| {
            let parent = path.parent().and_then(Path::file_name);
            path.file_stem() == Some(name.as_ref()) || parent == Some(name.as_ref())
        })
    };
    let cited = |pattern: &str| -> Vec<String> {
        Regex::new(pattern).unwrap().captures_iter(&page).map(|found| found[1].to_owned()).collect()
    };
    let (tests, errors) = (cited(r"`([a-z0-9]+(?:_[a-z0-9]+){3,})`"), cited(r"`(\w+Error)`"));
    let (modules, paths) = (cited(r"\*\*`(\w+)`\*\*"), cited(r"`([a-z]+/[\w./-]*)`"));
    let mut unknown: Vec<&String> = Vec::new();
    unknown.extend(tests.iter().filter(|name| !said(&format!("fn {name}("))));
    unknown.extend(errors.iter().filter(|name| !said(&format!("enum {name} "))));
    unknown.extend(modules.iter().filter(|name| !is_module(name)));
    unknown.extend(paths.iter().filter(|path| !ROOTS.iter().any(|it| root.join(it).join(path).exists())));
    assert!(unknown.is_empty(), "{unknown:#?}");
    let counts = [tests.len(), errors.len(), modules.len(), paths.len()];
    assert!(counts.iter().zip([50, 4, 20, 4]).all(|(count, least)| *count >= least), "{counts:?}");
}

#[test]
fn the_readme_and_the_architecture_stay_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (page, most) in [("README.md", 7 << 10), ("ARCHITECTURE.md", 20 << 10)] {
        let size = std::fs::metadata(root.join(page)).unwrap().len();
        assert!(size <= most, "{page}: {size} bytes, of at most {most}");
    }
}
