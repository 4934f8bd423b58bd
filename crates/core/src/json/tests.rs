//! The library is the reference.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};

use super::*;

fn written(value: &impl Serialize) -> String {
    String::from_utf8(to_bytes(value).unwrap().to_vec()).unwrap()
}

#[derive(Serialize)]
struct Everything<'t> {
    #[serde(rename = "@text")]
    text: &'t str,
    nothing: Option<u8>,
    some: Option<i64>,
    truth: bool,
    part: f64,
    letter: char,
    bytes: (u8, &'t str),
    unit: (),
    variants: Vec<Variant>,
    address: std::net::IpAddr,
    #[serde(flatten)]
    map: BTreeMap<&'t str, Vec<u64>>,
}

#[derive(Serialize)]
enum Variant {
    Alone,
    Of(u8),
}

#[test]
fn each_kind_of_value_is_written_as_the_library_writes_it() {
    let everything = Everything {
        text: "a \"quote\"",
        nothing: None,
        some: Some(-7),
        truth: true,
        part: 0.1,
        letter: '\n',
        bytes: (255, ""),
        unit: (),
        variants: vec![Variant::Alone, Variant::Of(1)],
        address: "2001:db8::1".parse().unwrap(),
        map: BTreeMap::from([("empty", vec![]), ("b\\", vec![1, u64::MAX])]),
    };
    assert_eq!(written(&everything), serde_json::to_string(&everything).unwrap());
    assert!(to_bytes(&BTreeMap::from([(1, 2)])).is_err(), "a number is no name here");
}

proptest! {
    #[test]
    fn any_text_is_written_as_the_library_writes_it(text in r#"([a-z"é😀\\\x00-\x1f\x7f]|[a-z]{15,17}){0,40}"#) {
        let value: Value = json!({ &text: [&text, { "x": &text }] });
        prop_assert_eq!(written(&value), value.to_string());
    }
}
