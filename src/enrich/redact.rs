//! Redaction: the secrets of others that a record carries are replaced before anything of it is indexed.
//!
//! CloudTrail masks some secrets and writes others in clear text: session tokens of assumed roles, presigned URLs, the
//! environment and hyperparameters of jobs. Everything after this stage reads the redacted text, so there is one place
//! where a secret could get past, and it is this one.

use std::borrow::Cow;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use regex::Regex;
use serde_json_borrow::Value;

use crate::record::Record;

/// What stands where a secret stood.
pub const MARKER: &str = "[redacted]";

/// The record's JSON text with every secret replaced, or none when the text as it is holds no secret.
pub fn redact(raw: &[u8], record: &Record<'_>) -> Option<String> {
    if !HINTS.is_match(raw) {
        return None;
    }
    let mut text = Redacted { json: String::with_capacity(raw.len()), replaced: 0 };
    text.write(record.root(), Place::Elsewhere);
    (text.replaced > 0).then_some(text.json)
}

/// The text of something that is no record, redacted as far as its text alone shows: secret members and shapes.
pub fn redact_text(text: &str) -> String {
    let members = SECRET_MEMBER_TEXT.replace_all(text, format!("$name\"{MARKER}\""));
    SECRET_SHAPES.replace_all(&members, MARKER).into_owned()
}

/// A secret member and its text, where JSON cannot be parsed.
static SECRET_MEMBER_TEXT: LazyLock<Regex> = LazyLock::new(|| {
    let names = SECRET_MEMBERS.join("|");
    Regex::new(&format!(r#"(?i)(?<name>"(?:{names})"\s*:\s*)"(?:[^"\\]|\\.)*"?"#))
        .expect("the pattern is fixed and tested")
});

/// Words without which no rule below can apply; most records hold none of them and are not looked at further.
static HINTS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build([
            "token",
            "secret",
            "passw",
            "authorizedurl",
            "signedurl",
            "streamurl",
            "presigned",
            "environment",
            "hyperparameters",
            "bearer ",
            "basic ",
            "private",
            "eyj",
            "x-amz-",
            "ghp_",
            "gho_",
            "ghs_",
            "github_pat_",
            "xox",
            "hf_",
            "sk-",
            "credential",
        ])
        .expect("the words are few and short")
});

/// Members whose value is a secret wherever they stand, in lower case.
const SECRET_MEMBERS: &[&str] = &[
    "accesstoken",
    "authorizedurl",
    "authorizedurlconfigs",
    "clientsecret",
    "idtoken",
    "masteruserpassword",
    "newpassword",
    "oldpassword",
    "password",
    "presignedurl",
    "privatekey",
    "refreshtoken",
    "secretaccesskey",
    "secretbinary",
    "secretstring",
    "sessiontoken",
    "sharedsecret",
    "signedurl",
    "streamurl",
    "tokenvalue",
    "webidentitytoken",
];

/// Members that hold variables of the caller's choosing, where a name alone makes a value suspect, in lower case.
const VARIABLE_MEMBERS: &[&str] =
    &["environment", "environmentvariables", "hyperparameters", "statichyperparameters"];

/// Parts of a variable's name that make its value a secret, in lower case.
const SECRET_WORDS: &[&str] = &[
    "secret",
    "passw",
    "passphrase",
    "credential",
    "apikey",
    "api_key",
    "api-key",
    "access_key",
    "accesskey",
    "private_key",
    "privatekey",
    "authorization",
    "connection_string",
];

/// How the name of a variable ends that holds a token; in the middle the word counts those of a language model.
const TOKEN_ENDING: &str = "token";

/// Shapes that are a secret in any text; only the part that fits is replaced.
static SECRET_SHAPES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        X-Amz-(?:Signature|Security-Token|Credential)=[^&\s]+           # presigned URLs
        | -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----[^-]*(?:-----END\ [A-Z\ ]*PRIVATE\ KEY-----)?
        | eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*    # JSON web tokens
        | (?i:\b(?:bearer|basic)\s+[A-Za-z0-9+/_=.~-]{12,})             # authorization headers
        | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_[A-Za-z0-9_]{20,}
        | \bxox[abprs]-[A-Za-z0-9-]{10,}
        | \bhf_[A-Za-z0-9]{20,} | \bsk-[A-Za-z0-9_-]{20,}
        ",
    )
    .expect("the pattern is fixed and tested")
});

/// An AWS secret access key: forty characters of base64. Git's commit ids are as long, but plain hexadecimal.
static AWS_SECRET_KEY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[A-Za-z0-9/+]{40}$").expect("the pattern is fixed and tested"));

/// Where in the record a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Elsewhere,
    /// Inside an environment or a set of hyperparameters.
    Variables,
    /// Under a member whose every value is a secret.
    Secret,
}

impl Place {
    fn below(self, member: &str) -> Self {
        let member = member.to_ascii_lowercase();
        let suspect =
            || member.ends_with(TOKEN_ENDING) || SECRET_WORDS.iter().any(|word| member.contains(word));
        if self == Self::Secret
            || SECRET_MEMBERS.contains(&member.as_str())
            || self == Self::Variables && suspect()
        {
            Self::Secret
        } else if VARIABLE_MEMBERS.contains(&member.as_str()) {
            Self::Variables
        } else {
            self
        }
    }
}

struct Redacted {
    json: String,
    replaced: usize,
}

impl Redacted {
    fn write(&mut self, value: &Value<'_>, place: Place) {
        match value {
            Value::Object(object) => {
                self.json.push('{');
                for (position, (name, value)) in object.iter().enumerate() {
                    if position > 0 {
                        self.json.push(',');
                    }
                    self.write_text(name);
                    self.json.push(':');
                    self.write(value, place.below(name));
                }
                self.json.push('}');
            }
            Value::Array(elements) => {
                self.json.push('[');
                for (position, element) in elements.iter().enumerate() {
                    if position > 0 {
                        self.json.push(',');
                    }
                    self.write(element, place);
                }
                self.json.push(']');
            }
            Value::Str(text) => self.write_redacted(text, place),
            Value::Number(_) if place == Place::Secret => self.replace(),
            Value::Null | Value::Bool(_) | Value::Number(_) => self.json.push_str(&value.to_string()),
        }
    }

    fn write_redacted(&mut self, text: &str, place: Place) {
        let looks_like_a_key =
            || AWS_SECRET_KEY.is_match(text) && !text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if text.is_empty() {
            self.write_text(text);
        } else if place == Place::Secret || place == Place::Variables && looks_like_a_key() {
            self.replace();
        } else {
            let redacted = SECRET_SHAPES.replace_all(text, MARKER);
            if let Cow::Owned(_) = redacted {
                self.replaced += 1;
            }
            self.write_text(&redacted);
        }
    }

    fn replace(&mut self) {
        self.replaced += 1;
        self.write_text(MARKER);
    }

    fn write_text(&mut self, text: &str) {
        self.json.push_str(&serde_json::to_string(text).expect("any text can be written as JSON"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn redacted(record: &Json) -> Option<Json> {
        let raw = record.to_string();
        let parsed = Record::parse(raw.as_bytes()).unwrap();
        redact(raw.as_bytes(), &parsed).map(|text| serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn secrets_are_replaced_wherever_a_record_carries_them() {
        let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
        let cases = [
            (
                json!({"credentials":{"accessKeyId":"ASIAIOSFODNN7EXAMPLE","sessionToken":"FwoG","expiration":"x"}}),
                vec!["FwoG"],
            ),
            (
                json!({"responseElements":{"authorizedUrl":"https://n.notebook.aws/?authToken=abc"}}),
                vec!["authToken"],
            ),
            (
                json!({"authorizedUrlConfigs":[{"url":"https://a.example/x"}],"streamUrl":"wss://s"}),
                vec!["a.example", "wss"],
            ),
            (json!({"environment":{"DB_PASSWORD":"hunter2","STAGE":"prod","X":key}}), vec!["hunter2", key]),
            (
                json!({"trainingJobDefinition":{"staticHyperParameters":{"api_key":"0123","epochs":"3"}}}),
                vec!["0123"],
            ),
            (json!({"environment":{"PASSWORD_PIN":1234}}), vec!["1234"]),
            (json!({"requestParameters":{"text":format!("use {jwt} now")}}), vec![jwt]),
            (json!({"u":"https://b.s3/k?X-Amz-Credential=AKIA&X-Amz-Signature=00ff"}), vec!["00ff", "AKIA"]),
            (json!({"h":["Authorization: Bearer abcdefghijklmnop"]}), vec!["abcdefghijklmnop"]),
            (json!({"t":"ghp_0123456789abcdefghijABCDEFGHIJ012345"}), vec!["ghp_0123456789"]),
            (
                json!({"k":"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----"}),
                vec!["MIIE"],
            ),
        ];
        for (record, secrets) in cases {
            let text = redacted(&record).unwrap_or_else(|| panic!("{record} holds a secret")).to_string();
            for secret in secrets {
                assert!(!text.contains(secret), "{secret} is still in {text}");
            }
            assert!(text.contains(MARKER), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_a_secret_stays() {
        for record in [
            json!({"requestParameters":{"nextToken":"abc","clientRequestToken":"1-2","maxResults":5}}),
            json!({"userIdentity":{"accessKeyId":"AKIAIOSFODNN7EXAMPLE","sessionContext":{"attributes":{}}}}),
            json!({"requestParameters":{"environment":{"COMMIT":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}}}),
            json!({"requestParameters":{"environment":{"PASSWORD":""}}}),
            json!({"requestParameters":{"secretId":"prod/db"}}),
            json!({"requestParameters":{"hyperParameters":{"max_tokens":"512","tokenizer":"bert"}}}),
        ] {
            assert_eq!(redacted(&record), None, "{record}");
        }
    }

    #[test]
    fn text_that_is_no_json_is_redacted_by_member_names_and_shapes() {
        let text =
            r#"{"sessionToken" : "Fwo\"G", "n": tru, "auth":"Bearer abcdefghijklmnop", "password":"cut"#;
        let redacted = redact_text(text);
        assert_eq!(
            redacted,
            r#"{"sessionToken" : "[redacted]", "n": tru, "auth":"[redacted]", "password":"[redacted]""#
        );
    }

    #[test]
    fn everything_beside_the_secret_is_left_as_it_was() {
        let record = json!({
            "n": [1, -2.5, true, null, "é\"\\\n"], "empty": {}, "list": [],
            "responseElements": {"credentials": {"sessionToken": "FwoG"}}
        });
        let mut expected = record.clone();
        expected["responseElements"]["credentials"]["sessionToken"] = MARKER.into();
        assert_eq!(redacted(&record), Some(expected));
    }
}
