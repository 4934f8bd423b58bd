//! Finds members of a record in its bytes, before it is parsed.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::lanes::{Byte, all_stops};

/// Finds the quoted name of the member that names the service.
pub static EVENT_SOURCE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"eventSource\""));
/// Finds the quoted name of the member that names the call.
pub static EVENT_NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"eventName\""));
/// How the names of both begin, with its rarest letter behind so many others.
const EVENT: &[u8; 6] = b"\"event";
type Letter = Byte<b'v'>;
const LETTERS_BEFORE: usize = 2;

/// What the bytes name as service and call, if they name one of each at whatever depth, in one search for both. None
/// where they name several, or one with escapes.
pub fn only_call(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut source, mut name) = (None, None);
    // A search for a whole name begins anew behind each, which is more than this for the dozen that a record has.
    let is_clear = all_stops::<Letter>(raw, |at| {
        let from = at.saturating_sub(LETTERS_BEFORE);
        let Some((EVENT, rest)) = raw[from..].split_first_chunk() else { return true };
        let (known, behind) = if let Some(behind) = rest.strip_prefix(b"Source\"") {
            (&mut source, behind)
        } else if let Some(behind) = rest.strip_prefix(b"Name\"") {
            (&mut name, behind)
        } else {
            return true;
        };
        match text_behind(behind) {
            Some(Text::Plain(text)) if known.is_none_or(|known| known == text) => {
                *known = Some(text);
                true
            }
            text => text.is_none(),
        }
    });
    source.zip(name).filter(|_| is_clear)
}

/// Whether any member of that (quoted) name, at any depth, has a text that fits. A text with escapes always fits.
pub fn any_text_member(raw: &[u8], quoted_name: &Finder<'_>, mut fits: impl FnMut(&[u8]) -> bool) -> bool {
    quoted_name.find_iter(raw).any(|at| match text_behind(&raw[at + quoted_name.needle().len()..]) {
        Some(Text::Plain(text)) => fits(text),
        Some(Text::Escaped) => true,
        None => false,
    })
}

/// A text in the bytes of a record.
enum Text<'r> {
    Plain(&'r [u8]),
    /// With escapes, or without an end.
    Escaped,
}

/// The text that is the value behind a name; none where no text is.
fn text_behind(name: &[u8]) -> Option<Text<'_>> {
    let value = name.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let text = value.strip_prefix(b"\"")?;
    Some(match memchr::memchr2(b'"', b'\\', text) {
        Some(end) if text[end] == b'"' => Text::Plain(&text[..end]),
        _ => Text::Escaped,
    })
}
