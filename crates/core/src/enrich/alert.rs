//! Writes the keys that monitors group records by, so that one incident pages once.
//!
//! Grouping leaves out each record that lacks one of the values, in silence. So principal and resource are always
//! there, and a record that is worth a look always has a finding. A key goes into pages and links as it is, so it holds
//! nothing that means something there.

mod resource_key;

use std::borrow::Cow;
use std::fmt::Write;

use serde::Serialize;

use super::actor::Actor;
use super::context::Context;
use super::quoted::is_invisible;
use super::verdict::Verdict;
use crate::record::Record;
use resource_key::resource_key;

/// What `sagemaker.alert` says.
#[derive(Debug, Serialize)]
pub struct AlertKey<'e> {
    /// Of a caller from another account: the account and the id of the role or user, because who assumes a role chooses the
    /// session's name.
    principal: Cow<'e, str>,
    /// Who the principal is over several sessions: the role, unless a session of it belongs to one person.
    identity: Cow<'e, str>,
    /// In lower case, because SageMaker writes some ARNs so, and a resource should have one key.
    resource: String,
    /// The titles of the most worrying matches; none where nothing is worth a look.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    finding: Vec<&'e str>,
}

/// Stands where a record names no principal or no resource.
const NONE: &str = "none";
/// Bytes of a value that are kept: longer than any ARN, and short enough for a page.
const MAX_BYTES: usize = 512;

impl<'e> AlertKey<'e> {
    pub fn of(
        record: &Record<'_>,
        actor: &Actor<'e>,
        context: &'e Context<'_>,
        verdict: &Verdict<'e>,
    ) -> Self {
        let resource = resource_key(record, context);
        let resource = plain(beginning(resource.as_deref().unwrap_or(NONE))).to_lowercase();
        let finding = verdict.most_worrying().map(|finding| finding.title).collect();
        if let Some((account, id)) = actor.foreign_id() {
            let principal = format!("{}:{}", plain(beginning(account)), plain(beginning(id)));
            let principal = Cow::<str>::Owned(principal);
            return Self { principal: principal.clone(), identity: principal, resource, finding };
        }
        let principal = actor.arn.or(actor.name()).unwrap_or(NONE);
        let role = actor.issuer.as_ref().and_then(|issuer| issuer.arn);
        // The people who sign in through IAM Identity Center share a role, and each has sessions under one name.
        let shared = actor.permission_set().is_some();
        Self {
            principal: plain(beginning(principal)),
            identity: plain(beginning(role.filter(|_| !shared).unwrap_or(principal))),
            resource,
            finding,
        }
    }
}

fn beginning(text: &str) -> &str {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::enrich::analysis::tests::{read, rule};

    fn key(record: &Json, levels: &[&str]) -> Json {
        let rules: Vec<_> = levels.iter().map(|level| rule(&format!("A {level} rule"), level, &[])).collect();
        read(record, &rules, |analysis| {
            serde_json::to_value(AlertKey::of(
                analysis.record,
                analysis.actor,
                analysis.context,
                analysis.verdict,
            ))
            .unwrap()
        })
    }

    #[test]
    fn every_record_has_a_principal_and_a_resource_and_the_worst_findings_are_its_findings() {
        let arn = "arn:aws:sts::111122223333:assumed-role/Exec/SageMaker";
        let notebook = "arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/n";
        let stop = json!({
            "eventSource": "sagemaker.amazonaws.com", "eventName": "StopNotebookInstance", "awsRegion": "eu-west-1",
            "recipientAccountId": "111122223333", "userIdentity": {"type": "AssumedRole", "arn": arn},
            "requestParameters": {"notebookInstanceName": "n"}
        });
        let mut denied = stop.clone();
        denied["errorCode"] = "AccessDenied".into();
        let attach = json!({
            "eventSource": "iam.amazonaws.com", "eventName": "AttachRolePolicy",
            "userIdentity": {"type": "IAMUser", "userName": "alice"}, "requestParameters": {"roleName": "Exec"}
        });
        let mut from_elsewhere = stop.clone();
        from_elsewhere["userIdentity"] =
            json!({"type": "AWSAccount", "accountId": "444455556666", "principalId": "AROAEXAMPLE:chosen"});
        let long = json!({"userIdentity": {"type": "IAMUser", "userName": "é".repeat(400)}});
        let cases = [
            (&stop, &[][..], json!({"principal": arn, "identity": arn, "resource": notebook})),
            (
                &stop,
                &["medium", "high", "low", "high"],
                json!({"principal": arn, "identity": arn, "resource": notebook, "finding": ["A high rule", "A high rule"]}),
            ),
            (
                &denied,
                &["low"],
                json!({"principal": arn, "identity": arn, "resource": notebook, "finding": ["A low rule"]}),
            ),
            (
                &attach,
                &["informational"],
                json!({"principal": "alice", "identity": "alice", "resource": "exec"}),
            ),
            (
                &json!({}),
                &["critical"],
                json!({"principal": "none", "identity": "none", "resource": "none", "finding": ["A critical rule"]}),
            ),
            (
                &from_elsewhere,
                &[],
                json!({"principal": "444455556666:AROAEXAMPLE", "identity": "444455556666:AROAEXAMPLE", "resource": notebook}),
            ),
            (
                &long,
                &[],
                json!({"principal": "é".repeat(256), "identity": "é".repeat(256), "resource": "none"}),
            ),
        ];
        for (record, levels, expected) in cases {
            assert_eq!(key(record, levels), expected, "{record}");
        }
    }

    #[test]
    fn a_key_holds_nothing_that_means_something_in_a_page_or_a_link() {
        let hostile = "o'brien!\" \\ <!channel|x> & `a` 100%\n\u{202e}é";
        let key = key(&json!({"userIdentity": {"type": "IAMUser", "userName": hostile}}), &[]);
        let expected = "o%27brien%21%22 %5C %3C%21channel%7Cx%3E %26 %60a%60 100%25%0A%E2%80%AEé";
        assert_eq!((&key["principal"], &key["identity"]), (&json!(expected), &json!(expected)));
        assert_eq!(percent_encoding::percent_decode_str(expected).decode_utf8().unwrap(), hostile);
    }

    #[test]
    fn one_resource_has_one_key_however_it_is_named() {
        let resource = |source: &str, parameters: Json| {
            let record = json!({"eventSource": source, "eventName": "X", "awsRegion": "eu-west-1",
                "recipientAccountId": "111122223333", "requestParameters": parameters});
            key(&record, &[])["resource"].as_str().unwrap().to_owned()
        };
        let (iam, logs) = ("iam.amazonaws.com", "logs.amazonaws.com");
        let role = "arn:aws:iam::111122223333:role/exec";
        let group = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/sagemaker/jobs";
        for (source, parameters, expected) in [
            (iam, json!({"roleName": "Exec"}), role),
            (iam, json!({"roleName": "Exec", "policyName": "inline"}), role),
            (iam, json!({"policyArn": "arn:aws:iam::aws:policy/Admin", "roleName": "Exec"}), role),
            (
                "sts.amazonaws.com",
                json!({"roleArn": "arn:aws:iam::111122223333:role/service-role/Exec"}),
                role,
            ),
            (logs, json!({"logGroupName": "/aws/sagemaker/jobs"}), group),
            (logs, json!({"logGroupIdentifier": format!("{group}:*")}), group),
            ("s3.amazonaws.com", json!({"bucketName": "models"}), "arn:aws:s3:::models"),
            ("kms.amazonaws.com", json!({"keyId": "alias/x"}), "alias/x"),
        ] {
            assert_eq!(resource(source, parameters.clone()), expected, "{parameters}");
        }
    }

    #[test]
    fn a_denied_call_has_the_resource_that_its_message_names() {
        let denied = |source: &str, said: &str| {
            let message =
                format!("User: arn:aws:iam::111122223333:user/a is not authorized to perform: {said}");
            let record = json!({"eventSource": source, "eventName": "DeleteNotebookInstance",
                "awsRegion": "eu-west-1", "recipientAccountId": "111122223333", "requestParameters": null,
                "errorCode": "AccessDenied", "errorMessage": message});
            key(&record, &[])["resource"].as_str().unwrap().to_owned()
        };
        let notebook = "arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/n";
        let role = "arn:aws:iam::111122223333:role/exec";
        for (source, said, expected) in [
            (
                "sagemaker.amazonaws.com",
                format!("sagemaker:DeleteNotebookInstance on resource: {notebook}"),
                notebook,
            ),
            ("iam.amazonaws.com", "iam:DeleteRole on resource: role Exec".to_owned(), role),
            ("iam.amazonaws.com", format!("iam:DeleteRole on resource: {role} because no"), role),
        ] {
            assert_eq!(denied(source, &said), expected, "{said}");
        }
    }

    #[test]
    fn sessions_of_one_role_are_one_identity_unless_they_belong_to_people() {
        let record = |role: &str, session: &str| {
            let issuer = format!("arn:aws:iam::111122223333:role/{role}");
            let arn = format!("arn:aws:sts::111122223333:assumed-role/{role}/{session}");
            json!({"userIdentity": {"type": "AssumedRole", "arn": arn, "sessionContext": {
                "sessionIssuer": {"type": "Role", "arn": issuer, "userName": role}}}})
        };
        let identity = |record: &Json| key(record, &[])["identity"].as_str().unwrap().to_owned();
        assert_eq!(identity(&record("Admin", "botocore-session-1")), "arn:aws:iam::111122223333:role/Admin");
        assert_eq!(
            identity(&record("AWSReservedSSO_Science_0a1b2c3d4e5f6a7b", "alice")),
            "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Science_0a1b2c3d4e5f6a7b/alice"
        );
    }
}
