//! Reads whether the actor showed a second factor, as far as a record can say.

use serde::Serialize;

use super::naming::SAGEMAKER_SESSION;
use super::via::Via;
use crate::record::{Record, member, truth};

/// How the roles begin that IAM Identity Center makes of its permission sets.
pub const PERMISSION_SET_PREFIX: &str = "AWSReservedSSO_";

/// What a record says about the second factor. One that says nothing at all, such as that of a long-lived key, has none
/// of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactor {
    Mfa(bool),
    /// CloudTrail writes `false` for these as well, however their people signed in.
    MfaNotApplicable(NotApplicable),
}

/// Why the session has no second factor to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NotApplicable {
    /// IAM Identity Center asks for it, at its own sign-in.
    IdentityCenter,
    /// A SAML or web identity provider asks for it, or a program has signed in.
    IdentityProvider,
    /// A service made the call.
    Service,
    /// A program works with the role of its compute: of SageMaker, Lambda, an instance or a container.
    ComputeRole,
}

/// Reads the second factor off a record. Whoever shows one has one.
pub fn second_factor(
    record: &Record<'_>,
    role: Option<&str>,
    session_name: Option<&str>,
    via: Via,
) -> Option<SecondFactor> {
    let session = record.at(&["userIdentity", "sessionContext"]);
    let written = truth(member(member(session, "attributes"), "mfaAuthenticated"));
    match written.or_else(|| at_sign_in(record)) {
        Some(true) => Some(SecondFactor::Mfa(true)),
        written => not_applicable(record, role, session_name, via)
            .map(SecondFactor::MfaNotApplicable)
            .or(written.map(SecondFactor::Mfa)),
    }
}

fn not_applicable(
    record: &Record<'_>,
    role: Option<&str>,
    session_name: Option<&str>,
    via: Via,
) -> Option<NotApplicable> {
    let identity = |name| record.text(&["userIdentity", name]);
    let session = record.at(&["userIdentity", "sessionContext"]);
    let kind = identity("type");
    let issuer = record.text(&["userIdentity", "sessionContext", "sessionIssuer", "arn"]);
    if kind == Some("IdentityCenterUser") || role.is_some_and(|role| role.starts_with(PERMISSION_SET_PREFIX))
    {
        Some(NotApplicable::IdentityCenter)
    } else if via == Via::Service
        || kind == Some("AWSService")
        || issuer.is_some_and(|arn| arn.contains(":role/aws-service-role/"))
    {
        Some(NotApplicable::Service)
    } else if identity("identityProvider").is_some()
        || matches!(kind, Some("SAMLUser" | "WebIdentityUser" | "FederatedUser"))
        || member(member(session, "webIdFederationData"), "federatedProvider").is_string()
    {
        Some(NotApplicable::IdentityProvider)
    } else if session_name.is_some_and(is_of_compute)
        || !member(session, "ec2RoleDelivery").is_null()
        || record.at(&["userIdentity", "inScopeOf"]).is_object()
    {
        Some(NotApplicable::ComputeRole)
    } else {
        None
    }
}

/// Whether compute gave the session its name: SageMaker's own, or the id of an instance.
fn is_of_compute(session_name: &str) -> bool {
    let is_instance = session_name
        .strip_prefix("i-")
        .is_some_and(|id| matches!(id.len(), 8 | 17) && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_instance || session_name == SAGEMAKER_SESSION
}

/// The console's sign-in has no session yet and says it in words.
fn at_sign_in(record: &Record<'_>) -> Option<bool> {
    match record.text(&["additionalEventData", "MFAUsed"])? {
        "Yes" => Some(true),
        "No" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::enrich::actor::actor;

    fn role(name: &str, session: &str, context: Value) -> Value {
        let mut context = context;
        context["attributes"] = json!({"mfaAuthenticated": "false"});
        context["sessionIssuer"] = json!({"type": "Role", "userName": name, "arn": format!("arn:aws:iam::111122223333:role/{name}")});
        let arn = format!("arn:aws:sts::111122223333:assumed-role/{name}/{session}");
        json!({"userIdentity": {"type": "AssumedRole", "arn": arn, "sessionContext": context}})
    }

    #[test]
    fn the_second_factor_is_shown_or_not_or_is_nothing_that_the_session_could_show() {
        use NotApplicable::{ComputeRole, IdentityCenter, IdentityProvider, Service};
        let not_applicable = |reason| Some(SecondFactor::MfaNotApplicable(reason));
        let mut lambda = role("Fn", "my-function", json!({}));
        lambda["userIdentity"]["inScopeOf"] =
            json!({"credentialsIssuedTo": "arn:aws:lambda:eu-west-1:1:function:f"});
        let mut through_service = role("Admin", "alice", json!({}));
        through_service["userIdentity"]["invokedBy"] = "cloudformation.amazonaws.com".into();
        let mut with = role("AWSReservedSSO_Science_0a1b2c3d4e5f6a7b", "alice", json!({}));
        with["userIdentity"]["sessionContext"]["attributes"]["mfaAuthenticated"] = "true".into();
        let user = |context: Value| {
            json!({"userIdentity": {"type": "IAMUser", "userName": "alice",
            "sessionContext": context}})
        };
        let saml =
            json!({"userIdentity": {"type": "SAMLUser", "identityProvider": "idp", "userName": "alice"}});
        let sign_in = |used: &str| {
            json!({"eventSource": "signin.amazonaws.com",
            "userIdentity": {"type": "IAMUser", "userName": "alice"}, "additionalEventData": {"MFAUsed": used}})
        };
        for (record, expected) in [
            (role("Admin", "alice", json!({})), Some(SecondFactor::Mfa(false))),
            (
                role("AWSReservedSSO_Science_0a1b2c3d4e5f6a7b", "alice", json!({})),
                not_applicable(IdentityCenter),
            ),
            (with, Some(SecondFactor::Mfa(true))),
            (role("Exec", "SageMaker", json!({})), not_applicable(ComputeRole)),
            (role("Web", "i-0123456789abcdef0", json!({})), not_applicable(ComputeRole)),
            (role("Web", "i-am-a-person", json!({})), Some(SecondFactor::Mfa(false))),
            (role("Web", "x", json!({"ec2RoleDelivery": "2.0"})), not_applicable(ComputeRole)),
            (lambda, not_applicable(ComputeRole)),
            (through_service, not_applicable(Service)),
            (
                role(
                    "Ci",
                    "deploy",
                    json!({"webIdFederationData": {"federatedProvider": "token.example.com"}}),
                ),
                not_applicable(IdentityProvider),
            ),
            (saml, not_applicable(IdentityProvider)),
            (user(json!({"attributes": {"mfaAuthenticated": "false"}})), Some(SecondFactor::Mfa(false))),
            (user(json!({})), None),
            (sign_in("Yes"), Some(SecondFactor::Mfa(true))),
            (sign_in("No"), Some(SecondFactor::Mfa(false))),
        ] {
            let raw = record.to_string();
            let parsed = Record::parse(raw.as_bytes()).unwrap();
            assert_eq!(actor(&parsed).second_factor, expected, "{record}");
        }
    }
}
