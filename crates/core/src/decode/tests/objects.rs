//! Any content in any form, however it is unfolded.

use super::*;

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

/// Objects of such contents: plain, in members, with more in their headers, cut, padded, changed, with more behind
/// them.
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
