//! Loading, with real files.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::enrich::catalogue::Catalogue;
use crate::enrich::networks::Networks;
use crate::enrich::rule::Severity;
use crate::enrich::unpacked::Unpacked;
use crate::record::Record;

fn matches<'s>(set: &'s RuleSet, record: &Record<'_>) -> Vec<&'s Rule> {
    let (unpacked, catalogue) = (Unpacked::default(), Catalogue::built_in());
    set.matches(&SigmaEvent::new(record, &unpacked, &catalogue, &Networks::built_in()))
}

const FOLDER_RULE: &str = "title: Site rule\nid: 7c4a7c6e-6c3a-4a9a-9a53-2b1a2f0c6a11\nlogsource:\n  product: aws\n\
    detection:\n  s:\n    eventName: CreateApp\n  condition: s\nlevel: high\ntags:\n  - attack.t1496\n  - sagetrail.cryptojacking\n";

fn load_with(folder: &Path) -> Result<RuleSet, RulesError> {
    RuleSet::load(&RulesConfig { folder: Some(folder.to_owned()), ..RulesConfig::default() })
}

fn load_usable_with(folder: &Path) -> RuleSet {
    RuleSet::load_usable(&RulesConfig { folder: Some(folder.to_owned()), ..RulesConfig::default() }).unwrap()
}

#[test]
fn the_built_in_rules_load_and_every_technique_and_tactic_has_a_name() {
    let set = RuleSet::load(&RulesConfig::default()).unwrap();
    let categories: std::collections::BTreeSet<&str> = set.categories().collect();
    assert!(categories.len() >= 9, "{categories:?}");
    for rule in set.rules() {
        for technique in &rule.techniques {
            assert_ne!(technique.id, technique.name, "{} has a technique without a name", rule.title);
        }
    }
}

#[test]
fn a_folder_of_the_site_is_loaded_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("inner")).unwrap();
    std::fs::write(folder.path().join("inner/site.yml"), FOLDER_RULE).unwrap();
    std::fs::write(folder.path().join("README.md"), "no rule").unwrap();
    let built_in = RuleSet::load(&RulesConfig::default()).unwrap().rules().len();
    let set = load_with(folder.path()).unwrap();
    assert_eq!(set.rules().len(), built_in + 1);
    let record = Record::parse(br#"{"eventName":"createapp"}"#).unwrap();
    let matches = matches(&set, &record);
    assert_eq!(matches.len(), 1);
    assert_eq!(matches[0].level, Severity::High);
    assert_eq!(matches[0].categories, ["cryptojacking"]);
    assert_eq!(matches[0].techniques[0].id, "T1496");
}

const ID: &str = "7c4a7c6e-6c3a-4a9a-9a53-2b1a2f0c6a11";

/// Files with the line and a part of the problem that are named.
fn broken_files() -> Vec<(&'static str, String, Option<usize>, &'static str)> {
    let id_line = format!("id: {ID}\n");
    let second = FOLDER_RULE.replace(ID, "11111111-6c3a-4a9a-9a53-2b1a2f0c6a11");
    let logsource = |logsource: &str| second.replace("product: aws", logsource);
    vec![
        ("action.yml", format!("action: global\n{second}"), Some(1), "Sigma 2 has no `action`"),
        ("category.yml", logsource("category: process_creation"), Some(3), "category: process_creation;"),
        ("comment.yml", "# nothing\n---\n".to_owned(), None, "holds no Sigma rule"),
        ("condition.yml", second.replace("condition: s", "condition: nothing_such"), Some(5), "nothing_such"),
        ("correlation.yml", "title: c\ncorrelation:\n  type: event_count".to_owned(), Some(2), "no `rules`"),
        ("deprecated.yml", format!("{second}status: deprecated\n"), Some(13), "status is deprecated"),
        ("empty.yml", String::new(), None, "holds no Sigma rule"),
        ("level.yml", second.replace("level: high", "level: hihg"), Some(1), "invalid level: 'hihg'"),
        ("list.yml", "# a list\n- a".to_owned(), Some(2), "a rule is a YAML mapping"),
        ("no_id.yml", second.replacen("\nid: ", "\nuuid: ", 1), Some(1), "has no id"),
        (
            "no_logsource.yml",
            second.replace("logsource:\n  product: aws\n", ""),
            Some(1),
            "logsource is nothing;",
        ),
        (
            "second.yml",
            format!("---\n{second}---\n# the second\n{}", FOLDER_RULE.replace(&id_line, "")),
            Some(16),
            "has no id",
        ),
        (
            "second_syntax.yml",
            format!(
                "{}---\ntitle: x\nb: [unclosed",
                FOLDER_RULE.replace(ID, "22222222-6c3a-4a9a-9a53-2b1a2f0c6a11")
            ),
            Some(16),
            "line 16",
        ),
        ("syntax.yml", "a: 1\ntitle: [unclosed".to_owned(), Some(3), "it is no YAML"),
        ("unsupported.yml", format!("status: unsupported\n{second}"), Some(1), "status is unsupported"),
        (
            "windows.yml",
            logsource("product: windows"),
            Some(3),
            "product: windows; sagetrail reads only product: aws",
        ),
        ("zeek.yml", logsource("product: aws\n  service: route53"), Some(3), "service: route53"),
    ]
}

#[test]
fn every_broken_rule_is_named_with_file_line_and_problem() {
    let folder = tempfile::tempdir().unwrap();
    let cases = broken_files();
    for (file, text, ..) in &cases {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    std::fs::write(folder.path().join("bytes.yml"), b"title: \xff").unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("gone.yml")).unwrap();
    let error = load_with(folder.path()).unwrap_err().to_string();
    assert_eq!(error.lines().count(), cases.len() + 3, "{error}");
    for (file, _, line, problem) in cases {
        let place = match line {
            Some(line) => format!("/{file}:{line}: "),
            None => format!("/{file}: "),
        };
        let said =
            error.lines().find(|line| line.contains(&place)).unwrap_or_else(|| panic!("{place} {error}"));
        assert!(said.contains(problem), "{said}");
    }
    assert!(error.contains("bytes.yml: cannot read it"), "{error}");
    assert!(error.contains("gone.yml: cannot read it"), "{error}");
}

#[test]
fn what_is_not_broken_is_loaded_when_that_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    for (file, text, ..) in broken_files() {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    std::fs::write(folder.path().join("site.yml"), FOLDER_RULE).unwrap();
    let config = RulesConfig {
        folder: Some(folder.path().to_owned()),
        placeholders: BTreeMap::from([("of_a_broken_rule".to_owned(), vec!["x".to_owned()])]),
        ..RulesConfig::default()
    };
    assert!(matches!(RuleSet::load(&config), Err(RulesError::Broken(_))));
    let set = RuleSet::load_usable(&config).unwrap();
    assert_eq!(set.broken().len(), broken_files().len());
    let titles = |file: &str| set.rules().iter().filter(|rule| rule.place.file.ends_with(file)).count();
    assert_eq!(titles("/site.yml"), 1);
    assert_eq!(titles("/second.yml"), 1, "the first rule of a file whose second is broken");
    assert_eq!(titles("/second_syntax.yml"), 1);
}

#[test]
fn a_mounted_config_map_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("..2026_11_23");
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("site.yml"), FOLDER_RULE).unwrap();
    std::os::unix::fs::symlink("..2026_11_23", folder.path().join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/site.yml", folder.path().join("site.yml")).unwrap();
    let set = load_with(folder.path()).unwrap();
    let of_site = set.rules().iter().filter(|rule| rule.place.folder == Folder::Site);
    assert_eq!(of_site.count(), 1);
}

#[test]
fn a_rule_without_its_values_is_silent_and_speaks_once_they_are_configured() {
    let folder = tempfile::tempdir().unwrap();
    let rule =
        FOLDER_RULE.replace("eventName: CreateApp", "eventName: CreateApp\n    b|expand: '%site_values%'");
    std::fs::write(folder.path().join("site.yml"), rule).unwrap();
    let load = |values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let placeholders = BTreeMap::from([("site_values".to_owned(), values)]);
        RuleSet::load(&RulesConfig {
            folder: Some(folder.path().to_owned()),
            placeholders,
            ..RulesConfig::default()
        })
        .unwrap()
    };
    let record = Record::parse(br#"{"eventName":"CreateApp","b":"two"}"#).unwrap();
    let inactive = load(&[]);
    assert_eq!(matches(&inactive, &record).len(), 0);
    let site = |rule: &&InactiveRule| rule.missing == ["site_values"];
    assert_eq!(inactive.inactive().iter().filter(site).count(), 1);
    let speaking = load(&["one", "two"]);
    assert_eq!(matches(&speaking, &record).len(), 1);
    assert_eq!(speaking.inactive().iter().filter(site).count(), 0);
}

#[test]
fn values_for_a_placeholder_that_no_rule_has_are_refused() {
    let placeholders = BTreeMap::from([("trusted_bukets".to_owned(), vec!["x".to_owned()])]);
    let error = RuleSet::load(&RulesConfig { placeholders, ..RulesConfig::default() }).unwrap_err();
    assert!(error.to_string().starts_with("rules.placeholders.trusted_bukets: "), "{error}");
}

#[test]
fn the_second_of_two_rules_with_one_id_is_broken_also_when_it_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one.yml"), FOLDER_RULE).unwrap();
    for text in [
        FOLDER_RULE.to_owned(),
        FOLDER_RULE.replace("eventName: CreateApp", "eventName|expand: '%site_values%'"),
    ] {
        std::fs::write(folder.path().join("two.yml"), text).unwrap();
        let set = load_usable_with(folder.path());
        let [broken] = set.broken() else { panic!("{:?}", set.broken()) };
        assert!(broken.file.ends_with("two.yml"), "{broken}");
        assert_eq!(broken.line, Some(2));
        assert!(broken.problem.contains(ID) && broken.problem.contains("one.yml:1"), "{broken}");
        assert!(load_with(folder.path()).is_err());
    }
}
