//! The daemon as a process of its own, and where it listens.

#[path = "../../support/daemon.rs"]
mod base;

pub use base::{Daemon, free_port};

impl Daemon {
    /// Where its admin endpoint listens, as `admin.listen` has it.
    pub fn listens_on(&self) -> &str {
        self.admin.trim_start_matches("http://")
    }
}
