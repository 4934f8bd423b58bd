//! Decodes a text as programs such as `base64 -d`, `xxd -r` or `printf` do (pure). The outcome is never longer than
//! three times the text, but for compression, which has its own limit.

use std::collections::HashMap;
use std::io::Read;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::{GzDecoder, ZlibDecoder};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes base64 with or without padding, white space left out. None where there is another symbol.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    let symbols: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    BASE64.decode(symbols).ok()
}

/// Decodes base32 in either case, white space and padding left out. None where there is another symbol.
pub fn base32(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for symbol in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a',
            b'2'..=b'7' => symbol - b'2' + 26,
            _ => return None,
        };
        bits = (bits << 5 | u32::from(value)) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// Digits of the base sixteen, with whatever stands between them left out.
pub fn hexadecimal(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|character| character.to_digit(16))
        .filter_map(|digit| u8::try_from(digit).ok())
        .collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// What unfolds of compressed bytes, up to a limit, and whether that is all.
pub fn inflated(bytes: &[u8], most: usize) -> Option<(Vec<u8>, bool)> {
    let mut plain = Vec::new();
    let limit = most as u64 + 1;
    let outcome = match bytes {
        [0x1f, 0x8b, ..] => GzDecoder::new(bytes).take(limit).read_to_end(&mut plain),
        [0x78, ..] => ZlibDecoder::new(bytes).take(limit).read_to_end(&mut plain),
        _ => return None,
    };
    let is_whole = outcome.is_ok() && plain.len() <= most;
    plain.truncate(most);
    Some((plain, is_whole))
}

/// The escapes of `$'…'`, `printf` and `echo -e`.
pub fn escapes(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend(rest[..at].bytes());
        rest = &rest[at + 1..];
        let Some(kind) = rest.chars().next() else {
            bytes.push(b'\\');
            break;
        };
        let (digits, base, most) = match kind {
            'x' => (&rest[1..], 16, 2),
            'u' => (&rest[1..], 16, 4),
            'U' => (&rest[1..], 16, 8),
            '0' => (&rest[1..], 8, 3),
            '1'..='7' => (rest, 8, 3),
            _ => {
                rest = &rest[kind.len_utf8()..];
                match kind {
                    'n' => bytes.push(b'\n'),
                    't' => bytes.push(b'\t'),
                    'r' => bytes.push(b'\r'),
                    'e' | 'E' => bytes.push(0x1b),
                    'a' | 'b' | 'f' | 'v' | 'c' => {}
                    other => bytes.extend(other.encode_utf8(&mut [0; 4]).bytes()),
                }
                continue;
            }
        };
        let length = digits.chars().take(most).take_while(|character| character.is_digit(base)).count();
        let value = u32::from_str_radix(&digits[..length], base).unwrap_or_default();
        match char::from_u32(value) {
            Some(character) if matches!(kind, 'u' | 'U') => {
                bytes.extend(character.encode_utf8(&mut [0; 4]).bytes());
            }
            _ => bytes.push(u8::try_from(value & 0xff).unwrap_or_default()),
        }
        rest = &digits[length..];
    }
    bytes.extend(rest.bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What `tr` makes of a text with two sets, of which each may hold ranges.
pub fn translated(text: &str, from: &str, to: &str) -> String {
    let (from, to) = (set(from), set(to));
    let mut places = HashMap::new();
    for (at, character) in from.into_iter().enumerate() {
        places.entry(character).or_insert(at);
    }
    let Some(last) = to.last() else {
        return text.chars().filter(|character| !places.contains_key(character)).collect();
    };
    text.chars()
        .map(|character| places.get(&character).map_or(character, |at| *to.get(*at).unwrap_or(last)))
        .collect()
}

/// No set is longer than the characters that scripts are written in.
fn set(text: &str) -> Vec<char> {
    let text = escapes(text);
    let characters: Vec<char> = text.chars().collect();
    let mut all = Vec::new();
    let mut at = 0;
    while at < characters.len() && all.len() < 256 {
        if let [first, '-', last, ..] = characters[at..]
            && first < last
        {
            all.extend((first..=last).take(128));
            at += 3;
        } else {
            all.push(characters[at]);
            at += 1;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_decoder_gives_back_what_was_encoded() {
        assert_eq!(base64("aWQ\n=").unwrap(), b"id");
        assert_eq!(base32("MN2XE3A=").unwrap(), b"curl");
        assert_eq!(base32("1"), None);
        assert_eq!(hexadecimal("63 75\n72 6c"), b"curl");
        assert_eq!(escapes(r"\x63\165\u0072\154 \\\q\n\"), "curl \\q\n\\");
        assert_eq!(translated("phey", "a-zA-Z", "n-za-mN-ZA-M"), "curl");
        assert_eq!(translated("c-u-r-l", "-", ""), "curl");
    }

    #[test]
    fn what_is_compressed_unfolds_to_its_limit_and_says_so() {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&[b'x'; 1000]).unwrap();
        let bytes = encoder.finish().unwrap();
        assert_eq!(inflated(&bytes, 10), Some((vec![b'x'; 10], false)));
        assert!(inflated(&bytes, 1000).unwrap().1);
        assert_eq!(inflated(b"plain", 10), None);
    }
}
