//! The corpus of `tests/detection/`: how many attacks are found, and what everyday work costs. `make score` prints it.

use std::path::Path;
use std::process::Command;

/// Which cases are found, by technique, and which rules tell of everyday work. `UPDATE_GOLDEN=1` writes the file anew;
/// the difference shows what a change of a rule costs and gains.
#[test]
fn no_less_is_found_and_no_more_is_told_of_everyday_work_than_a_person_last_read() {
    let readable = Command::new("python3").args(["-c", "import tomllib"]).output();
    if !readable.is_ok_and(|tried| tried.status.success()) {
        println!("skipped: there is no python3 of 3.11 or later");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/detection/score.py");
    let sagetrail = env!("CARGO_BIN_EXE_sagetrail");
    let score = Command::new("python3")
        .arg("-B")
        .arg(script)
        .args(["--sagetrail", sagetrail, "--cases"])
        .output()
        .unwrap();
    let table = String::from_utf8(score.stdout.clone()).unwrap();
    assert!(table.contains("== tuned"), "{}", String::from_utf8_lossy(&score.stderr));
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/detection.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(golden, table).unwrap();
        return;
    }
    let pinned = std::fs::read_to_string(golden).unwrap();
    let changed = similar::TextDiff::from_lines(pinned.as_str(), table.as_str());
    let changed = changed.unified_diff().context_radius(1).to_string();
    assert!(
        table == pinned,
        "the score changed; read the difference and run with UPDATE_GOLDEN=1:\n{changed}"
    );
    assert!(score.status.success(), "{}", String::from_utf8_lossy(&score.stderr));
}
