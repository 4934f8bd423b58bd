use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::json;
use time::macros::datetime;

use super::*;

const KEY: &str = "AWSLogs/111122223333/CloudTrail/eu-central-1/2026/03/01/111122223333_CloudTrail_eu-central-1_20260301T0210Z_Mu0KsOhtH1ar15ZZ.json.gz";

fn s3_record(event_name: &str, key: &str) -> Value {
    json!({
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-03-01T02:10:11.123Z",
        "eventName": event_name,
        "userIdentity": {"principalId": "AWS:AROAEXAMPLE:regionalDeliverySession"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "trail",
            "bucket": {"name": "trail-bucket", "arn": "arn:aws:s3:::trail-bucket"},
            "object": {"key": key, "size": 4321, "eTag": "d41d", "versionId": "v1", "sequencer": "0055AED6DCD90281E5"},
        },
    })
}

fn s3_message(event_name: &str, key: &str) -> Value {
    json!({"Records": [s3_record(event_name, key)]})
}

fn bridge_event(detail_type: &str, key: &str) -> Value {
    json!({
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": detail_type,
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2026-03-01T02:10:11Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:s3:::trail-bucket"],
        "detail": {
            "version": "0",
            "bucket": {"name": "trail-bucket"},
            "object": {"key": key, "size": 4321, "etag": "d41d", "version-id": "v1", "sequencer": "617f08299329d189"},
            "reason": "PutObject",
        },
    })
}

fn trail_message(keys: &[&str]) -> Value {
    json!({"s3Bucket": "trail-bucket", "s3ObjectKey": keys})
}

fn enveloped(message: &str) -> Value {
    json!({
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": "arn:aws:sns:eu-central-1:111122223333:trail",
        "Subject": "Amazon S3 Notification",
        "Message": message,
        "Timestamp": "2026-03-01T02:10:12.001Z",
        "SignatureVersion": "1",
        "Signature": "EXAMPLE",
    })
}

fn s3_test_event() -> Value {
    json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-03-01T02:00:00.000Z",
        "Bucket": "trail-bucket", "RequestId": "5582815E1AEA5ADF", "HostId": "8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3e"})
}

fn objects(body: &str) -> Vec<NotifiedObject> {
    parse(body).unwrap_or_else(|error| panic!("{error}\n{body}")).objects
}

fn created_keys(body: &str) -> Vec<String> {
    let created = objects(body).into_iter().filter_map(|object| match object {
        NotifiedObject::Created(object) => Some(object.key),
        NotifiedObject::Skipped { .. } => None,
    });
    created.collect()
}

#[test]
fn each_form_is_recognised_by_its_content() {
    let s3 = s3_message("ObjectCreated:Put", KEY);
    let bridge = bridge_event("Object Created", KEY);
    let trail = trail_message(&[KEY]);
    for (name, body, form) in [
        ("S3 straight, or through SNS with raw delivery", s3.to_string(), Form::S3),
        ("S3 in an SNS envelope", enveloped(&s3.to_string()).to_string(), Form::S3OverSns),
        ("EventBridge", bridge.to_string(), Form::EventBridge),
        ("EventBridge in an SNS envelope", enveloped(&bridge.to_string()).to_string(), Form::EventBridge),
        ("CloudTrail, raw", trail.to_string(), Form::CloudTrail),
        ("CloudTrail in an SNS envelope", enveloped(&trail.to_string()).to_string(), Form::CloudTrail),
    ] {
        assert_eq!(parse(&body).map(|notification| notification.form), Ok(form), "{name}");
        assert_eq!(created_keys(&body), [KEY], "{name}");
    }
}

#[test]
fn a_message_that_only_proves_the_way_is_a_test_without_objects() {
    let validation = "CloudTrail validation message.";
    for body in [
        s3_test_event().to_string(),
        enveloped(&s3_test_event().to_string()).to_string(),
        validation.to_owned(),
        enveloped(validation).to_string(),
    ] {
        assert_eq!(parse(&body), Ok(Notification { form: Form::Test, objects: Vec::new() }), "{body}");
    }
}

#[test]
fn what_a_notification_knows_of_an_object_is_kept() {
    let whole = ObjectRef {
        bucket: "trail-bucket".to_owned(),
        key: KEY.to_owned(),
        region: Some("eu-central-1".to_owned()),
        size: Some(4321),
        version: Some("v1".to_owned()),
        put_at: Some(datetime!(2026-03-01 02:10:11.123 UTC)),
    };
    let of_bridge = ObjectRef { put_at: Some(datetime!(2026-03-01 02:10:11 UTC)), ..whole.clone() };
    let of_trail = ObjectRef { bucket: whole.bucket.clone(), key: whole.key.clone(), ..ObjectRef::default() };
    for (body, object) in [
        (s3_message("ObjectCreated:Put", KEY), whole),
        (bridge_event("Object Created", KEY), of_bridge),
        (trail_message(&[KEY]), of_trail),
    ] {
        assert_eq!(objects(&body.to_string()), [NotifiedObject::Created(object)], "{body}");
    }
}

#[test]
fn only_creations_are_read_and_everything_else_is_skipped_with_its_reason() {
    use ObjectSkip::{OtherEvent, Removed};
    let cases = [
        ("ObjectCreated:Put", "Object Created", None),
        ("ObjectCreated:Copy", "Object Created", None),
        ("ObjectCreated:CompleteMultipartUpload", "Object Created", None),
        ("s3:ObjectCreated:Put", "Object Created", None),
        ("ObjectRemoved:Delete", "Object Deleted", Some(Removed)),
        ("ObjectRemoved:DeleteMarkerCreated", "Object Deleted", Some(Removed)),
        ("LifecycleExpiration:Delete", "Object Deleted", Some(Removed)),
        ("LifecycleTransition", "Object Storage Class Changed", Some(OtherEvent)),
        ("ObjectRestore:Completed", "Object Restore Completed", Some(OtherEvent)),
        ("ObjectTagging:Put", "Object Tags Added", Some(OtherEvent)),
        ("ObjectAcl:Put", "Object ACL Updated", Some(OtherEvent)),
        ("ReducedRedundancyLostObject", "Object Access Tier Changed", Some(OtherEvent)),
        ("ObjectCreatedSomehow", "Object Created Somehow", Some(OtherEvent)),
    ];
    for (event_name, detail_type, skip) in cases {
        for body in [s3_message(event_name, KEY), bridge_event(detail_type, KEY)] {
            let reason = match &objects(&body.to_string())[..] {
                [NotifiedObject::Created(_)] => None,
                [NotifiedObject::Skipped { bucket, key, reason }] => {
                    assert_eq!((bucket.as_str(), key.as_str()), ("trail-bucket", KEY));
                    Some(*reason)
                }
                objects => panic!("{objects:?}"),
            };
            assert_eq!(reason, skip, "{event_name}, {detail_type}");
        }
    }
}

#[test]
fn all_objects_of_a_message_are_kept_in_their_order() {
    let mixed = json!({"Records": [
        s3_record("ObjectCreated:Put", "a"),
        s3_record("ObjectRemoved:Delete", "b"),
        s3_record("ObjectCreated:Post", "c"),
        s3_record("ObjectCreated:Put", "a"),
    ]});
    assert_eq!(objects(&mixed.to_string()).len(), 4);
    assert_eq!(created_keys(&mixed.to_string()), ["a", "c", "a"]);
    assert_eq!(created_keys(&trail_message(&["a", "b"]).to_string()), ["a", "b"]);
}

#[test]
fn only_the_keys_of_s3_are_url_decoded() {
    for (sent, decoded) in [
        ("plain/key.json.gz", "plain/key.json.gz"),
        ("my+trail/a%2Bb.json.gz", "my trail/a+b.json.gz"),
        ("AWSLogs/%C3%BCber/%E6%97%A5%E6%9C%AC.json.gz", "AWSLogs/über/日本.json.gz"),
        ("100%25/%2F%20%22.json", "100%// \".json"),
        ("not%zzhex%", "not%zzhex%"),
        ("unencoded/über", "unencoded/über"),
    ] {
        assert_eq!(created_keys(&s3_message("ObjectCreated:Put", sent).to_string()), [decoded], "{sent}");
        assert_eq!(created_keys(&bridge_event("Object Created", sent).to_string()), [sent]);
        assert_eq!(created_keys(&trail_message(&[sent]).to_string()), [sent]);
    }
    let broken = s3_message("ObjectCreated:Put", "AWSLogs/%FF%FE.json.gz").to_string();
    assert_eq!(parse(&broken), Err(NotificationError::KeyNotUtf8));
}

#[test]
fn details_that_are_missing_or_odd_do_not_spoil_a_notification() {
    let mut message = s3_message("ObjectCreated:Put", KEY);
    let record = &mut message["Records"][0];
    record["eventTime"] = json!("yesterday");
    record["awsRegion"] = Value::Null;
    record["s3"]["object"]["size"] = json!(-1);
    record["somethingNew"] = json!({"deep": [1, 2, 3]});
    match &objects(&message.to_string())[..] {
        [NotifiedObject::Created(object)] => {
            assert_eq!((&object.region, object.size, object.put_at), (&None, None, None));
        }
        objects => panic!("{objects:?}"),
    }
}

#[test]
fn what_is_not_understood_is_an_error_that_says_what_it_saw() {
    let without = |pointer: &str| {
        let mut message = s3_message("ObjectCreated:Put", KEY);
        *message.pointer_mut(pointer).expect("the message has it") = Value::Null;
        message.to_string()
    };
    let foreign_bridge = |member: &str, value: &str| {
        let mut event = bridge_event("Object Created", KEY);
        event[member] = json!(value);
        event.to_string()
    };
    for (body, text) in [
        (String::new(), "not a JSON object (it ends early at line 1, column 0)"),
        ("{\"Records\":".to_owned(), "it ends early"),
        ("hello".to_owned(), "a syntax error"),
        ("[1, 2]".to_owned(), "it is another kind of value"),
        ("{}".to_owned(), "a JSON object with no members"),
        (json!({"a": 1, "b\u{7}\"": "secret"}).to_string(), "the members `a`, `b??`"),
        (json!({"Records": []}).to_string(), "`Records` names no object"),
        (json!({"Records": null}).to_string(), "`Records` does not have the structure"),
        (
            json!({"Records": [{"eventSource": "aws:s3"}]}).to_string(),
            "`Records` does not have the structure",
        ),
        (without("/Records/0/s3/object/key"), "`Records` does not have the structure"),
        (s3_message("ObjectCreated:Put", "").to_string(), "`Records` does not have the structure"),
        (
            s3_message("ObjectCreated:Put", KEY).to_string().replace("aws:s3\"", "aws:ses\""),
            "a record comes from `aws:ses`",
        ),
        (foreign_bridge("source", "aws.sagemaker"), "an EventBridge event from `aws.sagemaker`"),
        (
            foreign_bridge("detail-type", "AWS API Call via CloudTrail"),
            "an EventBridge event from `aws.s3` is not about",
        ),
        (foreign_bridge("detail", "secret"), "`detail` does not have the structure"),
        (trail_message(&[]).to_string(), "`s3ObjectKey` names no object"),
        (json!({"s3ObjectKey": ["a"]}).to_string(), "`s3ObjectKey` does not have the structure"),
        (
            json!({"s3Bucket": "b", "s3ObjectKey": "a"}).to_string(),
            "`s3ObjectKey` does not have the structure",
        ),
        (enveloped("hello").to_string(), "a syntax error"),
        (enveloped(&enveloped("{}").to_string()).to_string(), "no known form of notification"),
        (json!({"Type": "Notification"}).to_string(), "`Message` does not have the structure"),
        (
            json!({"Type": "SubscriptionConfirmation", "SubscribeURL": "https://secret"}).to_string(),
            "an SNS `SubscriptionConfirmation` is not a notification",
        ),
    ] {
        let error = parse(&body).expect_err(&body).to_string();
        assert!(error.contains(text), "{body}\n{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

#[test]
fn an_errors_text_stays_short_whatever_the_message_holds() {
    let names = (0..1_000).map(|index| (format!("{index}{}", "x".repeat(500)), json!(1)));
    let error = parse(&Value::Object(names.collect()).to_string()).expect_err("no form has such names");
    assert!(error.to_string().len() < 400, "{error}");
}

#[test]
fn an_object_named_in_a_log_line_cannot_end_that_line() {
    let object = ObjectRef {
        bucket: "b\r\nlevel=ERROR\u{2028}".to_owned(),
        key: "ü a\n\u{1b}[31m".to_owned(),
        region: None,
        size: None,
        put_at: None,
        version: None,
    };
    assert_eq!(object.to_string(), "s3://b\\r\\nlevel=ERROR\\u{2028}/ü a\\n\\u{1b}[31m");
}

/// S3's own encoding: letters, digits and `-._*/` stay, a space becomes `+`, the rest `%XX`.
fn s3_encoded(key: &str) -> String {
    const ENCODED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b'/').remove(b' ');
    utf8_percent_encode(key, ENCODED).to_string().replace(' ', "+")
}

/// Any JSON, rich in the words that the forms are recognised by.
fn any_message() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "Type",
        "Notification",
        "Message",
        "Records",
        "Event",
        "s3:TestEvent",
        "detail-type",
        "Object Created",
        "detail",
        "source",
        "aws.s3",
        "aws:s3",
        "eventSource",
        "eventName",
        "ObjectCreated:Put",
        "s3",
        "bucket",
        "name",
        "object",
        "key",
        "s3Bucket",
        "s3ObjectKey",
        "region",
        "%FF",
        "",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|members| {
                Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(body in ".*") {
        let _ = parse(&body);
    }

    #[test]
    fn no_json_makes_it_panic(message in any_message()) {
        let _ = parse(&message.to_string());
        let _ = parse(&enveloped(&message.to_string()).to_string());
    }

    #[test]
    fn no_truncation_makes_it_panic(end in 0..600_usize) {
        let body = enveloped(&s3_message("ObjectCreated:Put", KEY).to_string()).to_string();
        prop_assert!(parse(&body[..end.min(body.len() - 1)]).is_err());
    }

    #[test]
    fn every_key_survives_s3s_encoding(key in "\\PC{1,200}") {
        let body = s3_message("ObjectCreated:Put", &s3_encoded(&key)).to_string();
        prop_assert_eq!(created_keys(&body), vec![key]);
    }
}

#[test]
fn a_bucket_without_versions_names_none() {
    for version in [json!("null"), json!(""), json!(null), json!(7)] {
        let mut message = s3_message("ObjectCreated:Put", KEY);
        message["Records"][0]["s3"]["object"]["versionId"] = version.clone();
        let [NotifiedObject::Created(object)] = &objects(&message.to_string())[..] else {
            panic!("{version}")
        };
        assert_eq!(object.version, None, "{version}");
    }
}
