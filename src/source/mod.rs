//! The source: the queue that says which objects are new, and the bucket that holds them.

pub mod notification;
