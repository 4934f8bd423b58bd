//! SigmaHQ's own CloudTrail rules, unmodified: all of them load, and a sample matches what it is about.
//!
//! They are not part of the project: `SAGETRAIL_TEST_SIGMAHQ` names the folder `rules/cloud/aws/cloudtrail` of a clone
//! of <https://github.com/SigmaHQ/sigma>. Without it the tests skip and say so.

use std::path::PathBuf;

use sagetrail::config::{RulesConfig, Scope};
use sagetrail::enrich::rules::{Folder, RuleSet};
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich};
use serde_json::{Value, json};
use time::macros::datetime;

/// The built-in rules and SigmaHQ's; none when nobody says where those are.
fn enricher() -> Option<Enricher> {
    let Some(folder) = std::env::var_os("SAGETRAIL_TEST_SIGMAHQ").map(PathBuf::from) else {
        println!("skipped: SAGETRAIL_TEST_SIGMAHQ names no folder of SigmaHQ's rules");
        return None;
    };
    let config = RulesConfig { folder: Some(folder), ..RulesConfig::default() };
    let rules = RuleSet::load(&config).unwrap_or_else(|error| panic!("{error}"));
    Some(Enricher { rules: rules.into(), ..Enricher::built_in(Scope::All) })
}

/// A record of the call, with further members laid over it.
fn record(source: &str, name: &str, members: &Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.11", "eventTime": "2026-11-01T12:00:00Z", "awsRegion": "eu-central-1",
        "eventSource": source, "eventName": name, "eventType": "AwsApiCall", "sourceIPAddress": "203.0.113.5",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice", "userName": "alice"},
        "userAgent": "aws-cli/2.31", "recipientAccountId": "111122223333"
    });
    for (member, value) in members.as_object().into_iter().flatten() {
        record[member] = value.clone();
    }
    record
}

fn matched(record: &Value, enricher: &Enricher) -> Vec<String> {
    let origin = Origin { path: "example", written_at: None, now: datetime!(2026-11-23 12:00 UTC) };
    let raw = record.to_string();
    let Enriched::Selected { document, .. } = enrich(raw.as_bytes(), origin, enricher) else {
        panic!("every record is selected")
    };
    let source: Value = serde_json::from_slice(&document.source).unwrap();
    let ids = source["rule"]["id"].as_array().map_or(&[][..], Vec::as_slice);
    ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_rule_loads_as_it_is() {
    let Some(enricher) = enricher() else { return };
    let of_site = enricher.rules.rules().iter().filter(|rule| rule.place.folder == Folder::Site).count();
    println!("{of_site} rules of SigmaHQ are loaded");
    assert!(of_site > 50);
    assert_eq!(enricher.rules.broken(), []);
}

#[test]
fn a_record_of_what_a_rule_is_about_matches_and_a_neighbour_of_it_does_not() {
    let Some(enricher) = enricher() else { return };
    let root = json!({"userIdentity": {"type": "Root", "arn": "arn:aws:iam::111122223333:root"}});
    let console = |mfa: &str| {
        json!({
            "eventType": "AwsConsoleSignIn", "additionalEventData": {"MFAUsed": mfa},
            "responseElements": {"ConsoleLogin": "Success"}
        })
    };
    let none = json!({});
    let denied = json!({"errorCode": "AccessDenied"});
    let service_event = json!({"eventType": "AwsServiceEvent", "userIdentity": root["userIdentity"]});
    // The rule, then a record that matches it and one that does not.
    let cases = [
        (
            "4db60cc0-36fb-42b7-9b58-a5b53019fb74",
            record("cloudtrail.amazonaws.com", "StopLogging", &none),
            record("cloudtrail.amazonaws.com", "StartLogging", &none),
        ),
        (
            "0a5177f4-6ca9-44c2-aacf-d3f3d8b6e4d2",
            record(
                "iam.amazonaws.com",
                "CreateAccessKey",
                &json!({"requestParameters": {"userName": "bob"}}),
            ),
            record("iam.amazonaws.com", "ListAccessKeys", &none),
        ),
        (
            "77caf516-34e5-4df9-b4db-20744fea0a60",
            record("signin.amazonaws.com", "ConsoleLogin", &console("No")),
            record("signin.amazonaws.com", "ConsoleLogin", &console("Yes")),
        ),
        (
            "8ad1600d-e9dc-4251-b0ee-a65268f29add",
            record("s3.amazonaws.com", "ListBuckets", &root),
            record("s3.amazonaws.com", "ListBuckets", &service_event),
        ),
        (
            "39c9f26d-6e3b-4dbb-9c7a-4154b0281112",
            record("s3.amazonaws.com", "DeleteBucket", &none),
            record("s3.amazonaws.com", "DeleteBucket", &denied),
        ),
        (
            "b45ab1d2-712f-4f01-a751-df3826969807",
            record("sts.amazonaws.com", "GetSessionToken", &none),
            record("sts.amazonaws.com", "GetSessionToken", &root),
        ),
        (
            "055fb148-60f8-462d-ad16-26926ce050f1",
            record(
                "iam.amazonaws.com",
                "UpdateLoginProfile",
                &json!({"requestParameters": {"userName": "bob"}}),
            ),
            record(
                "iam.amazonaws.com",
                "GetLoginProfile",
                &json!({"requestParameters": {"userName": "bob"}}),
            ),
        ),
    ];
    for (id, matching, neighbour) in cases {
        assert!(matched(&matching, &enricher).iter().any(|found| found == id), "{id} misses {matching}");
        assert!(!matched(&neighbour, &enricher).iter().any(|found| found == id), "{id} matches {neighbour}");
    }
}
