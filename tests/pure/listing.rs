//! The listings that the repository holds, `docs/rules.md` and `docs/attack-navigator.json`, say what the rules say.

use sagetrail::config::RulesConfig;
use sagetrail::enrich::rules::RuleSet;
use sagetrail::listing::{json, list, markdown, navigator, table};
use serde_json::Value;
use time::OffsetDateTime;
use time::macros::datetime;

/// When the rules are listed.
const AT: OffsetDateTime = datetime!(2026-11-29 12:00 UTC);

fn rules() -> RuleSet {
    RuleSet::load(&RulesConfig::default()).unwrap()
}

#[test]
fn the_documents_are_as_the_rules_are() {
    let rules = rules();
    for (file, text) in [
        ("docs/rules.md", markdown::markdown(&rules, AT)),
        ("docs/attack-navigator.json", navigator::navigator(&rules, AT)),
    ] {
        let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, text).unwrap();
            continue;
        }
        let written = std::fs::read_to_string(path).unwrap();
        assert!(written == text, "{file} is stale; run `UPDATE_GOLDEN=1 cargo test --test pure listing`");
    }
}

#[test]
fn every_rule_is_listed_and_the_members_of_the_json_stay() {
    let rules = rules();
    let written: Value = serde_json::from_str(&json(&rules, AT)).unwrap();
    let listed = written["rules"].as_array().unwrap();
    let correlations = rules.correlations().all().count();
    assert_eq!(listed.len(), rules.rules().len() + rules.inactive().len() + correlations);
    assert_eq!(listed.iter().filter(|rule| rule.get("correlation").is_some()).count(), correlations);
    for rule in listed {
        let members: Vec<&String> =
            rule.as_object().unwrap().keys().filter(|name| *name != "correlation").collect();
        if let Some(correlation) = rule.get("correlation") {
            let members: Vec<&String> = correlation.as_object().unwrap().keys().collect();
            assert_eq!(members, ["type", "rules", "group_by", "timespan_seconds"]);
        }
        assert_eq!(
            members,
            [
                "id",
                "title",
                "description",
                "folder",
                "level",
                "categories",
                "tactics",
                "techniques",
                "false_positives",
                "references",
                "file",
                "line",
                "silent",
                "missing_placeholders",
                "tuned"
            ]
        );
        assert_eq!(rule["silent"], !rule["missing_placeholders"].as_array().unwrap().is_empty());
    }
    assert!(listed.iter().any(|rule| rule["silent"] == true));
}

#[test]
fn the_table_fits_its_width_and_names_every_rule() {
    let rules = rules();
    let table = table::table(&rules, AT, table::DEFAULT_WIDTH);
    for line in table.lines() {
        assert!(line.chars().count() <= usize::from(table::DEFAULT_WIDTH), "{line}");
    }
    for rule in list(&rules, AT) {
        assert!(table.contains(rule.id), "{}", rule.title);
    }
}

#[test]
fn the_layer_scores_each_technique_with_its_most_worrying_rule() {
    let rules = rules();
    let layer: Value = serde_json::from_str(&navigator::navigator(&rules, AT)).unwrap();
    assert_eq!(layer["versions"]["layer"], "4.5");
    let techniques = layer["techniques"].as_array().unwrap();
    assert!(techniques.len() > 20);
    for technique in techniques {
        let id = technique["techniqueID"].as_str().unwrap();
        assert!(id.starts_with('T'), "{id}");
        let shows =
            list(&rules, AT).into_iter().filter(|rule| rule.techniques.iter().any(|shown| shown.id == id));
        let highest = shows.map(|rule| rule.level as u64).max();
        assert_eq!(technique["score"].as_u64(), highest, "{id}");
    }
}
