//! What the files may say, how thresholds are laid over defaults, and what each channel is sent.

use std::collections::BTreeSet;

use regex::Regex;

use super::*;

fn config(text: &str) -> MonitorsConfig {
    toml::from_str(text).unwrap()
}

fn channels(text: &str) -> BTreeMap<String, Channel> {
    toml::from_str(text).unwrap()
}

#[test]
fn every_monitor_has_its_own_id_and_name_and_leaves_no_placeholder() {
    let channels = channels("soc = { kind = 'slack', url = 'https://hooks.example.com' }");
    let monitors = built_in(&MonitorsConfig::default(), &channels, None).unwrap();
    assert!(monitors.len() >= 14, "{}", monitors.len());
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
    let mut used = BTreeSet::from(["throttle_minutes".to_owned()]);
    let placeholder = Regex::new(r"\$\{([a-z_]+)\}").unwrap();
    for file in FILES.files() {
        let read: MonitorFile = serde_json::from_slice(file.contents()).unwrap();
        let stem = file.path().file_stem().unwrap().to_str().unwrap();
        assert_eq!(read.id, format!("sagetrail-monitor-{stem}"));
        let text = file.contents_utf8().unwrap();
        used.extend(placeholder.captures_iter(text).map(|found| found[1].to_owned()));
    }
    used.remove("link");
    let documented: BTreeSet<_> = thresholds::documented().into_keys().collect();
    assert_eq!(used, documented);
}

/// The alerting plugin has one mapping for the bucket keys of a whole cluster: another shape makes no alert, in silence.
#[test]
fn all_monitors_share_one_shape_of_buckets() {
    for monitor in built_in(&MonitorsConfig::default(), &BTreeMap::new(), None).unwrap() {
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
    let monitors = built_in(&config("thresholds = { denied_calls = 7 }"), &BTreeMap::new(), None).unwrap();
    let denied = monitors.iter().find(|monitor| monitor.id.ends_with("denied-calls")).unwrap();
    assert!(denied.body.to_string().contains("params.calls >= 7"));

    let cases = [
        ("thresholds = { denied_cals = 7 }", "did you mean `denied_calls`?"),
        ("thresholds = { zzz = 7 }", "config/monitors.toml names all of them"),
        ("thresholds = { denied_calls = 0 }", "denied_calls: must be a whole number above zero"),
        ("thresholds = { denied_calls = '7' }", "a whole number"),
        ("thresholds = { burst_window = 'soon' }", "a duration such as"),
        ("thresholds = { inventory_roles = [1] }", "a list of texts"),
        ("disabled = ['sagetrail-monitor-nothing']", "there is no monitor \"sagetrail-monitor-nothing\""),
    ];
    for (text, expected) in cases {
        let error = built_in(&config(text), &BTreeMap::new(), None).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_channel_gets_the_monitors_of_its_severities_in_its_own_form() {
    let channels = channels(
        "a = { kind = 'slack', url = 'https://hooks.example.com' }\n\
         b = { kind = 'pagerduty', routing_key = 'key', severities = ['critical'] }\n\
         c = { kind = 'webhook', url = 'https://soar.example.com' }",
    );
    let dashboards = Url::parse("https://dashboards.example.com/").unwrap();
    for monitor in built_in(&MonitorsConfig::default(), &channels, Some(&dashboards)).unwrap() {
        let actions = &monitor.body["triggers"][0]["bucket_level_trigger"]["actions"];
        let actions: BTreeMap<&str, &str> = actions
            .as_array()
            .unwrap()
            .iter()
            .map(|action| {
                let source = action["message_template"]["source"].as_str().unwrap();
                (action["destination_id"].as_str().unwrap(), source)
            })
            .collect();
        assert!(actions["sagetrail-channel-a"].contains("What to do:"));
        assert!(
            actions["sagetrail-channel-a"].contains("https://dashboards.example.com/app/dashboards#/view/")
        );
        let webhook: Value = serde_json::from_str(actions["sagetrail-channel-c"]).unwrap();
        assert_eq!(webhook["text"], *actions["sagetrail-channel-a"]);
        assert_eq!(actions.contains_key("sagetrail-channel-b"), monitor.severity == Severity::Critical);
        if let Some(event) = actions.get("sagetrail-channel-b") {
            let event: Value = serde_json::from_str(event).unwrap();
            assert_eq!(
                (&event["routing_key"], &event["payload"]["severity"]),
                (&json!("key"), &json!("critical"))
            );
        }
    }
}
