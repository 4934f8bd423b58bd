//! What the load needs of the servers and the daemon.

#[path = "../support/cloud.rs"]
pub mod cloud;
#[path = "../support/daemon.rs"]
pub mod daemon;
#[path = "../support/search.rs"]
pub mod search;
#[path = "../support/server.rs"]
pub mod server;
#[path = "../support/stack.rs"]
mod stack;
#[path = "../support/trail.rs"]
pub mod trail;

pub use stack::{Stack, eventually};
