//! What is refused, by file, line and member.

use super::{COUNT, ID, document, load_text};
use crate::enrich::rules::RulesError;
use crate::settings::Override;

/// The line and a part of what is told of a correlation that is refused.
fn refused(text: &str) -> (Option<usize>, String) {
    match load_text(text, |_| {}) {
        Err(RulesError::Broken(broken)) => {
            assert_eq!(broken.len(), 1, "{broken:?}");
            assert!(broken[0].file.ends_with("correlation.yml"), "{broken:?}");
            (broken[0].line, broken[0].problem.clone())
        }
        other => panic!("{text}\n{other:?}"),
    }
}

#[test]
fn what_is_not_evaluated_is_refused_with_its_line_and_member() {
    let with = |old: &str, new: &str| {
        let members = COUNT.replace(old, new);
        assert_ne!(members, COUNT, "{old}");
        document(&members)
    };
    let temporal = |condition: &str| {
        document(&format!("type: temporal\nrules: [a, b]\ntimespan: 1m\ncondition: {condition}"))
    };
    let aliased =
        |aliases: &str| with("group-by: [user.name]", &format!("group-by: [who]\naliases: {aliases}"));
    let cases = [
        (with("event_count", "value_avg"), 5, "value_avg are not evaluated"),
        (with("event_count", "value_sum"), 9, "one `field` whose values it adds up"),
        (
            with("event_count", "value_sum").replace("{gte: 3}", "{gte: 3, field: user.name}"),
            9,
            "which has no sum",
        ),
        (
            with("event_count", "value_sum")
                .replace("{gte: 3}", "{gte: 3, lt: 3, field: sagemaker.instance.total}"),
            9,
            "for no sum",
        ),
        (with("event_count", "value_average"), 1, "Unknown correlation type"),
        (with("rules: [a]", "rules: []"), 4, "has no `rules`"),
        (with("rules: [a]", "rules: [no_such]"), 6, "no rule with the id or name \"no_such\""),
        (with("rules: [a]", "rules: [a, aaaaaaaa-0000-4000-8000-000000000000]"), 6, "\"A was called\" twice"),
        (with("rules: [a]", &format!("rules: [{ID}]")), 6, "correlations of correlations"),
        (with("rules: [a]", "rules: [1]"), 6, "`rules` is a list"),
        (with("user.name", "user.nam"), 7, "did you mean \"user.name\"?"),
        (with("user.name", "requestParameters.roleArn"), 7, "no field of its own"),
        (with("user.name", "message"), 7, "no values to group by"),
        (with("user.name", "'%somebody%'"), 7, "takes no placeholder"),
        (with("timespan: 1m", "timespan: 8d"), 8, "between a second (1s) and a week (7d)"),
        (with("timespan: 1m", "timespan: 1m\ntimeframe: 1m"), 9, "an old name"),
        (with("timespan: 1m", "timespan: 1m\nwindow: tumbling"), 9, "windows slide here"),
        (with("timespan: 1m", "timespan: 1m\ngap: 5s"), 9, "windows slide here"),
        (with("timespan: 1m", "timespan: 1m\nthreshold: 3"), 9, "`threshold`"),
        (with("timespan: 1m", "timespan: 1m\ngenerate: false"), 9, "make them informational"),
        (with("{gte: 3}", "{lte: 3}"), 9, "when nothing happens"),
        (with("{gte: 3}", "{eq: 0}"), 9, "when nothing happens"),
        (with("{gte: 3}", "{neq: 3}"), 9, "when nothing happens"),
        (with("{gte: 3}", "{gte: 3, lt: 3}"), 9, "for no number"),
        (with("{gte: 3}", "{gte: 10001}"), 9, "for no number from 1 to 10000"),
        (with("{gte: 3}", "\n  gte: -3"), 9, "not negative"),
        (with("{gte: 3}", "\n  gte: many"), 9, "a whole number"),
        (with("{gte: 3}", "\n  gte: 3\n  percentile: 95"), 9, "counted here"),
        (with("{gte: 3}", "\n  gte: 3\n  at_least: 95"), 9, "`at_least`"),
        (with("{gte: 3}", "\n  gte: 3\n  field: user.name"), 9, "take value_count"),
        (with("{gte: 3}", "a"), 9, "is for temporal"),
        (with("event_count", "value_count"), 9, "no `field`"),
        (
            with("event_count", "temporal_ordered").replace("gte: 3", "gte: 3, lte: 0"),
            9,
            "in the order of `rules`",
        ),
        (aliased("{}"), 7, "no field \"who\""),
        (aliased("{who: {}}"), 8, "no field for \"a\""),
        (aliased("{who: {a: user.name, b: user.name}}"), 8, "not among `rules`"),
        (aliased("{who: {a: nothing.such}}"), 8, "documents have no field"),
        (with("group-by", "aliases: {who: {a: user.name}}\ngroup-by"), 7, "has no effect"),
        (temporal("a and no_such"), 8, "\"no_such\" is not among `rules`"),
        (temporal("not a"), 8, "when no rule matched"),
        (temporal("a or not b"), 8, "when no rule matched"),
        (temporal("1 of a*"), 8, "name the rules"),
        (temporal("{gte: 3}"), 8, "for no number from 1 to 2"),
        (temporal("{gte: 2, field: user.name}"), 8, "counts rules"),
        (document(COUNT) + "rsigma.suppress: 5m\n", 10, "`rsigma.suppress`"),
        (document(COUNT) + "custom_attributes: {rsigma.action: reset}\n", 10, "`custom_attributes`"),
        (document(COUNT) + "detection: {}\n", 10, "a rule or a correlation"),
        (document(COUNT) + "logsource: {product: aws}\n", 10, "has no logsource"),
        (document(COUNT) + "status: deprecated\n", 10, "status is deprecated"),
        (document(COUNT).replacen("id:", "related: []\nfields: [x]\nauthor:", 1), 1, "has no id"),
        (document(COUNT).replace(ID, super::RULES[0]), 2, "also that of \"A was called\""),
        (document(COUNT).replace("high", "hihg"), 1, "invalid level"),
        ("title: x\ncorrelation: [a]".to_owned(), 2, "a mapping of `type`"),
    ];
    let wrong = cases.iter().filter_map(|(text, line, problem)| {
        let (found, told) = refused(text);
        let is_right = found == Some(*line) && told.contains(problem);
        (!is_right).then(|| format!("{found:?}: {told}\nexpected {line}: {problem}\n{text}"))
    });
    assert_eq!(wrong.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn a_filter_is_for_single_records_and_an_override_for_correlations_too() {
    let filter = |rules: &str| {
        let correlation = document(COUNT);
        let filter = format!(
            "title: f\nlogsource: {{product: aws}}\nfilter:\n  rules: {rules}\n  s: {{eventName: A}}\n  condition: not s\n"
        );
        load_text(&format!("{filter}---\n{correlation}"), |_| {})
    };
    let problem = filter(&format!("[{ID}]")).unwrap_err().to_string();
    assert!(problem.contains("filter its base rules"), "{problem}");
    let any = filter("any").unwrap();
    assert_eq!(
        any.tuning().filters_for(ID).count(),
        0,
        "a filter for any rule is for those that judge records"
    );

    let changed = |level: Option<&str>| {
        let wanted = Override {
            disable: level.is_none(),
            level: level.map(str::to_owned),
            reason: Some("agreed".to_owned()),
            until: Some("2026-11-10".to_owned()),
        };
        load_text(&document(COUNT), |config| drop(config.overrides.insert(ID.to_owned(), wanted))).unwrap()
    };
    let level = |set: &crate::enrich::rules::RuleSet, days| {
        let at = super::START + time::Duration::days(days);
        set.correlations().get(ID).unwrap().level_at(at).map(crate::enrich::Severity::name)
    };
    let (muted, lower) = (changed(None), changed(Some("low")));
    assert_eq!((level(&muted, 0), level(&lower, 0)), (None, Some("low")));
    assert_eq!((level(&muted, 1), level(&lower, 1)), (Some("high"), Some("high")), "it has ended");
}

#[test]
fn a_correlation_is_inactive_only_when_no_rule_that_is_left_could_make_it_match() {
    let cases = [
        (COUNT.replace("[a]", "[a, d]"), true),
        (COUNT.replace("[a]", "[d]"), false),
        ("type: temporal\nrules: [a, d]\ntimespan: 1m".to_owned(), false),
        ("type: temporal\nrules: [a, d]\ntimespan: 1m\ncondition: a or d".to_owned(), true),
        ("type: temporal_ordered\nrules: [a, d]\ntimespan: 1m".to_owned(), false),
    ];
    for (members, is_active) in cases {
        let set = load_text(&document(&members), |_| {}).unwrap();
        assert_eq!(set.correlations().get(ID).is_some(), is_active, "{members}");
        let missing: Vec<_> = set.correlations().inactive().iter().flat_map(|it| &it.missing).collect();
        assert_eq!(missing == ["nobody_configures_this"], !is_active, "{members}");
    }
}
