//! Forms that hold records, and those that hold none.

use super::*;

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
