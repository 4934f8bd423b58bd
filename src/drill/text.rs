//! Reads texts out of answers.

use serde_json::Value;

/// A text of JSON at a pointer.
pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value.pointer(pointer).and_then(Value::as_str)
}
