//! Enrichment: from the raw bytes of one record to the document that says what it could mean to a defender.

pub mod select;
pub mod rules;
pub mod redact;
pub mod context;
pub mod flat;
pub mod dispatch;
