//! What a hostile record may cost for each of its bytes, so that nobody stops the daemon with a file of them. What
//! grows faster than the record is found by records that are large.

use sagetrail::config::Scope;
use sagetrail::decode::Scratch;
use sagetrail::document::Document;
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich};
use time::OffsetDateTime;

use crate::costly::costly_records;
use crate::trail::{Shape, Trail};
use crate::{Counts, inside_valgrind, measured, split};

/// Instructions for each byte: some 5 µs, so that a second goes to 200 KB of such records. CloudTrail writes one only
/// for a call, and AWS lets nobody make so many. The dearest of today take 15,500.
const MOST_COST: u64 = 20_000;
const ORDINARY: usize = 20;

#[test]
fn no_record_costs_more_than_its_bytes_allow() {
    if inside_valgrind() {
        run();
        return;
    }
    let name = "proportion::no_record_costs_more_than_its_bytes_allow";
    let Some(counts) = Counts::of(name) else { return };
    let ordinary: usize = ordinary_records().iter().map(Vec::len).sum();
    let for_each_byte = counts.count(1) / ordinary as u64;
    let mut beyond = Vec::new();
    for (number, (name, raw)) in (2..).zip(costly_records()) {
        let cost = counts.count(number) / raw.len() as u64;
        let line =
            format!("{name}: {} bytes, {cost} a byte, {} times", raw.len(), cost / for_each_byte.max(1));
        println!("{line}");
        if cost > MOST_COST {
            beyond.push(line);
        }
    }
    assert!(
        beyond.is_empty(),
        "an ordinary record costs {for_each_byte} instructions a byte:\n{}",
        beyond.join("\n")
    );
}

fn run() {
    let enricher = Enricher::built_in(Scope::Related);
    let ordinary = ordinary_records();
    // The first records make what is made once.
    for raw in &ordinary {
        document_of(raw, &enricher);
    }
    let costly = costly_records();
    document_of(&costly[0].1, &enricher);
    measured(|| ordinary.iter().map(|raw| document_of(raw, &enricher).source.len()).sum::<usize>());
    for (_, raw) in &costly {
        measured(|| document_of(raw, &enricher));
    }
}

fn document_of(raw: &[u8], enricher: &Enricher) -> Document {
    let origin = Origin { path: "s3://trail/file", written_at: None, now: OffsetDateTime::UNIX_EPOCH };
    match enrich(raw, origin, enricher) {
        Enriched::Selected { document, .. } | Enriched::Malformed(document) => document,
        Enriched::Panicked(_) => panic!("no record makes it panic"),
        Enriched::NotSelected | Enriched::RepeatedRead | Enriched::ToRecall(_) => {
            panic!("each is SageMaker's")
        }
    }
}

fn ordinary_records() -> Vec<Vec<u8>> {
    let file = Trail::generate(Shape { files: 1, records: ORDINARY, share: 100 }).files.remove(0);
    split(&file.gzip, &mut Scratch::default())
}
