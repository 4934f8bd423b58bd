//! sagetrail ships SageMaker's CloudTrail records from S3 to OpenSearch and tags them with Sigma rules.
//!
//! `ARCHITECTURE.md` describes the way of a record and the invariants that hold on it.

pub use sagetrail_core::{correlation, decode, document, enrich, incident, labels, names, record, timestamp};

pub mod config;
pub mod advice;
pub mod telemetry;
pub mod daemon;
mod receiver;
pub mod correlator;
pub mod networks;
pub mod reload;
pub mod pipeline;
pub mod aws;
pub mod source;
pub mod ledger;
pub mod memory;
pub mod opensearch;
pub mod sink;
pub mod setup;
pub mod monitors;
pub mod alertmanager;
pub mod offline;
pub mod backtest;
pub mod investigate;
pub mod replay;
mod stored;
mod incidents;
pub mod retag;
pub mod learn;
pub mod whois;
pub mod contain;
pub mod guard;
pub mod verify;
pub mod drill;
pub mod listing;
pub mod admin;
pub mod health;
pub mod doctor;
pub mod metrics;
mod templates;
mod backoff;
mod denial;
mod causes;
mod posture;
