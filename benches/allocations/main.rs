//! What the core allocates for a record. Counting takes time, so the process that counts measures nothing else.

#![expect(clippy::cast_precision_loss, reason = "figures of a table have a few digits")]

#[allow(dead_code, reason = "the benchmark of speed uses more of it")]
#[path = "../performance/core.rs"]
mod core;
#[allow(dead_code, reason = "the benchmark of speed uses more of it")]
#[path = "../performance/table.rs"]
mod table;
#[allow(dead_code, reason = "the benchmark of speed uses more of it")]
#[path = "../performance/trail.rs"]
mod trail;

use allocation_counter::AllocationInfo;
use sagetrail::config::Scope;
use sagetrail::decode::Scratch;
use sagetrail::enrich::Enricher;

use trail::{Shape, Trail};

fn main() {
    let enricher = Enricher::built_in(Scope::Related);
    table::begin();
    table::note("a record that is rejected");
    let (rejected, records) = spent(0, &enricher);
    table::most("allocations", rejected.count_total as f64 / records, "each", 0.0);
    table::note("a record that is selected");
    let (selected, records) = spent(100, &enricher);
    table::speed("allocations", selected.count_total as f64 / records, "each");
    table::speed("bytes allocated", selected.bytes_total as f64 / records, "each");
}

/// What a trail with that share of SageMaker costs after a first pass, which makes what is made once.
fn spent(share: usize, enricher: &Enricher) -> (AllocationInfo, f64) {
    let made_of = Shape { files: 20, records: 1_000, share };
    let trail = Trail::generate(made_of);
    let mut scratch = Scratch::default();
    let mut pass = || {
        for file in &trail.files {
            core::each_document(file, enricher, &mut scratch, drop);
        }
    };
    pass();
    let spent = allocation_counter::measure(pass);
    (spent, (made_of.files * made_of.records) as f64)
}
