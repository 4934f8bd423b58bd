use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Writes a value in a layout that the bits choose: whitespace, the order of members, and escapes.
struct Layout {
    bits: u64,
    text: String,
}

impl Layout {
    fn of(value: &Value, bits: u64) -> String {
        let mut layout = Self { bits, text: String::new() };
        layout.write(value);
        layout.text
    }

    fn choose(&mut self, choices: u64) -> u64 {
        self.bits = self.bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.bits >> 33) % choices
    }

    fn blank(&mut self) {
        for _ in 0..self.choose(3) {
            let blank = [' ', '\n', '\t', '\r'][usize::try_from(self.choose(4)).unwrap()];
            self.text.push(blank);
        }
    }

    fn write(&mut self, value: &Value) {
        self.blank();
        match value {
            Value::Array(elements) => {
                self.text.push('[');
                self.list(elements, Self::write);
                self.text.push(']');
            }
            Value::Object(members) => {
                let mut members: Vec<(&String, &Value)> = members.iter().collect();
                for last in (1..members.len()).rev() {
                    let other = usize::try_from(self.choose(last as u64 + 1)).unwrap();
                    members.swap(last, other);
                }
                self.text.push('{');
                self.list(&members, |layout, (name, value)| {
                    layout.blank();
                    layout.string(name);
                    layout.blank();
                    layout.text.push(':');
                    layout.write(value);
                });
                self.text.push('}');
            }
            Value::String(text) => self.string(text),
            other => self.text.push_str(&other.to_string()),
        }
        self.blank();
    }

    fn list<T>(&mut self, elements: &[T], write: impl Fn(&mut Self, &T)) {
        for (position, element) in elements.iter().enumerate() {
            if position > 0 {
                self.text.push(',');
            }
            write(self, element);
        }
        self.blank();
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            if self.choose(3) == 0 {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let escape =
                        if self.choose(2) == 0 { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") };
                    self.text.push_str(&escape);
                }
            } else {
                let quoted = Value::String(character.to_string()).to_string();
                self.text.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
        self.text.push('"');
    }
}

fn values() -> impl Strategy<Value = Value> {
    let text = prop_oneof!["[a-c\"\\\\/\n\u{1}é\u{1f600}\u{fffd}]{0,4}", "[a-z]{0,3}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| json!(number)),
        any::<i16>().prop_map(|number| json!(f64::from(number) / 4.0)),
        text.clone().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((text.clone(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn a_record_has_one_text_in_every_layout(value in values(), bits in any::<[u64; 2]>()) {
        let [one, other] = bits.map(|bits| Layout::of(&value, bits));
        prop_assert_eq!(serde_json::from_str::<Value>(&one).unwrap(), value);
        prop_assert_eq!(canonical(one.as_bytes()), canonical(other.as_bytes()));
    }

    #[test]
    fn two_records_that_say_something_else_have_two_texts(one in values(), other in values(), bits in any::<[u64; 2]>()) {
        let texts = (Layout::of(&one, bits[0]), Layout::of(&other, bits[1]));
        // How a number is written counts; one value is always written alike here.
        let is_same = canonical(texts.0.as_bytes()) == canonical(texts.1.as_bytes());
        prop_assert_eq!(is_same, one == other, "{} {}", texts.0, texts.1);
    }

    #[test]
    fn any_bytes_have_a_text(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\":,\\u1 ".to_vec())], 0..60)) {
        canonical(&bytes);
    }
}

#[test]
fn what_a_parser_forgets_makes_a_record_another() {
    for (one, other) in [
        (r#"{"a":1}"#, r#"{"a":1.0}"#),
        (r#"{"a":1.0}"#, r#"{"a":1.00}"#),
        (r#"{"a":1}"#, r#"{"a":"1"}"#),
        (r#"{"a":1}"#, r#"{"a":1,"a":1}"#),
        (r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#),
        (r#"{"a":"\ud83d"}"#, r#"{"a":"\ud83e"}"#),
        (r#"{"a":"\ud83d"}"#, r#"{"a":"\ufffd"}"#),
        (r#"{"a":"\ud83d"}"#, r#"{"a":"\\ud83d"}"#),
        (r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ude00\ud83d"}"#),
        (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
        (r#"{"a":[[],1]}"#, r#"{"a":[[1]]}"#),
        (r#"{"a":{"b":1},"c":2}"#, r#"{"a":{"b":1,"c":2}}"#),
        (r#"{"a":"b\",\"c\":\"d"}"#, r#"{"a":"b","c":"d"}"#),
        (r#"{"a":null}"#, r"{}"),
        (r#"{"a":""}"#, r#"{"":"a"}"#),
    ] {
        assert_ne!(canonical(one.as_bytes()), canonical(other.as_bytes()), "{one} {other}");
    }
}

#[test]
fn what_a_layout_is_makes_a_record_no_other() {
    for (one, other) in [
        (r#"{"a":1,"b":[{"d":1,"c":2}]}"#, "{ \"b\" : [ {\"c\":2 ,\r\n\"d\":1} ],\t\"a\":1 }\n"),
        (r#"{"a":"/é😀\n"}"#, r#"{"\u0061":"\/\u00e9\uD83D\uDE00\u000a"}"#),
        (r#"{"b":0,"a":1,"a":2}"#, r#"{"a":1,"b":0,"a":2}"#),
        (r#"{"a":"\uD83D"}"#, r#"{"a":"\ud83d"}"#),
    ] {
        assert_eq!(canonical(one.as_bytes()), canonical(other.as_bytes()), "{one} {other}");
    }
}
