use serde_json::{Value as Json, json};

use super::*;
use crate::enrich::actor::actor;
use crate::memory::{Fact, Stamp};

const SETS: &str = "aws-reserved/sso.amazonaws.com/eu-west-1/";

fn role_session(role: &str, name: &str, key: &str) -> Json {
    json!({
        "type": "AssumedRole", "principalId": format!("AROA1:{name}"), "accountId": "111122223333", "accessKeyId": key,
        "arn": format!("arn:aws:sts::111122223333:assumed-role/{role}/{name}"),
        "sessionContext": {"sessionIssuer": {
            "type": "Role", "userName": role,
            "arn": format!("arn:aws:iam::111122223333:role/{}{role}", if role.starts_with("AWSReservedSSO_") { SETS } else { "" }),
        }},
    })
}

/// What a call that issued credentials told.
fn issued(key: &str, by: &str, with: Option<&str>, person: Option<&str>) -> Fact {
    let mut state = State::default();
    for (field, value) in [("issued.by", Some(by)), ("issued.key", with), ("issued.person", person)] {
        state.say(field, &Stamp::ALWAYS, value);
    }
    Fact { key: Key::session(key), state: state.into() }
}

fn of(identity: &Json, facts: &[Fact]) -> Lineage {
    let raw = json!({"userIdentity": identity}).to_string();
    let record = Record::parse(raw.as_bytes()).unwrap();
    let mut known = Known::whole();
    known.learn(facts);
    let actor = actor(&record);
    lineage(&record, &actor, person(&record, &actor), &known)
}

#[test]
fn a_person_is_whom_the_record_vouches_for_and_never_a_name_that_a_caller_chose() {
    let mut vouched = role_session("ml-dev", "cli", "ASIA1");
    vouched["sessionContext"]["sourceIdentity"] = "alice".into();
    let mut notebook = role_session("ml-exec", "SageMaker", "ASIA1");
    notebook["inScopeOf"] =
        json!({"credentialsIssuedTo": "arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/n"});
    let mut lookalike = role_session("AWSReservedSSO_Dev_0a1b2c3d4e5f6a7b", "carol@acme.example", "ASIA1");
    lookalike["sessionContext"]["sessionIssuer"]["arn"] =
        "arn:aws:iam::111122223333:role/AWSReservedSSO_Dev_0a1b2c3d4e5f6a7b".into();
    let cases = [
        (lookalike, None),
        (
            json!({"type": "IAMUser", "arn": "arn:aws:iam::1:user/bob", "accessKeyId": "AKIA1"}),
            Some("arn:aws:iam::1:user/bob"),
        ),
        (json!({"type": "Root", "arn": "arn:aws:iam::1:root"}), Some("arn:aws:iam::1:root")),
        (
            role_session("AWSReservedSSO_Dev_0a1b2c3d4e5f6a7b", "carol@acme.example", "ASIA1"),
            Some("carol@acme.example"),
        ),
        (vouched, Some("alice")),
        (notebook, Some("arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/n")),
        (role_session("ml-dev", "alice", "ASIA1"), None),
        (json!({"type": "SAMLUser", "userName": "dave"}), Some("dave")),
    ];
    for (identity, expected) in cases {
        assert_eq!(of(&identity, &[]).origin.as_deref(), expected, "{identity}");
    }
}

#[test]
fn links_are_followed_to_the_person_and_each_is_in_the_chain() {
    let facts = [
        issued("ASIA1", "arn:aws:sts::1:assumed-role/ops/x", Some("ASIA2"), None),
        issued(
            "ASIA2",
            "arn:aws:sts::1:assumed-role/AWSReservedSSO_Dev_1/carol",
            Some("ASIA3"),
            Some("carol"),
        ),
    ];
    let found = of(&role_session("deploy", "x", "ASIA1"), &facts);
    assert_eq!(
        found.chain,
        [
            "carol",
            "arn:aws:sts::1:assumed-role/AWSReservedSSO_Dev_1/carol",
            "arn:aws:sts::1:assumed-role/ops/x",
            "arn:aws:sts::111122223333:assumed-role/deploy/x",
        ]
    );
    assert_eq!((found.origin.as_deref(), found.missing), (Some("carol"), None));
}

#[test]
fn a_link_that_is_not_known_is_named_and_nobody_is_guessed() {
    let facts = [issued("ASIA1", "arn:aws:sts::1:assumed-role/ops/x", Some("ASIA2"), None)];
    let found = of(&role_session("deploy", "x", "ASIA1"), &facts);
    assert_eq!((found.origin, found.missing.as_deref()), (None, Some("the call that issued ASIA2")));
    assert_eq!(found.chain[0], "arn:aws:sts::1:assumed-role/ops/x");
}

#[test]
fn a_circle_of_links_ends() {
    let facts = [issued("ASIA1", "a", Some("ASIA2"), None), issued("ASIA2", "b", Some("ASIA1"), None)];
    let found = of(&role_session("deploy", "x", "ASIA1"), &facts);
    assert_eq!((found.origin, found.missing.as_deref()), (None, Some("more than 8 links")));
}

#[test]
fn one_person_has_one_name_in_all_that_vouch_and_a_workload_only_its_own() {
    let cases = [
        ("arn:aws:iam::1:user/Bob", "bob", true),
        ("carol@acme.example", "CAROL@acme.example", true),
        ("arn:aws:iam::1:user/bob", "arn:aws:iam::1:user/alice", false),
        ("arn:aws:sagemaker:eu-west-1:1:notebook-instance/bob", "bob", false),
    ];
    for (a, b, expected) in cases {
        assert_eq!(is_same_person(a, b), expected, "{a} {b}");
    }
}
