//! Writes the story of a drill: records of a little attack that never happened, as CloudTrail would deliver them
//! (pure).

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use super::plan::Plan;
use crate::document::DocumentId;
use crate::enrich::drill;
use crate::enrich::redact::FingerprintKey;
use crate::record::canonical;
use crate::timestamp;

/// A file to upload, and what should come of it.
#[derive(Debug)]
pub struct Story {
    pub id: String,
    /// Of the object.
    pub key: String,
    pub bytes: Vec<u8>,
    /// The ids of the documents.
    pub documents: Vec<String>,
    /// The one of them with a finding that pages by itself.
    pub worst: String,
}

/// The address of the story: of a network that documentation uses, and nobody else.
const ADDRESS: &str = "192.0.2.44";
/// Seconds between two of its calls.
const APART: i64 = 2;

impl Story {
    /// Tells it as of now.
    pub fn tell(plan: &Plan, id: &str, key: &FingerprintKey, now: OffsetDateTime) -> Self {
        let calls = calls(plan, id);
        let first = now - Duration::seconds(APART) * i32::try_from(calls.len()).unwrap_or_default();
        let (mut texts, mut documents, mut worst) = (Vec::new(), Vec::new(), String::new());
        for (number, call) in calls.into_iter().enumerate() {
            let event_id = new_event_id();
            let at = first + Duration::seconds(APART) * i32::try_from(number).unwrap_or_default();
            let text = record(plan, id, key, &event_id, at, &call).to_string();
            let document = DocumentId::of(Some(&event_id), &canonical(text.as_bytes())).as_str().to_owned();
            if call.pages {
                worst.clone_from(&document);
            }
            documents.push(document);
            texts.push(text);
        }
        let file = format!("{{\"Records\":[{}]}}", texts.join(","));
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(file.as_bytes()).expect("memory can be written");
        let bytes = gzip.finish().expect("memory can be written");
        Self { id: id.to_owned(), key: object_key(plan, now), bytes, documents, worst }
    }

    /// The origin of its incident.
    pub fn origin(&self) -> String {
        drill::origin(&self.id)
    }
}

/// An id that says when the drill was and that no other has.
pub fn new_id(now: OffsetDateTime) -> String {
    let when = now
        .format(format_description!("[year][month][day]-[hour][minute][second]"))
        .expect("a time of today can be written");
    format!("{when}-{:08x}", fastrand::u32(..))
}

struct Call {
    name: &'static str,
    read_only: bool,
    parameters: Value,
    pages: bool,
}

/// Somebody looks at a group of models, opens it to everyone and goes. What is named was never there.
fn calls(plan: &Plan, id: &str) -> Vec<Call> {
    let Plan { account, region, names, .. } = plan;
    let group = format!("{names}-{id}");
    let packages = format!("arn:aws:sagemaker:{region}:{account}:model-package/{group}/*");
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Sid": "Drill", "Effect": "Allow", "Principal": "*",
        "Action": ["sagemaker:DescribeModelPackage", "sagemaker:CreateModel"], "Resource": packages}]});
    let call = |name, read_only, parameters, pages| Call { name, read_only, parameters, pages };
    vec![
        call("DescribeModelPackageGroup", true, json!({"modelPackageGroupName": group}), false),
        call(
            "PutModelPackageGroupPolicy",
            false,
            json!({"modelPackageGroupName": group, "resourcePolicy": policy.to_string()}),
            true,
        ),
        call("DeleteModelPackageGroup", false, json!({"modelPackageGroupName": group}), false),
    ]
}

fn record(
    plan: &Plan,
    id: &str,
    key: &FingerprintKey,
    event_id: &str,
    at: OffsetDateTime,
    call: &Call,
) -> Value {
    let Plan { account, region, names, .. } = plan;
    let time = |at: OffsetDateTime| format!("{}Z", &timestamp::format(at)[..19]);
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole", "principalId": format!("AROADRILL:{names}"), "accountId": account,
            "arn": format!("arn:aws:sts::{account}:assumed-role/{names}/{names}"),
            "sessionContext": {
                "sessionIssuer": {"type": "Role", "principalId": "AROADRILL", "accountId": account,
                    "arn": format!("arn:aws:iam::{account}:role/{names}"), "userName": names},
                "attributes": {"creationDate": time(at - Duration::minutes(1)), "mfaAuthenticated": "false"}
            }
        },
        "eventTime": time(at), "eventSource": "sagemaker.amazonaws.com", "eventName": call.name,
        "awsRegion": region, "sourceIPAddress": ADDRESS,
        "userAgent": drill::user_agent(id, event_id, key),
        "requestParameters": call.parameters, "responseElements": null,
        "requestID": new_event_id(), "eventID": event_id,
        "readOnly": call.read_only, "eventType": "AwsApiCall", "managementEvent": true,
        "recipientAccountId": account, "eventCategory": "Management"
    })
}

/// As CloudTrail names its files.
fn object_key(plan: &Plan, now: OffsetDateTime) -> String {
    let Plan { prefix, account, region, .. } = plan;
    let written = |format| OffsetDateTime::format(now, format).expect("a time of today can be written");
    let day = written(format_description!("[year]/[month]/[day]"));
    let minute = written(format_description!("[year][month][day]T[hour][minute]Z"));
    let random: String = std::iter::repeat_with(fastrand::alphanumeric).take(11).collect();
    format!(
        "{prefix}AWSLogs/{account}/CloudTrail/{region}/{day}/{account}_CloudTrail_{region}_{minute}_Drill{random}.json.gz"
    )
}

/// A UUID, as AWS writes them.
fn new_event_id() -> String {
    let digits = format!("{:032x}", fastrand::u128(..));
    let variant = &"89ab"[fastrand::usize(..4)..][..1];
    format!(
        "{}-{}-4{}-{variant}{}-{}",
        &digits[..8],
        &digits[8..12],
        &digits[13..16],
        &digits[17..20],
        &digits[20..]
    )
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use time::macros::datetime;

    use super::*;
    use crate::config::{ContentHash, RedactionConfig, Scope};
    use crate::decode::{Limits, Scratch, decode};
    use crate::enrich::{Enriched, Enricher, Origin, enrich};
    use crate::source::key;

    const NOW: OffsetDateTime = datetime!(2026-11-29 21:05:31 UTC);

    fn key(text: &str) -> FingerprintKey {
        FingerprintKey::load(&RedactionConfig { key: Some(text.repeat(32).into()), key_file: None }).unwrap()
    }

    fn told(prefix: &str) -> Story {
        let plan = Plan {
            bucket: "b".to_owned(),
            prefix: prefix.to_owned(),
            account: "111122223333".to_owned(),
            region: "eu-central-1".to_owned(),
            names: "fire-drill".to_owned(),
            timeout: None,
        };
        Story::tell(&plan, &new_id(NOW), &key("a"), NOW)
    }

    /// Its documents, as a daemon with this key writes them.
    fn shipped(story: &Story, key: FingerprintKey, scope: Scope) -> Vec<(String, Value, usize)> {
        let enricher = Enricher { fingerprint_key: key, ..Enricher::built_in(scope) };
        let limits = Limits { uncompressed_bytes: 1 << 20, record_bytes: 1 << 20 };
        let origin = Origin { path: "s3://b/k", written_at: None, now: NOW };
        let mut shipped = Vec::new();
        let decoded = decode(&story.bytes, &limits, ContentHash::None, &mut Scratch::default(), |raw| {
            if let Enriched::Selected { document, facts, .. } = enrich(raw, origin, &enricher) {
                let source = serde_json::from_slice(&document.source).unwrap();
                shipped.push((document.id.as_str().to_owned(), source, facts.len()));
            }
            ControlFlow::Continue(())
        });
        assert!(decoded.damage.is_none() && decoded.records == 3, "{decoded:?}");
        shipped
    }

    #[test]
    fn a_daemon_with_the_key_stores_it_as_a_drill_that_pages_and_ties_to_nobody() {
        let story = told("");
        for scope in [Scope::All, Scope::Related, Scope::Sagemaker] {
            let shipped = shipped(&story, key("a"), scope);
            let ids: Vec<&str> = shipped.iter().map(|(id, ..)| id.as_str()).collect();
            assert_eq!(ids, story.documents);
            for (id, source, facts) in shipped {
                assert_eq!(
                    (&source["sagemaker"]["drill"], &source["tags"]),
                    (&json!(story.id), &json!(["drill"]))
                );
                assert!(source["message"].as_str().unwrap().starts_with("Drill: "), "{source}");
                let alert = &source["sagemaker"]["alert"];
                for key in ["origin", "principal", "identity"] {
                    assert_eq!(alert[key], story.origin(), "{key}");
                }
                assert_eq!((alert.get("ties"), facts), (None, 0));
                let levels: Vec<&Value> = source["sagemaker"]["findings"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|it| &it["level"])
                    .collect();
                assert_eq!(levels.contains(&&json!("critical")), id == story.worst, "{source}");
            }
        }
    }

    #[test]
    fn to_a_daemon_with_another_key_it_is_an_attack_like_any_other() {
        for (_, source, _) in shipped(&told(""), key("b"), Scope::All) {
            assert_eq!((source["sagemaker"].get("drill"), source.get("tags")), (None, None));
            assert_eq!(source["sagemaker"]["alert"]["origin"], "arn:aws:iam::111122223333:role/fire-drill");
        }
    }

    #[test]
    fn its_key_is_one_of_the_trail_and_no_two_drills_share_anything() {
        for prefix in ["", "org/"] {
            let (one, other) = (told(prefix), told(prefix));
            let named = key::classify(&one.key).unwrap();
            assert_eq!((named.account.as_str(), named.region.as_str()), ("111122223333", "eu-central-1"));
            assert_eq!(named.delivered_at, datetime!(2026-11-29 21:05 UTC));
            assert!(
                one.key.starts_with(&format!(
                    "{prefix}AWSLogs/111122223333/CloudTrail/eu-central-1/2026/11/29/"
                ))
            );
            assert!(one.key != other.key && one.id != other.id && one.documents != other.documents);
        }
    }
}
