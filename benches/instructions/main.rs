//! How many instructions records take in the stages between source and sink, in a build that is made for this alone.
//!
//! Valgrind counts them, and a count repeats from run to run on whatever machine, where a time does not. `make
//! instructions` runs these tests; in another build their numbers mean nothing.

mod stages;
mod proportion;
#[path = "../../tests/support/costly.rs"]
mod costly;
#[expect(dead_code, reason = "the benchmark uses more of the trail")]
#[path = "../performance/trail.rs"]
mod trail;

use std::hint::black_box;
use std::ops::ControlFlow;
use std::process::Command;

use sagetrail::config::ContentHash;
use sagetrail::decode::{Limits, Scratch, decode};
use tempfile::TempDir;

/// Tells the process inside valgrind that it is there.
const INSIDE: &str = "SAGETRAIL_TEST_INSIDE_VALGRIND";

/// The counts of what a test measured, in the order in which it did.
struct Counts {
    folder: TempDir,
}

impl Counts {
    /// Runs this test again inside valgrind; none, after saying so, where there is no valgrind.
    fn of(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new("valgrind")
            // Two patterns for one function, because valgrind heeds only the last option that has the same one.
            .args(["--tool=callgrind", "--toggle-collect=*::measured", "--dump-after=*measured*"])
            .arg(format!("--callgrind-out-file={}", folder.path().join("part").display()))
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(INSIDE, "1")
            .output();
        let Ok(output) = output else {
            println!("skipped: there is no valgrind; install the package of that name to count instructions");
            return None;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(Self { folder })
    }

    /// The first one has the number 1.
    fn count(&self, number: usize) -> u64 {
        let text = std::fs::read_to_string(self.folder.path().join(format!("part.{number}"))).unwrap();
        let line =
            text.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
        line.unwrap().trim().parse().unwrap()
    }
}

fn inside_valgrind() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// What valgrind counts, found by its name.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// The records of an object.
fn split(object: &[u8], scratch: &mut Scratch) -> Vec<Vec<u8>> {
    let limits = Limits { uncompressed_bytes: 1 << 30, record_bytes: 8 << 20 };
    let mut records = Vec::new();
    let decoded = decode(object, &limits, ContentHash::None, scratch, |raw| {
        records.push(raw.to_vec());
        ControlFlow::Continue(())
    });
    assert_eq!(decoded.damage, None);
    records
}
