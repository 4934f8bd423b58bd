#![no_main]

#[expect(dead_code, reason = "this target uses one function of these")]
#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::enrich(data));
