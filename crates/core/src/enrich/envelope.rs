//! Writes the fields that CloudTrail puts around every call, under `aws.cloudtrail.*`.
//!
//! Parameters and response go into flat objects: their names and types differ from call to call, and mapping them one
//! by one breaks an index sooner or later.

use serde::{Serialize, Serializer};
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
    user_identity: UserIdentity<'e, 'a>,
    session: Option<Session<'e, 'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<TouchedResource<'e>>,
    tls: Option<Renamed<'e, 'a>>,
    /// A later addition to an event that was already delivered; the two are linked by the original's eventID.
    addendum: Option<Renamed<'e, 'a>>,
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
    /// Takes the fields from a redacted record; what it lacks is left out.
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
            tls: Renamed::of(record.at(&["tlsDetails"]), TLS),
            addendum: Renamed::of(record.at(&["addendum"]), ADDENDUM),
            request_parameters: Flat(record.at(&["requestParameters"])),
            response_elements: Flat(record.at(&["responseElements"])),
            additional_event_data: Flat(record.at(&["additionalEventData"])),
            service_event_details: Flat(record.at(&["serviceEventDetails"])),
        }
    }
}

#[skip_serializing_none]
#[derive(Serialize)]
struct UserIdentity<'e, 'a> {
    #[serde(flatten)]
    texts: Option<Renamed<'e, 'a>>,
    /// The person on whose behalf a service acts, with trusted identity propagation.
    on_behalf_of: Option<&'e str>,
    /// For what the credentials of a service's role were issued, and to whom.
    in_scope_of: Option<Renamed<'e, 'a>>,
}

impl<'e, 'a> UserIdentity<'e, 'a> {
    fn of(record: &'e Record<'a>) -> Self {
        Self {
            texts: Renamed::of(record.at(&["userIdentity"]), IDENTITY),
            on_behalf_of: record.text(&["userIdentity", "onBehalfOf", "userId"]),
            in_scope_of: Renamed::of(record.at(&["userIdentity", "inScopeOf"]), IN_SCOPE_OF),
        }
    }
}

/// Who stands behind temporary credentials.
#[skip_serializing_none]
#[derive(Serialize)]
struct Session<'e, 'a> {
    issuer: Option<Renamed<'e, 'a>>,
    mfa: Option<bool>,
    creation_date: Option<&'e str>,
    source_identity: Option<&'e str>,
    /// Whose word was taken for who it is, where a role was assumed with a web identity.
    federated_provider: Option<&'e str>,
}

impl<'e, 'a> Session<'e, 'a> {
    fn of(record: &'e Record<'a>) -> Option<Self> {
        let context = record.at(&["userIdentity", "sessionContext"]);
        let attributes = member(context, "attributes");
        context.is_object().then(|| Self {
            issuer: Renamed::of(member(context, "sessionIssuer"), ISSUER),
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

/// The texts of one object of a record, under the names of a document. What is absent or no text is left out.
struct Renamed<'e, 'a> {
    object: &'e Value<'a>,
    names: Names,
}

/// Names of the document, and those of CloudTrail.
type Names = &'static [(&'static str, &'static str)];

const IDENTITY: Names = &[
    ("type", "type"),
    ("principal_id", "principalId"),
    ("arn", "arn"),
    ("account_id", "accountId"),
    ("access_key_id", "accessKeyId"),
    ("user_name", "userName"),
    ("invoked_by", "invokedBy"),
    ("identity_provider", "identityProvider"),
];
const IN_SCOPE_OF: Names = &[
    ("source_arn", "sourceArn"),
    ("source_account", "sourceAccount"),
    ("issuer_type", "issuerType"),
    ("credentials_issued_to", "credentialsIssuedTo"),
];
const ISSUER: Names = &[
    ("type", "type"),
    ("principal_id", "principalId"),
    ("arn", "arn"),
    ("user_name", "userName"),
    ("account_id", "accountId"),
];
const TLS: Names = &[
    ("version", "tlsVersion"),
    ("cipher_suite", "cipherSuite"),
    ("client_provided_host", "clientProvidedHostHeader"),
];
const ADDENDUM: Names = &[
    ("reason", "reason"),
    ("updated_fields", "updatedFields"),
    ("original_request_id", "originalRequestID"),
    ("original_event_id", "originalEventID"),
];

impl<'e, 'a> Renamed<'e, 'a> {
    /// None for what is no object.
    fn of(object: &'e Value<'a>, names: Names) -> Option<Self> {
        object.is_object().then_some(Self { object, names })
    }
}

impl Serialize for Renamed<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let texts = self
            .names
            .iter()
            .filter_map(|(name, theirs)| Some((name, member(self.object, theirs).as_str()?)));
        serializer.collect_map(texts)
    }
}
