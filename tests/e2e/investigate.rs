//! `sagetrail investigate` on a real OpenSearch and an emulated S3: the same report as from files, and evidence that
//! holds.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::memory_daemon::install_script;
use crate::support::cloud::{Cloud, QueueSettings};
use crate::support::{Stack, search::Search};
use crate::verify::signer::Signer;

const STORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/investigate/exchanged-endpoint.json");
const PRINCIPAL: &str = "arn:aws:sts::111122223333:assumed-role/deploy/release";
const ACCOUNT: &str = "960000000001";

fn sagetrail(stack: &Stack, prefix: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sagetrail"))
        .args(arguments)
        .env("AWS_ENDPOINT_URL", &stack.aws)
        .env("SAGETRAIL__SOURCE__FORCE_PATH_STYLE", "true")
        .env("SAGETRAIL__SINK__URL", &stack.opensearch)
        .env("SAGETRAIL__SINK__INDEX_PREFIX", prefix)
        .output()
        .unwrap()
}

fn said(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_records_are_told_as_their_files_are() {
    let Some(stack) = Stack::running() else { return };
    let prefix = "investigate";
    install_script(&stack, prefix).await;
    // Who calls SageMaker is known to a process that begins after it was told, and to one over files at once.
    let folder = tempfile::tempdir().unwrap();
    let before = folder.path().join("before.json");
    let story: Value = serde_json::from_str(&fs::read_to_string(STORY).unwrap()).unwrap();
    let of_role = |record: &&Value| record["eventName"] == "DescribeEndpoint";
    let first: Vec<&Value> = story["Records"].as_array().unwrap().iter().filter(of_role).collect();
    fs::write(&before, serde_json::json!({"Records": first}).to_string()).unwrap();
    for file in [before.to_str().unwrap(), STORY] {
        said(sagetrail(&stack, prefix, &["replay", file]));
        Search::new(&stack.opensearch).request("POST", &format!("{prefix}-*/_refresh"), None).await;
    }
    let told = |options: &[&str]| -> Value {
        let all = [&["investigate", PRINCIPAL, "--format", "json"], options].concat();
        serde_json::from_str(&said(sagetrail(&stack, prefix, &all))).unwrap()
    };
    let (stored, files) = (told(&[]), told(&["--from-files", STORY]));
    for part in [
        "counts",
        "answers",
        "impact",
        "timeline",
        "lineage",
        "resources",
        "denied",
        "indicators",
        "practices",
    ] {
        assert_eq!(stored[part], files[part], "{part}");
    }
    let topics = |report: &Value| -> Vec<String> {
        report["unknown"].as_array().unwrap().iter().map(|it| it["topic"].to_string()).collect()
    };
    assert_eq!(topics(&stored), topics(&files));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checker_that_shares_no_code_proves_each_record_and_finds_each_forgery() {
    let Some(stack) = Stack::running() else { return };
    let Some(python) = python() else {
        eprintln!("skipped: no Python here has the package cryptography");
        return;
    };
    let prefix = "evidence";
    install_script(&stack, prefix).await;
    let cloud = Cloud::create(&stack, prefix, QueueSettings::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let (keys, evidence) = (folder.path().join("keys.json"), folder.path().join("evidence"));
    let signer = Signer::new("aa");
    signer.write_keys(&keys);
    let delivered = signer.deliver(&cloud, (ACCOUNT, "eu-central-1"), 5, None).await;
    for (key, bytes) in delivered.files {
        cloud.upload(&key, bytes).await;
    }
    said(sagetrail(&stack, prefix, &["replay", &format!("s3://{}/", cloud.bucket)]));
    Search::new(&stack.opensearch).request("POST", &format!("{prefix}-*/_refresh"), None).await;
    let principal = format!("arn:aws:sts::{ACCOUNT}:assumed-role/DataScience/alice");
    let (to, with) = (evidence.to_str().unwrap(), keys.to_str().unwrap());
    said(sagetrail(&stack, prefix, &["investigate", &principal, "--evidence", to, "--keys", with]));

    let (code, proven) = checked(&python, &evidence);
    assert!(code == Some(0) && proven.contains(" 0 are not, 0 things are wrong"), "{code:?} {proven}");
    let index: Value =
        serde_json::from_str(&fs::read_to_string(evidence.join("index.json")).unwrap()).unwrap();
    let cited = format!("{} records are cited", index["records"].as_array().unwrap().len());
    assert!(proven.contains(&cited), "{proven}");
    let trusted = shown_key(&proven);
    let record = &index["records"][0];
    for (file, from, into) in [
        (record["record"].as_str().unwrap(), "alice", "mallory"),
        ("digests/0.json", "digestEndTime\":\"2026", "digestEndTime\":\"2027"),
        ("digests/1.json", "previousDigestHashValue\":\"", "previousDigestHashValue\":\"0"),
        ("index.json", record["sha256"].as_str().unwrap(), &"0".repeat(64)),
    ] {
        let path = evidence.join(file);
        let whole = fs::read_to_string(&path).unwrap();
        assert!(whole.contains(from), "{file} has no {from}: {whole}");
        fs::write(&path, whole.replace(from, into)).unwrap();
        let (code, wrong) = checked(&python, &evidence);
        assert_eq!(code, Some(1), "{file}: {wrong}");
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(checked(&python, &evidence).0, Some(0));
    // Who signs one digest anew breaks the links to it; who signs all of them shows another key.
    resign(&python, &evidence, record["digest"].as_u64().unwrap());
    let (code, wrong) = checked(&python, &evidence);
    assert!(code == Some(1) && wrong.contains("names another"), "{wrong}");
    for number in 0..index["digests"].as_array().unwrap().len() {
        resign(&python, &evidence, u64::try_from(number).unwrap());
    }
    let (_, forged) = checked(&python, &evidence);
    assert_ne!(shown_key(&forged), trusted, "{forged}");
}

/// The SHA-256 of the key that the checker trusted.
fn shown_key(said: &str) -> String {
    let shown = said.lines().find_map(|line| line.split_once(" SHA-256 "));
    shown.unwrap_or_else(|| panic!("no key in {said}")).1.to_owned()
}

/// Adds to a digest what was not in it, and signs it with a key of one's own, as somebody who can write into the folder
/// does.
fn resign(python: &str, evidence: &Path, number: u64) {
    const FORGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/support/resign.py");
    let output = Command::new(python).arg(FORGE).arg(evidence).arg(number.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn checked(python: &str, evidence: &Path) -> (Option<i32>, String) {
    let output = Command::new(python).arg(evidence.join("check.py")).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// A Python that has what the checker needs: that of the machine, or the one that runs the emulated S3.
fn python() -> Option<String> {
    let local = concat!(env!("CARGO_MANIFEST_DIR"), "/.local/venv/bin/python");
    let has = |python: &&str| {
        let asked = Command::new(python).args(["-c", "import cryptography"]).output();
        asked.is_ok_and(|output| output.status.success())
    };
    ["python3", local].into_iter().find(has).map(str::to_owned)
}
