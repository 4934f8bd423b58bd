//! Reads whole numbers within what a field of OpenSearch's type `long` holds, and knows values that need not be said.

use serde_json_borrow::Value;

/// The largest number that a field of type `long` takes. OpenSearch would refuse the whole document for a larger one.
pub const MAX_LONG: u64 = i64::MAX as u64;

/// A member of an object whatever the case of its name; null where there is none.
pub fn any_case<'v, 'r>(value: &'v Value<'r>, name: &str) -> &'v Value<'r> {
    let members = value.as_object().into_iter().flat_map(serde_json_borrow::ObjectAsVec::iter);
    let mut found = members.filter(|(known, _)| known.eq_ignore_ascii_case(name));
    found.next().map_or(&Value::Null, |(_, value)| value)
}

/// A whole number that fits its field.
pub fn whole(value: &Value<'_>) -> Option<u64> {
    value.as_u64().map(|number| number.min(MAX_LONG))
}

/// Adds a number to a sum. Null and whatever else is no whole number adds nothing.
pub fn add(sum: &mut Option<u64>, value: &Value<'_>) {
    if let Some(number) = whole(value) {
        *sum = Some(sum.unwrap_or(0).saturating_add(number).min(MAX_LONG));
    }
}

/// Whether a value is what its kind has without any, so that a document need not say it.
pub fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Whether the API calls a setting enabled.
pub fn is_enabled(text: &str) -> bool {
    text.eq_ignore_ascii_case("Enabled")
}
