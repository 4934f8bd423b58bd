//! The built-in correlations on lists of records, which go through the whole enrichment with its memory.

mod corpus;
mod examples;

use std::collections::{BTreeMap, BTreeSet};

use sagetrail::correlation::{Correlation, GroupKey, Match, Point};
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich_knowing};
use sagetrail::memory::Known;
use serde_json::Value;
use time::macros::datetime;

/// The stored documents of records, which are judged one after the other with what those before them told.
fn documents(records: &[Value], enricher: &Enricher) -> Vec<(String, Value)> {
    let origin = Origin { path: "example", written_at: None, now: datetime!(2026-11-23 12:00 UTC) };
    let mut known = Known::whole();
    let mut documents = Vec::new();
    for record in records {
        match enrich_knowing(record.to_string().as_bytes(), origin, enricher, &known) {
            Enriched::Selected { document, facts, .. } => {
                known.learn(&facts);
                let source = serde_json::from_slice(&document.source).unwrap();
                documents.push((document.id.as_str().to_owned(), source));
            }
            Enriched::NotSelected | Enriched::RepeatedRead => {}
            other => panic!("{other:?}\n{record}"),
        }
    }
    documents
}

/// The documents as correlations see them.
fn points(documents: &[(String, Value)], enricher: &Enricher) -> Vec<Point> {
    let fields = enricher.rules.correlations().fields();
    documents.iter().filter_map(|(id, document)| Point::of_document(id, document, &fields)).collect()
}

/// A match with its group's points.
struct Found<'p> {
    correlation: &'p Correlation,
    key: GroupKey,
    matched: Match,
    points: Vec<&'p Point>,
}

impl Found<'_> {
    fn document(&self) -> Value {
        let now = datetime!(2026-11-23 12:00 UTC);
        self.matched.document(self.correlation, &self.key, &self.points, now).1
    }
}

/// What all correlations find among points.
fn found<'p>(enricher: &'p Enricher, points: &'p [Point]) -> Vec<Found<'p>> {
    let mut all = Vec::new();
    for correlation in enricher.rules.correlations().iter() {
        let mut groups: BTreeMap<GroupKey, Vec<&Point>> = BTreeMap::new();
        for point in points {
            for key in correlation.keys(point) {
                groups.entry(key).or_default().push(point);
            }
        }
        for (key, points) in groups {
            for matched in correlation.matches(&key, &points) {
                all.push(Found { correlation, key: key.clone(), matched, points: points.clone() });
            }
        }
    }
    all
}

/// The ids of correlations that find something among records.
fn ids(records: &[Value], enricher: &Enricher) -> BTreeSet<String> {
    let points = points(&documents(records, enricher), enricher);
    found(enricher, &points).iter().map(|found| found.correlation.id.clone()).collect()
}
