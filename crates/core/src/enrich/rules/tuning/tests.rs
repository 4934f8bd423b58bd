//! Filters and overrides of a site, with real files.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use time::macros::datetime;

use super::*;
use crate::enrich::rules::RuleSet;
use crate::enrich::rules::file::RuleFile;
use crate::enrich::{Enriched, Enricher, Origin, StoredEvent, enrich, re_enrich};
use crate::settings::{Override, RulesConfig, Scope};

const AT: OffsetDateTime = datetime!(2026-11-30 23:30 UTC);
const LOUD: &str = "7c4a7c6e-6c3a-4a9a-9a53-2b1a2f0c6a11";
const OTHER: &str = "8d5b8d7f-7d4b-4b0b-8b64-3c2b3a1d7b22";

fn rules() -> String {
    format!(
        "title: Loud\nid: {LOUD}\nname: loud_rule\nlogsource:\n  product: aws\ndetection:\n  s:\n    eventSource: iam.amazonaws.com\n    \
         eventName: CreateRole\n  condition: s\nlevel: high\ntags:\n  - sagetrail.credential-theft\n---\ntitle: Other\nid: {OTHER}\n\
         logsource:\n  product: aws\ndetection:\n  s:\n    eventName: DeleteApp\n  condition: s\nlevel: low\n"
    )
}

/// A filter with this below `filter:`, in one line each.
fn filter(lines: &[&str]) -> String {
    let lines: String = lines.iter().flat_map(|line| ["  ", line, "\n"]).collect();
    format!(
        "title: Deployments\ndescription: They are reviewed.\nlogsource:\n  product: aws\n  service: cloudtrail\nfilter:\n{lines}"
    )
}

const SELECTION: [&str; 3] =
    ["selection:", "  userIdentity.arn|endswith: '/deploy'", "condition: not selection"];

/// Loads the site's rules alone, with this filter and these overrides.
fn load(filter: &str, overrides: &[(&str, Override)]) -> Result<RuleSet, RulesError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), rules()).unwrap();
    if !filter.is_empty() {
        std::fs::write(folder.path().join("filter.yml"), filter).unwrap();
    }
    let overrides = overrides.iter().map(|(id, it)| ((*id).to_owned(), it.clone())).collect();
    let config = RulesConfig { folder: None, placeholders: BTreeMap::new(), overrides };
    let files = RuleFile::of_site(folder.path(), &mut Vec::new()).unwrap();
    let set = RuleSet::of_files(&config, &files, Vec::new())?;
    if set.broken.is_empty() { Ok(set) } else { Err(RulesError::Broken(set.broken)) }
}

fn disabled() -> Override {
    let text = |text: &str| Some(text.to_owned());
    Override { disable: true, level: None, reason: text("noise"), until: text("2026-11-30") }
}

fn releveled(level: &str) -> Override {
    Override { disable: false, level: Some(level.to_owned()), ..disabled() }
}

/// What is known with these rules alone.
fn with(rules: RuleSet, mut enricher: Enricher) -> Enricher {
    enricher.rules = rules.into();
    enricher
}

fn record(arn: &str, at: &str) -> Value {
    json!({"eventID": "1", "eventTime": at, "eventSource": "iam.amazonaws.com", "eventName": "CreateRole",
        "userIdentity": {"arn": arn}, "requestParameters": {"roleName": "x"}})
}

/// The document of a record, which is selected.
fn document(record: &Value, enricher: &Enricher) -> Value {
    let origin = Origin { path: "s3://b/k", written_at: None, now: AT };
    match enrich(record.to_string().as_bytes(), origin, enricher) {
        Enriched::Selected { document, muted, .. } => {
            let document: Value = serde_json::from_slice(&document.source).unwrap();
            let written = document["sagemaker"]["muted"].as_array().map_or(0, Vec::len);
            assert_eq!(muted.len(), written, "what is written is counted");
            document
        }
        other => panic!("{other:?}"),
    }
}

const DEPLOY: &str = "arn:aws:sts::111122223333:assumed-role/ci/deploy";
const PERSON: &str = "arn:aws:sts::111122223333:assumed-role/ci/alice";

#[test]
fn a_filter_mutes_what_its_selection_matches_and_the_document_says_so() {
    let mut enricher = Enricher::built_in(Scope::Related);
    for rules in [format!("rules: [{LOUD}]"), "rules: [loud_rule]".to_owned(), "rules: any".to_owned()] {
        let set = load(&filter(&[&[rules.as_str()], &SELECTION[..]].concat()), &[]).unwrap();
        enricher = with(set, enricher);
        let muted = document(&record(DEPLOY, "2026-11-30T10:00:00Z"), &enricher);
        assert_eq!(
            muted["sagemaker"]["muted"],
            json!([{"id": LOUD, "title": "Loud", "level": "high", "by": "filter", "filter": "Deployments",
                "reason": "They are reviewed."}]),
            "{rules}"
        );
        for absent in ["/rule", "/sagemaker/findings", "/sagemaker/categories", "/sagemaker/severity"] {
            assert_eq!(muted.pointer(absent), None, "{absent}");
        }
        let told = document(&record(PERSON, "2026-11-30T10:00:00Z"), &enricher);
        assert_eq!(told["sagemaker"]["findings"][0]["id"], LOUD);
        assert_eq!(told["sagemaker"].get("muted"), None);
    }
}

#[test]
fn a_match_stays_where_a_filter_depends_on_what_cloudtrail_left_out_or_on_a_placeholder_without_values() {
    let mut enricher = Enricher::built_in(Scope::Related);
    let rules = format!("rules: [{LOUD}]");
    for selection in ["requestParameters.tags: x", "userIdentity.arn|expand: '%nobody_has_configured%'"] {
        let lines = [&rules, "selection:", &format!("  {selection}"), "condition: not selection"];
        enricher = with(load(&filter(&lines), &[]).unwrap(), enricher);
        let mut record = record(DEPLOY, "2026-11-30T10:00:00Z");
        record["requestParameters"] = Value::Null;
        let told = document(&record, &enricher);
        assert_eq!(told["sagemaker"]["findings"][0]["id"], LOUD, "{selection}");
    }
}

#[test]
fn a_filter_that_is_not_supported_is_refused_with_file_line_and_problem() {
    let whole = |rules: &str| filter(&[&[rules], &SELECTION[..]].concat());
    let good = whole("rules: any");
    let cases = [
        (whole("rules: []"), 7, "a list of ids, names or titles"),
        (whole("rules: [7]"), 7, "a list of ids, names or titles"),
        (whole("rules: [Laud]"), 7, "there is no rule \"Laud\"; did you mean \"Loud\"?"),
        (whole("rules: [zzzz]"), 7, "`sagetrail rules` lists the rules"),
        (filter(&SELECTION), 6, "has no `rules`"),
        (filter(&["rules: any", SELECTION[0], SELECTION[1]]), 6, "has no `condition`"),
        (filter(&["rules: any", "condition: not gone"]), 8, "gone"),
        (filter(&["rules: any", "timeframe: 5m", SELECTION[0], SELECTION[1], SELECTION[2]]), 8, "timeframe"),
        (good.replace("  service: cloudtrail\n", "  service: s3\n"), 3, "service: s3"),
        (good.replace("logsource:\n  product: aws\n  service: cloudtrail\n", ""), 3, "has no logsource"),
        (format!("{good}level: low\n"), 11, "a filter changes no level"),
        (format!("{good}status: deprecated\n"), 10, "given it up"),
        ("title: f\nfilter: any\nlogsource:\n  product: aws".to_owned(), 2, "`filter` is a mapping"),
    ];
    for (text, line, problem) in cases {
        let error = load(&text, &[]).unwrap_err().to_string();
        assert!(
            error.contains(&format!("filter.yml:{line}: ")) && error.contains(problem),
            "{error}\n{text}"
        );
    }
}

#[test]
fn an_override_applies_to_events_up_to_its_last_day_and_no_longer() {
    let mut enricher = Enricher::built_in(Scope::Related);
    enricher = with(load("", &[(LOUD, disabled())]).unwrap(), enricher);
    let version = enricher.rules.version().to_owned();
    let muted = document(&record(PERSON, "2026-11-30T23:59:59Z"), &enricher);
    let entry = json!([{"id": LOUD, "title": "Loud", "level": "high", "by": "override", "reason": "noise"}]);
    assert_eq!((&muted["sagemaker"]["muted"], muted["sagemaker"].get("findings")), (&entry, None));
    let told = document(&record(PERSON, "2026-12-01T00:00:00Z"), &enricher);
    assert_eq!(told["sagemaker"]["findings"][0]["level"], "high");

    let lowered = with(load("", &[(LOUD, releveled("low"))]).unwrap(), enricher);
    let told = document(&record(PERSON, "2026-11-30T10:00:00Z"), &lowered);
    assert_eq!(
        (&told["sagemaker"]["findings"][0]["level"], &told["sagemaker"]["severity"]),
        (&json!("low"), &json!("low"))
    );
    assert_eq!(
        told["sagemaker"]["releveled"],
        json!([{"id": LOUD, "title": "Loud", "level": "low", "original_level": "high", "reason": "noise"}])
    );
    assert_eq!(lowered.rules.tuning().expired(AT).len(), 0);
    let next_day = datetime!(2026-12-01 00:00 UTC);
    assert_eq!(lowered.rules.tuning().expired(next_day).len(), 1);
    assert_eq!((lowered.rules.tuned(AT), lowered.rules.tuned(next_day)), (1, 0));
    assert_ne!(lowered.rules.version(), version, "what is tuned decides what documents say");
}

#[test]
fn an_override_that_makes_no_sense_is_refused_by_its_name() {
    let without = |change: fn(&mut Override)| {
        let mut wanted = disabled();
        change(&mut wanted);
        wanted
    };
    let near = LOUD.replace("7c4a", "7c4b");
    let cases = [
        (LOUD, without(|it| it.reason = None), "has no reason"),
        (LOUD, without(|it| it.reason = Some("  ".to_owned())), "has no reason"),
        (LOUD, without(|it| it.until = None), "has no end"),
        (LOUD, without(|it| it.until = Some("31.12.2026".to_owned())), "\"31.12.2026\" is not a day"),
        (LOUD, without(|it| it.disable = false), "changes nothing"),
        (LOUD, without(|it| it.level = Some("low".to_owned())), "keep one of them"),
        (LOUD, releveled("hihg"), "\"hihg\" is not one of informational, low"),
        (near.as_str(), disabled(), "did you mean 7c4a7c6e-6c3a-4a9a-9a53-2b1a2f0c6a11, \"Loud\"?"),
        ("Loud", disabled(), "use its id, 7c4a7c6e-6c3a-4a9a-9a53-2b1a2f0c6a11"),
        ("nothing", disabled(), "`sagetrail rules` lists"),
    ];
    for (id, wanted, problem) in cases {
        let whole = filter(&[&["rules: any"], &SELECTION[..]].concat());
        let error = load(&whole, &[(id, wanted)]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("rules.override.{id}: ")) && error.contains(problem), "{error}");
    }
}

#[test]
fn a_retag_mutes_by_the_tuning_of_now_and_finds_again_what_is_muted_no_longer() {
    let named = format!("rules: [{LOUD}]");
    let filter = filter(&[&[named.as_str()], &SELECTION[..]].concat());
    let enricher = Enricher::built_in(Scope::Related);
    let filtered = with(load(&filter, &[]).unwrap(), enricher);
    let muted = document(&record(DEPLOY, "2026-11-30T10:00:00Z"), &filtered);
    // What the rule looks at is gone from the text, and so the filter decides as it did before.
    let mut lost = muted.clone();
    let text =
        lost["event"]["original"].as_str().unwrap().replace("CreateRole", "[redacted:0123456789abcdef]");
    lost["event"]["original"] = text.into();
    assert_eq!(anew(&lost, &filtered)["sagemaker"]["muted"], muted["sagemaker"]["muted"]);

    let plain = with(load("", &[]).unwrap(), filtered);
    let told = anew(&muted, &plain);
    assert_eq!(
        (&told["sagemaker"]["findings"][0]["id"], told["sagemaker"].get("muted")),
        (&json!(LOUD), None)
    );
    assert_eq!(anew(&lost, &plain)["sagemaker"]["findings"][0]["id"], LOUD);
    let filtered = with(load(&filter, &[]).unwrap(), plain);
    assert_eq!(anew(&told, &filtered)["sagemaker"]["muted"], muted["sagemaker"]["muted"]);
}

fn anew(document: &Value, enricher: &Enricher) -> Value {
    let original = document["event"]["original"].as_str().unwrap();
    let kept = StoredEvent {
        original,
        path: "s3://b/k",
        timestamp: AT,
        created: None,
        ingested: AT,
        retagged: AT,
        document,
    };
    re_enrich(&kept, enricher, &crate::memory::Known::off()).unwrap().source
}
