//! The daemon as a process of its own, and addresses where nothing is.

use std::net::TcpListener;

#[path = "../../support/daemon.rs"]
mod base;

pub use base::Daemon;

/// A port that nobody listens on just now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}
