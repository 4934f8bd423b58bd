//! A server of a test's own, which may also die.

#[path = "../../support/server.rs"]
mod base;

use std::process::Command;

pub use base::Server;

impl Server {
    /// Ends the process at once, as the kernel does when memory is short.
    pub fn kill(&self) {
        let killed = Command::new("kill").args(["-KILL", &self.status("pid=")]).status();
        assert!(killed.expect("kill runs").success());
    }
}
