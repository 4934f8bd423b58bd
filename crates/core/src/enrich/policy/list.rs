//! Reads the lists of a policy, in which one element may stand for itself.

use serde_json::Value;

/// The elements of a list, or what stands in place of a list of one.
pub fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter()
}
