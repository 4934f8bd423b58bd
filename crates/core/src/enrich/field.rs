//! Says where the value of a field that a rule asks for is found, so that no record looks at its name again.

use super::{actor, networks, remembered};

/// What the names of facts begin with.
pub const FACTS: &str = "sagemaker.";

/// Fields that hold the name of a service, which differs between the partitions of AWS.
const SERVICES: [&str; 3] = ["eventSource", "userIdentity.invokedBy", "sourceIPAddress"];

/// Where the value of a field is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Record,
    /// A name of a service in the record.
    Service,
    Memory,
    Network,
    Actor,
    /// Any other fact.
    Fact,
}

impl Place {
    /// The place of a field by its name, as rules write it.
    pub fn of(field: &str) -> Self {
        match field {
            _ if remembered::is_field(field) => Self::Memory,
            _ if networks::is_field(field) => Self::Network,
            _ if field.starts_with(actor::FIELDS) => Self::Actor,
            _ if field.starts_with(FACTS) => Self::Fact,
            _ if SERVICES.contains(&field) => Self::Service,
            _ => Self::Record,
        }
    }
}
