//! Reads CloudTrail files and decides on each record: the part of sagetrail that neither waits, logs nor talks to a
//! server.
//!
//! [`decode`] finds the records of a file, and [`enrich`] selects, tags and redacts one and writes its [`document`].
//! What it knows about threats is data in `config/`.

pub mod correlation;
pub mod decode;
pub mod document;
pub mod enrich;
pub mod incident;
mod json;
pub mod labels;
mod lanes;
pub mod memory;
pub mod names;
pub mod nearest;
pub mod record;
pub mod settings;
pub mod timestamp;
pub mod wildcard;
