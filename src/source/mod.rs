//! Reads notifications from the queue and the objects that they name from S3.

pub mod allowed;
pub(crate) mod buckets;
pub mod deleter;
pub mod depth;
#[cfg(test)]
mod fake;
pub mod visibility;
pub mod key;
pub mod notification;
pub mod queue;
mod budget;
mod refusal;
pub mod store;
pub mod folder;
pub mod bucket;
