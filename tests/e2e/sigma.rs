//! The rules as searches: Sigma's own tools turn each rule into a query, which in the real OpenSearch must find just
//! the documents that the daemon tags with it. `tests/sigma/differences.toml` lists the rules that cannot keep to that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bytes::Bytes;
use figment::Figment;
use figment::providers::{Format, Toml};
use sagetrail::config::{RulesConfig, Scope, SinkConfig};
use sagetrail::enrich::rules::RuleSet;
use sagetrail::enrich::{Enriched, Enricher};
use sagetrail::opensearch::OpenSearch;
use sagetrail::setup::install_templates;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::Stack;
use crate::support::examples::{self, Example, Values};
use crate::support::search::Search;

/// It matches the pattern of the templates, and no event is so old that the daemon would choose it.
const INDEX: &str = "sagetrail-events-sigma";

/// What became of one rule outside of sagetrail.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Converted {
    /// Documents that any of these finds are the rule's.
    Queries(Vec<String>),
    Refused(String),
}

/// How a rule's queries differ from the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Difference {
    CannotConvert,
    FindsMore,
    FindsFewer,
    FindsOthers,
}

/// An entry of `differences.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    id: String,
    title: String,
    what: Difference,
    reason: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_as_a_query_finds_what_the_daemon_tags_with_it() {
    let Some(stack) = Stack::running() else { return };
    let values = examples::all_values();
    let converted = convert(&values);
    let rules = RuleSet::load(&RulesConfig { placeholders: values, ..RulesConfig::default() }).unwrap();
    let titles: BTreeMap<String, String> =
        rules.rules().iter().map(|rule| (rule.id.clone(), rule.title.clone())).collect();
    assert!(
        rules.inactive().is_empty(),
        "the examples have values for every placeholder: {:?}",
        rules.inactive()
    );
    assert_eq!(converted.keys().collect::<Vec<_>>(), titles.keys().collect::<Vec<_>>());

    let search = Search::new(&stack.opensearch);
    let enricher = Enricher { rules: rules.into(), ..Enricher::built_in(Scope::All) };
    let tagged = index(&stack, &search, &enricher).await;
    let mut differences = BTreeMap::new();
    for (id, converted) in &converted {
        if let Converted::Refused(problem) = converted {
            println!("\"{}\": {problem}", titles[id]);
        }
        let expected = tagged.get(id).unwrap_or_else(|| panic!("no example has the rule \"{}\"", titles[id]));
        if let Some(difference) = difference(&search, converted, expected).await {
            differences.insert(id.clone(), (titles[id].clone(), difference));
        }
    }
    search.request("DELETE", INDEX, None).await;
    println!(
        "{} rules: {} equal, {} differ",
        titles.len(),
        titles.len() - differences.len(),
        differences.len()
    );
    let listed: BTreeMap<String, (String, Difference)> =
        listed().into_iter().map(|entry| (entry.id, (entry.title, entry.what))).collect();
    assert_eq!(differences, listed, "found (left) and listed in tests/sigma/differences.toml (right)");
}

/// Lets pySigma's backend for OpenSearch write the queries of every built-in rule.
fn convert(values: &Values) -> BTreeMap<String, Converted> {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let local =
        PathBuf::from(std::env::var_os("SAGETRAIL_TEST_LOCAL").expect("with-stack.sh names its folder"));
    let venv = output_of(Command::new(local.join("venv.sh")).arg(local.join("requirements-sigma.txt")));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.json");
    std::fs::write(&file, json!(values).to_string()).unwrap();
    let python = Path::new(venv.trim()).join("bin/python");
    let script = checkout.join("tests/sigma/convert.py");
    let queries = output_of(Command::new(python).arg(script).arg(file).arg(checkout.join("config/rules")));
    serde_json::from_str(&queries).unwrap()
}

fn output_of(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?} ended with {}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Indexes every example as the daemon would and returns the ids of the documents by the rules that tag them.
async fn index(stack: &Stack, search: &Search, enricher: &Enricher) -> BTreeMap<String, BTreeSet<String>> {
    let config = SinkConfig { url: stack.opensearch.parse().unwrap(), ..SinkConfig::default() };
    let client = OpenSearch::new(&config, None).unwrap();
    install_templates(&client).await.unwrap();
    search.request("DELETE", INDEX, None).await;

    let mut tagged: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut bulk = String::new();
    // One record may be an example of several rules, of which one gives it a history.
    for (number, example) in examples::all().into_iter().enumerate() {
        let (id, source) = document(&example, enricher);
        let id = format!("{number}-{id}");
        let parsed: Value = serde_json::from_str(&source).unwrap();
        for rule in parsed["rule"]["id"].as_array().into_iter().flatten() {
            tagged.entry(rule.as_str().unwrap().to_owned()).or_default().insert(id.clone());
        }
        writeln!(bulk, "{}\n{source}", json!({"index": {"_index": INDEX, "_id": id}})).unwrap();
    }
    let answer = client.bulk(Bytes::from(bulk)).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.body).unwrap();
    for item in answer["items"].as_array().unwrap() {
        assert!(item["index"]["error"].is_null(), "{item}");
    }
    search.request("POST", &format!("{INDEX}/_refresh"), None).await;
    tagged
}

fn document(example: &Example, enricher: &Enricher) -> (String, String) {
    match example.enrich(enricher) {
        Enriched::Selected { document, .. } => {
            (document.id.as_str().to_owned(), String::from_utf8(document.source.to_vec()).unwrap())
        }
        other => panic!("{}: {other:?}", example.path.display()),
    }
}

async fn difference(
    search: &Search,
    converted: &Converted,
    expected: &BTreeSet<String>,
) -> Option<Difference> {
    let queries = match converted {
        Converted::Queries(queries) => queries,
        Converted::Refused(_) => return Some(Difference::CannotConvert),
    };
    let mut found = BTreeSet::new();
    for query in queries {
        let query = json!({"query_string": {"query": query, "analyze_wildcard": true}});
        found.extend(search.find(INDEX, query, &[]).await.into_keys());
    }
    match (found.is_subset(expected), found.is_superset(expected)) {
        (true, true) => None,
        (true, false) => Some(Difference::FindsFewer),
        (false, true) => Some(Difference::FindsMore),
        (false, false) => Some(Difference::FindsOthers),
    }
}

fn listed() -> Vec<Listed> {
    #[derive(Deserialize)]
    struct Differences {
        differences: Vec<Listed>,
    }
    let file = Toml::string(include_str!("../sigma/differences.toml"));
    let Differences { differences } = Figment::from(file).extract().unwrap();
    for entry in &differences {
        assert!(!entry.reason.is_empty(), "{} has no reason", entry.title);
    }
    differences
}
