//! The envelope: the fields that CloudTrail puts around every call, under `aws.cloudtrail.*`.
//!
//! Parameters and response go into flat objects: their names and types differ from call to call, and mapping them one
//! by one breaks an index sooner or later.

use serde::Serialize;
use serde_json_borrow::Value;
use serde_with::skip_serializing_none;

use super::flat::Flat;
use crate::record::{Record, member, truth};

/// What CloudTrail says around the call and of the call.
#[skip_serializing_none]
#[derive(Serialize)]
pub struct CloudTrail<'e, 'a> {
    event_version: Option<&'e str>,
    event_type: Option<&'e str>,
    event_category: Option<&'e str>,
    api_version: Option<&'e str>,
    management_event: Option<bool>,
    read_only: Option<bool>,
    request_id: Option<&'e str>,
    shared_event_id: Option<&'e str>,
    vpc_endpoint_id: Option<&'e str>,
    recipient_account_id: Option<&'e str>,
    session_from_console: Option<bool>,
    user_identity: UserIdentity<'e>,
    session: Option<Session<'e>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<TouchedResource<'e>>,
    tls: Option<Tls<'e>>,
    addendum: Option<Addendum<'e>>,
    #[serde(skip_serializing_if = "Flat::is_empty")]
    request_parameters: Flat<'e, 'a>,
    #[serde(skip_serializing_if = "Flat::is_empty")]
    response_elements: Flat<'e, 'a>,
    #[serde(skip_serializing_if = "Flat::is_empty")]
    additional_event_data: Flat<'e, 'a>,
    #[serde(skip_serializing_if = "Flat::is_empty")]
    service_event_details: Flat<'e, 'a>,
}

impl<'e, 'a> CloudTrail<'e, 'a> {
    pub fn of(record: &'e Record<'a>) -> Self {
        let text = |name| record.text(&[name]);
        Self {
            event_version: text("eventVersion"),
            event_type: text("eventType"),
            event_category: text("eventCategory"),
            api_version: text("apiVersion"),
            management_event: truth(record.at(&["managementEvent"])),
            read_only: truth(record.at(&["readOnly"])),
            request_id: text("requestID"),
            shared_event_id: text("sharedEventID"),
            vpc_endpoint_id: text("vpcEndpointId"),
            recipient_account_id: text("recipientAccountId"),
            session_from_console: truth(record.at(&["sessionCredentialFromConsole"])),
            user_identity: UserIdentity::of(record),
            session: Session::of(record),
            resources: touched_resources(record),
            tls: Tls::of(record),
            addendum: Addendum::of(record),
            request_parameters: Flat(record.at(&["requestParameters"])),
            response_elements: Flat(record.at(&["responseElements"])),
            additional_event_data: Flat(record.at(&["additionalEventData"])),
            service_event_details: Flat(record.at(&["serviceEventDetails"])),
        }
    }
}

#[skip_serializing_none]
#[derive(Serialize)]
struct UserIdentity<'e> {
    #[serde(rename = "type")]
    kind: Option<&'e str>,
    principal_id: Option<&'e str>,
    arn: Option<&'e str>,
    account_id: Option<&'e str>,
    access_key_id: Option<&'e str>,
    user_name: Option<&'e str>,
    invoked_by: Option<&'e str>,
    identity_provider: Option<&'e str>,
    /// The person on whose behalf a service acts, with trusted identity propagation.
    on_behalf_of: Option<&'e str>,
    in_scope_of: Option<InScopeOf<'e>>,
}

/// For what the credentials of a service's role were issued, and to whom.
#[skip_serializing_none]
#[derive(Serialize)]
struct InScopeOf<'e> {
    source_arn: Option<&'e str>,
    source_account: Option<&'e str>,
    issuer_type: Option<&'e str>,
    credentials_issued_to: Option<&'e str>,
}

impl<'e> InScopeOf<'e> {
    fn of(record: &'e Record<'_>) -> Option<Self> {
        let path = ["userIdentity", "inScopeOf"];
        let text = |name| member(record.at(&path), name).as_str();
        record.at(&path).is_object().then(|| Self {
            source_arn: text("sourceArn"),
            source_account: text("sourceAccount"),
            issuer_type: text("issuerType"),
            credentials_issued_to: text("credentialsIssuedTo"),
        })
    }
}

impl<'e> UserIdentity<'e> {
    fn of(record: &'e Record<'_>) -> Self {
        let text = |name| record.text(&["userIdentity", name]);
        Self {
            kind: text("type"),
            principal_id: text("principalId"),
            arn: text("arn"),
            account_id: text("accountId"),
            access_key_id: text("accessKeyId"),
            user_name: text("userName"),
            invoked_by: text("invokedBy"),
            identity_provider: text("identityProvider"),
            on_behalf_of: record.text(&["userIdentity", "onBehalfOf", "userId"]),
            in_scope_of: InScopeOf::of(record),
        }
    }
}

/// Who stands behind temporary credentials.
#[skip_serializing_none]
#[derive(Serialize)]
struct Session<'e> {
    issuer: Option<Issuer<'e>>,
    mfa: Option<bool>,
    creation_date: Option<&'e str>,
    source_identity: Option<&'e str>,
    /// Whose word was taken for who it is, where a role was assumed with a web identity.
    federated_provider: Option<&'e str>,
}

#[skip_serializing_none]
#[derive(Serialize)]
struct Issuer<'e> {
    #[serde(rename = "type")]
    kind: Option<&'e str>,
    principal_id: Option<&'e str>,
    arn: Option<&'e str>,
    user_name: Option<&'e str>,
    account_id: Option<&'e str>,
}

impl<'e> Session<'e> {
    fn of(record: &'e Record<'_>) -> Option<Self> {
        let context = record.at(&["userIdentity", "sessionContext"]);
        let issuer = member(context, "sessionIssuer");
        let attributes = member(context, "attributes");
        let text = |name| member(issuer, name).as_str();
        context.is_object().then(|| Self {
            issuer: issuer.is_object().then(|| Issuer {
                kind: text("type"),
                principal_id: text("principalId"),
                arn: text("arn"),
                user_name: text("userName"),
                account_id: text("accountId"),
            }),
            mfa: truth(member(attributes, "mfaAuthenticated")),
            creation_date: member(attributes, "creationDate").as_str(),
            source_identity: member(context, "sourceIdentity").as_str(),
            federated_provider: member(member(context, "webIdFederationData"), "federatedProvider").as_str(),
        })
    }
}

#[skip_serializing_none]
#[derive(Serialize)]
struct TouchedResource<'e> {
    arn: Option<&'e str>,
    account_id: Option<&'e str>,
    #[serde(rename = "type")]
    kind: Option<&'e str>,
}

fn touched_resources<'e>(record: &'e Record<'_>) -> Vec<TouchedResource<'e>> {
    let listed = record.at(&["resources"]).as_array().unwrap_or_default();
    let text = |resource: &'e Value<'_>, name| member(resource, name).as_str();
    listed
        .iter()
        .filter(|resource| resource.is_object())
        .map(|resource| TouchedResource {
            arn: text(resource, "ARN").or_else(|| text(resource, "arn")),
            account_id: text(resource, "accountId"),
            kind: text(resource, "type"),
        })
        .collect()
}

#[skip_serializing_none]
#[derive(Serialize)]
struct Tls<'e> {
    version: Option<&'e str>,
    cipher_suite: Option<&'e str>,
    client_provided_host: Option<&'e str>,
}

impl<'e> Tls<'e> {
    fn of(record: &'e Record<'_>) -> Option<Self> {
        let text = |name| record.text(&["tlsDetails", name]);
        record.at(&["tlsDetails"]).is_object().then(|| Self {
            version: text("tlsVersion"),
            cipher_suite: text("cipherSuite"),
            client_provided_host: text("clientProvidedHostHeader"),
        })
    }
}

/// A later addition to an event that was already delivered; the two are linked by the original's eventID.
#[skip_serializing_none]
#[derive(Serialize)]
struct Addendum<'e> {
    reason: Option<&'e str>,
    updated_fields: Option<&'e str>,
    original_request_id: Option<&'e str>,
    original_event_id: Option<&'e str>,
}

impl<'e> Addendum<'e> {
    fn of(record: &'e Record<'_>) -> Option<Self> {
        let text = |name| record.text(&["addendum", name]);
        record.at(&["addendum"]).is_object().then(|| Self {
            reason: text("reason"),
            updated_fields: text("updatedFields"),
            original_request_id: text("originalRequestID"),
            original_event_id: text("originalEventID"),
        })
    }
}
