//! What tests without servers read from files.

#[path = "../support/costly.rs"]
pub mod costly;
#[path = "../support/examples.rs"]
pub mod examples;
#[path = "../support/hostile.rs"]
pub mod hostile;
#[path = "../support/saved.rs"]
pub mod saved;
