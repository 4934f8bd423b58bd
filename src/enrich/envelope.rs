//! The envelope: the fields that CloudTrail puts around every call, under `aws.cloudtrail.*`.
//!
//! Parameters and response go into flat objects: their names and types differ from call to call, and mapping them one
//! by one breaks an index sooner or later.

use serde::Serialize;
use serde_json_borrow::Value;

use super::flat::Flat;
use crate::record::{Record, member, truth};

/// What CloudTrail says around the call and of the call.
#[derive(Serialize)]
pub struct CloudTrail<'e, 'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event_version: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_type: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_category: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    management_event: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_event_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vpc_endpoint_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_account_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_from_console: Option<bool>,
    user_identity: UserIdentity<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<Session<'e>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<TouchedResource<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
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

#[derive(Serialize)]
struct UserIdentity<'e> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoked_by: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_provider: Option<&'e str>,
    /// The person on whose behalf a service acts, with trusted identity propagation.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<&'e str>,
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
        }
    }
}

/// Who stands behind temporary credentials.
#[derive(Serialize)]
struct Session<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<Issuer<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    creation_date: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_identity: Option<&'e str>,
    /// Whose word was taken for who it is, where a role was assumed with a web identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    federated_provider: Option<&'e str>,
}

#[derive(Serialize)]
struct Issuer<'e> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
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

#[derive(Serialize)]
struct TouchedResource<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    arn: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<&'e str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
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

#[derive(Serialize)]
struct Tls<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cipher_suite: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
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
#[derive(Serialize)]
struct Addendum<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_fields: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_request_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
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
