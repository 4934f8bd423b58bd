//! Reads how a call came about.

use serde::Serialize;

use super::super::user_agent;
use super::naming::SERVICE_EVENT;
use crate::record::{Record, truth};

/// How the call came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Via {
    Console,
    Api,
    /// An AWS service made the call, for itself or for the actor.
    Service,
}

/// Reads the way off a record and the class of its user agent.
pub fn via(record: &Record<'_>, agent: &str) -> Via {
    let invoked_by = record.text(&["userIdentity", "invokedBy"]);
    let event_type = record.text(&["eventType"]);
    if invoked_by.is_some_and(|service| service != SIGN_IN) || event_type == Some(SERVICE_EVENT) {
        Via::Service
    } else if truth(record.at(&["sessionCredentialFromConsole"])) == Some(true)
        || invoked_by == Some(SIGN_IN)
        || record.event_source() == SIGN_IN
        || agent == user_agent::CONSOLE
    {
        Via::Console
    } else {
        Via::Api
    }
}

/// The service of the console's sessions: older records name it where newer ones say `sessionCredentialFromConsole`.
const SIGN_IN: &str = "signin.amazonaws.com";
