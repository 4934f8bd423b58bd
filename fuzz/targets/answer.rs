#![no_main]

#[path = "../daemon.rs"]
mod daemon;
#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| daemon::answer(data));
