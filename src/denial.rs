//! Reads from an error why a server denied a request (pure). Not every 403 is a missing permission.

use std::sync::LazyLock;

use serde::Deserialize;

/// Why a request was denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Denial {
    /// The credentials were good once.
    Expired,
    /// The time in the signature is not that of the server.
    ClockSkew,
    /// The signature was made with another key, service, region or over other bytes.
    Signature,
    /// The service does not know the credentials.
    Unknown,
    /// Too much was asked in too short a time.
    Throttled,
    /// The key that encrypts the data may not be used.
    Key,
    /// Something between us and the server answered in its place.
    Firewall,
    /// Who asks is known, and may not.
    Permission,
}

static DENIALS: LazyLock<Vec<Told>> = LazyLock::new(|| {
    let File { denial } =
        toml::from_str(include_str!("../config/denials.toml")).expect("a test reads the file");
    denial
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    denial: Vec<Told>,
}

/// How a denial is told, as the file explains.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    is: Denial,
    #[serde(default)]
    said: Vec<String>,
    advice: String,
}

impl Denial {
    /// Reads what a server said with a 401 or 403.
    pub fn read(status: u16, said: &str) -> Self {
        let said = said.to_lowercase();
        let found = DENIALS.iter().find(|told| told.said.iter().any(|piece| said.contains(piece)));
        match (found, status) {
            (Some(told), _) => told.is,
            (None, 401) => Self::Unknown,
            (None, _) => Self::Permission,
        }
    }

    /// What an operator should do about it.
    pub fn advice(self) -> &'static str {
        DENIALS.iter().find(|told| told.is == self).map_or("", |told| &told.advice)
    }
}

/// What to change when AWS lets nobody in because the request was signed for another region or service.
pub fn signed_elsewhere(said: &str, signed_for: Option<&str>) -> Option<String> {
    if said.contains("scoped to a valid region") {
        let signed = signed_for.map_or_else(String::new, |region| format!(", and not {region}"));
        Some(format!(
            "the request was signed for another region: set AWS_REGION, or the region of the profile, to that of the address{signed}"
        ))
    } else if said.contains("scoped to correct service") || said.contains("scoped to the correct service") {
        Some("the request was signed for another service: sink.sigv4_service is \"es\" for a domain and \"aoss\" for a collection of OpenSearch Serverless".to_owned())
    } else {
        None
    }
}

/// The permission that a server names as lacking, such as `indices:data/write/bulk` or `s3:GetObject`. Nothing else
/// that it says is repeated.
pub fn lacking(said: &str) -> Option<String> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "_:/*.".contains(character);
    ["no permissions for [", "not authorized to perform: "].iter().find_map(|before| {
        let (_, rest) = said.split_once(before)?;
        let name: String = rest.chars().take_while(|character| is_part(*character)).take(80).collect();
        name.contains(':').then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What OpenSearch 2.19 with its security plugin, AWS and firewalls say.
    #[test]
    fn each_denial_is_told_by_what_the_server_says() {
        for (status, said, denial) in [
            (401, "Unauthorized", Denial::Unknown),
            (401, "", Denial::Unknown),
            (403, "", Denial::Permission),
            (
                403,
                r#"{"error":{"type":"security_exception","reason":"no permissions for [indices:data/write/bulk] and User [name=u1]"},"status":403}"#,
                Denial::Permission,
            ),
            (
                403,
                r#"{"Message":"User: arn:aws:sts::111122223333:assumed-role/r/s is not authorized to perform: es:ESHttpPost"}"#,
                Denial::Permission,
            ),
            (403, r#"{"message":"The security token included in the request is expired"}"#, Denial::Expired),
            (403, "ExpiredToken: The provided token has expired.", Denial::Expired),
            (400, "ExpiredTokenException: no", Denial::Expired),
            (
                403,
                r#"{"message":"Signature expired: 20260101T000000Z is now earlier than 20260101T010000Z"}"#,
                Denial::ClockSkew,
            ),
            (
                403,
                "RequestTimeTooSkewed: The difference between the request time and the current time is too large.",
                Denial::ClockSkew,
            ),
            (
                403,
                r#"{"message":"The request signature we calculated does not match the signature you provided."}"#,
                Denial::Signature,
            ),
            (403, "SignatureDoesNotMatch: no", Denial::Signature),
            (
                403,
                r#"{"message":"Credential should be scoped to a valid region, not 'eu-west-1'. "}"#,
                Denial::Signature,
            ),
            (403, "InvalidAccessKeyId: no such key", Denial::Unknown),
            (403, r#"{"message":"The security token included in the request is invalid."}"#, Denial::Unknown),
            (403, "RequestLimitExceeded: slow", Denial::Throttled),
            (403, "OverLimit: too many in flight", Denial::Throttled),
            (403, "Throttling: Rate exceeded", Denial::Throttled),
            (403, "AccessDenied: User is not authorized to perform: kms:Decrypt on resource x", Denial::Key),
            (400, "KMS.DisabledException: key is disabled", Denial::Key),
            (403, "<html><head><title>403 Forbidden</title></head></html>", Denial::Firewall),
            (403, "<!DOCTYPE HTML>\nThe request could not be satisfied.", Denial::Firewall),
            (403, "AccessDenied: Access Denied", Denial::Permission),
        ] {
            assert_eq!(Denial::read(status, said), denial, "{said}");
        }
    }

    #[test]
    fn the_permission_that_lacks_is_named_and_nothing_else_that_was_said() {
        for (said, lacks) in [
            (
                "no permissions for [indices:data/write/bulk[s]] and User [name=u]",
                Some("indices:data/write/bulk"),
            ),
            ("no permissions for [indices:admin/create] and User [name=u]", Some("indices:admin/create")),
            ("is not authorized to perform: es:ESHttpPost because of x", Some("es:ESHttpPost")),
            ("no permissions for [] and User", None),
            ("not authorized to perform: secret of a record", None),
            ("denied", None),
        ] {
            assert_eq!(lacking(said).as_deref(), lacks, "{said}");
        }
    }

    #[test]
    fn a_signature_for_another_region_or_service_is_told_with_the_region() {
        let body = r#"{"message":"Credential should be scoped to a valid region. "}"#;
        let said = signed_elsewhere(body, Some("us-east-1")).unwrap();
        assert!(said.contains("AWS_REGION") && said.contains("not us-east-1"), "{said}");
        let said =
            signed_elsewhere(r#"{"message":"Credential should be scoped to correct service: 'es'."}"#, None)
                .unwrap();
        assert!(said.contains("sink.sigv4_service"), "{said}");
        let other = r#"{"error":{"type":"security_exception","reason":"no permissions"}}"#;
        assert_eq!(signed_elsewhere(other, None), None);
    }

    #[test]
    fn each_denial_has_advice() {
        let all = [
            Denial::Expired,
            Denial::ClockSkew,
            Denial::Signature,
            Denial::Unknown,
            Denial::Throttled,
            Denial::Key,
            Denial::Firewall,
            Denial::Permission,
        ];
        assert!(all.iter().all(|denial| !denial.advice().is_empty()) && DENIALS.len() == all.len());
    }
}
