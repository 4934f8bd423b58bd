//! Artefacts of models: the places in S3 where they lie, and the records that read there.
//!
//! A place is a bucket with at most two folders. Folders whose names differ in a number, a date or a random token are
//! one series, so that the job of each night is no place of its own.

use time::OffsetDateTime;

use super::context::Context;
use super::context::location::parts;
use super::path::listed_arns;
use crate::memory::{Key, LEARNING, OLDEST, Stamp, State};
use crate::record::Record;

/// Of a bucket, the places of artefacts in it.
pub const ARTEFACTS: &str = "artefacts";
/// Of a role, the places that calls of SageMaker gave it to work with.
pub const GIVEN: &str = "given_places";
/// Of an identity, the places that it has read.
pub const READ: &str = "read_places";
/// What `sagemaker.touches` and `sagemaker.first` call an artefact.
pub const NAME: &str = "artefact";

const MOST_FOLDERS: usize = 2;

/// Kinds of jobs that write models.
const TRAINING: [&str; 6] = [
    "training-job",
    "hyper-parameter-tuning-job",
    "automl-job",
    "compilation-job",
    "edge-packaging-job",
    "optimization-job",
];

/// The places where a call of SageMaker has a model taken from, or written by training.
pub fn artefacts(context: &Context<'_>) -> Vec<String> {
    let kind = context.resource.as_ref().and_then(|resource| resource.kind.as_deref());
    let trains = kind.is_some_and(|kind| TRAINING.contains(&kind));
    let outputs = context.s3.outputs.iter().filter(|_| trains);
    distinct(context.s3.models.iter().chain(outputs))
}

/// All places that a call of SageMaker names.
pub fn places(context: &Context<'_>) -> Vec<String> {
    let s3 = &context.s3;
    distinct(s3.models.iter().chain(s3.outputs.iter()).chain(s3.inputs.iter()).chain(s3.code.iter()))
}

fn distinct<'t>(locations: impl Iterator<Item = &'t &'t str>) -> Vec<String> {
    let mut places: Vec<String> = locations.filter_map(|location| of_location(location)).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// The place that a record of S3 has read, or copied something from.
pub fn read_by(record: &Record<'_>) -> Option<String> {
    if record.event_source() != "s3.amazonaws.com" || record.text(&["errorCode"]).is_some() {
        return None;
    }
    let request = |member| record.text(&["requestParameters", member]);
    match record.event_name() {
        "GetObject" | "GetObjectTorrent" | "SelectObjectContent" => {
            // The request may name an access point, and the list names the bucket.
            let object = listed_arns(record).find_map(|arn| {
                arn.resource.split_once('/').filter(|_| arn.service == "s3" && arn.account.is_empty())
            });
            let (bucket, key) = object.or_else(|| Some((request("bucketName")?, request("key")?)))?;
            Some(place(bucket, folder(key)))
        }
        "CopyObject" | "UploadPartCopy" => {
            let source = request("x-amz-copy-source")?;
            let (bucket, key) = source.trim_start_matches('/').split_once('/')?;
            (!bucket.contains(':')).then(|| place(bucket, folder(key)))
        }
        _ => None,
    }
}

/// The bucket of a place.
pub fn bucket(place: &str) -> Key {
    let bucket = place.split('/').next().unwrap_or(place);
    Key::resource(&format!("arn:aws:s3:::{bucket}"))
}

/// Whether a place lies in a bucket.
pub fn is_in(place: &str, bucket: &str) -> bool {
    place.strip_prefix(bucket).is_some_and(|rest| rest.starts_with('/'))
}

/// A read of a place where artefacts lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The identity has not read there before.
    First(Expected),
    /// It has, or has read so many places that no more are kept.
    Repeated,
}

/// Whether it was to be expected that somebody new reads there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A call gave the place to the caller's role, or the place itself is new.
    Yes,
    No,
}

/// How a record reads a place, by what is known of its bucket and of the caller; none where no artefact lies there.
pub fn reading(
    record: &Record<'_>,
    time: OffsetDateTime,
    place: &str,
    bucket: &State,
    identity: Option<&State>,
    role: Option<&State>,
) -> Option<Reading> {
    let since = since(bucket, place)?;
    // It comes before the record's own stamp, which ends in more than the event's id: a record that is delivered again
    // was not read before.
    let at = Stamp::of(time, record.text(&["eventID"]).unwrap_or_default());
    let mut told = State::default();
    told.add_oldest(READ, &at, place);
    if identity.is_some_and(|identity| identity.knows(&told)) {
        return Some(Reading::Repeated);
    }
    let is_given = role.is_some_and(|role| covers(role, GIVEN, place).next().is_some());
    let is_settled = since.time().is_some_and(|since| since + LEARNING <= time);
    Some(Reading::First(if is_settled && !is_given { Expected::No } else { Expected::Yes }))
}

/// Since when artefacts lie in a place, as far as memory tells. Where more places are known than are kept, it may be
/// any.
fn since<'s>(bucket: &'s State, place: &'s str) -> Option<&'s Stamp> {
    let known = || bucket.members(ARTEFACTS).map(|(_, at)| at);
    let is_full = known().count() >= OLDEST;
    covers(bucket, ARTEFACTS, place).min().or_else(|| known().min().filter(|_| is_full))
}

fn covers<'s>(state: &'s State, set: &str, place: &'s str) -> impl Iterator<Item = &'s Stamp> {
    state.members(set).filter(move |(known, _)| place.starts_with(known)).map(|(_, at)| at)
}

/// The place of a location in a request, of which the last part is a file if it looks like one.
fn of_location(location: &str) -> Option<String> {
    let (bucket, key) = parts(location)?;
    let is_file = key.rsplit('/').next().is_some_and(|last| last.contains('.'));
    Some(place(bucket, if is_file { folder(key) } else { key }))
}

/// The folder of an object.
fn folder(key: &str) -> &str {
    key.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn place(bucket: &str, folder: &str) -> String {
    let mut place = format!("{}/", bucket.to_ascii_lowercase());
    for name in folder.split('/').filter(|name| !name.is_empty()).take(MOST_FOLDERS) {
        push_series(&mut place, name);
        place.push('/');
    }
    place
}

/// Adds a name, with `#` for each of its parts that has a digit.
fn push_series(place: &mut String, name: &str) {
    for part in name.split_inclusive(['-', '_', '.', '=']) {
        let text = part.trim_end_matches(['-', '_', '.', '=']);
        place.push_str(if text.bytes().any(|byte| byte.is_ascii_digit()) { "#" } else { text });
        place.push_str(&part[text.len()..]);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-20 12:00 UTC);

    #[test]
    fn a_place_is_a_bucket_with_two_folders_in_which_numbers_make_no_difference() {
        for (location, expected) in [
            ("s3://acme-models/churn/v1/model.tar.gz", Some("acme-models/churn/#/")),
            ("s3://Acme/churn/v1/deeper/model.tar.gz", Some("acme/churn/#/")),
            ("s3://acme/churn-2026-11-10-0/output/model.tar.gz", Some("acme/churn-#-#-#-#/output/")),
            ("s3://acme/pipelines-k2x9-Train/output", Some("acme/pipelines-#-Train/output/")),
            ("s3://acme/out/", Some("acme/out/")),
            ("s3://acme/llama", Some("acme/llama/")),
            ("s3://acme/model.tar.gz", Some("acme/")),
            ("s3://acme", Some("acme/")),
            ("https://acme.s3.eu-west-1.amazonaws.com/a/m.tar.gz", Some("acme/a/")),
            ("https://example.com/a", None),
        ] {
            assert_eq!(of_location(location).as_deref(), expected, "{location}");
        }
    }

    fn record(name: &str, second: u8, id: &str, request: &serde_json::Value) -> String {
        json!({"eventSource": "s3.amazonaws.com", "eventName": name, "eventID": id, "requestParameters": request,
            "eventTime": format!("2026-11-20T12:00:{second:02}Z")})
        .to_string()
    }

    #[test]
    fn the_place_of_what_is_read_or_copied_is_found() {
        let of = |name: &str, request: serde_json::Value| {
            let raw = record(name, 0, "1", &request);
            read_by(&Record::parse(raw.as_bytes()).unwrap())
        };
        let object = json!({"bucketName": "acme", "key": "a/b/c/m.pth"});
        let copied =
            json!({"bucketName": "loot", "key": "x", "x-amz-copy-source": "/acme/a/m.pth?versionId=1"});
        assert_eq!(of("GetObject", object.clone()).as_deref(), Some("acme/a/b/"));
        assert_eq!(of("CopyObject", copied).as_deref(), Some("acme/a/"));
        assert_eq!(of("PutObject", object.clone()), None);
        let mut denied: serde_json::Value =
            serde_json::from_str(&record("GetObject", 0, "1", &object)).unwrap();
        denied["errorCode"] = json!("AccessDenied");
        assert_eq!(read_by(&Record::parse(denied.to_string().as_bytes()).unwrap()), None);
    }

    fn bucket_with(places: impl IntoIterator<Item = String>, since: OffsetDateTime) -> State {
        let mut bucket = State::default();
        for place in places {
            bucket.add_oldest(ARTEFACTS, &Stamp::of(since, "0"), place);
        }
        bucket
    }

    fn read(
        second: u8,
        id: &str,
        bucket: &State,
        identity: Option<&State>,
        role: Option<&State>,
    ) -> Option<Reading> {
        let raw = record("GetObject", second, id, &json!({"bucketName": "acme", "key": "a/b/m.pth"}));
        let record = Record::parse(raw.as_bytes()).unwrap();
        let time = NOW + Duration::seconds(second.into());
        let place = read_by(&record).unwrap();
        reading(&record, time, &place, bucket, identity, role)
    }

    #[test]
    fn only_the_first_read_of_an_identity_counts_whatever_comes_late_or_twice() {
        let bucket = bucket_with(["acme/a/".to_owned()], NOW - LEARNING);
        let mut identity = State::default();
        identity.add_oldest(READ, &Stamp::of(NOW + Duration::seconds(5), "m-hash"), "acme/a/b/");
        let first = Some(Reading::First(Expected::No));
        for (second, id, expected) in [
            (5, "m", first),
            (4, "z", first),
            (5, "a", first),
            (5, "n", Some(Reading::Repeated)),
            (6, "a", Some(Reading::Repeated)),
        ] {
            assert_eq!(read(second, id, &bucket, Some(&identity), None), expected, "{second} {id}");
        }
        assert_eq!(read(0, "a", &bucket, None, None), first);
    }

    #[test]
    fn a_place_that_is_new_or_given_to_the_role_is_read_as_expected_and_any_other_is_none_of_a_model() {
        let expected = Some(Reading::First(Expected::Yes));
        let settled = bucket_with(["acme/a/".to_owned()], NOW - LEARNING);
        let mut role = State::default();
        role.add_newest(GIVEN, &Stamp::of_day(NOW), "acme/a/b/");
        assert_eq!(read(0, "a", &settled, None, Some(&role)), expected);
        assert_eq!(read(0, "a", &bucket_with(["acme/".to_owned()], NOW), None, None), expected);
        let elsewhere = bucket_with(["acme/other/".to_owned()], NOW - LEARNING);
        assert_eq!(read(0, "a", &elsewhere, None, None), None);
        // With more places than are kept it may be any.
        let full = bucket_with((0..OLDEST).map(|number| format!("acme/{number}/")), NOW - LEARNING);
        assert_eq!(read(0, "a", &full, None, None), Some(Reading::First(Expected::No)));
    }

    #[test]
    fn an_identity_that_read_more_places_than_are_kept_is_no_news() {
        let bucket = bucket_with(["acme/".to_owned()], NOW - LEARNING);
        let mut identity = State::default();
        for number in 0..OLDEST {
            identity.add_oldest(READ, &Stamp::of(NOW - LEARNING, "0"), format!("acme/{number}/"));
        }
        assert_eq!(read(0, "a", &bucket, Some(&identity), None), Some(Reading::Repeated));
    }
}
