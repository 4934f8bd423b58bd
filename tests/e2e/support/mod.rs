//! What the end-to-end tests share: a real OpenSearch, moto's S3 and SQS, and the daemon as its own process.

pub mod alerts;
pub mod cleared;
pub mod cloud;
pub mod daemon;
#[path = "../../support/examples.rs"]
pub mod examples;
#[path = "../../support/hostile.rs"]
pub mod hostile;
#[path = "../../support/saved.rs"]
pub mod saved;
pub mod log;
pub mod scene;
pub mod search;
pub mod server;
pub mod secured;
#[path = "../../support/sqs.rs"]
pub mod sqs;
#[path = "../../support/stack.rs"]
mod stack;
pub mod story;
#[path = "../../support/trail.rs"]
pub mod trail;

pub use stack::{Stack, eventually};
