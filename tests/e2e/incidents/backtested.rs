//! The same records, told beforehand by `sagetrail backtest` and decided by a correlator beside a real OpenSearch, are
//! the same incidents.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::site::{Found, Site, now, rounds};
use crate::support::Stack;

/// Prints the records of the attacks of these techniques. Each has an organisation of its own, and begins a minute
/// after the one before: in the corpus all are done by the same few at once, which would be one incident.
const READER: &str = "
import datetime, json, sys
sys.path.insert(0, sys.argv[1])
import corpus
form, told = '%Y-%m-%dT%H:%M:%SZ', []
attacks = [a for a in corpus.read()[0] if a['technique'] in sys.argv[2:]]
for number, attack in enumerate(attacks):
    text = json.dumps(attack['records'])
    for name, own in [('123456789012', '7'), ('444455556666', '8'), ('AROAUSQC55V', 'AROA')]:
        text = text.replace(name, f'{own}{number:011}')
    records = json.loads(text.replace('anycompany', f'company{number}'))
    times = [datetime.datetime.strptime(r['eventTime'], form) for r in records]
    if max(times) - min(times) <= datetime.timedelta(hours=6):
        for record, time in zip(records, times):
            record['eventTime'] = (time + datetime.timedelta(minutes=number)).strftime(form)
        told += records
json.dump(told, sys.stdout)
";
/// Techniques whose attacks have several records, several identities, or match correlations.
const TECHNIQUES: [&str; 7] = ["T3", "T4", "T7", "T11", "T12", "T14", "T15"];

/// What both must say of an incident.
///
/// What differs because the correlator sees a day of records at once, and `backtest` sees them as they came:
/// - how often an incident paged, and why: what is critical from the beginning escalates no more;
/// - its id, where a round sees several that are tied: it is named after whoever acted first of them, and not after
///   whoever was the first to do enough for an incident. No records here are so;
/// - when it was opened, escalated or fell quiet: rounds take the time of the clock, or that of the records;
/// - the index of a finding's document, which is named after the month of the event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    origins: BTreeSet<String>,
    id: String,
    severity: String,
    signals: u64,
    /// How often each rule and each correlation matched, and the document that told it first.
    findings: BTreeMap<String, (u64, String)>,
}

impl Said {
    fn of(incident: &Value) -> Self {
        let fields = &incident["incident"];
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let list = |member: &str| fields[member].as_array().expect("a list").iter();
        assert!(fields["cut"].is_null(), "all is compared: {fields:#}");
        Self {
            origins: list("origins").map(text).collect(),
            id: text(&fields["id"]),
            severity: text(&fields["severity"]),
            signals: fields["signals"].as_u64().expect("a count"),
            findings: list("findings")
                .map(|found| {
                    let count = found["count"].as_u64().expect("a count");
                    (text(&found["id"]), (count, text(&found["first_id"])))
                })
                .collect(),
        }
    }
}

/// A run of the product over a file, with all records selected as the correlator's site would.
fn told(arguments: &[&str], file: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sagetrail"))
        .args(arguments)
        .arg(file)
        .env("SAGETRAIL__SELECT__SCOPE", "all")
        .env("SAGETRAIL__REDACTION__KEY", "5b1f0d9c8e7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a")
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("it writes texts")
}

fn fixture(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/src/{name}.json"));
    let mut file: Value = serde_json::from_slice(&std::fs::read(path).expect("it is there")).expect("JSON");
    serde_json::from_value(file["Records"].take()).expect("a list of records")
}

/// Attacks of the corpus, or none where they cannot be read here.
fn corpus() -> Option<Vec<Value>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/detection");
    let mut command = Command::new("python3");
    let output = command.args(["-B", "-c", READER]).arg(folder).args(TECHNIQUES).output().ok()?;
    if !output.status.success() {
        println!("without the corpus: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(serde_json::from_slice(&output.stdout).expect("a list of records"))
}

fn at(record: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(record["eventTime"].as_str().expect("a time"), &Rfc3339).expect("a time")
}

/// The records at another time, so that the last of them is at `end`. All have to be of one day: what is older is a
/// replay for the correlator.
fn moved(mut records: Vec<Value>, end: OffsetDateTime) -> Vec<Value> {
    let Some(last) = records.iter().map(at).max() else { return records };
    for record in &mut records {
        let time = (end - (last - at(record))).replace_nanosecond(0).expect("zero is a nanosecond");
        record["eventTime"] = json!(time.format(&Rfc3339).expect("it can be written"));
    }
    records
}

/// The documents that `enrich` makes of a file, stored now.
fn documents(file: &Path) -> Vec<(String, Value)> {
    let ingested = sagetrail::timestamp::format(now());
    told(&["enrich"], file)
        .lines()
        .map(|line| {
            let mut document: Value = serde_json::from_str(line).expect("a line of JSON");
            document["_source"]["event"]["ingested"] = json!(ingested);
            (document["_id"].as_str().expect("an id").to_owned(), document["_source"].take())
        })
        .collect()
}

/// The incidents when nothing about them changes any more.
async fn settled(site: &Site, correlator: &crate::support::daemon::Daemon) -> Vec<Found> {
    let mut before = site.until("there are some", |found| !found.is_empty()).await;
    loop {
        rounds(correlator, 2).await;
        let after = site.incidents().await;
        if after == before {
            return after;
        }
        before = after;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_tells_the_incidents_that_the_correlator_makes_of_the_same_records() {
    let Some(stack) = Stack::running() else { return };
    let site = Site::new(stack, "incident-backtested").await;
    let end = now();
    let mut records = moved(fixture("quiet-day"), end - Duration::hours(12));
    records.extend(moved(corpus().unwrap_or_default(), end - Duration::hours(3)));
    records.extend(moved(fixture("attack-story"), end - Duration::minutes(10)));
    records.sort_by_key(at);
    let folder = tempfile::tempdir().expect("there is room");
    let file: PathBuf = folder.path().join("records.json");
    std::fs::write(&file, json!({ "Records": records }).to_string()).expect("it can be written");

    let report: Value = serde_json::from_str(&told(&["backtest", "--json"], &file)).expect("JSON");
    let told: BTreeSet<Said> = report["incidents"].as_array().expect("a list").iter().map(Said::of).collect();

    let correlator = site.correlator_with(&[("select.scope", "all")]).await;
    rounds(&correlator, 1).await;
    let stored = documents(&file);
    site.store(&stored).await;
    let found = settled(&site, &correlator).await;
    let decided: BTreeSet<Said> = found.iter().map(|found| Said::of(&found.source)).collect();
    println!("{} records, {} documents, {} incidents", records.len(), stored.len(), decided.len());
    let only = |some: &BTreeSet<Said>, others| some.difference(others).cloned().collect::<Vec<_>>();
    let (offline, online) = (only(&told, &decided), only(&decided, &told));
    assert!(
        offline.is_empty() && online.is_empty(),
        "only the backtest: {offline:#?}\nonly the correlator: {online:#?}"
    );

    let rules = report["rules"].as_array().expect("a list").iter();
    let matches: BTreeMap<&str, u64> = rules
        .map(|rule| (rule["id"].as_str().expect("an id"), rule["matches"].as_u64().expect("a count")))
        .collect();
    let mut correlated: BTreeMap<String, u64> = BTreeMap::new();
    for hit in site.correlated().await {
        let rule = hit["_source"]["sagemaker"]["correlation"]["rule"].as_str().expect("a rule");
        *correlated.entry(rule.to_owned()).or_default() += 1;
    }
    assert!(!correlated.is_empty());
    for (rule, count) in &correlated {
        assert_eq!(matches.get(rule.as_str()), Some(count), "matches of correlation {rule}");
    }
    correlator.stop().await;
}
