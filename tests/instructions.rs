//! What must not creep: the instructions that the stages between source and sink take for a record.
//!
//! Valgrind counts them, and a count repeats from run to run on whatever machine, where a time does not. They are those
//! of the debug build, so their sizes mean nothing; only their growth does.

#[allow(dead_code, reason = "the benchmark uses more of the trail")]
#[path = "../benches/performance/trail.rs"]
mod trail;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use sagetrail::config::{ContentHash, Scope};
use sagetrail::decode::{Limits, Scratch, decode};
use sagetrail::document::Document;
use sagetrail::enrich::{Enriched, Knowledge, Origin, enrich};
use sagetrail::sink::bulk;
use time::OffsetDateTime;
use trail::{Shape, Trail};

/// Counts for each record, by stage, in the order in which the stages run.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/instructions.json");
const STAGES: [&str; 4] = ["decode", "reject", "enrich", "encode"];
/// By how much a count may exceed its baseline, in percent. Hashing is seeded at random, which moves counts a little.
const TOLERANCE: u64 = 5;
/// Tells the process inside valgrind that it is there.
const INSIDE: &str = "SAGETRAIL_TEST_INSIDE_VALGRIND";
const RECORDS: usize = 200;

#[test]
fn no_stage_takes_more_instructions_than_its_baseline_allows() {
    if std::env::var_os(INSIDE).is_some() {
        run_stages();
        return;
    }
    let Some(counts) = count() else {
        println!("skipped: there is no valgrind; install the package of that name to count instructions");
        return;
    };
    println!("instructions for a record: {counts:?}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let text = serde_json::to_string_pretty(&counts).unwrap() + "\n";
        std::fs::write(BASELINE, text).unwrap();
    }
    let baseline: BTreeMap<String, u64> =
        serde_json::from_str(&std::fs::read_to_string(BASELINE).unwrap()).unwrap();
    for (stage, count) in &counts {
        let most = baseline[stage] * (100 + TOLERANCE) / 100;
        assert!(
            *count <= most,
            "{stage} takes {count} instructions for a record, and {most} are allowed; make it cheaper, or accept the \
             cost with UPDATE_GOLDEN=1 and say why"
        );
    }
}

/// Runs this test again inside valgrind, which writes one file for each stage.
fn count() -> Option<BTreeMap<String, u64>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stage");
    let output = Command::new("valgrind")
        // Two patterns for one function, because valgrind heeds only the last option that has the same one.
        .args(["--tool=callgrind", "--toggle-collect=*::measured", "--dump-after=*measured*"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "1")
        .output()
        .ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let counts = STAGES.iter().zip(1..).map(|(stage, number)| {
        let total = total(&folder.path().join(format!("stage.{number}")));
        ((*stage).to_owned(), total / RECORDS as u64)
    });
    Some(counts.collect())
}

fn total(file: &Path) -> u64 {
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    line.unwrap().trim().parse().unwrap()
}

fn run_stages() {
    let knowledge = Knowledge::built_in(Scope::Related);
    let file = |share| Trail::generate(Shape { files: 1, records: RECORDS, share }).files.remove(0);
    let (others, ours) = (file(0), file(100));
    let mut scratch = Scratch::default();
    let (others, ours) = (split(&others.gzip, &mut scratch), split(&ours.gzip, &mut scratch));
    // The first record makes what is made once.
    enrich_all(&ours[..1], &knowledge);

    let object = trail_of(&others);
    measured(|| split(&object, &mut scratch));
    measured(|| enrich_all(&others, &knowledge));
    let documents = measured(|| enrich_all(&ours, &knowledge));
    measured(|| bulk::encode(documents.iter()));
}

/// What valgrind counts, found by its name.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

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

/// The records as a file that is not compressed, so that the decoder is counted and not the library that inflates.
fn trail_of(records: &[Vec<u8>]) -> Vec<u8> {
    [br#"{"Records":["#, records.join(&b","[..]).as_slice(), b"]}"].concat()
}

fn enrich_all(records: &[Vec<u8>], knowledge: &Knowledge) -> Vec<Document> {
    let origin = Origin { path: "s3://trail/file", written_at: None, now: OffsetDateTime::UNIX_EPOCH };
    let enriched = records.iter().filter_map(|raw| match enrich(raw, origin, knowledge) {
        Enriched::Selected { document, .. } | Enriched::Malformed(document) => Some(document),
        Enriched::NotSelected => None,
        Enriched::Panicked(document) => panic!("it panicked: {document:?}"),
    });
    enriched.collect()
}
