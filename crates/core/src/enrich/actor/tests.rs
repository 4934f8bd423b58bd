//! Actors of records as CloudTrail documents and writes them.

use serde_json::{Value as Json, json};

use super::*;

fn read(record: &Json) -> Json {
    let raw = record.to_string();
    serde_json::to_value(actor(&Record::parse(raw.as_bytes()).unwrap())).unwrap()
}

fn assumed(role: &str, session: &str, more: &Json) -> Json {
    let mut identity = json!({"type": "AssumedRole", "principalId": format!("AROAEXAMPLE:{session}"),
        "arn": format!("arn:aws:sts::111122223333:assumed-role/{role}/{session}")});
    identity.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    identity
}

#[test]
fn every_type_of_identity_has_the_name_that_an_analyst_would_use() {
    let vouched = json!({"sessionContext": {"sourceIdentity": "alice-profile"}});
    let cases = [
        (
            json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root", "userName": "account-alias"}),
            "root",
        ),
        (
            json!({"type": "IAMUser", "userName": "alice", "arn": "arn:aws:iam::111122223333:user/eng/alice"}),
            "alice",
        ),
        (json!({"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/eng/alice"}), "alice"),
        (assumed("Deploy", "ci-runner", &json!({})), "ci-runner"),
        (assumed("AWSReservedSSO_Admin_0a1b", "alice@example.com", &json!({})), "alice@example.com"),
        (assumed("SageMaker-ExecutionRole", "SageMaker", &json!({})), "SageMaker-ExecutionRole"),
        (assumed("SageMaker-ExecutionRole", "SageMaker", &vouched), "alice-profile"),
        (json!({"type": "AssumedRole", "principalId": "AROAEXAMPLE:only-principal"}), "only-principal"),
        (json!({"type": "Role", "arn": "arn:aws:iam::111122223333:role/path/Batch"}), "Batch"),
        (
            json!({"type": "FederatedUser", "principalId": "111122223333:bob",
                "arn": "arn:aws:sts::111122223333:federated-user/bob"}),
            "bob",
        ),
        (json!({"type": "SAMLUser", "principalId": "x/jEvs=:carol", "userName": "carol"}), "carol"),
        (json!({"type": "WebIdentityUser", "principalId": "accounts.google.com:app:user-7"}), "user-7"),
        (json!({"type": "AWSAccount", "principalId": "AROAEXAMPLE:session", "accountId": "4"}), "session"),
        (json!({"type": "AWSAccount", "principalId": "AIDAEXAMPLE", "accountId": "4"}), "AIDAEXAMPLE"),
        (json!({"type": "AWSAccount", "accountId": "444455556666"}), "444455556666"),
        (json!({"type": "AWSService", "invokedBy": "events.amazonaws.com"}), "events.amazonaws.com"),
        (json!({"type": "Directory", "userName": "dora"}), "dora"),
        (
            json!({"type": "IdentityCenterUser", "accountId": "111122223333", "onBehalfOf": {"userId": "9067-u"}}),
            "9067-u",
        ),
        (json!({"type": "Unknown", "principalId": "p-1", "userName": "eve"}), "eve"),
        (
            json!({"accountId": "111122223333", "invokedBy": "sagemaker.amazonaws.com"}),
            "sagemaker.amazonaws.com",
        ),
        (json!({"type": "Invented", "arn": "arn:aws:sts::1:assumed-role/R/s"}), "s"),
    ];
    for (identity, expected) in cases {
        let actor = read(&json!({"userIdentity": identity}));
        assert_eq!((&actor["name"], &actor["unnamed"]), (&json!(expected), &Json::Null), "{identity}");
    }
}

#[test]
fn who_is_not_named_is_so_for_a_reason() {
    let cases = [
        (json!({}), json!({"unnamed": "no_identity"})),
        (json!({"userIdentity": null}), json!({"unnamed": "no_identity"})),
        (json!({"userIdentity": "text"}), json!({"unnamed": "no_identity"})),
        (json!({"userIdentity": {}}), json!({"unnamed": "empty_identity"})),
        (json!({"userIdentity": {"type": "AssumedRole", "arn": ""}}), json!({"unnamed": "empty_identity"})),
        (
            json!({"eventType": "AwsServiceEvent", "eventSource": "sagemaker.amazonaws.com"}),
            json!({"name": "sagemaker.amazonaws.com"}),
        ),
    ];
    for (record, expected) in cases {
        let actor = read(&record);
        for member in ["name", "unnamed"] {
            assert_eq!(actor[member], expected[member], "{member} {record}");
        }
    }
}

#[test]
fn a_session_shows_its_person_its_provider_and_its_key() {
    let actor = read(&json!({
        "eventSource": "sagemaker.amazonaws.com", "recipientAccountId": "444455556666",
        "userAgent": "Boto3/1.42.3", "userIdentity": {
            "type": "AssumedRole", "principalId": "AROAEXAMPLE:SageMaker", "accountId": "111122223333",
            "arn": "arn:aws:sts::111122223333:assumed-role/Exec/SageMaker", "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "invokedBy": "sagemaker.amazonaws.com", "onBehalfOf": {"userId": "9067-u", "identityStoreArn": "x"},
            "sessionContext": {
                "sourceIdentity": "alice-profile",
                "sessionIssuer": {"type": "Role", "userName": "Exec", "accountId": "111122223333",
                    "arn": "arn:aws:iam::111122223333:role/service-role/Exec"},
                "webIdFederationData": {"federatedProvider": "accounts.google.com"},
                "attributes": {"mfaAuthenticated": "False", "creationDate": "2026-11-03T06:55:12Z"}
            }}
    }));
    let expected = json!({
        "name": "alice-profile", "session_name": "SageMaker", "identity_provider": "accounts.google.com",
        "via": "service", "mfa_not_applicable": "service", "root": false, "cross_account": true, "temporary_key": true, "agent": "boto3"
    });
    assert_eq!(actor, expected);
}

#[test]
fn the_way_the_mfa_and_the_key_are_read_off_what_the_record_has() {
    let user = |more: Json| {
        let mut identity = json!({"type": "IAMUser", "userName": "alice"});
        identity.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        identity
    };
    let cases = [
        (json!({"userIdentity": user(json!({}))}), "via", json!("api")),
        (
            json!({"userIdentity": user(json!({})), "sessionCredentialFromConsole": "true"}),
            "via",
            json!("console"),
        ),
        (
            json!({"userIdentity": user(json!({"invokedBy": "signin.amazonaws.com"}))}),
            "via",
            json!("console"),
        ),
        (
            json!({"userIdentity": user(json!({})), "userAgent": "console.amazonaws.com"}),
            "via",
            json!("console"),
        ),
        (json!({"userIdentity": user(json!({"invokedBy": "AWS Internal"}))}), "via", json!("service")),
        (
            json!({"eventSource": "signin.amazonaws.com", "additionalEventData": {"MFAUsed": "No"}}),
            "mfa",
            json!(false),
        ),
        (
            json!({"userIdentity": user(json!({"accessKeyId": "AKIAIOSFODNN7EXAMPLE"}))}),
            "temporary_key",
            json!(false),
        ),
        (json!({"userIdentity": user(json!({"accessKeyId": "é€"}))}), "temporary_key", Json::Null),
        (
            json!({"userIdentity": user(json!({"accountId": "1"})), "recipientAccountId": "1"}),
            "cross_account",
            json!(false),
        ),
        (json!({"userIdentity": {"type": "Root"}}), "root", json!(true)),
    ];
    for (record, member, expected) in cases {
        assert_eq!(read(&record)[member], expected, "{member} {record}");
    }
}
