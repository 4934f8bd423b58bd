//! Puts names into lower case without allocating anything for it.

/// Bytes of a name that fit on the stack; no name of the API is longer.
const NAME_BYTES: usize = 64;

/// Calls the function with the name in lower case, as far as its letters are ASCII's.
pub fn with_lower<T>(name: &str, function: impl FnOnce(&str) -> T) -> T {
    let mut buffer = [0; NAME_BYTES];
    let Some(lower) = buffer.get_mut(..name.len()) else { return function(&name.to_ascii_lowercase()) };
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    function(std::str::from_utf8(lower).expect("letters of ASCII alone have changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_any_length_and_script_is_put_into_lower_case() {
        for name in
            ["", "roleArn", "VPCId", "GrößeÄ", "X".repeat(NAME_BYTES).as_str(), "Xé".repeat(40).as_str()]
        {
            assert_eq!(with_lower(name, str::to_owned), name.to_ascii_lowercase());
        }
    }
}
