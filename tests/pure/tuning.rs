//! What `check` and `rules` say of a site that tunes rules.

use std::process::{Command, Output, Stdio};

use sagetrail::config::RulesConfig;
use sagetrail::enrich::rules::RuleSet;
use serde_json::{Value, json};

fn sagetrail(arguments: &[&str], config: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    command.args(arguments).args(["--config", config]).stdin(Stdio::null()).output().expect("the binary runs")
}

/// A folder with a filter for the rule and a configuration with these lines, and its path.
fn site(filtered: &str, lines: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let filter = format!(
        "title: Deployments\ndescription: They are reviewed.\nlogsource:\n  product: aws\nfilter:\n  rules: [{filtered}]\n  \
         selection:\n    userIdentity.arn: x\n  condition: not selection\n"
    );
    std::fs::write(folder.path().join("filter.yml"), filter).unwrap();
    let config = folder.path().join("sagetrail.toml");
    std::fs::write(&config, format!("[rules]\nfolder = '{}'\n{lines}", folder.path().display())).unwrap();
    let path = config.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn check_and_rules_say_what_is_tuned_where_and_what_has_ended() {
    let rules = RuleSet::load(&RulesConfig::default()).unwrap();
    let ids: Vec<&str> = rules.rules().iter().map(|rule| rule.id.as_str()).collect();
    let (ended, disabled, lowered, filtered) = (ids[0], ids[1], ids[2], ids[3]);
    let lines = format!(
        "override.\"{ended}\" = {{ disable = true, reason = \"once\", until = \"2026-01-31\" }}\n\
         override.\"{disabled}\" = {{ disable = true, reason = \"noise\", until = \"2999-12-31\" }}\n\
         override.\"{lowered}\" = {{ level = \"low\", reason = \"agreed\", until = \"2999-12-31\" }}\n"
    );
    let (folder, config) = site(filtered, &lines);
    let said = String::from_utf8(sagetrail(&["check"], &config).stdout).unwrap();
    for line in [
        format!("ended: rules.override.{ended} applied until 2026-01-31; renew or remove it"),
        "tuned: 3 rules by filters and overrides; `sagetrail rules` says which".to_owned(),
    ] {
        assert!(said.lines().any(|said| said == line), "{line}\n{said}");
    }

    let listed = sagetrail(&["rules", "--format", "json"], &config).stdout;
    let listed: Value = serde_json::from_slice(&listed).unwrap();
    let tuned = |id: &str| -> Value {
        let rule = listed["rules"].as_array().unwrap().iter().find(|rule| rule["id"] == id).unwrap();
        let [tuned] = rule["tuned"].as_array().unwrap().as_slice() else { panic!("{rule}") };
        let mut tuned = tuned.clone();
        tuned["level"] = rule["level"].clone();
        tuned
    };
    let own = |id: &str| json!(rules.rules().iter().find(|rule| rule.id == id).unwrap().level);
    let by = |id: &str| format!("rules.override.{id}");
    for (id, expected) in [
        (
            ended,
            json!({"change": "disabled", "by": by(ended), "reason": "once", "until": "2026-01-31",
            "active": false, "level": own(ended)}),
        ),
        (
            disabled,
            json!({"change": "disabled", "by": by(disabled), "reason": "noise", "until": "2999-12-31",
            "active": true, "level": own(disabled)}),
        ),
        (
            lowered,
            json!({"change": "level", "by": by(lowered), "reason": "agreed", "until": "2999-12-31",
            "active": true, "original_level": own(lowered), "level": "low"}),
        ),
        (
            filtered,
            json!({"change": "filtered", "by": "Deployments", "active": true, "level": own(filtered),
            "place": format!("{}:6", folder.path().join("filter.yml").display()), "reason": "They are reviewed."}),
        ),
    ] {
        assert_eq!(tuned(id), expected);
    }
    let table = String::from_utf8(sagetrail(&["rules"], &config).stdout).unwrap();
    let words = table.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "disabled until 2999-12-31 by",
        "filtered by \"Deployments\"",
        "changed until 2026-01-31, which is over,",
        "3 of them tuned",
    ] {
        assert!(words.contains(part), "{part}\n{table}");
    }
}

#[test]
fn an_override_is_refused_with_what_is_wrong() {
    let (_folder, config) =
        site("any", "override.\"no-rule\" = { disable = true, reason = \"r\", until = \"2999-12-31\" }\n");
    for command in ["check", "rules"] {
        let output = sagetrail(&[command], &config);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains("rules.override.no-rule: there is no rule with this id"), "{said}");
    }
    // TOML has days of its own, which are easily taken for these.
    let (_folder, config) =
        site("any", "override.\"no-rule\" = { disable = true, reason = \"r\", until = 2999-12-31 }\n");
    let output = sagetrail(&["check"], &config);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("rules.override.no-rule"), "{said}");
}
