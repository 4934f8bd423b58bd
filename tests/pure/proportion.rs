//! A hostile record becomes no document out of proportion. What one may cost is counted in `benches/instructions/`.

use sagetrail::config::Scope;
use sagetrail::document::Document;
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich};
use time::OffsetDateTime;

use crate::support::costly::costly_records;

/// How many times its own size its document may have, and a few KiB for what every document has.
const MOST_GROWTH: usize = 40;

#[test]
fn no_document_is_out_of_proportion_to_its_record() {
    let enricher = Enricher::built_in(Scope::Related);
    for (name, raw) in costly_records() {
        let size = document_of(&raw, &enricher).source.len();
        assert!(size <= MOST_GROWTH * raw.len() + 8192, "{name}: {size} of {}", raw.len());
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
