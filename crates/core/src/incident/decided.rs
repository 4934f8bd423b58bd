//! What a decision over all signals ends in: incidents, and the pages that the monitors would send.

use serde::Serialize;

use super::{Counted, Incident};
use crate::enrich::Severity;
use crate::timestamp::Timestamp;

/// What was decided over all signals.
#[derive(Debug)]
pub struct Decided {
    /// In the order in which they were opened.
    pub incidents: Vec<Incident>,
    pub pages: Vec<Page>,
    /// The matches of correlations.
    pub correlated: Vec<Counted>,
}

/// A page that the monitors would send.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Page {
    pub time: Timestamp,
    pub severity: Severity,
    /// The id of the incident.
    pub incident: String,
    pub origin: String,
    pub sentence: String,
    /// Why it was opened or escalated.
    pub reason: String,
}

impl Page {
    /// The last one of an incident.
    pub fn of(incident: &Incident) -> Self {
        let fields = &incident.incident;
        Self {
            time: fields.paged,
            severity: fields.severity,
            incident: fields.id.clone(),
            origin: fields.origin.clone(),
            sentence: incident.message.clone(),
            reason: fields.reason.clone(),
        }
    }
}
