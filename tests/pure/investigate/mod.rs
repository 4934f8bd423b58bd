//! The report of an incident: its answers, and the forms in which it is written.

mod forms;
mod stories;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs `sagetrail investigate` over files of this repository.
fn investigate(asked: &str, files: &[&str], options: &[&str]) -> Output {
    let files: Vec<PathBuf> = files.iter().map(|file| Path::new(ROOT).join(file)).collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    command.arg("investigate").arg(asked).args(options).arg("--from-files").args(files);
    command.env_remove("SAGETRAIL_CONFIG").stdin(Stdio::null()).output().expect("the binary runs")
}

fn written(asked: &str, files: &[&str], options: &[&str]) -> String {
    let output = investigate(asked, files, options);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
