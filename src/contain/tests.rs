//! What is contained by which step, and what a real shell makes of hostile names.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use serde_json::{Value, json};
use time::macros::datetime;

use super::deed::Deed;
use super::scene::{Scene, Subject, Thing};
use super::steps::{BOOK, Happened, Phase, Step, Template};
use super::*;
use crate::enrich::catalogue::Catalogue;

const ACCOUNT: &str = "111122223333";
const NOW: OffsetDateTime = datetime!(2026-11-03 04:00:00 UTC);

/// A document as it is stored, with parts of its own.
fn document_of(call: &str, parts: &Value) -> Value {
    let mut document = json!({
        "@timestamp": "2026-11-03T02:00:00.000Z",
        "event": {"action": call, "outcome": "success"},
        "cloud": {"account": {"id": ACCOUNT}, "region": "eu-central-1"},
        "sagemaker": {"access_level": "write", "alert": {"principal": "p", "identity": "p", "origin": "p"}},
        "aws": {"cloudtrail": {"user_identity": {"type": "AssumedRole",
            "arn": "arn:aws:sts::111122223333:assumed-role/Admin/x"},
            "session": {"issuer": {"arn": "arn:aws:iam::111122223333:role/Admin"}}}}
    });
    merge(&mut document, parts);
    document
}

fn merge(into: &mut Value, parts: &Value) {
    match (into, parts) {
        (Value::Object(into), Value::Object(parts)) => {
            for (member, value) in parts {
                merge(into.entry(member.clone()).or_insert(Value::Null), value);
            }
        }
        (into, parts) => *into = parts.clone(),
    }
}

fn about(kind: &str, name: &str) -> Value {
    let arn = format!("arn:aws:sagemaker:eu-central-1:{ACCOUNT}:{kind}/{name}");
    json!({"sagemaker": {"resource": {"type": kind, "name": name, "arn": arn}}})
}

fn with(mut value: Value, parts: &Value) -> Value {
    merge(&mut value, parts);
    value
}

fn plan(documents: &[Value], subject: Subject<'_>) -> Plan {
    let deeds: Vec<Deed> = documents.iter().map(|document| Deed::read(document).unwrap()).collect();
    Plan::of(&Scene::of(&deeds, subject), &BOOK, "asked")
}

fn commands(plan: &Plan) -> Vec<String> {
    let document = document(plan, NOW);
    let steps = document["steps"].as_array().unwrap();
    let runs = steps.iter().flat_map(|step| step["run"].as_array().unwrap());
    let words = |run: &Value| {
        let words = run["arguments"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
        words.collect::<Vec<_>>().join(" ")
    };
    runs.map(words).collect()
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
        "trail",
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
fn an_endpoint_goes_back_to_the_configuration_that_memory_knew_and_what_nobody_knew_is_asked_for() {
    let endpoint =
        with(about("endpoint", "fraud"), &json!({"sagemaker": {"endpoint_config": {"name": ["new"]}}}));
    let known = json!({"sagemaker": {"resource": {"configuration": {"endpoint_config": "old"}}}});
    let told = plan(&[document_of("UpdateEndpoint", &with(endpoint.clone(), &known))], Subject::Somebody);
    let back = "sagemaker update-endpoint --endpoint-name=fraud --endpoint-config-name=old";
    assert!(commands(&told).contains(&back.to_owned()), "{:?}", commands(&told));
    let script = script(&told, Direction::Contain, None);
    assert!(
        script.contains("#      undo:   aws") && script.contains("--endpoint-config-name=new"),
        "{script}"
    );

    let untold = plan(&[document_of("UpdateEndpoint", &endpoint)], Subject::Somebody);
    let script = super::script(&untold, Direction::Contain, None);
    for part in
        ["not known: what its configuration was before", "needs 2 BEFORE_ENDPOINT_CONFIG_2 && step 2 aws"]
    {
        assert!(script.contains(part), "{part} in {script}");
    }
}

#[test]
fn what_was_made_and_what_was_changed_and_who_acted_have_their_steps_in_order() {
    let notebook = about("notebook-instance", "nb");
    let update = with(
        notebook.clone(),
        &json!({"sagemaker": {"root_access": true, "lifecycle": {"name": ["evil"]},
            "resource": {"configuration": {"instance_type": "ml.t3.medium"}}}}),
    );
    let training = about("training-job", "miner");
    let user = json!({"aws": {"cloudtrail": {"user_identity": {"type": "IAMUser", "user_name": "eve", "access_key_id": "AKIAEXAMPLE000000001",
        "arn": "arn:aws:iam::111122223333:user/eve"}, "session": null}}});
    let told = plan(
        &[
            document_of("UpdateNotebookInstance", &update),
            document_of("CreateTrainingJob", &training),
            document_of("StopTrainingJob", &about("training-job", "theirs")),
            document_of("CreateModel", &with(about("model", "m"), &user)),
        ],
        Subject::Somebody,
    );
    let steps: Vec<&str> = told.planned.iter().map(|one| one.step.id.as_str()).collect();
    let expected = [
        "role-sessions",
        "user",
        "access-key",
        "notebook-stop",
        "training-job",
        "notebook-root",
        "notebook-lifecycle-off",
        "model",
    ];
    let sorted: BTreeSet<&str> = steps.iter().copied().collect();
    assert_eq!(sorted, expected.into_iter().collect(), "{steps:?}");
    assert!(steps.windows(2).all(|pair| phase(&told, pair[0]) <= phase(&told, pair[1])), "{steps:?}");
    let commands = commands(&told);
    assert!(!commands.iter().any(|command| command.contains("theirs")), "{commands:?}");
    let deny = commands.iter().find(|command| command.starts_with("iam put-role-policy")).unwrap();
    assert!(
        deny.contains("--role-name=Admin") && deny.contains(r#""aws:TokenIssueTime":"2026-11-03T04:00:00"#),
        "{deny}"
    );
}

fn phase(plan: &Plan, id: &str) -> Phase {
    plan.planned.iter().find(|one| one.step.id == id).unwrap().step.phase
}

#[test]
fn who_is_of_another_account_or_of_a_service_is_said_and_gets_no_command() {
    let foreign = json!({"aws": {"cloudtrail": {"user_identity": {"type": "AWSAccount", "account_id": "444455556666", "arn": null},
        "session": null}}, "sagemaker": {"alert": {"principal": "444455556666:AROAX"}}});
    let service = json!({"aws": {"cloudtrail": {"session": {"issuer":
        {"arn": "arn:aws:iam::111122223333:role/aws-service-role/sagemaker.amazonaws.com/AWSServiceRoleFor"}}}}});
    let elsewhere = json!({"sagemaker": {"resource": {"type": "model", "name": "m",
        "arn": "arn:aws:sagemaker:eu-west-1:777788889999:model/m"}}});
    let told = plan(
        &[
            document_of("DescribeModel", &with(foreign, &json!({"sagemaker": {"access_level": "read"}}))),
            document_of("CreateModel", &with(service, &elsewhere)),
            document_of("CreateTrainingJob", &about("training-job", "a")),
        ],
        Subject::Somebody,
    );
    let script = script(&told, Direction::Contain, None);
    for part in [
        "by hand: 444455556666:AROAX is not of this account",
        "account 777788889999, region eu-west-1, which is another account than that of most steps",
        "AWSServiceRoleFor is a role of a service of AWS",
        "PROFILE_777788889999=${PROFILE_777788889999-}",
    ] {
        assert!(script.contains(part), "{part} in {script}");
    }
}

#[test]
fn a_value_that_no_command_can_take_is_refused_and_said() {
    for (name, said) in
        [("a\0b", "no command can take"), ("file:///etc/passwd", "would read"), ("https://x", "would read")]
    {
        let told = plan(&[document_of("CreateTrainingJob", &about("training-job", name))], Subject::Somebody);
        let one = told.planned.iter().find(|one| one.step.id == "training-job").unwrap();
        let problem = one.refused.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(problem.contains(said) && one.run.is_empty() && one.keep.is_empty(), "{name:?}: {problem}");
        assert!(script(&told, Direction::Contain, None).contains("no command: its name"));
    }
}

/// What happened to a thing of each kind, with everything known that a step may ask for.
fn everything(name: &str) -> Plan {
    let facts =
        ["name", "id", "domain", "user_profile", "space", "app_type", "key", "user", "session", "parent.1"];
    let mut facts: BTreeMap<String, String> = facts.map(|fact| (fact.to_owned(), name.to_owned())).into();
    facts.insert("arn".to_owned(), format!("arn:aws:sagemaker:eu-central-1:{ACCOUNT}:x/{name}"));
    for (field, value) in [
        ("now.root_access", "true"),
        ("now.direct_internet_access", "true"),
        ("now.app_access", "PublicInternetOnly"),
        ("now.metadata_service_version", "1"),
        ("now.model_data", "s3://b/k"),
    ] {
        facts.insert(field.to_owned(), value.to_owned());
    }
    for field in ["now.endpoint_config", "now.lifecycle"] {
        facts.insert(field.to_owned(), name.to_owned());
    }
    let mut scene = Scene::default();
    for step in &BOOK.steps {
        for kind in &step.on {
            for has_before in [true, false] {
                let mut facts = facts.clone();
                if has_before {
                    facts.insert("before.endpoint_config".to_owned(), format!("{name}-before"));
                    facts.insert("before.lifecycle".to_owned(), format!("{name}-before"));
                }
                let request = ["policyArn", "policyName", "imageTag"]
                    .map(|member| (member.to_owned(), name.to_owned()));
                let calls = step.calls.iter().map(|call| (call.clone(), request.clone().into())).collect();
                scene.things.push(Thing {
                    kind: kind.clone(),
                    account: Some(ACCOUNT.to_owned()),
                    region: Some("eu-central-1".to_owned()),
                    facts,
                    happened: step.when.iter().copied().collect(),
                    calls,
                    used: vec![name.to_owned()],
                    has_before,
                });
            }
        }
    }
    scene.notes.push(name.to_owned());
    Plan::of(&scene, &BOOK, name)
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
            .flat_map(|one| plan::Planned::unknown(one.run.iter().chain(&one.undo)))
            .map(|variable| (variable.to_owned(), format!("${{{variable}}}")))
            .collect();
        for (direction, parts) in [(Direction::Contain, &["keep", "run"][..]), (Direction::Undo, &["undo"])] {
            let found: BTreeSet<Vec<String>> = run(&script(&plan, direction, None), &variables).into_iter().collect();
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

#[test]
fn a_resource_that_is_asked_for_by_itself_leaves_out_who_changed_it_and_everything_else() {
    let told = plan(
        &[
            document_of("UpdateNotebookInstance", &about("notebook-instance", "nb")),
            document_of("CreateModel", &about("model", "m")),
        ],
        Subject::Resource("NB"),
    );
    let steps: Vec<&str> = told.planned.iter().map(|one| one.step.id.as_str()).collect();
    assert_eq!(steps, ["notebook-stop"]);
}
