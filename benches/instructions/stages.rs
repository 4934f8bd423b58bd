//! What must not creep: the instructions that the stages take for a record.

use std::collections::BTreeMap;

use sagetrail::config::Scope;
use sagetrail::decode::Scratch;
use sagetrail::document::Document;
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich};
use sagetrail::sink::bulk;
use time::OffsetDateTime;

use crate::trail::{Shape, Trail};
use crate::{Counts, inside_valgrind, measured, split};

/// Counts for each record, by stage, in the order in which the stages run.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/instructions.json");
const STAGES: [&str; 4] = ["decode", "reject", "enrich", "encode"];
/// By how much a count may exceed its baseline, in percent. Hashing is seeded at random, which moves counts a little.
const TOLERANCE: u64 = 5;
const RECORDS: usize = 200;

#[test]
fn no_stage_takes_more_instructions_than_its_baseline_allows() {
    if inside_valgrind() {
        run_stages();
        return;
    }
    let name = "stages::no_stage_takes_more_instructions_than_its_baseline_allows";
    let Some(counts) = Counts::of(name) else { return };
    let counts: BTreeMap<String, u64> = STAGES
        .iter()
        .zip(1..)
        .map(|(stage, number)| ((*stage).to_owned(), counts.count(number) / RECORDS as u64))
        .collect();
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

fn run_stages() {
    let enricher = Enricher::built_in(Scope::Related);
    let file = |share| Trail::generate(Shape { files: 1, records: RECORDS, share }).files.remove(0);
    let (others, ours) = (file(0), file(100));
    let mut scratch = Scratch::default();
    let (others, ours) = (split(&others.gzip, &mut scratch), split(&ours.gzip, &mut scratch));
    // The first record makes what is made once.
    enrich_all(&ours[..1], &enricher);

    let object = trail_of(&others);
    measured(|| split(&object, &mut scratch));
    measured(|| enrich_all(&others, &enricher));
    let documents = measured(|| enrich_all(&ours, &enricher));
    measured(|| bulk::encode(documents.iter()));
}

/// The records as a file that is not compressed, so that the decoder is counted and not the library that inflates.
fn trail_of(records: &[Vec<u8>]) -> Vec<u8> {
    [br#"{"Records":["#, records.join(&b","[..]).as_slice(), b"]}"].concat()
}

fn enrich_all(records: &[Vec<u8>], enricher: &Enricher) -> Vec<Document> {
    let origin = Origin { path: "s3://trail/file", written_at: None, now: OffsetDateTime::UNIX_EPOCH };
    let selected = records.iter().filter_map(|raw| match enrich(raw, origin, enricher) {
        Enriched::Selected { document, .. } | Enriched::Malformed(document) => Some(document),
        Enriched::NotSelected | Enriched::RepeatedRead | Enriched::ToRecall(_) => None,
        Enriched::Panicked(document) => panic!("it panicked: {document:?}"),
    });
    selected.collect()
}
