//! The source: the queue that says which objects are new, and the store that holds them.

pub mod allowed;
pub mod aws;
pub(crate) mod buckets;
pub mod deleter;
pub mod depth;
#[cfg(test)]
mod fake;
pub mod hold;
pub mod key;
pub mod notification;
pub mod queue;
pub mod store;
pub mod folder;
pub mod bucket;
