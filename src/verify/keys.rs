//! Gets CloudTrail's public keys from its API or a file, and checks signatures with them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use aws_config::{Region, SdkConfig};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use aws_sdk_cloudtrail::primitives::DateTime;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use super::digest::ReadDigest;

/// Where public keys come from.
pub enum Keys {
    File(PublicKeys),
    Api(Box<Api>),
}

/// Keys that are asked for: once for each region and the period, and once more for each hour whose key is not among
/// those.
pub struct Api {
    aws: SdkConfig,
    from: OffsetDateTime,
    to: OffsetDateTime,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_region: HashMap<String, PublicKeys>,
    /// Regions and hours that were asked for.
    asked: HashSet<(String, i64)>,
}

/// A key is valid for more than an hour, so one that signed is among those of an hour before and after.
const AROUND: Duration = Duration::hours(1);

/// Public keys in DER, by their fingerprints.
#[derive(Debug, Clone, Default)]
pub struct PublicKeys(HashMap<String, Vec<u8>>);

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("cannot read the keys in {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error(
        "{} holds no keys: {problem}; give what `aws cloudtrail list-public-keys` prints",
        path.display()
    )]
    NotKeys { path: PathBuf, problem: String },
    #[error(
        "ListPublicKeys in {region} failed: {cause}; grant cloudtrail:ListPublicKeys, or give the keys with --keys"
    )]
    Api { region: String, cause: String },
}

/// What is wrong with a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureProblem {
    #[error("its object has no signature in its metadata")]
    Absent,
    #[error("no public key has the fingerprint {0}")]
    UnknownKey(String),
    #[error("its signature does not match its content, its place and the digest before it")]
    Wrong,
}

impl Keys {
    /// Reads the keys from a file that has what `aws cloudtrail list-public-keys` prints.
    pub fn of_file(path: &Path) -> Result<Self, KeysError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| KeysError::Read { path: path.to_owned(), source })?;
        let keys = PublicKeys::parse(&text)
            .map_err(|problem| KeysError::NotKeys { path: path.to_owned(), problem })?;
        Ok(Self::File(keys))
    }

    /// Keys that CloudTrail is asked for when a digest is checked: those that were valid between the two times.
    pub fn of_api(aws: &SdkConfig, from: OffsetDateTime, to: OffsetDateTime) -> Self {
        Self::Api(Box::new(Api { aws: aws.clone(), from, to, known: Mutex::default() }))
    }

    /// Checks a signature with the keys of the region where the digest was made, or else of its trail's home.
    pub async fn check(
        &self,
        digest: &ReadDigest,
        regions: [&str; 2],
    ) -> Result<Result<(), SignatureProblem>, KeysError> {
        match self {
            Self::File(keys) => Ok(keys.check(digest)),
            Self::Api(api) => api.check(digest, regions).await,
        }
    }
}

impl Keys {
    /// The key that signed a digest, in DER, where its signature is right.
    pub async fn key_of(
        &self,
        digest: &ReadDigest,
        regions: [&str; 2],
    ) -> Result<Result<Vec<u8>, SignatureProblem>, KeysError> {
        if let Err(problem) = self.check(digest, regions).await? {
            return Ok(Err(problem));
        }
        let fingerprint = &digest.digest.digest_public_key_fingerprint;
        let key = match self {
            Self::File(keys) => keys.0.get(fingerprint).cloned(),
            Self::Api(api) => {
                let known = api.known.lock().await;
                known.by_region.values().find_map(|keys| keys.0.get(fingerprint).cloned())
            }
        };
        Ok(key.ok_or_else(|| SignatureProblem::UnknownKey(fingerprint.clone())))
    }
}

impl Api {
    async fn check(
        &self,
        digest: &ReadDigest,
        regions: [&str; 2],
    ) -> Result<Result<(), SignatureProblem>, KeysError> {
        let mut known = self.known.lock().await;
        let mut result = None;
        let mut failure = None;
        for region in regions {
            // The role may lack access to one region's API while that of the home region answers.
            match known.check(self, digest, region).await {
                Ok(checked) => {
                    let is_final = !matches!(checked, Err(SignatureProblem::UnknownKey(_)));
                    result = Some(checked);
                    if is_final {
                        break;
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        match (result, failure) {
            (Some(Err(SignatureProblem::UnknownKey(_))) | None, Some(failure)) => Err(failure),
            (Some(result), _) => Ok(result),
            (None, None) => unreachable!("there are two regions"),
        }
    }
}

impl Known {
    async fn check(
        &mut self,
        api: &Api,
        digest: &ReadDigest,
        region: &str,
    ) -> Result<Result<(), SignatureProblem>, KeysError> {
        if !self.by_region.contains_key(region) {
            let keys = ask(&api.aws, region, api.from, api.to).await?;
            self.by_region.insert(region.to_owned(), keys);
        }
        let keys = self.by_region.get_mut(region).expect("it was just asked for");
        let checked = keys.check(digest);
        // A backfill digest is signed when it is made, which may be long after the period.
        let signed_at = digest.generated_at.or_else(|| digest.ended_at());
        let (Err(SignatureProblem::UnknownKey(_)), Some(signed_at)) = (&checked, signed_at) else {
            return Ok(checked);
        };
        let now = OffsetDateTime::now_utc();
        let (from, to) = (signed_at - AROUND, (signed_at + AROUND).min(now));
        let is_covered = api.from <= from && to <= api.to;
        let hour = signed_at.unix_timestamp() / AROUND.whole_seconds();
        if !is_covered && from <= to && self.asked.insert((region.to_owned(), hour)) {
            keys.0.extend(ask(&api.aws, region, from, to).await?.0);
        }
        Ok(keys.check(digest))
    }
}

async fn ask(
    aws: &SdkConfig,
    region: &str,
    from: OffsetDateTime,
    to: OffsetDateTime,
) -> Result<PublicKeys, KeysError> {
    let settings = aws_sdk_cloudtrail::config::Builder::from(aws).region(Region::new(region.to_owned()));
    let client = aws_sdk_cloudtrail::Client::from_conf(settings.build());
    let mut keys = PublicKeys::default();
    let mut token = None;
    loop {
        let answer = client
            .list_public_keys()
            .start_time(DateTime::from_secs(from.unix_timestamp()))
            .end_time(DateTime::from_secs(to.unix_timestamp()))
            .set_next_token(token)
            .send()
            .await
            .map_err(|error| KeysError::Api {
                region: region.to_owned(),
                cause: crate::aws::cause(&error),
            })?;
        for key in answer.public_key_list.unwrap_or_default() {
            if let (Some(fingerprint), Some(value)) = (key.fingerprint, key.value) {
                keys.0.insert(fingerprint, value.into_inner());
            }
        }
        token = answer.next_token;
        if token.is_none() {
            return Ok(keys);
        }
    }
}

impl PublicKeys {
    /// Reads the answer of `ListPublicKeys`, as the AWS CLI prints it.
    fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            public_key_list: Vec<Key>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Key {
            value: String,
            fingerprint: String,
        }
        let answer: Answer = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut keys = HashMap::new();
        for Key { value, fingerprint } in answer.public_key_list {
            let der = STANDARD.decode(&value).map_err(|error| format!("key {fingerprint}: {error}"))?;
            keys.insert(fingerprint, der);
        }
        if keys.is_empty() { Err("its list is empty".to_owned()) } else { Ok(Self(keys)) }
    }

    fn check(&self, digest: &ReadDigest) -> Result<(), SignatureProblem> {
        let signature = digest.signature.as_deref().ok_or(SignatureProblem::Absent)?;
        let fingerprint = &digest.digest.digest_public_key_fingerprint;
        let key = self.0.get(fingerprint).ok_or_else(|| SignatureProblem::UnknownKey(fingerprint.clone()))?;
        let signature = hex::decode(signature).map_err(|_| SignatureProblem::Wrong)?;
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key)
            .verify(digest.signed_text().as_bytes(), &signature)
            .map_err(|_| SignatureProblem::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};

    use super::*;

    const CONTENT: &str = r#"{"digestStartTime":"2026-03-01T01:10:11Z","digestEndTime":"2026-03-01T02:10:11Z",
        "digestS3Bucket":"b","digestS3Object":"k","digestPublicKeyFingerprint":"f","logFiles":[]}"#;

    fn sign(pair: &RsaKeyPair, text: &str) -> String {
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
        hex::encode(signature)
    }

    fn file(fingerprint: &str, der: &[u8]) -> String {
        let value = STANDARD.encode(der);
        serde_json::json!({"PublicKeyList": [{"Value": value, "Fingerprint": fingerprint}]}).to_string()
    }

    #[test]
    fn only_the_content_the_place_and_the_chain_that_were_signed_have_the_signature() {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let keys = PublicKeys::parse(&file("f", pair.public_key().as_ref())).unwrap();
        let unsigned = ReadDigest::parse(CONTENT.as_bytes(), None).unwrap();
        let signature = sign(&pair, &unsigned.signed_text());
        let read = |content: &str, signature: &str| {
            ReadDigest::parse(content.as_bytes(), Some(signature.to_owned())).unwrap()
        };
        assert_eq!(keys.check(&read(CONTENT, &signature)), Ok(()));
        assert_eq!(keys.check(&unsigned), Err(SignatureProblem::Absent));
        for changed in [
            CONTENT.replace("[]", "[ ]"),
            CONTENT.replace("\"b\"", "\"c\""),
            CONTENT.replace("T02:10:11Z", "T02:10:12Z"),
            CONTENT.replace("\"logFiles\"", "\"previousDigestSignature\":\"ab\",\"logFiles\""),
        ] {
            assert_eq!(keys.check(&read(&changed, &signature)), Err(SignatureProblem::Wrong), "{changed}");
        }
        for broken in ["", "zz", "abc", &signature[2..]] {
            assert_eq!(keys.check(&read(CONTENT, broken)), Err(SignatureProblem::Wrong), "{broken}");
        }
        let other = PublicKeys::parse(&file("g", pair.public_key().as_ref())).unwrap();
        let unknown = Err(SignatureProblem::UnknownKey("f".to_owned()));
        assert_eq!(other.check(&read(CONTENT, &signature)), unknown);
        // Some tools write keys with the name of their algorithm around them.
        let wrapped = PublicKeys::parse(&file("f", pair.public_key().as_der().unwrap().as_ref())).unwrap();
        assert_eq!(wrapped.check(&read(CONTENT, &signature)), Ok(()));
    }

    #[test]
    fn a_file_without_keys_is_refused() {
        for text in
            ["", "{}", r#"{"PublicKeyList":[]}"#, r#"{"PublicKeyList":[{"Value":"!","Fingerprint":"f"}]}"#]
        {
            assert!(PublicKeys::parse(text).is_err(), "{text}");
        }
    }
}
