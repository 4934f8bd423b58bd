//! What a real shell makes of hostile names, and in which account it acts.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use proptest::prelude::*;
use serde_json::Value;

use super::super::plan::{Plan, Planned};
use super::super::scene::Subject;
use super::super::{Direction, document, script};
use super::{ACCOUNT, NOW, about, document_of, everything, plan};
use crate::enrich::is_invisible;

/// Runs a script with a command in place of `aws` that only writes down its arguments, and returns those of each call.
fn run(script: &str, variables: &[(String, String)]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let aws = folder.path().join("aws");
    std::fs::write(
        &aws,
        "#!/bin/sh\nif [ \"$1\" = sts ]; then echo 111122223333; else printf '%s\\0' \"$#\" \"$@\" >>\"$CALLS\"; fi\n",
    )
    .unwrap();
    std::fs::set_permissions(&aws, std::fs::Permissions::from_mode(0o700)).unwrap();
    let (calls, file): (PathBuf, PathBuf) = (folder.path().join("calls"), folder.path().join("script"));
    std::fs::write(&file, script).unwrap();
    let work = folder.path().join("work");
    std::fs::create_dir(&work).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .arg(&file)
        .current_dir(&work)
        .env("PATH", path)
        .env("CALLS", &calls)
        .env("EVIDENCE", folder.path().join("evidence"))
        .env("NOW", "2026-11-03T04:00:00.000Z")
        .env("REMOVE", "yes")
        .envs(variables.iter().cloned())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}\n{script}");
    assert_eq!(std::fs::read_dir(&work).unwrap().count(), 0, "something wrote a file");
    let evidence = format!("{}/", folder.path().join("evidence").display());
    let read = std::fs::read_to_string(&calls).unwrap_or_default();
    let mut words = read.split_terminator('\0');
    let mut calls = Vec::new();
    while let Some(count) = words.next() {
        let count: usize = count.parse().expect("each call begins with its number of arguments");
        calls.push(words.by_ref().take(count).map(|word| word.replace(&evidence, "${EVIDENCE}/")).collect());
    }
    calls
}

/// The arguments that the plan means, of these parts of each step.
fn meant(plan: &Plan, parts: &[&str]) -> BTreeSet<Vec<String>> {
    let document = document(plan, NOW);
    let steps = document["steps"].as_array().unwrap().iter();
    let commands = steps.flat_map(|step| parts.iter().flat_map(move |part| step[*part].as_array().unwrap()));
    let words = |command: &Value| {
        let words =
            command["arguments"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned());
        std::iter::once("--region=eu-central-1".to_owned()).chain(words).collect()
    };
    commands.map(words).collect()
}

/// Texts that mean something to a shell, to the AWS CLI or to a reader of comments.
fn hostile() -> impl Strategy<Value = String> {
    const PIECES: [&str; 26] = [
        "'",
        "\"",
        "\\",
        "`touch made`",
        "$(touch made)",
        "${HOME}",
        "$NOW",
        "\n",
        "\r\n",
        "\ntouch made\n",
        ";touch made;",
        "&touch made&",
        "|touch made|",
        ">made",
        "--endpoint-url=x",
        "-",
        "#",
        "!",
        "*",
        "~",
        "\u{202e}",
        "é",
        "\u{2028}",
        "{name}",
        "{time}",
        "%q",
    ];
    let piece = prop_oneof![
        proptest::sample::select(PIECES.to_vec()).prop_map(str::to_owned),
        "[a-z]{1,4}",
        any::<char>()
            .prop_filter("refused elsewhere", |it| *it != '\0' && *it != '\u{F8FF}')
            .prop_map(String::from),
    ];
    proptest::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_record_says_a_real_shell_gives_each_command_the_arguments_that_are_meant(name in hostile()) {
        let plan = everything(&name);
        let variables: Vec<(String, String)> = plan
            .planned
            .iter()
            .flat_map(|one| Planned::unknown(one.run.iter().chain(&one.undo)))
            .map(|variable| (variable.to_owned(), format!("${{{variable}}}")))
            .collect();
        for (direction, parts) in [(Direction::Contain, &["keep", "run"][..]), (Direction::Undo, &["undo"])] {
            let script = script(&plan, direction, None);
            prop_assert!(script.chars().all(|it| it == '\n' || !is_invisible(it)), "all of it can be read");
            let found: BTreeSet<Vec<String>> = run(&script, &variables).into_iter().collect();
            let meant = meant(&plan, parts);
            prop_assert_eq!(found.symmetric_difference(&meant).collect::<Vec<_>>(), Vec::<&Vec<String>>::new());
            prop_assert!(meant.len() > 30);
        }
    }
}

#[test]
fn nothing_is_done_in_another_account_than_the_one_that_is_meant() {
    let told = plan(&[document_of("CreateTrainingJob", &about("training-job", "a"))], Subject::Somebody);
    let script = script(&told, Direction::Contain, None).replace(ACCOUNT, "999900001111");
    let folder = tempfile::tempdir().unwrap();
    let aws = folder.path().join("aws");
    std::fs::write(
        &aws,
        "#!/bin/sh\nif [ \"$1\" = sts ]; then echo 111122223333; else touch \"$0.called\"; fi\n",
    )
    .unwrap();
    std::fs::set_permissions(&aws, std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let output =
        Command::new("bash").args(["-c", &script]).current_dir(&folder).env("PATH", path).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Set PROFILE_999900001111"));
    assert!(!folder.path().join("aws.called").exists());
}
