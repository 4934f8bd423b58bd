//! Whole files, damaged ones and hostile ones.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use sha2::Digest;

use super::*;
use crate::labels::ObjectFailure;

const LIMITS: Limits = Limits { uncompressed_bytes: 64 << 20, record_bytes: 1 << 20 };

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn decode_all(object: &[u8], limits: &Limits) -> (Vec<String>, Decoded) {
    decode_in(object, limits, &mut Scratch::default())
}

fn decode_in(object: &[u8], limits: &Limits, scratch: &mut Scratch) -> (Vec<String>, Decoded) {
    let mut records = Vec::new();
    let decoded = decode(object, limits, ContentHash::Sha256, scratch, |record| {
        records.push(String::from_utf8_lossy(record).into_owned());
        ControlFlow::Continue(())
    });
    (records, decoded)
}

#[test]
fn every_well_formed_file_yields_its_records_in_order_and_no_damage() {
    let cases: &[(&str, &[&str])] = &[
        (r#"{"Records":[]}"#, &[]),
        (r#"{"Records":[{"a":1},{"b":{"c":[{}]}}]}"#, &[r#"{"a":1}"#, r#"{"b":{"c":[{}]}}"#]),
        (" {\n \"Records\" : [\n { } ,\n{\"a\":2}\n] }\n", &["{ }", r#"{"a":2}"#]),
        (r#"{"version":{"Records":[{"no":1}]},"x":[1,"]"],"Records":[{"a":1}],"y":null}"#, &[r#"{"a":1}"#]),
        (r#"{"Records":[{"a":"}{\"\\"},{"b":"\\\""}]}"#, &[r#"{"a":"}{\"\\"}"#, r#"{"b":"\\\""}"#]),
        ("{\"Records\":[{\"a\":1}]}\n{\"Records\":[{\"b\":2}]}", &[r#"{"a":1}"#, r#"{"b":2}"#]),
    ];
    for (file, expected) in cases {
        for object in [file.as_bytes().to_vec(), gzip(file.as_bytes())] {
            let (records, decoded) = decode_all(&object, &LIMITS);
            assert_eq!(records, *expected, "{file}");
            assert_eq!(decoded.damage, None, "{file}");
            assert_eq!(decoded.raw_bytes, file.len() as u64, "{file}");
        }
    }
}

#[test]
fn concatenated_gzip_members_are_one_stream() {
    let (records, decoded) = decode_all(
        &[gzip(br#"{"Records":[{"a":1}"#), gzip(br#",{"b":2}]}"#), gzip(br#"{"Records":[{"c":3}]}"#)]
            .concat(),
        &LIMITS,
    );
    assert_eq!(records, [r#"{"a":1}"#, r#"{"b":2}"#, r#"{"c":3}"#]);
    assert_eq!(decoded.damage, None);
}

#[test]
fn damage_is_named_and_the_records_before_it_are_handed_over() {
    let cases: &[(&str, usize, ObjectFailure)] = &[
        ("", 0, ObjectFailure::NoRecords),
        ("   ", 0, ObjectFailure::NoRecords),
        ("plain text", 0, ObjectFailure::NoRecords),
        ("[{}]", 0, ObjectFailure::NoRecords),
        ("{}", 0, ObjectFailure::NoRecords),
        (r#"{"records":[{}]}"#, 0, ObjectFailure::NoRecords),
        (r#"{"Records":null}"#, 0, ObjectFailure::NoRecords),
        (r#"{"Records":{"a":1}}"#, 0, ObjectFailure::NoRecords),
        (r#"{"Records":[{"a":1}"#, 1, ObjectFailure::MalformedJson),
        (r#"{"Records":[{"a":1},{"b":"#, 1, ObjectFailure::MalformedJson),
        (r#"{"Records":[{"a":1}]"#, 1, ObjectFailure::MalformedJson),
        (r#"{"Records":[{"a":1}]} trailing"#, 1, ObjectFailure::MalformedJson),
        (r#"{"Records":[{"a":1}],7}"#, 1, ObjectFailure::MalformedJson),
        (r#"{"Records" [{"a":1}]}"#, 0, ObjectFailure::MalformedJson),
        (r#"{"Records":[{"a":1},7,null,"x",[{}],{"b":2}]}"#, 2, ObjectFailure::NotAnObject),
        ("\0\0\0", 0, ObjectFailure::NoRecords),
        ("{\"Records\":[{\"a\":1}]}\0\0x", 1, ObjectFailure::MalformedJson),
    ];
    for (file, records, failure) in cases {
        let (found, decoded) = decode_all(file.as_bytes(), &LIMITS);
        let damage = decoded.damage.unwrap_or_else(|| panic!("{file} has damage"));
        assert_eq!(found.len(), *records, "{file}");
        assert_eq!(damage.failure(), *failure, "{file}: {damage}");
    }
}

#[test]
fn gzip_that_is_cut_or_corrupt_keeps_the_records_before_the_damage() {
    let many: Vec<String> =
        (0..20_000).map(|n| format!(r#"{{"n":{n},"x":"{:x}"}}"#, n * 2_654_435_761_u64)).collect();
    let whole = gzip(format!(r#"{{"Records":[{}]}}"#, many.join(",")).as_bytes());

    let (records, decoded) = decode_all(&whole[..whole.len() / 2], &LIMITS);
    assert!(matches!(decoded.damage, Some(Damage::TruncatedGzip { .. })), "{:?}", decoded.damage);
    assert!(records.len() > 100);
    assert_eq!(records, many[..records.len()]);

    let mut corrupt = whole.clone();
    let checksum = corrupt.len() - 6;
    corrupt[checksum] ^= 0xff;
    let (records, decoded) = decode_all(&corrupt, &LIMITS);
    assert!(matches!(decoded.damage, Some(Damage::CorruptGzip { .. })), "{:?}", decoded.damage);
    assert_eq!(records, many);
}

#[test]
fn a_gzip_bomb_is_stopped_at_the_cap_and_a_huge_record_at_its_own() {
    let bomb = gzip(&[b"{\"Records\":[".as_slice(), &vec![b' '; 32 << 20]].concat());
    let limits = Limits { uncompressed_bytes: 1 << 20, record_bytes: 1 << 10 };
    let (_, decoded) = decode_all(&bomb, &limits);
    assert_eq!(decoded.damage, Some(Damage::UncompressedTooLarge { limit: 1 << 20 }));
    assert!(decoded.raw_bytes < 2 << 20);

    let file = format!(r#"{{"Records":[{{"a":1}},{{"b":"{}"}}]}}"#, "x".repeat(2_000));
    let (records, decoded) = decode_all(file.as_bytes(), &limits);
    assert_eq!(records, [r#"{"a":1}"#]);
    assert_eq!(decoded.damage, Some(Damage::RecordTooLarge { index: 1, limit: 1 << 10 }));
}

#[test]
fn breaking_off_stops_without_damage() {
    let mut seen = 0;
    let decoded = decode(
        br#"{"Records":[{"a":1},{"b":2},7"#,
        &LIMITS,
        ContentHash::Sha256,
        &mut Scratch::default(),
        |_| {
            seen += 1;
            ControlFlow::Break(())
        },
    );
    assert_eq!((seen, decoded.damage), (1, None));
}

#[test]
fn a_record_larger_than_the_window_is_handed_over_whole() {
    let large = format!(r#"{{"x":"{}\\"}}"#, "é\\\"".repeat(200_000));
    let file = format!(r#"{{"Records":[{{"a":1}},{large},{{"b":2}}]}}"#);
    let (records, decoded) = decode_all(&gzip(file.as_bytes()), &LIMITS);
    assert_eq!(records, [r#"{"a":1}"#, &large, r#"{"b":2}"#]);
    assert_eq!(decoded.damage, None);
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        decode_all(&bytes, &LIMITS);
        decode_all(&gzip(&bytes), &LIMITS);
        decode_all(&[&[0x1f, 0x8b][..], &bytes].concat(), &LIMITS);
    }

    #[test]
    fn any_json_records_come_out_as_they_went_in(texts in proptest::collection::vec(".*", 0..8)) {
        let records: Vec<String> =
            texts.iter().map(|text| serde_json::json!({ text: [text, {"{": text}] }).to_string()).collect();
        let file = format!(r#"{{"Records":[{}]}}"#, records.join(" , "));
        let (found, decoded) = decode_all(&gzip(file.as_bytes()), &LIMITS);
        prop_assert_eq!(found, records);
        prop_assert_eq!(decoded.damage, None);
    }
}

#[test]
fn records_are_handed_over_without_an_allocation_for_each() {
    let object = |records: usize| {
        gzip(format!(r#"{{"Records":[{}]}}"#, vec![r#"{"a":"b"}"#; records].join(",")).as_bytes())
    };
    let mut scratch = Scratch::default();
    let mut allocations = |records| {
        let object = object(records);
        allocation_counter::measure(|| {
            let decoded =
                decode(&object, &LIMITS, ContentHash::Sha256, &mut scratch, |_| ControlFlow::Continue(()));
            assert_eq!(decoded.records, records as u64);
        })
        .count_total
    };
    assert_eq!(allocations(10_000), allocations(10));
}

#[test]
fn a_member_whose_size_is_a_lie_is_read_as_a_stream() {
    let file = br#"{"Records":[{"a":1},{"b":2}]}"#;
    for size in [0, 5, 1_000, u32::MAX] {
        let mut object = gzip(file);
        let at = object.len() - 4;
        object[at..].copy_from_slice(&size.to_le_bytes());
        let (records, decoded) = decode_all(&object, &LIMITS);
        assert_eq!(records, [r#"{"a":1}"#, r#"{"b":2}"#], "{size}");
        assert!(matches!(decoded.damage, Some(Damage::CorruptGzip { .. })), "{size}: {decoded:?}");
    }
}

#[test]
fn one_scratch_serves_objects_of_every_kind_one_after_the_other() {
    let mut scratch = Scratch::default();
    let large = format!(r#"{{"Records":[{{"a":"{}"}}]}}"#, "x".repeat(900 << 10));
    let bomb = gzip(&vec![b' '; 80 << 20]);
    for (object, records) in [
        (gzip(br#"{"Records":[{"a":1}]}"#), 1),
        (gzip(large.as_bytes()), 1),
        (bomb, 0),
        (br#"{"Records":[{"a":1},{"b":2}]}"#.to_vec(), 2),
        (gzip(br#"{"Records":[{"a":1},{"b":2},{"c":3}]}"#), 3),
    ] {
        let decoded =
            decode(&object, &LIMITS, ContentHash::Sha256, &mut scratch, |_| ControlFlow::Continue(()));
        assert_eq!(decoded.records, records, "{decoded:?}");
    }
}

#[test]
fn the_content_is_hashed_when_it_is_asked_for_however_it_is_read() {
    let file = br#"{"Records":[{"a":1},{"b":2}]}"#;
    let expected: [u8; 32] = sha2::Sha256::digest(file).into();
    let members = [gzip(&file[..9]), gzip(&file[9..])].concat();
    for object in [file.to_vec(), gzip(file), members] {
        for (content_hash, expected) in [(ContentHash::Sha256, Some(expected)), (ContentHash::None, None)] {
            let decoded =
                decode(
                    &object,
                    &LIMITS,
                    content_hash,
                    &mut Scratch::default(),
                    |_| ControlFlow::Continue(()),
                );
            assert_eq!((decoded.records, decoded.sha256), (2, expected));
        }
    }
}

const RECORD: &str =
    r#"{"eventVersion":"1.11","eventSource":"sagemaker.amazonaws.com","eventName":"ListModels"}"#;

/// Object, the records in it, and a part of what is said to be wrong.
type Case = (Vec<u8>, usize, Option<&'static str>);

fn check(cases: Vec<Case>) {
    for (object, records, problem) in cases {
        let shown = String::from_utf8_lossy(&object[..object.len().min(80)]).into_owned();
        let (found, decoded) = decode_all(&object, &LIMITS);
        assert_eq!(found.len(), records, "{shown}: {decoded:?}");
        match (problem, &decoded.damage) {
            (None, damage) => assert_eq!(*damage, None, "{shown}"),
            (Some(part), Some(damage)) => {
                let text = damage.to_string();
                assert!(text.contains(part), "{shown}: {text}");
                assert!(text.len() < 400, "{text}");
            }
            (Some(part), None) => panic!("{shown}: nothing is said about {part}"),
        }
    }
}

#[test]
fn what_is_appended_is_told_unless_it_is_padding_or_another_member_whatever_its_last_bytes_are() {
    let file = br#"{"Records":[{"a":1},{"b":2}]}"#;
    let member = gzip(file);
    let trailer = &member[member.len() - 8..];
    let size = &member[member.len() - 4..];
    let appended = |bytes: &[u8]| [member.as_slice(), bytes].concat();
    check(vec![
        (appended(b"x"), 2, Some("follows the gzip data, which ends after 29 uncompressed bytes")),
        (appended(b"\0\0x"), 2, Some("follows the gzip data")),
        (appended(&[b"hidden", size].concat()), 2, Some("follows the gzip data")),
        (appended(&[b"hidden", trailer].concat()), 2, Some("follows the gzip data")),
        (appended(trailer), 2, Some("follows the gzip data")),
        (appended(&member[..5]), 2, Some("ends too early")),
        (appended(&member[..member.len() - 1]), 4, Some("ends too early")),
        (appended(&[0; 700]), 2, None),
        (appended(&gzip(b"")), 2, None),
        (appended(&[&[0; 512], member.as_slice()].concat()), 4, None),
        ([gzip(b"").as_slice(), &member].concat(), 2, None),
        // The trailer of one member within the garbage behind a forged one.
        ([&member[..member.len() - 8], b"sixteen bytes...", trailer].concat(), 2, Some("corrupt")),
        ([file.as_slice(), &[0; 700]].concat(), 2, None),
        ([file.as_slice(), b"\n\0\0\n"].concat(), 2, None),
        (gzip(&[file.as_slice(), &[0; 700]].concat()), 2, None),
        ([file.as_slice(), b"\0hidden"].concat(), 2, Some("malformed JSON")),
    ]);
}

#[test]
fn a_byte_order_mark_is_passed_over_wherever_a_file_begins() {
    let file = "\u{feff}{\"Records\":[{\"a\":1}]}".as_bytes();
    let twice = [file, file].concat();
    check(vec![
        (file.to_vec(), 1, None),
        (gzip(file), 1, None),
        (twice.clone(), 2, None),
        (gzip(&twice), 2, None),
        ([gzip(file), gzip(file)].concat(), 2, None),
    ]);
    let expected: [u8; 32] = sha2::Sha256::digest(file).into();
    for object in [file.to_vec(), gzip(file)] {
        let (_, decoded) = decode_all(&object, &LIMITS);
        assert_eq!(
            (decoded.sha256, decoded.raw_bytes),
            (Some(expected), file.len() as u64),
            "the mark is content"
        );
    }
}

#[test]
fn records_in_other_wrappings_are_read_where_there_is_no_doubt() {
    let text = serde_json::Value::from(RECORD).to_string();
    let pretty =
        serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(RECORD).unwrap()).unwrap();
    let bridge =
        format!(r#"{{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":{RECORD}}}"#);
    let lookup =
        format!(r#"{{"EventId":"x","EventName":"ListModels","CloudTrailEvent":{text},"Resources":[]}}"#);
    let bridge_text = serde_json::Value::from(bridge.as_str()).to_string();
    let delivery = format!(
        r#"{{"messageType":"DATA_MESSAGE","logGroup":"g","logEvents":[{{"id":"1","message":{text}}},{{"id":"2","message":{bridge_text}}}]}}"#
    );
    let control = r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}"#;
    for (form, records) in [
        (RECORD.to_owned(), 1),
        (pretty.clone(), 1),
        (format!("{RECORD}\n{RECORD}\r\n\n{RECORD}"), 3),
        (format!("{RECORD}{RECORD}"), 2),
        (format!("{pretty}\n{pretty}\n"), 2),
        (format!("[{RECORD},{RECORD}]"), 2),
        ("[]".to_owned(), 0),
        (bridge.clone(), 1),
        (format!("[{bridge},\n{bridge}]"), 2),
        (format!("{bridge}\n{RECORD}\n{bridge}"), 3),
        (format!(r#"{{"Events":[{lookup},{lookup}],"NextToken":"t"}}"#), 2),
        (format!("[{lookup}]"), 1),
        (lookup.clone(), 1),
        (format!("[{text},{text}]"), 2),
        (format!("{text}\n{text}\n"), 2),
        (format!(r#"{{"events":[{{"timestamp":1,"message":{text}}}],"searchedLogStreams":[]}}"#), 1),
        (delivery.clone(), 2),
        (format!("{delivery}{control}{delivery}"), 4),
        (format!("[{delivery}]"), 2),
        (format!(r#"[{{"Records":[{RECORD}]}},{{"Records":[{RECORD},{RECORD}]}}]"#), 3),
        (format!(r#"{{"Records":[{RECORD}]}}{RECORD}"#), 2),
        // A file is one whatever else stands beside its records.
        (format!(r#"{{"eventVersion":"1","eventName":"x","Records":[{RECORD},{RECORD}]}}"#), 2),
        // The telling members may come last.
        (format!(r#"{{"additional":{{"detail":{{}}}},{}"#, &RECORD[1..]), 1),
    ] {
        let utf16 = |unit: fn(u16) -> [u8; 2]| form.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let members = [gzip(&form.as_bytes()[..1]), gzip(&form.as_bytes()[1..])].concat();
        for object in [
            form.as_bytes().to_vec(),
            gzip(form.as_bytes()),
            members,
            gzip(&gzip(form.as_bytes())),
            utf16(u16::to_le_bytes),
            gzip(&utf16(u16::to_be_bytes)),
            [&[0xff, 0xfe], utf16(u16::to_le_bytes).as_slice()].concat(),
            gzip(&gzip(&[&[0xfe, 0xff], utf16(u16::to_be_bytes).as_slice()].concat())),
        ] {
            let (found, decoded) = decode_all(&object, &LIMITS);
            assert_eq!((found.len(), &decoded.damage), (records, &None), "{form}");
            for record in found {
                let value: serde_json::Value = serde_json::from_str(&record).unwrap();
                assert_eq!(value["eventName"], "ListModels", "{form}");
            }
        }
    }
}

#[test]
fn what_wraps_no_record_is_named_by_its_members_alone_and_keeps_nothing_else_from_being_read() {
    let secret = r#"{"password":"hunter2","a\nb":1,"c":2,"d":3,"e":4,"f":5,"g":6}"#;
    let (_, decoded) = decode_all(secret.as_bytes(), &LIMITS);
    let text = decoded.damage.unwrap().to_string();
    assert!(text.contains("the members `password`, `a?nb`, `c`, `d`, `e`, `f`, …"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    check(vec![
        (b"{}".to_vec(), 0, Some("no members")),
        (br#"{"eventName":"click"}"#.to_vec(), 0, Some("`eventName`")),
        (
            br#"{"detail-type":"GuardDuty Finding","detail":{"schemaVersion":"2.0"}}"#.to_vec(),
            0,
            Some("`schemaVersion`"),
        ),
        (br#"{"logEvents":[{"message":"GET / 200"}]}"#.to_vec(), 0, Some("`message`")),
        (br#"{"Events":[{"CloudTrailEvent":"{\"a\":1}"}]}"#.to_vec(), 0, Some("`CloudTrailEvent`")),
        (br#"{"awslogs":{"data":"H4sI"}}"#.to_vec(), 0, Some("`awslogs`")),
        (
            format!("{RECORD}\n{{\"a\":1}}\n{RECORD}").into_bytes(),
            2,
            Some("after 1 record(s) comes an object"),
        ),
        (format!("[{RECORD},7,{RECORD}]").into_bytes(), 2, Some("element 1 of")),
        (format!("[[{RECORD}]]").into_bytes(), 0, Some("element 0 of")),
        (format!("{RECORD}\n{}", &RECORD[..20]).into_bytes(), 1, Some("malformed JSON")),
    ]);
}

#[test]
fn a_text_that_was_cut_is_handed_over_to_be_rejected() {
    let cut = serde_json::Value::from(&RECORD[..60]).to_string();
    let (found, decoded) =
        decode_all(format!(r#"{{"logEvents":[{{"message":{cut}}}]}}"#).as_bytes(), &LIMITS);
    assert_eq!((found, decoded.damage), (vec![RECORD[..60].to_owned()], None));
}

#[test]
fn half_a_character_is_the_replacement_character_in_a_text_and_in_utf16() {
    let lookup = r#"[{"CloudTrailEvent":"{\"eventSource\":\"s\",\"eventName\":\"\ud83d\"}"}]"#;
    let (found, decoded) = decode_all(lookup.as_bytes(), &LIMITS);
    assert_eq!(decoded.damage, None);
    assert!(found[0].contains('\u{fffd}'), "{found:?}");
    let mut units: Vec<u16> = r#"{"eventSource":"s","eventName":"?"}"#.encode_utf16().collect();
    let mark = units.iter().position(|&unit| unit == u16::from(b'?')).unwrap();
    units[mark] = 0xd83d;
    let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let (found, _) = decode_all(&bytes, &LIMITS);
    assert_eq!(found, ["{\"eventSource\":\"s\",\"eventName\":\"\u{fffd}\"}"]);
    check(vec![
        ([bytes.as_slice(), b"\0"].concat(), 1, None),
        ([bytes.as_slice(), b"\0\0\0\0"].concat(), 1, None),
        ([bytes.as_slice(), b"x"].concat(), 1, Some("ends inside a character")),
    ]);
}

#[test]
fn each_other_format_is_named_plain_and_inside_gzip() {
    let cases: &[(&[u8], &str)] = &[
        (b"\x28\xb5\x2f\xfdxxxx", "compressed with zstd"),
        (b"BZh91AY&SY", "bzip2"),
        (b"\xfd7zXZ\0\0\x04", "compressed with xz"),
        (b"\x04\x22\x4d\x18xxxx", "lz4"),
        (b"\xff\x06\0\0sNaPpYxxx", "snappy"),
        (b"\x78\x9cxxx", "zlib"),
        (b"PK\x03\x04\x14\0", "zip archive, and not a CloudTrail file: unpack it"),
        (b"PAR1xxxxPAR1", "Parquet"),
        (b"ORC\x0a", "ORC"),
        (b"Obj\x01\x04", "Avro"),
        (b"\xff\xfe\0\0{\0\0\0", "UTF-32"),
        (b"{\0\0\0\"\0\0\0", "UTF-32"),
        (b"H4sIAAAAAAAAA", "base64 text of gzip"),
        (b"<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>", "error document of S3"),
        (b"<!DOCTYPE html><html>", "page of HTML"),
        (b"<a/>", "it is XML"),
        (b"Event ID,Event time,User name\n1,2,3", "comma-separated"),
        (b"Records: []", "text that is not JSON"),
        (b"\x80\x81\x82", "binary data"),
    ];
    for (bytes, name) in cases {
        check(vec![
            (bytes.to_vec(), 0, Some(name)),
            (gzip(bytes), 0, Some(name)),
            (gzip(&gzip(bytes)), 0, Some(name)),
        ]);
    }
    check(vec![(gzip(&gzip(&gzip(RECORD.as_bytes()))), 0, Some("gzip within gzip within gzip"))]);
    let mut tar = vec![b'a'; 512];
    tar[257..262].copy_from_slice(b"ustar");
    check(vec![(tar, 0, Some("tar archive"))]);
}

#[test]
fn wrappings_within_wrappings_exhaust_no_stack() {
    for opening in [r#"{"Events":["#, r#"{"detail":"#, r#"{"logEvents":[{"detail":"#, "["] {
        let (records, decoded) = decode_all(opening.repeat(100_000).as_bytes(), &LIMITS);
        assert!(records.is_empty() && decoded.damage.is_some(), "{opening}");
    }
}

#[test]
fn a_large_object_that_is_no_record_is_passed_in_one_window() {
    let line = vec![b'x'; 20 << 20];
    let file = [br#"{"eventName":1,"junk":""#, line.as_slice(), br#"","Records":[{"a":1}]}"#].concat();
    let mut scratch = Scratch::default();
    let memory = allocation_counter::measure(|| {
        let (records, decoded) = decode_in(&file, &LIMITS, &mut scratch);
        assert_eq!((records.len(), decoded.damage), (1, None));
    });
    assert!(memory.bytes_max < 4 << 20, "{}", memory.bytes_max);
}

/// Contents as files have them, and as somebody damages them.
fn any_content() -> impl Strategy<Value = Vec<u8>> {
    let record = prop_oneof![
        Just(RECORD.to_owned()),
        "[a-z😀]{0,200}".prop_map(|text| format!(r#"{{"eventSource":"s","x":"{text}","eventName":"n"}}"#)),
        Just(r#"{"a":1}"#.to_owned()),
        Just("7".to_owned()),
    ];
    (proptest::collection::vec(record, 0..6), 0..6_u8, 0..8_u8, any::<proptest::sample::Index>()).prop_map(
        |(records, form, harm, at)| {
            let mut content = match form {
                0..=2 => format!(r#"{{"Records":[{}]}}"#, records.join(",")),
                3 => records.join("\n"),
                4 => format!("[{}]", records.join(",")),
                _ => format!(r#"{{"logEvents":[{}]}}"#, records.join(",")),
            }
            .into_bytes();
            match harm {
                0 => content.truncate(at.index(content.len() + 1)),
                1 => content.extend([0; 600]),
                2 => content.extend(b"\0\0garbage"),
                3 => content = [UTF8_MARK, &content].concat(),
                4 => {
                    content = String::from_utf8(content)
                        .unwrap()
                        .encode_utf16()
                        .flat_map(u16::to_le_bytes)
                        .collect();
                }
                _ => {}
            }
            content
        },
    )
}

/// Objects of such contents: plain, in members, with more in their headers, cut, padded, changed, with more behind them.
fn any_object() -> impl Strategy<Value = Vec<u8>> {
    let index = any::<proptest::sample::Index>;
    (any_content(), 0..7_u8, 0..9_u8, index(), any::<u8>()).prop_map(|(content, shape, harm, at, byte)| {
        let (first, second) = content.split_at(at.index(content.len() + 1));
        let with_header = |checksum: u8| {
            let mut encoder = flate2::GzBuilder::new()
                .extra(b"extra".as_slice())
                .filename("name")
                .comment("comment")
                .write(Vec::new(), Compression::fast());
            encoder.write_all(&content).unwrap();
            let mut object = encoder.finish().unwrap();
            let end = 10 + 2 + 5 + 5 + 8;
            object[3] |= 2;
            let mut sum = libdeflater::Crc::new();
            sum.update(&object[..end]);
            let sum = u16::try_from(sum.sum() & 0xffff).unwrap().to_le_bytes();
            object.splice(end..end, [sum[0] ^ checksum, sum[1]]);
            object
        };
        let mut object = match shape {
            0 => content.clone(),
            1 => gzip(&content),
            2 => [gzip(first), gzip(second)].concat(),
            3 => [gzip(b""), gzip(first), vec![0; 20], gzip(second), gzip(b"")].concat(),
            4 => with_header(0),
            5 => with_header(1),
            _ => gzip(&gzip(&content)),
        };
        match harm {
            0 => object.truncate(at.index(object.len() + 1)),
            1 => object.extend([0; 600]),
            2 => object
                .extend([b"garbage".as_slice(), &object.clone()[object.len().saturating_sub(8)..]].concat()),
            3 => object.extend(object.clone()[object.len().saturating_sub(4)..].to_vec()),
            4 if !object.is_empty() => {
                let at = at.index(object.len());
                object[at] ^= byte;
            }
            _ => {}
        }
        object
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn neither_the_way_nor_the_size_of_the_window_changes_what_comes_out(
        object in any_object(),
        uncompressed_bytes in prop_oneof![Just(1_u64 << 20), 0..800_u64],
        record_bytes in prop_oneof![Just(1_usize << 20), 20..120_usize],
    ) {
        let limits = Limits { uncompressed_bytes, record_bytes };
        let by = |window, whole| {
            let (records, Decoded { damage, sha256, .. }) =
                decode_in(&object, &limits, &mut Scratch::new(window, whole));
            assert!(records.iter().all(|record| record.len() <= record_bytes), "no record is over its cap");
            (records, damage, sha256)
        };
        let expected = by(256 * 1024, 8 << 20);
        for window in [1, 2, 3, 7, 64, 97, 500, 4096, 256 * 1024] {
            prop_assert_eq!(&by(window, 0), &expected, "a window of {} bytes", window);
            prop_assert_eq!(&by(window, 8 << 20), &expected, "inflated whole, then a window of {} bytes", window);
        }
    }

    #[test]
    fn compression_changes_nothing_of_what_comes_out(content in any_content()) {
        let (expected, plain) = decode_all(&content, &LIMITS);
        let (found, compressed) = decode_all(&gzip(&content), &LIMITS);
        prop_assert_eq!(found, expected);
        prop_assert_eq!(compressed, plain);
    }
}
