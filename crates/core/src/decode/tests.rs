//! Whole files, damaged ones and hostile ones.

mod forms;
mod objects;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use sha2::Digest;

use super::*;
use crate::labels::ObjectFailure;

const LIMITS: Limits = Limits { uncompressed_bytes: 64 << 20, record_bytes: 1 << 20 };

const RECORD: &str =
    r#"{"eventVersion":"1.11","eventSource":"sagemaker.amazonaws.com","eventName":"ListModels"}"#;

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
        // Before what is no UTF-8 is written out, which makes it longer.
        assert!(record.len() <= limits.record_bytes, "no record is over its cap");
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
