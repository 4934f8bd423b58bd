//! The correlations on the corpus of attacks and everyday work, in which each piece of work has another like it a week
//! before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use sagetrail::config::Scope;
use sagetrail::enrich::Enricher;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{documents, found, points};

/// Prints the cases of a corpus as JSON: those of `tests/detection`, or those of a packed file.
const READER: &str = "
import gzip, json, sys
sys.path.insert(0, sys.argv[1])
import corpus
attacks, workdays = corpus.read() if len(sys.argv) < 3 else ([], json.load(gzip.open(sys.argv[2])))
for case in workdays:
    case['past'] = corpus.shifted(case['records'], -7)
json.dump({'attacks': attacks, 'workdays': workdays}, sys.stdout)
";

/// The cases, or none where they cannot be read here.
fn read(packed: Option<&Path>) -> Option<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/detection");
    let mut command = Command::new("python3");
    command.args(["-B", "-c", READER]).arg(folder).args(packed);
    let output = command.output().ok()?;
    if !output.status.success() {
        println!("skipped: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn records<'c>(cases: &'c Value, member: &str) -> Vec<&'c Value> {
    let cases = cases.as_array().unwrap().iter();
    cases.flat_map(|case| case[member].as_array().unwrap()).collect()
}

/// The titles of what correlations find in each case, by its id. Cases happen at the same time in the corpus, so each
/// is judged by its own records, which are enriched with what all before them told.
fn by_case(cases: &Value, past: &[&Value], present: &[&Value]) -> BTreeMap<String, BTreeSet<String>> {
    let enricher = Enricher::built_in(Scope::Related);
    let mut records: Vec<Value> = past.iter().chain(present).map(|record| (*record).clone()).collect();
    records.sort_by_key(|record| record["eventTime"].as_str().unwrap().to_owned());
    let documents = documents(&records, &enricher);
    let mut of_event: BTreeMap<&str, Vec<(String, Value)>> = BTreeMap::new();
    for stored in &documents {
        let event = stored.1["event"]["id"].as_str().unwrap_or_default();
        of_event.entry(event).or_default().push(stored.clone());
    }
    let mut titles: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for case in cases.as_array().unwrap() {
        let of = |member: &str| case[member].as_array().into_iter().flatten();
        let begin = of("records").filter_map(|record| record["eventTime"].as_str()).min().unwrap();
        let begin = OffsetDateTime::parse(begin, &Rfc3339).unwrap();
        // What a job does each week is its rhythm.
        let events = of("past").chain(of("records")).map(|record| record["eventID"].as_str().unwrap());
        let own: Vec<_> = events.filter_map(|event| of_event.get(event)).flatten().cloned().collect();
        let points = points(&own, &enricher);
        for found in found(&enricher, &points).into_iter().filter(|found| found.matched.fired >= begin) {
            let of_case = titles.entry(case["id"].as_str().unwrap().to_owned()).or_default();
            of_case.insert(found.correlation.title.clone());
        }
    }
    titles
}

/// Matches a week of everyday work, with the pieces that they come from.
fn weekly(cases: &Value) -> (u64, Vec<String>) {
    let found = by_case(cases, &records(cases, "past"), &records(cases, "records"));
    let mut total = 0;
    let mut lines = Vec::new();
    for case in cases.as_array().unwrap() {
        let Some(titles) = found.get(case["id"].as_str().unwrap()) else { continue };
        let times = case["per_week"].as_u64().unwrap();
        total += times * titles.len() as u64;
        lines.push(format!("{times} x {} ({}): {titles:?}", case["title"], case["id"]));
    }
    (total, lines)
}

/// Matches a week that everyday work may have, in either half of the corpus.
const MOST: u64 = 3;

#[test]
fn everyday_work_is_nearly_quiet() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/detection/workdays.json.gz");
    let packed: [Option<PathBuf>; 2] = [None, Some(kept)];
    for packed in packed {
        if packed.as_ref().is_some_and(|path| !path.exists()) {
            println!("skipped: there is no ../shared");
            continue;
        }
        let Some(cases) = read(packed.as_deref()) else { return };
        let (total, lines) = weekly(&cases["workdays"]);
        println!("{total} a week\n{}", lines.join("\n"));
        assert!(total <= MOST, "{total} a week\n{}", lines.join("\n"));
    }
}

#[test]
fn attacks_that_no_single_record_shows_are_found_by_many() {
    let Some(cases) = read(None) else { return };
    let past = [records(&cases["workdays"], "past"), records(&cases["workdays"], "records")].concat();
    let found = by_case(&cases["attacks"], &past, &records(&cases["attacks"], "records"));
    println!("{found:#?}");
    for (attack, title) in
        [("t11-sweep", "Somebody Looks Around"), ("t14-burst", "Resources Are Removed In Bursts")]
    {
        assert!(found.get(attack).is_some_and(|titles| titles.contains(title)), "{attack}: {found:#?}");
    }
}
