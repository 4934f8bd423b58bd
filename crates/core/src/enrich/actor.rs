//! Reads who stands behind a record, under the name that an analyst would call them by.

mod naming;
mod second_factor;
mod via;

use rsigma_eval::EventValue;
use serde::Serialize;
use serde_json_borrow::Value;
use serde_with::skip_serializing_none;

use super::denied::Denied;
use super::user_agent;
use crate::record::{Record, member};
pub use naming::Naming;
use naming::naming;
pub use second_factor::SecondFactor;
use second_factor::{PERMISSION_SET_PREFIX, second_factor};
pub use via::Via;
use via::via;

/// What a record says about its caller. A document has CloudTrail's own words for it under `aws.cloudtrail`, and under
/// `sagemaker.actor` only what had to be concluded from them.
#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub struct Actor<'r> {
    /// CloudTrail's own word for the kind of identity, such as `AssumedRole`.
    #[serde(skip)]
    pub kind: Option<&'r str>,
    #[serde(flatten)]
    pub naming: Naming<'r>,
    /// The role that the actor works with.
    #[serde(skip)]
    pub role: Option<&'r str>,
    #[serde(skip)]
    pub arn: Option<&'r str>,
    #[serde(skip)]
    pub principal_id: Option<&'r str>,
    #[serde(skip)]
    pub account_id: Option<&'r str>,
    /// Who lent the temporary credentials: a role, or the user behind a federated one.
    #[serde(skip)]
    pub issuer: Option<Issuer<'r>>,
    pub session_name: Option<&'r str>,
    /// Who the session says it is, where administrators have it vouched for: in Studio the user profile.
    #[serde(skip)]
    pub source_identity: Option<&'r str>,
    /// The id of the person in IAM Identity Center for whom a service acts.
    #[serde(skip)]
    pub on_behalf_of: Option<&'r str>,
    /// The SAML or web identity provider that vouched for the actor.
    pub identity_provider: Option<&'r str>,
    /// The service that made the call for the actor.
    #[serde(skip)]
    pub invoked_by: Option<&'r str>,
    pub via: Via,
    #[serde(flatten)]
    pub second_factor: Option<SecondFactor>,
    pub root: bool,
    /// Whether the caller's account is another than the one that the record was delivered to.
    pub cross_account: Option<bool>,
    pub temporary_key: Option<bool>,
    /// The class of the user agent, as `config/user-agents.toml` names it.
    pub agent: &'static str,
}

/// Who lent temporary credentials, in CloudTrail's words.
#[derive(Debug)]
pub struct Issuer<'r> {
    pub kind: Option<&'r str>,
    pub name: Option<&'r str>,
    pub arn: Option<&'r str>,
    pub account_id: Option<&'r str>,
}

/// Reads the actor off a record.
pub fn actor<'r>(record: &'r Record<'_>) -> Actor<'r> {
    let identity = |name| record.text(&["userIdentity", name]);
    let session = record.at(&["userIdentity", "sessionContext"]);
    let (kind, account_id) = (identity("type"), identity("accountId"));
    // The record of a denied call from another account names the caller in its message alone.
    let arn = identity("arn").or_else(|| Denied::of(record)?.principal);
    let issuer = issuer(member(session, "sessionIssuer"));
    let session_name = session_name(arn, identity("principalId"));
    let source_identity = text(member(session, "sourceIdentity"));
    let role = role(kind, arn, issuer.as_ref());
    let provider = member(member(session, "webIdFederationData"), "federatedProvider");
    let agent = user_agent::class(record.text(&["userAgent"]));
    let via = via(record, agent);
    Actor {
        kind,
        naming: naming(record, kind, session_name, source_identity.or(role)),
        role,
        arn,
        principal_id: identity("principalId"),
        account_id,
        issuer,
        session_name,
        source_identity,
        on_behalf_of: record.text(&["userIdentity", "onBehalfOf", "userId"]),
        identity_provider: identity("identityProvider").or_else(|| text(provider)),
        invoked_by: identity("invokedBy"),
        via,
        second_factor: second_factor(record, role, session_name, via),
        root: kind == Some("Root"),
        cross_account: account_id
            .zip(record.text(&["recipientAccountId"]))
            .map(|(caller, recipient)| caller != recipient),
        temporary_key: identity("accessKeyId").and_then(is_temporary),
        agent,
    }
}

/// How the fields of the actor begin in a document.
pub const FIELDS: &str = "sagemaker.actor.";

impl<'r> Actor<'r> {
    /// What a document says under this name below [`FIELDS`].
    pub fn fact(&self, member: &str) -> Option<EventValue<'r>> {
        let text = |text: &'r str| EventValue::Str(text.into());
        let unnamed = |naming| match naming {
            Naming::Name(_) => None,
            Naming::Unnamed(reason) => Some(text(reason.into())),
        };
        match (member, self.second_factor) {
            ("name", _) => self.name().map(text),
            ("unnamed", _) => unnamed(self.naming),
            ("session_name", _) => self.session_name.map(text),
            ("identity_provider", _) => self.identity_provider.map(text),
            ("via", _) => Some(text(self.via.into())),
            ("agent", _) => Some(text(self.agent)),
            ("root", _) => Some(EventValue::Bool(self.root)),
            ("cross_account", _) => self.cross_account.map(EventValue::Bool),
            ("temporary_key", _) => self.temporary_key.map(EventValue::Bool),
            ("mfa", Some(SecondFactor::Mfa(shown))) => Some(EventValue::Bool(shown)),
            ("mfa_not_applicable", Some(SecondFactor::MfaNotApplicable(reason))) => Some(text(reason.into())),
            _ => None,
        }
    }

    /// Account and id of a caller from another account, who chooses the session's name and is shown without an ARN.
    /// None for callers of this account.
    pub fn foreign_id(&self) -> Option<(&'r str, &'r str)> {
        let account = self.account_id.filter(|_| self.cross_account == Some(true))?;
        let id = self.principal_id.map_or("unknown", |id| id.split_once(':').map_or(id, |(role, _)| role));
        Some((account, id))
    }

    /// The name that an analyst would use; None where the record names nobody.
    pub fn name(&self) -> Option<&'r str> {
        match self.naming {
            Naming::Name(name) => Some(name),
            Naming::Unnamed(_) => None,
        }
    }

    /// The permission set of IAM Identity Center that the role stands for: the role's name without what AWS puts
    /// around it.
    pub fn permission_set(&self) -> Option<&'r str> {
        let name = self.role?.strip_prefix(PERMISSION_SET_PREFIX)?;
        Some(name.rsplit_once('_').map_or(name, |(name, _)| name))
    }
}

/// The last part of `arn:aws:sts::111122223333:assumed-role/role/session`, or what follows the colon in the principal's
/// id, which is all that a call from another account shows.
fn session_name<'r>(arn: Option<&'r str>, principal_id: Option<&'r str>) -> Option<&'r str> {
    let of_arn = arn.and_then(assumed_role).map(|(_, session)| session);
    let of_principal = || {
        let (id, session) = principal_id?.split_once(':')?;
        id.starts_with("AROA").then_some(session)
    };
    of_arn.or_else(of_principal).filter(|session| !session.is_empty())
}

fn role<'r>(kind: Option<&str>, arn: Option<&'r str>, issuer: Option<&Issuer<'r>>) -> Option<&'r str> {
    let of_issuer = issuer.filter(|issuer| issuer.kind != Some("IAMUser") && issuer.kind != Some("Root"));
    let of_arn = || match kind {
        Some("Role") => arn?.rsplit('/').next(),
        _ => arn.and_then(assumed_role).map(|(role, _)| role),
    };
    of_issuer.and_then(|issuer| issuer.name).or_else(of_arn)
}

fn assumed_role(arn: &str) -> Option<(&str, &str)> {
    arn.split_once(":assumed-role/")?.1.split_once('/')
}

fn issuer<'r>(issuer: &'r Value<'_>) -> Option<Issuer<'r>> {
    let text = |name| text(member(issuer, name));
    let issuer = Issuer {
        kind: text("type"),
        name: text("userName"),
        arn: text("arn"),
        account_id: text("accountId"),
    };
    let says_something = issuer.kind.or(issuer.name).or(issuer.arn).or(issuer.account_id).is_some();
    says_something.then_some(issuer)
}

fn text<'r>(value: &'r Value<'_>) -> Option<&'r str> {
    value.as_str().filter(|text| !text.is_empty())
}

/// Whether the key is one of a session, as its first letters tell.
fn is_temporary(access_key_id: &str) -> Option<bool> {
    match access_key_id.get(..4) {
        Some("ASIA") => Some(true),
        Some("AKIA") => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
