//! Writes names so that they mean nothing in a page or a link.

use std::borrow::Cow;
use std::fmt::Write;

use super::super::quoted::is_invisible;

/// Stands where a record names no principal or no resource.
pub const NONE: &str = "none";
/// Bytes of a value that are kept: longer than any ARN, and short enough for a page.
const MAX_BYTES: usize = 512;

/// The part of a name that is kept.
pub fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_BYTES)]
}

/// What is written as in a URL: quotes and escapes of JSON, of queries and of the state in Dashboards' URLs (`!`), the
/// syntax of chats and mails, and the sign that begins such an escape, so that two names never have one key.
const WRITTEN_AS_IN_URLS: &[char] = &['"', '\\', '\'', '!', '<', '>', '&', '|', '`', '%'];

/// A name that means nothing in a page or a link: itself, if it is made of what names and ARNs are made of; else with
/// the rest written as in URLs.
pub fn plain(name: &str) -> Cow<'_, str> {
    // Nearly every name is one of these, and this is several times faster to find out.
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b':' | b'@');
    let needs_escape = |character: char| WRITTEN_AS_IN_URLS.contains(&character) || is_invisible(character);
    if name.bytes().all(is_plain) || !name.contains(needs_escape) {
        return Cow::Borrowed(name);
    }
    let mut plain = String::with_capacity(name.len() + 16);
    for character in name.chars() {
        if needs_escape(character) {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(plain, "%{byte:02X}");
            }
        } else {
            plain.push(character);
        }
    }
    Cow::Owned(plain)
}
