//! The same files tell the same, whichever command reads them and in whatever order they are named.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// Files that overlap in time: each has every third record of the quiet day and of the attack.
fn files(folder: &Path) -> [String; 3] {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/src");
    let records: Vec<Value> = ["quiet-day.json", "attack-story.json"]
        .iter()
        .flat_map(|name| {
            let file: Value = serde_json::from_slice(&std::fs::read(source.join(name)).unwrap()).unwrap();
            file["Records"].as_array().unwrap().clone()
        })
        .collect();
    [0, 1, 2].map(|part| {
        let some: Vec<&Value> = records.iter().skip(part).step_by(3).collect();
        let path: PathBuf = folder.join(format!("{part}.json"));
        std::fs::write(&path, json!({ "Records": some }).to_string()).unwrap();
        path.display().to_string()
    })
}

/// What a command writes. Some say with their exit code what they found.
fn told(words: &[&str], files: &[&String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sagetrail"))
        .args(words)
        .args(files)
        .env_remove("SAGETRAIL_CONFIG")
        // Without a key, each process makes one of its own.
        .env("SAGETRAIL__REDACTION__KEY", "a key of this test, of thirty-two bytes")
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    assert!(output.stdout.len() > 1_000, "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn files_that_overlap_are_the_same_incidents_in_every_command_and_order() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = files(folder.path());
    let backtest: Value = serde_json::from_str(&told(&["backtest", "--json"], &[&a, &b, &c])).unwrap();
    let incidents = backtest["incidents"].as_array().unwrap();
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    let id = incidents[0]["incident"]["id"].as_str().unwrap();
    let forms: [&[&str]; 4] = [
        &["investigate", id, "--format", "json", "--from-files"],
        &["contain", id, "--from-files"],
        &["enrich"],
        &["guard", "simulate", "--json", "--from-files"],
    ];
    for words in forms {
        let first = told(words, &[&a, &b, &c]);
        for order in [[&c, &b, &a], [&b, &c, &a]] {
            assert!(told(words, &order) == first, "{words:?} in another order");
        }
        assert!(told(words, &[&b, &c, &a, &a]) == first, "{words:?} with a file named twice");
    }
    let other: Value = serde_json::from_str(&told(&["backtest", "--json"], &[&c, &a, &b])).unwrap();
    for member in ["pages", "incidents", "rules"] {
        assert_eq!(other[member], backtest[member], "{member}");
    }
}
