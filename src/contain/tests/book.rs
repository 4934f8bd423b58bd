//! The book of steps: every kind has one, each is whole, and its commands are those of the AWS CLI.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::super::document;
use super::super::steps::{BOOK, Happened, Phase, Step, Template};
use super::{NOW, everything};
use crate::enrich::catalogue::Catalogue;

#[test]
fn the_links_of_the_playbook_are_those_of_steps() {
    for link in [
        "gs-studio-delete-domain.html",
        "realtime-endpoints-delete-resources.html#realtime-endpoints-delete-endpoint",
        "realtime-endpoints-delete-resources.html#realtime-endpoints-delete-endpoint-config",
        "realtime-endpoints-delete-resources.html#realtime-endpoints-delete-model",
        "nbi-root-access.html",
    ] {
        let link = format!("https://docs.aws.amazon.com/sagemaker/latest/dg/{link}");
        assert!(BOOK.steps.iter().any(|step| step.reference == link), "{link}");
    }
}

#[test]
fn every_kind_of_the_catalogue_has_a_step_or_a_reason_for_none_and_no_other_kind_has() {
    let catalogue = Catalogue::built_in();
    let kinds: BTreeSet<&str> = catalogue.kinds.all().iter().map(|kind| kind.name.as_str()).collect();
    let contained: BTreeSet<&str> = BOOK.steps.iter().flat_map(|step| &step.on).map(String::as_str).collect();
    let reasons: BTreeSet<&str> = BOOK.without.keys().map(String::as_str).collect();
    let neither: Vec<_> =
        kinds.iter().filter(|kind| !contained.contains(*kind) && !reasons.contains(*kind)).collect();
    assert!(neither.is_empty(), "{neither:?}");
    let both: Vec<_> = reasons.intersection(&contained).collect();
    assert!(both.is_empty(), "{both:?}");
    let unknown: Vec<_> = reasons.difference(&kinds).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let of_others = [
        "role",
        "permission-set",
        "user",
        "access-key",
        "root",
        "federated",
        "foreign",
        "foreign-role",
        "trail",
        "log-group",
        "security-group",
        "bucket",
        "repository",
        "key",
    ];
    let unknown: Vec<_> =
        contained.iter().filter(|kind| !kinds.contains(*kind) && !of_others.contains(kind)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    assert!(kinds.len() > 60, "{}", kinds.len());
}

#[test]
fn every_step_is_whole() {
    let mut ids = BTreeSet::new();
    for step in &BOOK.steps {
        assert!(ids.insert(&step.id), "{}: twice", step.id);
        assert!(step.when.is_empty() != step.calls.is_empty(), "{}: when or calls", step.id);
        assert!(step.run.is_empty() == step.by_hand.is_some(), "{}: run or by hand", step.id);
        assert!(!step.undo.is_empty() || step.undo_says.is_some(), "{}: no undo", step.id);
        assert!(step.reference.starts_with("https://docs.aws.amazon.com/"), "{}", step.id);
        assert!(
            step.phase != Phase::Remove || step.when == [Happened::Made],
            "{}: removes what others made",
            step.id
        );
        for command in step.keep.iter().chain(&step.run).chain(&step.undo) {
            assert!(command.len() >= 2, "{}", step.id);
            for template in command {
                check(step, template);
            }
        }
    }
}

/// What a step says goes into the script as it is, so it holds nothing that means something there.
fn check(step: &Step, template: &Template) {
    let own = match template {
        Template::Text(text) => text,
        Template::Document { option, .. }
        | Template::Structure { option, .. }
        | Template::Kept { option, .. } => option,
        Template::File { file } => file,
    };
    let is_safe = |letter: char| letter.is_ascii_alphanumeric() || "-_./={}".contains(letter);
    assert!(own.chars().all(is_safe), "{}: {own}", step.id);
    if let Template::Kept { kept, .. } = template {
        assert!((1..=step.keep.len()).contains(kept), "{}: keeps no {kept}", step.id);
    }
}

#[test]
fn every_step_is_reached_and_its_commands_are_those_of_the_aws_cli() {
    let plan = everything("a-thing-of-this-test");
    let reached: BTreeSet<&str> = plan.planned.iter().map(|one| one.step.id.as_str()).collect();
    let missed: Vec<&str> =
        BOOK.steps.iter().map(|step| step.id.as_str()).filter(|id| !reached.contains(id)).collect();
    assert_eq!(missed, [""; 0]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".local/venv/bin/python");
    let has_botocore =
        Command::new(&python).args(["-c", "import botocore"]).status().is_ok_and(|status| status.success());
    if !has_botocore {
        println!("skipped: no botocore in .local/venv; `make test` installs it");
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), document(&plan, NOW).to_string()).unwrap();
    let output =
        Command::new(python).arg(root.join("tests/api/containment.py")).arg(file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.trim().parse::<usize>().unwrap() > 100, "{said}");
}
