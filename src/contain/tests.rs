//! What is contained by which step.

mod book;
mod json;
mod shell;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use time::macros::datetime;

use super::deed::Deed;
use super::scene::{Scene, Subject, Thing};
use super::steps::{BOOK, Phase};
use super::*;

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
    Plan::of(
        &Scene::of(&deeds, subject, Some(OffsetDateTime::UNIX_EPOCH), &Policies::default()),
        &BOOK,
        "asked",
    )
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
                let mut request = BTreeMap::from(request.clone());
                for condition in &step.conditions {
                    let wanted = condition.strip_prefix("request.").and_then(|it| it.split_once('='));
                    request.extend(wanted.map(|(member, value)| (member.to_owned(), value.to_owned())));
                }
                if step.conditions.iter().any(|it| it == "request.policyBefore") {
                    request.insert("policyBefore".to_owned(), name.to_owned());
                }
                let calls = step.calls.iter().map(|call| (call.clone(), request.clone())).collect();
                scene.things.push(Thing {
                    kind: kind.clone(),
                    account: Some(ACCOUNT.to_owned()),
                    region: Some("eu-central-1".to_owned()),
                    facts,
                    happened: step.when.iter().copied().collect(),
                    calls,
                    used: vec![name.to_owned()],
                    has_before,
                    ..Thing::default()
                });
            }
        }
    }
    scene.notes.push(name.to_owned());
    Plan::of(&scene, &BOOK, name)
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

#[test]
fn no_more_records_are_held_than_a_script_is_made_of_and_the_earliest_stay() {
    let deed = Deed::read(&document_of("CreateTrainingJob", &about("training-job", "a"))).unwrap();
    let mut meant = Meant::default();
    for number in 0..MOST_DEEDS + 2 {
        assert!(!meant.is_cut || number > MOST_DEEDS, "{number}");
        meant.take(Deed { call: number.to_string(), ..deed.clone() });
    }
    assert!(meant.is_cut && meant.deeds.len() == MOST_DEEDS);
    assert_eq!(meant.deeds.last().map(|deed| deed.call.clone()), Some((MOST_DEEDS - 1).to_string()));
    assert!(cut().contains(&MOST_DEEDS.to_string()));
}
