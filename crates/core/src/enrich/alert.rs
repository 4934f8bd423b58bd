//! Writes the keys that monitors group records by, so that one incident pages once.
//!
//! Grouping leaves out each record that lacks one of the values, in silence. So principal and resource are always
//! there, and a record that is worth a look always has a finding. A key goes into pages and links as it is, so it holds
//! nothing that means something there.

mod plain;
mod resource_key;
mod ties;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::Serialize;

use super::actor::Actor;
use super::context::Context;
use super::drill;
use super::remembered::RememberedActor;
use super::verdict::Verdict;
use crate::record::Record;
pub use plain::NONE;
use plain::beginning;
pub use plain::plain;
use resource_key::resource_key;
use ties::ties;
pub use ties::{selves, tie_key};

/// What `sagemaker.alert` says.
#[derive(Debug, Serialize)]
pub struct AlertKey<'e> {
    /// Of a caller from another account: the account and the id of the role or user, because who assumes a role chooses
    /// the session's name.
    principal: Cow<'e, str>,
    /// Who the principal is over several sessions: the role, unless a session of it belongs to one person.
    identity: Cow<'e, str>,
    /// Who is behind it, as far as that is known: the root of the lineage, or else the identity. What one origin does
    /// is one incident.
    origin: Cow<'e, str>,
    /// In lower case, because SageMaker writes some ARNs so, and a resource should have one key.
    resource: String,
    /// The titles of the most worrying matches; none where nothing is worth a look.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    finding: Vec<&'e str>,
    /// The origin and the principal as keys of ties, where something is worth a look: whoever has one of these among
    /// their ties is tied to them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    selves: BTreeSet<String>,
    /// What the call changed or handed on, and the sessions that it came through. Whoever acts as one of these belongs
    /// to the same incident.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    ties: BTreeSet<String>,
}

impl<'e> AlertKey<'e> {
    /// Concludes the keys of one record. Those of a drill are the drill's own.
    pub fn of(
        record: &Record<'_>,
        actor: &Actor<'e>,
        lineage: &'e RememberedActor,
        context: &'e Context<'_>,
        verdict: &Verdict<'e>,
        drill: Option<&str>,
    ) -> Self {
        let resource = resource_key(record, context);
        let resource = plain(beginning(resource.as_deref().unwrap_or(NONE))).to_lowercase();
        let finding: Vec<&str> = verdict.most_worrying().map(|finding| finding.title).collect();
        if let Some(id) = drill {
            // Its names are nobody's, and tie it to nobody.
            let own = Cow::<str>::Owned(drill::origin(id));
            let (principal, identity) = (own.clone(), own.clone());
            let (selves, ties) = Default::default();
            return Self { principal, identity, origin: own, resource, finding, selves, ties };
        }
        let (principal, identity) = caller(actor);
        let (principal, identity) = (no_drill(principal), no_drill(identity));
        // A service of AWS gives credentials to everybody's workloads: whose they are says the role.
        let origin = lineage
            .origin
            .as_deref()
            .filter(|root| !is_service(root))
            .map_or_else(|| identity.clone(), |root| no_drill(plain(beginning(root))));
        let ties = ties(record, actor, lineage, context, &resource);
        let selves = if finding.is_empty() { BTreeSet::new() } else { selves([&*origin, &*principal]) };
        Self { principal, identity, origin, resource, finding, selves, ties }
    }
}

fn is_service(name: &str) -> bool {
    [".amazonaws.com", ".amazonaws.com.cn"].iter().any(|end| name.ends_with(end))
}

/// A key that is not taken for one of a drill, whatever somebody calls himself.
fn no_drill(key: Cow<'_, str>) -> Cow<'_, str> {
    if drill::of_origin(&key).is_some() { key.replacen(':', "%3A", 1).into() } else { key }
}

/// The keys of the principal, and of who it is over several sessions.
fn caller<'e>(actor: &Actor<'e>) -> (Cow<'e, str>, Cow<'e, str>) {
    if let Some((account, id)) = actor.foreign_id() {
        let principal = Cow::<str>::Owned(format!("{}:{}", plain(beginning(account)), plain(beginning(id))));
        return (principal.clone(), principal);
    }
    let principal = actor.arn.or(actor.name()).unwrap_or(NONE);
    let role = actor.issuer.as_ref().and_then(|issuer| issuer.arn);
    // The people who sign in through IAM Identity Center share a role, and each has sessions under one name.
    let shared = actor.permission_set().is_some();
    let identity = role.filter(|_| !shared).unwrap_or(principal);
    (plain(beginning(principal)), plain(beginning(identity)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::enrich::analysis::tests::{read, rule};

    fn key(record: &Json, levels: &[&str]) -> Json {
        read_with(record, levels, &RememberedActor::default())
    }

    fn read_with(record: &Json, levels: &[&str], lineage: &RememberedActor) -> Json {
        let rules: Vec<_> = levels.iter().map(|level| rule(&format!("A {level} rule"), level, &[])).collect();
        read(record, &rules, |analysis| {
            serde_json::to_value(AlertKey::of(
                analysis.record,
                analysis.actor,
                lineage,
                analysis.context,
                analysis.verdict,
                None,
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
        for (record, levels, mut expected) in cases {
            // Nothing is known of who is behind it.
            expected["origin"] = expected["identity"].clone();
            let mut key = key(record, levels);
            for member in ["ties", "selves"] {
                key.as_object_mut().unwrap().remove(member);
            }
            assert_eq!(key, expected, "{record}");
        }
    }

    #[test]
    fn of_what_is_worth_a_look_the_origin_and_the_principal_are_keys_that_ties_name() {
        let role = "arn:aws:iam::111122223333:role/service-role/Exec";
        let record = json!({
            "eventSource": "sagemaker.amazonaws.com", "eventName": "ListModels", "awsRegion": "eu-west-1",
            "recipientAccountId": "111122223333", "readOnly": true,
            "userIdentity": {
                "type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/Exec/SageMaker",
                "sessionContext": {"sessionIssuer": {"type": "Role", "arn": role}},
            },
        });
        let expected = json!([
            "arn:aws:iam::111122223333:role/exec",
            "arn:aws:sts::111122223333:assumed-role/exec/sagemaker",
        ]);
        assert_eq!(key(&record, &["low"])["selves"], expected);
        assert_eq!(key(&record, &[])["selves"], Json::Null);
        assert_eq!(tie_key(role), expected[0], "calls hand it on with and without its path");
    }

    #[test]
    fn who_is_behind_a_caller_is_the_origin_and_ties_are_what_was_changed_or_handed_on() {
        let create = json!({
            "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateNotebookInstance", "awsRegion": "eu-west-1",
            "recipientAccountId": "111122223333", "readOnly": false,
            "userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/dev/x"},
            "requestParameters": {"notebookInstanceName": "N", "roleArn": "arn:aws:iam::111122223333:role/team/Exec"},
        });
        let mut nameless = create.clone();
        nameless["eventName"] = "UpdateImageVersion".into();
        nameless["requestParameters"] = json!({"alias": "latest"});
        let mut denied = create.clone();
        denied["errorCode"] = "AccessDenied".into();
        let mut read = create.clone();
        read["eventName"] = "DescribeNotebookInstance".into();
        let created = [
            "arn:aws:iam::111122223333:role/exec",
            "arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/n",
            "arn:aws:sts::111122223333:assumed-role/ci/run-7",
        ];
        let lineage = RememberedActor {
            origin: Some("alice".to_owned()),
            chain: [
                "alice",
                "arn:aws:sts::111122223333:assumed-role/CI/run-7",
                "arn:aws:sts::111122223333:assumed-role/dev/x",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..RememberedActor::default()
        };
        let cases = [
            (create, &created[..]),
            (denied, &created[2..]),
            (read, &created[2..]),
            (nameless, &created[2..]),
        ];
        for (record, expected) in cases {
            let key = read_with(&record, &[], &lineage);
            assert_eq!((&key["origin"], &key["ties"]), (&json!("alice"), &json!(expected)), "{record}");
        }
    }

    #[test]
    fn a_service_that_gave_credentials_is_not_behind_what_is_done_with_them() {
        let role = "arn:aws:iam::111122223333:role/Exec";
        let record = json!({"userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/Exec/SageMaker",
            "sessionContext": {"sessionIssuer": {"arn": role}}}});
        for (origin, expected) in [
            ("sagemaker.amazonaws.com", role),
            ("ec2.amazonaws.com.cn", role),
            ("arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:user/alice"),
        ] {
            let lineage = RememberedActor { origin: Some(origin.to_owned()), ..RememberedActor::default() };
            assert_eq!(read_with(&record, &[], &lineage)["origin"], expected, "{origin}");
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
            (iam, json!({"roleName": "service-role/Exec"}), role),
            ("kms.amazonaws.com", json!({"keyId": "alias/x"}), "arn:aws:kms:eu-west-1:111122223333:alias/x"),
            ("kms.amazonaws.com", json!({"keyId": "1-2"}), "arn:aws:kms:eu-west-1:111122223333:key/1-2"),
            (
                "kms.amazonaws.com",
                json!({"keyId": "arn:aws:kms:eu-west-1:111122223333:key/1-2"}),
                "arn:aws:kms:eu-west-1:111122223333:key/1-2",
            ),
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
