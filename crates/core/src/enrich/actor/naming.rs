//! Names an actor as an analyst would, or says why nobody can be named.

use serde::Serialize;

use crate::record::Record;

/// The session name of SageMaker's own: Studio, notebooks and jobs all use it, so that it names nobody.
pub const SAGEMAKER_SESSION: &str = "SageMaker";
/// The type of an event that no call of a caller stands behind.
pub const SERVICE_EVENT: &str = "AwsServiceEvent";

/// The name, or the reason why there is none: every record has one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming<'r> {
    Name(&'r str),
    Unnamed(Unnamed),
}

/// Why a record names nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Unnamed {
    /// The record has no `userIdentity`.
    NoIdentity,
    /// The record has one with nothing in it that names anybody.
    EmptyIdentity,
}

/// Names the actor. SageMaker's own session names nobody: then it is who stands behind it.
pub fn naming<'r>(
    record: &'r Record<'_>,
    kind: Option<&str>,
    session_name: Option<&'r str>,
    behind_sagemaker: Option<&'r str>,
) -> Naming<'r> {
    let name = match kind {
        Some("Root") => Some("root"),
        Some("AWSService") => record.text(&["userIdentity", "invokedBy"]),
        _ if session_name == Some(SAGEMAKER_SESSION) => behind_sagemaker,
        Some("AssumedRole" | "AWSAccount") => session_name,
        _ => None,
    };
    // What a service does of its own accord may come without an identity: then the service is the actor.
    let service = || {
        (record.text(&["eventType"]) == Some(SERVICE_EVENT)).then(|| record.text(&["eventSource"])).flatten()
    };
    match name.or_else(|| first_name(record)).or_else(service) {
        Some(name) => Naming::Name(name),
        None if record.at(&["userIdentity"]).is_object() => Naming::Unnamed(Unnamed::EmptyIdentity),
        None => Naming::Unnamed(Unnamed::NoIdentity),
    }
}

/// The first member of the identity that names somebody.
fn first_name<'r>(record: &'r Record<'_>) -> Option<&'r str> {
    let identity = |name| record.text(&["userIdentity", name]);
    let last = |text: &'r str, separator| text.rsplit(separator).next().filter(|text| !text.is_empty());
    identity("userName")
        .or_else(|| identity("arn").and_then(|arn| last(arn, '/')))
        .or_else(|| record.text(&["userIdentity", "onBehalfOf", "userId"]))
        .or_else(|| identity("invokedBy"))
        .or_else(|| identity("principalId").and_then(|principal| last(principal, ':')))
        .or_else(|| identity("accountId"))
}
