//! What the files may say, how thresholds are laid over defaults, and what each channel is sent.

use std::collections::BTreeSet;

use regex::Regex;

use super::*;

mod traps;

fn config(text: &str) -> MonitorsConfig {
    toml::from_str(text).unwrap()
}

fn channels(text: &str) -> BTreeMap<String, Channel> {
    toml::from_str(text).unwrap()
}

#[test]
fn every_monitor_has_its_own_id_and_name_and_leaves_no_placeholder() {
    let channels = channels("soc = { kind = 'slack', url = 'https://hooks.example.com' }");
    let monitors = built_in(&Names::default(), &MonitorsConfig::default(), &channels, None).unwrap();
    assert_eq!(monitors.len(), 3);
    let ids: BTreeSet<_> = monitors.iter().map(|monitor| &monitor.id).collect();
    let names: BTreeSet<_> = monitors.iter().map(|monitor| monitor.body["name"].as_str().unwrap()).collect();
    assert_eq!((ids.len(), names.len()), (monitors.len(), monitors.len()));
    for monitor in &monitors {
        assert!(monitor.id.starts_with("sagetrail-monitor-"), "{}", monitor.id);
        let text = monitor.body.to_string();
        assert!(!text.contains("${"), "{}: {text}", monitor.id);
        assert!(!text.contains("{{{"), "{}: three braces would not be escaped", monitor.id);
    }
}

#[test]
fn every_file_is_named_after_its_id_and_every_threshold_is_used() {
    let mut used = BTreeSet::new();
    let placeholder = Regex::new(r"\$\{([a-z_]+)\}").unwrap();
    for file in FILES.files() {
        let read: MonitorFile = serde_json::from_slice(file.contents()).unwrap();
        let stem = file.path().file_stem().unwrap().to_str().unwrap();
        assert_eq!(read.id, format!("sagetrail-monitor-{stem}"));
        let text = file.contents_utf8().unwrap();
        used.extend(placeholder.captures_iter(text).map(|found| found[1].to_owned()));
    }
    let documented: BTreeSet<_> = thresholds::documented().into_keys().collect();
    assert_eq!(used, documented);
}

/// The alerting plugin has one mapping for the bucket keys of a whole cluster: another shape makes no alert, in
/// silence.
#[test]
fn all_monitors_share_one_shape_of_buckets() {
    for monitor in built_in(&Names::default(), &MonitorsConfig::default(), &BTreeMap::new(), None).unwrap() {
        let aggregations = &monitor.body["inputs"][0]["search"]["query"]["aggregations"];
        assert_eq!(aggregations.as_object().unwrap().len(), 1, "{}", monitor.id);
        for source in aggregations["composite_agg"]["composite"]["sources"].as_array().unwrap() {
            let name = source.as_object().unwrap().keys().next().unwrap();
            assert!(["principal", "resource", "finding"].contains(&name.as_str()), "{}: {name}", monitor.id);
        }
        let trigger = &monitor.body["triggers"][0]["bucket_level_trigger"];
        assert_eq!(trigger["condition"]["parent_bucket_path"], "composite_agg", "{}", monitor.id);
    }
}

#[test]
fn a_sites_thresholds_take_the_place_of_defaults_and_mistakes_are_refused_by_name() {
    let monitors =
        built_in(&Names::default(), &config("thresholds = { heartbeat = '7m' }"), &BTreeMap::new(), None)
            .unwrap();
    let heartbeat = monitors.iter().find(|monitor| monitor.id.ends_with("-heartbeat")).unwrap();
    assert!(heartbeat.body.to_string().contains("{{period_end}}||-7m"));

    let cases = [
        ("thresholds = { hartbeat = '7m' }", "did you mean `heartbeat`?"),
        ("thresholds = { zzz = 7 }", "config/monitors.toml names all of them"),
        (
            "thresholds = { lag_records = 7 }",
            "lag_records is gone: the correlator watches the pipeline; write the value under [health]",
        ),
        (
            "thresholds = { lag_minutes = 7 }",
            "lag_minutes is gone: the correlator watches the pipeline; write health.lag",
        ),
        ("thresholds = { paging_window = '7m' }", "write health.rejected_window"),
        (
            "thresholds = { high_repeat_minutes = 0 }",
            "high_repeat_minutes: must be a whole number of minutes",
        ),
        ("thresholds = { heartbeat = '4000000000d' }", "heartbeat: must be a duration such as"),
        ("thresholds = { heartbeat = '+1h' }", "heartbeat: must be a duration such as"),
        ("thresholds = { heartbeat = 'soon' }", "a duration such as"),
        (
            "thresholds = { critical_repeat_minutes = 1441 }",
            "critical_repeat_minutes: must be a whole number of minutes",
        ),
        (
            "thresholds = { denied_calls = 7 }",
            "denied_calls is gone: its number stands in a correlation rule",
        ),
        ("thresholds = { flood_share = 7 }", "flood_share is gone: a flood of calls by somebody"),
        ("thresholds = { history = '7d' }", "history is gone: memory knows"),
        ("thresholds = { inventory_roles = ['a'] }", "inventory_roles is gone: write a Sigma filter"),
        (
            "disabled = ['sagetrail-monitor-call-flood']",
            "the monitor \"sagetrail-monitor-call-flood\" is gone: what several records show",
        ),
        (
            "disabled = ['sagetrail-monitor-two-contents']",
            "is gone: what is wrong with the pipeline itself is an incident of `kind: health`",
        ),
        ("disabled = ['sagetrail-monitor-silence']", "name its rule in health.disabled"),
        ("disabled = ['sagetrail-monitor-nothing']", "there is no monitor \"sagetrail-monitor-nothing\""),
    ];
    for (text, expected) in cases {
        let error =
            built_in(&Names::default(), &config(text), &BTreeMap::new(), None).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_channel_gets_the_monitors_of_its_severities_in_its_own_form() {
    let channels = channels(
        "a = { kind = 'slack', url = 'https://hooks.example.com' }\n\
         b = { kind = 'pagerduty', routing_key = 'key', severities = ['critical'] }\n\
         c = { kind = 'webhook', url = 'https://soar.example.com' }\n\
         d = { kind = 'alertmanager', url = 'https://am.example.com' }",
    );
    let dashboards = Url::parse("https://dashboards.example.com/").unwrap();
    for monitor in
        built_in(&Names::default(), &MonitorsConfig::default(), &channels, Some(&dashboards)).unwrap()
    {
        let actions: BTreeMap<&str, &str> = trigger_actions(&monitor)
            .iter()
            .filter(|action| action["id"].as_str().unwrap().starts_with("page-"))
            .map(|action| {
                let source = action["message_template"]["source"].as_str().unwrap();
                (action["destination_id"].as_str().unwrap(), source)
            })
            .collect();
        let text = actions["sagetrail-channel-a"];
        let is_incident = monitor.id.contains("paging");
        assert_eq!(text.contains("What to do:"), !is_incident);
        assert!(text.contains("https://dashboards.example.com/app/dashboards#/view/"));
        // What a person reads is not escaped for JSON, and what a program reads is.
        let plain = json!({"content_type": "text/plain"});
        for action in trigger_actions(&monitor) {
            let is_for_people = action["destination_id"] == "sagetrail-channel-a";
            assert_eq!(action["message_template"].get("options"), is_for_people.then_some(&plain));
        }
        let webhook: Value = serde_json::from_str(actions["sagetrail-channel-c"]).unwrap();
        assert_eq!(webhook["text"], *text);
        assert!(!monitor.body.to_string().contains("channel-d"), "it is handed incidents by the correlator");
        assert_eq!(actions.contains_key("sagetrail-channel-b"), monitor.severity == Severity::Critical);
        if let Some(page) = actions.get("sagetrail-channel-b") {
            let event: Value = serde_json::from_str(page).unwrap();
            assert_eq!(
                (&event["routing_key"], &event["payload"]["severity"]),
                (&json!("key"), &json!("critical"))
            );
        }
    }
}

/// The plugin sends an action again only to an alert that goes on, and leaves a new one without a throttle.
#[test]
fn what_wakes_somebody_is_sent_again_until_it_is_acknowledged_and_ends_where_that_is_told() {
    let channels = channels(
        "a = { kind = 'slack', url = 'https://hooks.example.com' }\n\
         b = { kind = 'pagerduty', routing_key = 'key' }",
    );
    let config = config("thresholds = { high_repeat_minutes = 90 }");
    let mut repeated = BTreeMap::new();
    for monitor in built_in(&Names::default(), &config, &channels, None).unwrap() {
        let [of_chat, page, end] = trigger_actions(&monitor) else { panic!("{}", monitor.id) };
        assert_eq!(of_chat["throttle"], page["throttle"], "{}", monitor.id);
        let scope = |action: &Value| {
            action["action_execution_policy"]["action_execution_scope"]["per_alert"]["actionable_alerts"]
                .clone()
        };
        assert_eq!((scope(end), &end["throttle_enabled"]), (json!(["COMPLETED"]), &json!(false)));
        let sent = |action: &Value, text: &dyn Fn(&str) -> String| -> Value {
            serde_json::from_str(&text(action["message_template"]["source"].as_str().unwrap())).unwrap()
        };
        // Without a completed alert nothing is said, and so nothing is sent.
        let within = |text: &str| {
            let text = text.strip_prefix("{{#ctx.completedAlerts}}").unwrap();
            text.strip_suffix("{{/ctx.completedAlerts}}").unwrap().to_owned()
        };
        let (page_sent, end_sent) = (sent(page, &str::to_owned), sent(end, &within));
        assert_eq!(end_sent["event_action"], "resolve");
        // The key of an alert is the same from its beginning to its end.
        let key = end_sent["dedup_key"].as_str().unwrap();
        for list in ["newAlerts", "dedupedAlerts"] {
            let of_list = format!("{{{{#ctx.{list}}}}}{key}{{{{/ctx.{list}}}}}");
            assert!(page_sent["dedup_key"].as_str().unwrap().contains(&of_list), "{}", monitor.id);
        }
        if scope(page) == json!(["NEW", "DEDUPED"]) {
            assert_eq!(page["throttle"]["unit"], "MINUTES");
            repeated.insert(monitor.id.clone(), page["throttle"]["value"].as_u64().unwrap());
        } else {
            assert_eq!((scope(page), page.get("throttle")), (json!(["NEW"]), None), "{}", monitor.id);
        }
    }
    let id = |name: &str| format!("sagetrail-monitor-{name}");
    assert_eq!(
        repeated,
        [(id("heartbeat"), 14), (id("paging-critical"), 14), (id("paging-high"), 89)].into(),
        "a run finds a page of so long ago a moment too young, and sends one minute later"
    );
}

fn trigger_actions(monitor: &Monitor) -> &[Value] {
    monitor.body["triggers"][0]["bucket_level_trigger"]["actions"].as_array().unwrap()
}

/// Fields whose values mean nothing in a page: times and addresses that were parsed, numbers, names of ours, sentences
/// and keys.
const HARMLESS: &[&str] = &["@timestamp", "event.end", "event.start", "message", "round"];
/// What is written for pages, without quotes and markup, where alert keys are.
const KEYS: &[&str] = &["incident.", "sagemaker.alert."];

fn is_key(path: &str) -> bool {
    KEYS.iter().any(|keys| path.starts_with(keys))
}

#[test]
fn a_link_is_filled_with_keys_alone_and_encoded_as_it_is_filled() {
    let dashboards = Url::parse("https://dashboards.example.com/base/").unwrap();
    let query = r#"sagemaker.alert.identity: "{{bucket_keys}}" or _id: "{{_id}}""#;
    assert_eq!(
        message::link(&Names::default(), &dashboards, "threats", query, None),
        "https://dashboards.example.com/base/app/dashboards#/view/sagetrail-dashboard-threats\
         ?_g=(time:(from:now-24h,to:now))&_a=(query:(language:kuery,query:'\
         sagemaker.alert.identity:%20%22{{#url}}{{bucket_keys}}{{/url}}%22%20or%20_id:%20%22{{#url}}{{_id}}{{/url}}%22'))"
    );
    let since = message::link(&Names::default(), &dashboards, "threats", "", Some("{{_source.event.start}}"));
    assert!(since.ends_with("?_g=(time:(from:'{{_source.event.start}}',to:now))"), "{since}");
    let variable = Regex::new(r#"([\w.]+): "\{\{([^}]*)\}\}""#).unwrap();
    let files = files(&Names::default());
    let queries =
        |file: &MonitorFile| [Some(file.link.query.clone()), file.link.again.clone()].into_iter().flatten();
    for (file, query) in files.iter().flat_map(|file| queries(file).map(move |query| (file, query))) {
        assert_eq!(
            variable.captures_iter(&query).count(),
            query.matches("{{").count(),
            "{}: {query}",
            file.id
        );
        for found in variable.captures_iter(&query) {
            let (field, name) = (&found[1], &found[2]);
            assert!(is_key(field), "{}: {field}", file.id);
            let is_its_value = name == "bucket_keys" || name.strip_prefix("_source.") == Some(field);
            assert!(is_its_value, "{}: {name}", file.id);
        }
        // Several keys are joined, and no field is equal to that.
        if query.contains("bucket_keys") {
            let by_key = &file.monitor["inputs"][0]["search"]["query"]["aggregations"]["composite_agg"];
            assert_eq!(by_key["composite"]["sources"].as_array().unwrap().len(), 1, "{}", file.id);
        }
    }
}

/// A mustache that eats the line end after a section's tag runs two lines together.
#[test]
fn a_section_begins_with_a_word_and_ends_at_the_beginning_of_a_line() {
    for file in files(&Names::default()) {
        let (open, of_each) = file.open.split_at(file.open.len().min(1));
        for lines in [&file.message, &file.document, &file.again, open, of_each] {
            let begins = |line: &String| {
                line.starts_with(char::is_alphabetic)
                    || ["{{_source.message}} (", "- "].iter().any(|it| line.starts_with(it))
            };
            assert!(lines.first().is_none_or(begins), "{}", file.id);
        }
        // A section within a line is none of several lines, and loses nothing.
        for line in [&file.message, &file.document, &file.again, &file.open].into_iter().flatten() {
            let count = |sign: &str| line.matches(sign).count();
            assert_eq!(count("{{#") + count("{{^"), count("{{/"), "{}: {line}", file.id);
        }
    }
}
