//! How the panels of the dashboards grow with the documents of records. It prints what it measures and demands
//! nothing, so it runs only when it is asked for: `make bench-dashboards`, with `DOCUMENTS=100000` for fewer.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;
use std::time::Duration;

use flate2::read::GzDecoder;
use sagetrail::config::Scope;
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich};
use sagetrail::setup::object::Kind;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::time::Instant;

use crate::ordinary::{Shape, Trail};
use crate::request::{Request, Span};
use crate::support::search::Search;
use crate::support::{Stack, asked_for, examples, install, mixed, place, saved, send_bulk};

/// How many documents there are at first, where the environment says nothing else.
const DOCUMENTS: u64 = 1_000_000;
/// How many times as many there are then.
const GROWTH: u64 = 10;
/// An index for each part of them, as a site has one for each month.
const INDICES: u64 = 2;
const PREFIX: &str = "bench-dashboards";
/// Documents in one bulk.
const BULK: u64 = 2_000;
/// Of a hundred records so many are examples of rules, so that each panel has something to show.
const EXAMPLES: u64 = 5;
/// Distinct records of everyday work. The documents differ from them in time, address and resource.
const ORDINARY: Shape = Shape { files: 4, records: 1_000, share: 100 };
const NOW: OffsetDateTime = datetime!(2026-11-30 12:00 UTC);
/// The time that records are spread over, and what pages show at first.
const SPREAD_DAYS: u32 = 30;
const SHOWN_DAYS: u32 = 7;
const DAY: Duration = Duration::from_hours(24);
/// How often a panel asks, or how long until it asks no more.
const TIMES: usize = 5;
const LONGEST: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures, and takes minutes"]
async fn the_panels_of_each_page_as_documents_grow() {
    let Some(stack) = Stack::running() else { return };
    let search = Search::new(&stack.opensearch);
    forget(&search).await;
    install(&stack, PREFIX, &[Kind::ComponentTemplate, Kind::IndexTemplate]).await;
    let began = Instant::now();
    let of_index = asked_for("SAGETRAIL_BENCH_DOCUMENTS").unwrap_or(DOCUMENTS) / INDICES;
    fill(&stack, of_index).await;
    println!("{of_index} documents were stored in {:.0?}", began.elapsed());
    search
        .request("PUT", &format!("{}/_settings", index(1)), Some(json!({"index.blocks.write": true})))
        .await;
    let mut before = BTreeMap::new();
    for indices in [INDICES, INDICES * GROWTH] {
        copy(&search, indices).await;
        let (_, size) = search.request("GET", &format!("{PREFIX}-events-*/_count"), None).await;
        for days in [SHOWN_DAYS, SPREAD_DAYS] {
            println!("{} documents in {indices} indices, {days} of their {SPREAD_DAYS} days", size["count"]);
            for (page, panels) in pages(days) {
                let costs = measure(&search, &panels).await;
                tell(&page, &costs, before.get(&(page.clone(), days)));
                before.insert((page, days), costs);
            }
        }
    }
    forget(&search).await;
}

/// What one panel asks.
struct Panel {
    id: String,
    request: Request,
}

/// What the panels of a page took one after the other, by the clock of OpenSearch.
struct Costs {
    panels: usize,
    slowest: (String, Duration),
    all: Duration,
}

/// The panels about records, by the page that they are on.
fn pages(days: u32) -> BTreeMap<String, Vec<Panel>> {
    let span = Span { from: NOW - DAY * days, to: NOW };
    let objects = saved::all();
    let of_page = |page: Vec<saved::Saved>| -> Vec<Panel> {
        let shown =
            page.into_iter().filter(|saved| ["visualization", "search"].contains(&saved.kind.as_str()));
        let panels = shown.filter_map(|saved| {
            let request = Request::of(&saved, &objects, &span)?;
            let is_about_records = request.index.contains("-events");
            is_about_records.then_some(Panel { id: saved.id, request })
        });
        panels.collect()
    };
    let pages = saved::files().into_iter().map(|(page, saved)| (page, of_page(saved)));
    pages.filter(|(_, panels)| !panels.is_empty()).collect()
}

async fn measure(search: &Search, panels: &[Panel]) -> Costs {
    let mut costs =
        Costs { panels: panels.len(), slowest: (String::new(), Duration::ZERO), all: Duration::ZERO };
    for Panel { id, request } in panels {
        let index = request.index.replace("sagetrail", PREFIX);
        let path = format!("{index}/_search?request_cache=false&ignore_unavailable=true");
        let (mut took, began) = (Vec::new(), Instant::now());
        while took.is_empty() || took.len() < TIMES && began.elapsed() < LONGEST {
            let (status, answer) = search.request("POST", &path, Some(request.body.clone())).await;
            assert_eq!(status, 200, "{id}: {answer}");
            took.push(Duration::from_millis(answer["took"].as_u64().expect("it says how long it took")));
        }
        took.sort();
        let median = took[took.len() / 2];
        costs.all += median;
        if median >= costs.slowest.1 {
            costs.slowest = (id.clone(), median);
        }
    }
    costs
}

fn tell(page: &str, Costs { panels, slowest: (id, slowest), all }: &Costs, before: Option<&Costs>) {
    print!("  {page}: {panels} panels in {all:.1?}, the slowest {slowest:.1?} ({id})");
    if let Some(before) = before {
        print!(", {:.1} times as long in all", all.as_secs_f64() / before.all.as_secs_f64());
    }
    println!();
}

/// Fills the first index.
async fn fill(stack: &Stack, count: u64) {
    let (ordinary, notable) = (ordinary(), notable());
    let http = reqwest::Client::new();
    for begin in (0..count).step_by(place(BULK)) {
        let mut lines = String::new();
        for number in begin..(begin + BULK).min(count) {
            let drawn = mixed(number);
            let of = if drawn % 100 < EXAMPLES { &notable } else { &ordinary };
            let source = of[place(drawn >> 8) % of.len()].with(number);
            let action = json!({"create": {"_index": index(1), "_id": format!("document-{number}")}});
            writeln!(lines, "{action}\n{source}").expect("memory can be written");
        }
        send_bulk(stack, &http, lines).await;
    }
}

/// Copies the first index until there are so many. The copies share its files.
async fn copy(search: &Search, indices: u64) {
    for number in 2..=indices {
        let path = format!("{}/_clone/{}", index(1), index(number));
        let (status, answer) = search.request("POST", &path, None).await;
        let is_there = answer["error"]["type"] == "resource_already_exists_exception";
        assert!(status == 200 || is_there, "{answer}");
    }
    search.request("POST", &format!("{PREFIX}-events-*/_refresh"), None).await;
}

async fn forget(search: &Search) {
    search.request("DELETE", &format!("{PREFIX}-events-*"), None).await;
}

/// A document of which others are made.
struct Model {
    source: String,
    timestamp: String,
    address: Option<String>,
    resource: Option<String>,
}

impl Model {
    fn of(record: &Value, enricher: &Enricher) -> Option<Self> {
        let origin = Origin { path: "s3://trail/file", written_at: None, now: NOW };
        let Enriched::Selected { document, .. } = enrich(record.to_string().as_bytes(), origin, enricher)
        else {
            return None;
        };
        let source: Value = serde_json::from_slice(&document.source).expect("a document is JSON");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let name = text(&source["sagemaker"]["resource"]["name"]);
        Some(Self {
            timestamp: text(&source["@timestamp"])?,
            address: text(&source["source"]["ip"]),
            resource: name.filter(|name| name.len() > 5),
            source: source.to_string(),
        })
    }

    /// Another document like it, which its number alone decides.
    fn with(&self, number: u64) -> String {
        let drawn = |below: u64| mixed(number.wrapping_mul(31).wrapping_add(below)) % below;
        let seconds = drawn(u64::from(SPREAD_DAYS) * DAY.as_secs());
        let happened = NOW - Duration::from_secs(seconds);
        let arrived = happened + Duration::from_secs(300 + drawn(600));
        let text = sagetrail::timestamp::format;
        let mut source = self.source.replace(&self.timestamp, &text(happened));
        source = source.replace(&text(NOW), &text(arrived));
        if let Some(address) = &self.address {
            source = source.replace(address, &format!("10.0.{}.{}", drawn(8), drawn(250)));
        }
        if let Some(resource) = &self.resource {
            source = source.replace(resource, &format!("churn-{}", drawn(100_000)));
        }
        source
    }
}

fn ordinary() -> Vec<Model> {
    let enricher = Enricher::built_in(Scope::All);
    let records = Trail::generate(ORDINARY).files.into_iter().flat_map(|file| {
        let mut text = String::new();
        GzDecoder::new(&file.gzip[..]).read_to_string(&mut text).expect("it is whole");
        let mut file: Value = serde_json::from_str(&text).expect("it is JSON");
        serde_json::from_value::<Vec<Value>>(file["Records"].take()).expect("it has records")
    });
    records.filter_map(|record| Model::of(&record, &enricher)).collect()
}

fn notable() -> Vec<Model> {
    let enricher = Enricher::built_in(Scope::All);
    examples::all().iter().filter_map(|example| Model::of(&example.record, &enricher)).collect()
}

fn index(number: u64) -> String {
    format!("{PREFIX}-events-{}.{:02}", 2026 - number / 12, 12 - number % 12)
}
