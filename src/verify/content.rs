//! Unfolds the content of an object that CloudTrail hashed, which is exactly one gzip member (pure).
//!
//! It is stricter than the decoder, because CloudTrail writes nothing beside the member.

use std::io::Read;

use flate2::bufread::GzDecoder;
use sha2::{Digest, Sha256};

/// Why an object cannot be what CloudTrail wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentProblem {
    #[error("it is not gzip")]
    NotGzip,
    #[error("its gzip is damaged: {0}")]
    Damaged(String),
    #[error("{0} bytes follow after its gzip, which CloudTrail did not write")]
    Trailing(usize),
    #[error("it decompresses to more than {limit} bytes (source.max_uncompressed_bytes)")]
    TooLarge { limit: u64 },
}

/// The content of a small object.
pub fn whole(object: &[u8], limit: u64) -> Result<Vec<u8>, ContentProblem> {
    let mut content = Vec::new();
    unfold(object, limit, |bytes| content.extend_from_slice(bytes))?;
    Ok(content)
}

/// The SHA-256 of the content, in hexadecimal digits.
pub fn sha256(object: &[u8], limit: u64) -> Result<String, ContentProblem> {
    let mut sha256 = Sha256::new();
    unfold(object, limit, |bytes| sha256.update(bytes))?;
    Ok(hex::encode(sha256.finalize()))
}

/// Bytes that are unfolded at once.
const PIECE_BYTES: usize = 64 * 1024;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];

fn unfold(object: &[u8], limit: u64, mut each: impl FnMut(&[u8])) -> Result<(), ContentProblem> {
    if !object.starts_with(GZIP_MAGIC) {
        return Err(ContentProblem::NotGzip);
    }
    let mut decoder = GzDecoder::new(object);
    let mut piece = vec![0; PIECE_BYTES];
    let mut unfolded = 0;
    loop {
        let read = decoder.read(&mut piece).map_err(|error| ContentProblem::Damaged(error.to_string()))?;
        if read == 0 {
            break;
        }
        unfolded += read as u64;
        if unfolded > limit {
            return Err(ContentProblem::TooLarge { limit });
        }
        each(&piece[..read]);
    }
    match decoder.into_inner().len() {
        0 => Ok(()),
        rest => Err(ContentProblem::Trailing(rest)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn one_member_is_the_content_and_whatever_stands_beside_it_is_told() {
        const LIMIT: u64 = 1 << 20;
        let content = b"{\"Records\":[]}".repeat(10_000);
        let object = gzip(&content);
        assert_eq!(whole(&object, LIMIT).unwrap(), content);
        assert_eq!(sha256(&object, LIMIT).unwrap(), hex::encode(Sha256::digest(&content)));
        let empty = gzip(b"");
        for trailing in [b"x".as_slice(), b"\0\0", &empty, &gzip(&content), &object[object.len() - 8..]] {
            let extended = [&object, trailing].concat();
            assert_eq!(sha256(&extended, LIMIT), Err(ContentProblem::Trailing(trailing.len())));
            assert_eq!(whole(&extended, LIMIT), Err(ContentProblem::Trailing(trailing.len())));
        }
        assert_eq!(sha256(&content, LIMIT), Err(ContentProblem::NotGzip), "the same content, but not packed");
        assert_eq!(sha256(b"", LIMIT), Err(ContentProblem::NotGzip));
        for cut in [2, 12, object.len() / 2, object.len() - 1] {
            assert!(matches!(sha256(&object[..cut], LIMIT), Err(ContentProblem::Damaged(_))), "{cut}");
        }
        let mut flipped = object.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert!(matches!(sha256(&flipped, LIMIT), Err(ContentProblem::Damaged(_))), "the size is wrong");
        assert_eq!(sha256(&object, 100), Err(ContentProblem::TooLarge { limit: 100 }));
    }
}
