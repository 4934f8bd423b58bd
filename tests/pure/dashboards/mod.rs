//! The dashboards: that the files hold together. What each panel finds is tried in `tests/e2e/dashboards/`.
//!
//! Dashboards accepts almost anything and shows what is broken only on the screen, so everything is checked here.

mod colours;
mod fields;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use regex::Regex;
use serde_json::{Value, json};

use crate::support::saved;

#[test]
fn there_are_ten_dashboards_and_each_file_can_be_imported_by_itself() {
    let files = saved::files();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "identity",
            "incident",
            "incidents",
            "inventory",
            "investigation",
            "overview",
            "pipeline",
            "posture",
            "resources",
            "threats"
        ]
    );
    for (name, objects) in files {
        let last = objects.last().unwrap();
        assert_eq!((last.kind.as_str(), &last.id), ("dashboard", &format!("sagetrail-dashboard-{name}")));
        let mut known = BTreeSet::new();
        for saved in &objects {
            for reference in saved.line["references"].as_array().unwrap() {
                let target = (reference["type"].as_str().unwrap(), reference["id"].as_str().unwrap());
                assert!(known.contains(&target), "{name}: {} stands before {target:?}", saved.id);
            }
            known.insert((saved.kind.as_str(), saved.id.as_str()));
        }
    }
}

#[test]
fn every_object_uses_exactly_the_references_that_it_has_and_its_json_can_be_read() {
    for saved in saved::all().into_values() {
        let used: BTreeSet<String> = uses(&saved).into_iter().collect();
        let had = saved.line["references"].as_array().unwrap().iter();
        let had: BTreeSet<String> = had.map(|found| found["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(used, had, "{}", saved.id);
        assert!(saved.attribute("title").as_str().is_some_and(|title| !title.is_empty()), "{}", saved.id);
        match saved.kind.as_str() {
            "visualization" => {
                saved.embedded("uiStateJSON");
                saved.embedded("searchSourceJSON");
                let state = saved.embedded("visState");
                assert_eq!(&state["title"], saved.attribute("title"), "{}", saved.id);
                let known = [
                    "markdown",
                    "input_control_vis",
                    "vega",
                    "table",
                    "metric",
                    "histogram",
                    "horizontal_bar",
                ];
                assert!(known.contains(&state["type"].as_str().unwrap()), "{}: {}", saved.id, state["type"]);
            }
            "dashboard" => {
                saved.embedded("optionsJSON");
                saved.embedded("searchSourceJSON");
            }
            _ => {}
        }
    }
}

#[test]
fn no_panel_lies_over_another_and_every_row_is_full() {
    for (name, objects) in saved::files() {
        let mut cells = BTreeSet::new();
        for panel in objects.last().unwrap().embedded("panelsJSON").as_array().unwrap() {
            let place = |side: &str| panel["gridData"][side].as_u64().unwrap();
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(cells.insert((y, x)), "{name}: two panels at {x}, {y}");
                }
            }
        }
        let height = cells.last().unwrap().0 + 1;
        assert_eq!(cells.len() as u64, height * 48, "{name} has holes");
    }
}

/// The import of anything higher is refused by OpenSearch Dashboards, up to the newest.
#[test]
fn migration_versions_are_those_that_every_dashboards_accepts() {
    for ((kind, id), saved) in saved::all() {
        let accepted = match kind.as_str() {
            "index-pattern" => "7.6.0",
            "visualization" => "7.10.0",
            "search" | "dashboard" => "7.9.3",
            other => panic!("{id}: {other}"),
        };
        assert_eq!(saved.line["migrationVersion"], json!({kind: accepted}), "{id}");
    }
}

/// `UPDATE_GOLDEN=1` writes the list anew. An id that disappears leaves an object behind at each site, and breaks
/// links.
#[test]
fn ids_are_our_own_stay_and_mean_one_thing_in_every_file() {
    let mut known: BTreeMap<(String, String), saved::Saved> = BTreeMap::new();
    for saved in saved::files().into_values().flatten() {
        assert!(saved.id.starts_with("sagetrail-"), "{}", saved.id);
        let before = known.insert((saved.kind.clone(), saved.id.clone()), saved.clone());
        assert!(before.is_none_or(|before| before == saved), "{} differs between files", saved.id);
    }
    let mut list = String::new();
    for (kind, id) in known.keys() {
        writeln!(list, "{kind} {id}").unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/saved-objects.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, list).unwrap();
    } else {
        assert!(
            list == std::fs::read_to_string(path).unwrap(),
            "tests/golden/saved-objects.txt has other ids"
        );
    }
}

#[test]
fn every_field_is_mapped_with_a_type_that_suits_its_use() {
    let objects = saved::all();
    let mut uses = 0;
    for saved in objects.values() {
        let indices = indices_of(saved, &objects);
        for (field, purpose) in fields::used(saved) {
            uses += 1;
            for index in &indices {
                let mapped = fields::mapped(index);
                let kind = mapped
                    .get(&field)
                    .unwrap_or_else(|| panic!("{}: {index} has no field {field}", saved.id));
                assert!(purpose.allows(kind), "{}: {field} is {kind}, no {purpose:?}", saved.id);
            }
        }
    }
    assert!(uses > 300, "{uses}");
}

/// The names of references that the object uses.
fn uses(saved: &saved::Saved) -> Vec<String> {
    let name = |value: &Value| value.as_str().expect("the name of a reference is a text").to_owned();
    match saved.kind.as_str() {
        "dashboard" => saved
            .embedded("panelsJSON")
            .as_array()
            .unwrap()
            .iter()
            .map(|panel| name(&panel["panelRefName"]))
            .collect(),
        "search" => vec![name(&saved.embedded("searchSourceJSON")["indexRefName"])],
        "visualization" => {
            let state = saved.embedded("visState");
            let controls = state["params"]["controls"].as_array().into_iter().flatten();
            let mut names: Vec<String> =
                controls.map(|control| name(&control["indexPatternRefName"])).collect();
            names.extend(saved.attribute("savedSearchRefName").as_str().map(str::to_owned));
            names
        }
        _ => Vec::new(),
    }
}

/// The ids of the index patterns behind an object.
fn indices_of(saved: &saved::Saved, objects: &BTreeMap<(String, String), saved::Saved>) -> BTreeSet<String> {
    if saved.kind == "index-pattern" {
        return BTreeSet::from([saved.id.clone()]);
    }
    if saved.kind == "visualization" && saved.embedded("visState")["type"] == "vega" {
        let state = saved.embedded("visState");
        let spec: Value = serde_json::from_str(state["params"]["spec"].as_str().unwrap()).unwrap();
        let index = spec["data"]["url"]["index"].as_str().unwrap();
        return BTreeSet::from([index.trim_end_matches('*').to_owned()]);
    }
    let mut indices = BTreeSet::new();
    for name in uses(saved) {
        indices.extend(indices_of(&objects[&saved.reference(&name).unwrap()], objects));
    }
    indices
}

#[test]
fn every_link_leads_to_a_page_that_exists() {
    let objects = saved::all();
    let exists = |kind: &str, id: &str| objects.contains_key(&(kind.to_owned(), id.to_owned()));
    let link = Regex::new(r"\]\(([^)]*)\)").unwrap();
    let ours = Regex::new(r"^(?:discover)?#/view/(sagetrail-(dashboard|search)-[a-z0-9-]+)(?:\?|$)").unwrap();
    let mut dashboards = BTreeMap::<String, BTreeSet<String>>::new();
    for saved in objects.values().filter(|saved| saved.kind == "visualization") {
        let state = saved.embedded("visState");
        let Some(text) = state["params"]["markdown"].as_str() else { continue };
        assert!(!text.contains("${"), "{}: {text}", saved.id);
        for found in link.captures_iter(text) {
            if found[1].starts_with("https://docs.aws.amazon.com/") {
                continue;
            }
            let target = ours.captures(&found[1]).unwrap_or_else(|| panic!("{}: {}", saved.id, &found[1]));
            assert!(exists(&target[2], &target[1]), "{}: {}", saved.id, &found[1]);
            dashboards.entry(saved.id.clone()).or_default().insert(target[1].to_owned());
        }
    }
    let opened = Regex::new(r"^\.\./app/dashboards#/view/(sagetrail-dashboard-[a-z]+)\?").unwrap();
    let field = Regex::new(r"\b(?:[a-z_]+\.)+[a-z_]+\b").unwrap();
    let mapped: BTreeMap<String, String> = ["events", "incidents", "resources"]
        .iter()
        .flat_map(|it| fields::mapped(&format!("sagetrail-{it}")))
        .collect();
    let mut opens = 0;
    for saved in objects.values().filter(|saved| saved.kind == "index-pattern") {
        for format in saved.embedded("fieldFormatMap").as_object().unwrap().values() {
            let Some(address) = format["params"]["urlTemplate"].as_str() else { continue };
            let target = opened.captures(address).unwrap_or_else(|| panic!("{}: {address}", saved.id));
            assert!(exists("dashboard", &target[1]), "{}: {address}", saved.id);
            assert!(address.contains("{{value}}") && !address.contains("{{rawValue}}"), "{address}");
            let state = address.split("_a=").nth(1).unwrap().replace("%20", " ").replace("%22", "\"");
            for named in field.find_iter(&state) {
                assert!(mapped.contains_key(named.as_str()), "{}: {}", saved.id, named.as_str());
            }
            opens += 1;
        }
    }
    assert!(opens > 5, "{opens} fields lead to a page");
    for name in saved::files().keys() {
        let links = dashboards[&format!("sagetrail-{name}-introduction")].len();
        assert!(links >= 6, "{name} links {links} pages");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/monitors");
    for entry in std::fs::read_dir(folder).unwrap() {
        let monitor: Value = serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        if let Some(dashboard) = monitor["link"]["dashboard"].as_str() {
            assert!(exists("dashboard", &format!("sagetrail-dashboard-{dashboard}")), "{dashboard}");
        }
    }
}

#[test]
fn the_investigation_asks_the_fifteen_questions_in_order() {
    #[derive(serde::Deserialize)]
    struct Questions {
        question: Vec<Question>,
    }
    #[derive(serde::Deserialize)]
    struct Question {
        number: usize,
        text: String,
    }
    let questions: Questions = toml::from_str(include_str!("../../../config/questions.toml")).unwrap();
    let objects = saved::all();
    let dashboard = &objects[&("dashboard".to_owned(), "sagetrail-dashboard-investigation".to_owned())];
    let titles: Vec<String> = uses(dashboard)
        .iter()
        .map(|name| {
            objects[&dashboard.reference(name).unwrap()].attribute("title").as_str().unwrap().to_owned()
        })
        .collect();
    let mut from = 0;
    for Question { number, text } in questions.question {
        let title = format!("{number}. {text}");
        let place = titles[from..].iter().position(|found| *found == title);
        from += place.unwrap_or_else(|| panic!("{title} is not there, or not in order")) + 1;
        let search = &objects[&("search".to_owned(), format!("sagetrail-search-question-{number:02}"))];
        assert_eq!(
            search.embedded("searchSourceJSON")["query"]["query"],
            format!("(sagemaker.questions:{number}) AND NOT tags:drill")
        );
        assert!(search.attribute("title").as_str().unwrap().ends_with(&text));
    }
}

#[test]
fn a_severity_has_one_colour_everywhere_which_colour_blind_readers_tell_from_the_others() {
    let mut colours = BTreeMap::<String, BTreeSet<String>>::new();
    for saved in saved::all().values().filter(|saved| saved.kind == "visualization") {
        for (value, colour) in
            saved.embedded("uiStateJSON")["vis"]["colors"].as_object().into_iter().flatten()
        {
            colours.entry(value.clone()).or_default().insert(colour.as_str().unwrap().to_owned());
        }
    }
    let of = |severity: &str| {
        assert_eq!(colours[severity].len(), 1, "{severity}: {:?}", colours[severity]);
        colours[severity].first().unwrap()
    };
    let severities = ["critical", "high", "medium", "low", "informational"];
    for (place, left) in severities.iter().enumerate() {
        for right in &severities[place + 1..] {
            for (name, view) in &colours::VIEWS {
                let apart = colours::difference(of(left), of(right), view);
                assert!(apart > 20.0, "{left} and {right} are {apart:.0} apart with {name}");
            }
        }
    }
}

/// Services are named after their partition, such as `iam.amazonaws.com.cn`, and ARNs begin with it.
#[test]
fn nothing_is_asked_of_one_partition_alone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards");
    let texts = ["", "monitors"].iter().flat_map(|inner| std::fs::read_dir(folder.join(inner)).unwrap());
    let mut read = 0;
    for path in texts.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(&path).unwrap();
        for name in [".amazonaws.com", "arn:aws"] {
            for (place, _) in text.match_indices(name) {
                let after = &text[place + name.len()..];
                let around = &text[text.floor_char_boundary(place.saturating_sub(80))..place + name.len()];
                assert!(after.starts_with(['*', '?']), "{}: …{around}", path.display());
            }
        }
        read += 1;
    }
    assert!(read > 12, "{read} files");
}

/// Regenerate them with `make dashboards`.
#[test]
fn the_files_are_what_the_sources_make() {
    let Some(local) = std::env::var_os("SAGETRAIL_TEST_LOCAL") else {
        println!("skipped: it needs Python with PyYAML; run it with `make test`");
        return;
    };
    let local = Path::new(&local);
    let venv =
        Command::new(local.join("venv.sh")).arg(local.join("requirements-dashboards.txt")).output().unwrap();
    let venv = String::from_utf8(venv.stdout).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/sources/generate.py");
    let python = Path::new(venv.trim()).join("bin/python");
    let check = Command::new(python).arg("-B").arg(script).arg("--check").output().unwrap();
    assert!(check.status.success(), "run make dashboards: {}", String::from_utf8_lossy(&check.stdout));
}
