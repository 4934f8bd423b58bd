//! Makes the fingerprint that stands for a secret, so that two uses of one secret can be linked without telling it.

use std::path::PathBuf;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;

use crate::settings::RedactionConfig;

/// The key of all fingerprints: without it, nobody can try out which secret a marker stands for.
#[derive(Clone)]
pub struct FingerprintKey(Hmac<Sha256>);

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("redaction.key_file: cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error(
        "{name}: the key has {bytes} bytes, and at least {KEY_BYTES} are needed; make one with `openssl rand -hex 32`"
    )]
    TooShort { name: &'static str, bytes: usize },
    #[error("the system gives no random bytes for the key of redaction; set redaction.key_file: {0}")]
    NoRandom(getrandom::Error),
}

/// The fewest bytes of a key: those of the hash, below which a key is the weakest part of it.
const KEY_BYTES: usize = 32;

/// Bytes of the hash that a marker shows. Sixty-four bits tell apart every secret that a site will ever have.
const SHOWN_BYTES: usize = 8;

/// Bytes of a code: 128 bits, which nobody guesses.
const PROOF_BYTES: usize = 16;

impl FingerprintKey {
    /// The key of the configuration, or a random one, which links within this process only.
    pub fn load(config: &RedactionConfig) -> Result<Self, KeyError> {
        if let Some(path) = &config.key_file {
            let text = std::fs::read(path).map_err(|source| KeyError::Read { path: path.clone(), source })?;
            Self::new("redaction.key_file", text.trim_ascii())
        } else if let Some(key) = &config.key {
            Self::new("redaction.key", key.expose_secret().trim().as_bytes())
        } else {
            let mut key = [0; KEY_BYTES];
            getrandom::fill(&mut key).map_err(KeyError::NoRandom)?;
            Self::new("redaction.key", &key)
        }
    }

    fn new(name: &'static str, key: &[u8]) -> Result<Self, KeyError> {
        if key.len() < KEY_BYTES {
            return Err(KeyError::TooShort { name, bytes: key.len() });
        }
        Ok(Self(Hmac::new_from_slice(key).expect("HMAC takes keys of any length")))
    }

    /// What is written for a text that was not searched to its end, and could hold anything.
    pub fn unsearched(&self, text: &str) -> String {
        let marker = self.marker(text);
        format!("{}:unsearched]", &marker[..marker.len() - 1])
    }

    /// A code for a text that nobody makes without the key. Codes of one purpose say nothing about those of another,
    /// nor about markers: each purpose has a key of its own, of which a marker would show no more than its first bytes.
    pub fn prove(&self, purpose: &str, text: &str) -> String {
        let code = self.of_purpose(purpose, text).finalize().into_bytes();
        hex::encode(&code[..PROOF_BYTES])
    }

    /// Whether a code is the one for a text, compared in the same time wherever it differs.
    pub fn proves(&self, purpose: &str, text: &str, code: &str) -> bool {
        let mut bytes = [0; PROOF_BYTES];
        let is_written_so = code.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        is_written_so
            && hex::decode_to_slice(code, &mut bytes).is_ok()
            && self.of_purpose(purpose, text).verify_truncated_left(&bytes).is_ok()
    }

    fn of_purpose(&self, purpose: &str, text: &str) -> Hmac<Sha256> {
        let mut key = self.0.clone();
        key.update(purpose.as_bytes());
        let key = key.finalize().into_bytes();
        let mut hmac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of any length");
        hmac.update(text.as_bytes());
        hmac
    }

    /// What is written where the secret stood. Blanks and quotes around a secret are not of it, and neither are the
    /// line ends of a private key, which every way of quoting writes in its own form.
    pub fn marker(&self, secret: &str) -> String {
        use std::fmt::Write;
        let secret = secret.trim_matches(|character: char| {
            character.is_whitespace() || matches!(character, '"' | '\'' | '\\')
        });
        let mut hmac = self.0.clone();
        if secret.starts_with("-----BEGIN") {
            for word in secret.replace("\\n", " ").replace("\\r", " ").split_whitespace() {
                hmac.update(word.as_bytes());
            }
        } else {
            hmac.update(secret.as_bytes());
        }
        let mut marker = String::from(MARKER_START);
        for byte in &hmac.finalize().into_bytes()[..SHOWN_BYTES] {
            write!(marker, "{byte:02x}").expect("writing to a String cannot fail");
        }
        marker.push(']');
        marker
    }
}

/// How every marker begins.
pub const MARKER_START: &str = "[redacted:";

impl std::fmt::Debug for FingerprintKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FingerprintKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(key: &str) -> Result<FingerprintKey, KeyError> {
        FingerprintKey::load(&RedactionConfig { key: Some(key.into()), key_file: None })
    }

    #[test]
    fn a_marker_is_the_start_of_the_hmac_of_the_secret() {
        // printf hunter2 | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let key = loaded("0123456789abcdef0123456789abcdef\n").unwrap();
        assert_eq!(key.marker("hunter2"), "[redacted:3920d54ec70f500e]");
        assert_eq!(key.marker(" \"hunter2\"\n"), key.marker("hunter2"));
    }

    #[test]
    fn a_private_key_has_one_marker_however_its_lines_end() {
        let key = FingerprintKey::load(&RedactionConfig::default()).unwrap();
        let of = |end: &str| {
            key.marker(&["-----BEGIN PRIVATE KEY-----", "nMII+x/y", "-----END PRIVATE KEY-----"].join(end))
        };
        assert_eq!(of("\n"), of("\\n"));
        assert_eq!(of("\n"), of("\r\n"));
        assert_ne!(of("\n"), of("x"));
    }

    #[test]
    fn other_keys_and_other_secrets_have_other_markers_and_no_key_is_a_random_one() {
        let random = || FingerprintKey::load(&RedactionConfig::default()).unwrap();
        let (one, other) = (random(), random());
        assert_eq!(one.marker("a"), one.clone().marker("a"));
        assert_ne!(one.marker("a"), one.marker("b"));
        assert_ne!(one.marker("a"), other.marker("a"));
    }

    #[test]
    fn a_key_that_is_short_or_cannot_be_read_is_refused_with_its_name_and_what_to_do() {
        let short = loaded(&"x".repeat(KEY_BYTES - 1)).unwrap_err().to_string();
        assert!(
            short.contains("redaction.key: the key has 31 bytes") && short.contains("openssl rand -hex 32")
        );
        let config = RedactionConfig { key: None, key_file: Some("/no/such/file".into()) };
        let absent = FingerprintKey::load(&config).unwrap_err().to_string();
        assert!(absent.contains("redaction.key_file: cannot read /no/such/file"), "{absent}");
        assert!(!format!("{:?}", loaded(&"s".repeat(KEY_BYTES))).contains("ssss"));
    }
}
