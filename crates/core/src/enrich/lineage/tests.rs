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

/// What a call of AWS told that issued credentials with a source identity.
fn named(key: &str, call: &str, by: &str, with: Option<&str>, person: Option<&str>, claim: &str) -> Fact {
    let mut state = State::default();
    for (field, value) in [
        ("issued.by", Some(by)),
        ("issued.call", Some(call)),
        ("issued.key", with),
        ("issued.person", person),
        ("issued.source_identity", Some(claim)),
    ] {
        state.say(field, &Stamp::ALWAYS, value);
    }
    Fact { key: Key::session(key), state: state.into() }
}

#[test]
fn a_source_identity_is_whom_an_identity_provider_says_and_not_whom_a_caller_chose_to_be() {
    const MALLORY: &str = "arn:aws:iam::111122223333:user/mallory";
    const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
    const OTHER_ALICE: &str = "arn:aws:iam::999988887777:user/alice";
    const DEV: &str = "arn:aws:sts::111122223333:assumed-role/ml-dev/cli";
    let taken =
        |by: &str, person: Option<&str>| named("ASIA1", "AssumeRole", by, Some("AKIA1"), person, "alice");
    let handed_on = named("ASIA1", "AssumeRole", DEV, Some("ASIA2"), Some("alice"), "alice");
    let first = |person: &str| named("ASIA2", "AssumeRole", person, Some("AKIA1"), Some(person), "alice");
    let vouched = named("ASIA2", "AssumeRoleWithSAML", "alice@idp", None, Some("alice@idp"), "alice");
    let ops = named("ASIA1", "AssumeRole", DEV, Some("ASIA2"), None, "alice");
    let plain = issued("ASIA2", MALLORY, Some("AKIA1"), Some(MALLORY));
    let cases: [(&str, Vec<Fact>, &str); 9] = [
        ("memory knows nothing", vec![], "alice"),
        ("a user names somebody else", vec![taken(MALLORY, Some(MALLORY))], MALLORY),
        ("a user names herself", vec![taken(ALICE, Some(ALICE))], "alice"),
        ("a user of that name in another account", vec![taken(OTHER_ALICE, Some(OTHER_ALICE))], OTHER_ALICE),
        ("it was handed on", vec![handed_on.clone(), first(MALLORY)], MALLORY),
        ("it was handed on by herself", vec![handed_on.clone(), first(ALICE)], "alice"),
        ("nobody knows who chose what was handed on", vec![handed_on.clone()], "alice"),
        ("an identity provider set it", vec![handed_on, vouched], "alice"),
        ("a session without one chose it", vec![ops, plain], MALLORY),
    ];
    for (case, facts, expected) in cases {
        let mut identity = role_session("ml-ops", "cli", "ASIA1");
        identity["sessionContext"]["sourceIdentity"] = "alice".into();
        let found = of(&identity, &facts);
        assert_eq!(found.origin.as_deref(), Some(expected), "{case}: {found:?}");
        let claimed =
            (expected != "alice").then(|| format!("the source identity alice, which {expected} chose"));
        assert_eq!(found.claimed, claimed, "{case}");
    }
}

#[test]
fn one_person_has_one_name_in_all_that_vouch_and_a_workload_only_its_own() {
    let cases = [
        ("arn:aws:iam::1:user/Bob", "bob", true),
        ("arn:aws:iam::1:user/team/bob", "arn:aws:iam::1:user/bob", true),
        ("arn:aws:iam::2:user/bob", "bob", false),
        ("arn:aws:iam::2:user/bob", "arn:aws:iam::1:user/bob", false),
        ("carol@acme.example", "CAROL@acme.example", true),
        ("arn:aws:iam::1:user/bob", "arn:aws:iam::1:user/alice", false),
        ("arn:aws:sts::1:assumed-role/ops/bob", "arn:aws:iam::1:user/bob", false),
        ("arn:aws:sagemaker:eu-west-1:1:notebook-instance/bob", "bob", false),
    ];
    for (a, b, expected) in cases {
        let person = |name| Person { name, account: Some("1") };
        assert_eq!(person(a).is_same(person(b)), expected, "{a} {b}");
        assert_eq!(person(b).is_same(person(a)), expected, "{b} {a}");
    }
}
