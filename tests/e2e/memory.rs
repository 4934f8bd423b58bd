//! The memory of a real node: facts that are joined there by the stored script, against the same joins in Rust.

use std::collections::BTreeMap;
use std::fmt::Write;

use fastrand::Rng;
use sagetrail::config::{Config, SinkConfig};
use sagetrail::document::{Document, DocumentId};
use sagetrail::memory::{Fact, Key, NEWEST, OLDEST, Stamp, State};
use sagetrail::names::Names;
use sagetrail::opensearch::bulk::read;
use sagetrail::opensearch::{Method, OpenSearch, Page};
use sagetrail::setup::object::Kind;
use sagetrail::setup::remote::Remote;
use sagetrail::setup::{content, has_join_script, install_templates};
use sagetrail::sink::bulk;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use tokio::time::Instant;
use url::Url;

use crate::support::Stack;

/// Facts that are joined.
const JOINS: usize = 10_000;
/// Facts in one bulk.
const AT_ONCE: usize = 500;
/// Things that the facts are about.
const THINGS: u64 = 40;
/// The time of all of them, so that the sessions are in one index.
const TIME: OffsetDateTime = datetime!(2026-11-03 01:12:03 UTC);

/// Texts whose order by units of UTF-16 is another one than by characters, and such as JSON escapes.
const TEXTS: [&str; 14] = [
    "",
    "a",
    "b",
    "A",
    "true",
    "2026-11-03",
    "\u{1F980}",
    "\u{FF00}",
    "\u{E000}x",
    "\u{10FFFF}",
    "é",
    "\"\\\n\u{1}",
    "a\u{1F980}",
    "{}",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_stored_script_joins_as_the_daemon_does_and_a_second_pass_changes_nothing() {
    let Some(node) = Node::of_environment() else { return };
    let seed = std::env::var("SAGETRAIL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SAGETRAIL_TEST_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let facts: Vec<Fact> = (0..JOINS).map(|_| fact(&mut random)).collect();

    let mut expected: BTreeMap<Key, State> = BTreeMap::new();
    for fact in &facts {
        expected.entry(fact.key.clone()).or_default().join(&fact.state);
    }
    expected.retain(|_, state| !state.is_empty());
    let is_full = |set: &str, cap| expected.values().any(|state| state.members(set).count() == cap);
    assert!(is_full("newest.0", NEWEST) && is_full("oldest.0", OLDEST), "the caps are reached");

    // Each twice, in another order, as several daemons would send them.
    let mut sent: Vec<&Fact> = facts.iter().chain(&facts).collect();
    let mut written = Vec::new();
    for names in ["memory-a", "memory-b"].map(Names::new) {
        let client = node.prepare(&names).await;
        random.shuffle(&mut sent);
        let began = Instant::now();
        let (results, bytes) = join(&client, &sent).await;
        println!("{} joins of {bytes} bytes took {:?}: {results:?}", sent.len(), began.elapsed());
        assert_eq!(
            results.keys().filter(|result| !RESULTS.contains(&result.as_str())).count(),
            0,
            "{results:?}"
        );

        let stored = texts(&client).await;
        assert_eq!(stored.len(), expected.len());
        for (key, state) in &expected {
            let text = &stored[&key.document_id()];
            let source: Value = serde_json::from_str(text).unwrap();
            // Servers escape characters as they like, so the values are compared here, and the bytes below.
            assert_eq!(source, state.document(), "{key}");
        }
        println!("{} documents of {} bytes", stored.len(), stored.values().map(String::len).sum::<usize>());
        written.push(stored);
    }
    let (again, _) = join(&node.client(&Names::new("memory-b")), &sent).await;
    assert_eq!(again, BTreeMap::from([("noop".to_owned(), sent.len())]));
    assert_eq!(written[0], written[1], "another order gives the same bytes");
}

const RESULTS: [&str; 3] = ["created", "updated", "noop"];

/// A fact about one of few things, with few fields, and with stamps that meet.
fn fact(random: &mut Rng) -> Fact {
    let mut state = State::default();
    for _ in 0..random.usize(..6) {
        let at = stamp(random);
        let field = format!("{}.{}", ["said", "told"][random.usize(..2)], random.u8(..4));
        let values: Vec<String> = (0..random.usize(..4)).map(|_| text(random)).collect();
        match random.u8(..4) {
            0 => state.say(&field, &at, values),
            1 => state.say_first(&format!("first.{field}"), &at, text(random)),
            2 => state.add_newest(&format!("newest.{}", random.u8(..2)), &at, text(random)),
            _ => state.add_oldest(&format!("oldest.{}", random.u8(..2)), &at, text(random)),
        }
    }
    // Now and then more at once than is kept.
    if random.u8(..20) == 0 {
        for _ in 0..random.usize(..2 * NEWEST) {
            state.add_newest("newest.0", &stamp(random), text(random));
        }
        for _ in 0..random.usize(..2 * OLDEST) {
            state.add_oldest("oldest.0", &stamp(random), text(random));
        }
    }
    let number = random.u64(..THINGS);
    let key = match number % 3 {
        0 => Key::resource(&format!("arn:aws:sagemaker:::{number}")),
        1 => Key::identity("1", &format!("AROA{number}")),
        _ => Key::session(&format!("ASIA{number}")),
    };
    Fact { key, state: state.into() }
}

fn stamp(random: &mut Rng) -> Stamp {
    let time = TIME - Duration::hours(random.i64(0..40));
    match random.u8(..5) {
        0 => Stamp::ALWAYS,
        1 => Stamp::of_day(time),
        2 => Stamp::at(time),
        number => {
            let content = format!("{number}{}", random.u8(..3));
            Stamp::of(time, DocumentId::of(None, content.as_bytes()).as_str())
        }
    }
}

fn text(random: &mut Rng) -> String {
    let mut text = TEXTS[random.usize(..TEXTS.len())].to_owned();
    if random.bool() {
        write!(text, "{}", random.u8(..40)).unwrap();
    }
    text
}

/// The cluster of the tests, with the templates and the script.
struct Node {
    url: String,
}

impl Node {
    fn of_environment() -> Option<Self> {
        Stack::running().map(|stack| Self { url: stack.opensearch })
    }

    fn client(&self, names: &Names) -> OpenSearch {
        let config = SinkConfig {
            url: Url::parse(&self.url).unwrap(),
            index_prefix: names.prefix().to_owned(),
            ..SinkConfig::default()
        };
        OpenSearch::new(&config, None).unwrap()
    }

    /// An empty memory.
    async fn prepare(&self, names: &Names) -> OpenSearch {
        let client = self.client(names);
        for index in [names.resources(), names.identities(), format!("{}-2026.11", names.sessions())] {
            client.request(Method::DELETE, &index, None).await.unwrap();
        }
        client.request(Method::DELETE, &Kind::Script.path(&names.join_script()), None).await.unwrap();
        install_templates(&client).await.unwrap();
        assert!(!has_join_script(&client).await.unwrap());
        install_script(&client).await;
        assert!(has_join_script(&client).await.unwrap());
        client
    }
}

/// Installs the script as `setup` does.
pub(crate) async fn install_script(client: &OpenSearch) {
    let sink = SinkConfig { index_prefix: client.names().prefix().to_owned(), ..SinkConfig::default() };
    let objects = content::objects(&Config { sink, ..Config::default() }).unwrap();
    let script = objects.into_iter().find(|object| object.kind == Kind::Script).unwrap();
    Remote::connect(client.clone(), None).await.unwrap().write(&script, None).await.unwrap();
}

/// Sends the facts, and returns how many had which result, and the bytes of the bulks.
async fn join(client: &OpenSearch, sent: &[&Fact]) -> (BTreeMap<String, usize>, usize) {
    let (mut results, mut bytes) = (BTreeMap::new(), 0);
    for facts in sent.chunks(AT_ONCE) {
        let documents: Vec<Document> =
            facts.iter().map(|fact| Document::of_fact(client.names(), fact, TIME)).collect();
        let body = bulk::encode(documents.iter());
        bytes += body.len();
        let answer = client.bulk(body).await.unwrap();
        for done in read(&answer.body).unwrap() {
            let item = done.item();
            let result = item.result.as_deref().unwrap_or_else(|| item.kind());
            *results.entry(result.to_owned()).or_default() += 1;
        }
    }
    (results, bytes)
}

/// The stored documents by their ids, as they were written.
async fn texts(client: &OpenSearch) -> BTreeMap<String, String> {
    #[derive(Deserialize)]
    struct Hit {
        #[serde(rename = "_id")]
        id: String,
        #[serde(rename = "_source")]
        source: Box<RawValue>,
    }
    let names = client.names();
    let indices = format!("{},{},{}", names.resources(), names.identities(), names.sessions());
    client.request(Method::POST, &format!("{indices}/_refresh"), None).await.unwrap();
    let answer = client.request(Method::GET, &format!("{indices}/_search?size=1000"), None).await.unwrap();
    let page: Page<Hit> = serde_json::from_slice(&answer.body).unwrap();
    page.hits.hits.into_iter().map(|hit| (hit.id, hit.source.get().to_owned())).collect()
}
