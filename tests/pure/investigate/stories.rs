//! Attack stories with keys: every answer of a key is in the report, from exactly the records that carry it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::Value;

use super::{ROOT, investigate, written};

const STORIES: [&str; 5] = ["demo", "leaked-key", "exchanged-endpoint", "release-key", "relabelled"];

#[derive(Deserialize)]
struct Story {
    asked: String,
    files: Vec<String>,
    /// Records of others, by their numbers.
    not_cited: Vec<u32>,
    fact: Vec<Fact>,
    #[serde(default)]
    never: Vec<Never>,
}

/// What no sentence of a section says.
#[derive(Deserialize)]
struct Never {
    section: String,
    says: Vec<String>,
}

#[derive(Deserialize)]
struct Fact {
    section: String,
    says: Vec<String>,
    /// By the last digits of their ids.
    #[serde(default)]
    records: Vec<u32>,
    /// By the beginnings of their ids.
    #[serde(default)]
    ids: Vec<String>,
}

/// Something that the report says, and the ids that it names for it.
struct Said {
    text: String,
    records: Vec<String>,
}

#[test]
fn every_answer_of_each_key_is_in_the_report_with_the_right_records() {
    let mut missing = Vec::new();
    for name in STORIES {
        let (story, report) = told(name);
        for fact in &story.fact {
            let said = said(&report, &fact.section);
            let fits = |said: &Said| {
                fact.says.iter().all(|it| said.text.contains(it.as_str())) && fact.is_from(said)
            };
            if !said.iter().any(fits) {
                let near = said.iter().filter(|said| said.text.contains(fact.says[0].as_str()));
                let near: Vec<String> =
                    near.map(|said| format!("{} {:?}", said.text, said.records)).collect();
                missing.push(format!(
                    "{name} {}: {:?}\n    {}",
                    fact.section,
                    fact.says,
                    near.join("\n    ")
                ));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn no_answer_says_what_is_no_part_of_it() {
    let mut count = 0;
    for name in STORIES {
        let (story, report) = told(name);
        for never in &story.never {
            count += 1;
            for said in said(&report, &never.section) {
                let is_said = never.says.iter().all(|it| said.text.contains(it.as_str()));
                assert!(!is_said, "{name} {}: {}", never.section, said.text);
            }
        }
    }
    assert!(count >= 6, "{count}");
}

#[test]
fn a_policy_that_is_said_to_have_denied_a_call_denies_it_in_the_simulation() {
    let mut count = 0;
    for name in STORIES {
        let (story, report) = told(name);
        let files: Vec<PathBuf> = story.files.iter().map(|file| Path::new(ROOT).join(file)).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
        let command = command.args(["guard", "simulate", "--json", "--from-files"]).args(files);
        let output = command.env_remove("SAGETRAIL_CONFIG").stdin(Stdio::null()).output().unwrap();
        let simulated: Value = serde_json::from_slice(&output.stdout).unwrap();
        for practice in report["practices"].as_array().unwrap() {
            let (text, control) = (practice["text"].as_str().unwrap(), &practice["control"]);
            let policy = simulated["policies"].as_array().unwrap().iter().find(|it| it["policy"] == *control);
            let Some(policy) = policy else {
                assert!(control.is_null() && !text.contains("would have denied"), "{text}");
                continue;
            };
            let lines = policy["lines"].as_array().unwrap();
            let is_denied = |call: &str| {
                lines.iter().any(|line| line["verdict"] == "denied" && line["call"].as_str() == Some(call))
            };
            let about = practice["records"].as_array().unwrap().iter().map(|id| {
                let of_it = |it: &&Value| it["id"] == *id;
                let record = report["records"].as_array().unwrap().iter().find(of_it).unwrap();
                (record["action"].as_str().unwrap(), record["error"].is_null())
            });
            let succeeded: Vec<&str> =
                about.filter(|(_, succeeded)| *succeeded).map(|(call, _)| call).collect();
            let denies = text.contains("would have denied");
            assert_eq!(denies, succeeded.iter().any(|call| is_denied(call)), "{name}: {text} {lines:#?}");
            count += usize::from(denies);
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn no_sentence_is_without_a_record_and_each_record_that_is_named_is_listed() {
    for name in STORIES {
        let (story, report) = told(name);
        let listed: BTreeSet<&str> =
            report["records"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
        let mut sentences = 0;
        walk(&report, &mut |sentence| {
            sentences += 1;
            let records = sentence["records"].as_array().unwrap();
            assert!(!records.is_empty(), "{sentence}");
            for id in records {
                assert!(listed.contains(id.as_str().unwrap()), "{id}");
            }
        });
        assert!(sentences > 50, "{name} has {sentences} sentences");
        for other in story.not_cited {
            let other = number(other);
            assert!(!listed.iter().any(|id| id.contains(&other)), "{name} names {other}");
        }
    }
}

#[test]
fn the_fifteen_questions_come_in_their_order() {
    let (_, report) = told("demo");
    let numbers: Vec<u64> =
        report["answers"].as_array().unwrap().iter().map(|it| it["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=15).collect::<Vec<_>>());
}

#[test]
fn what_nobody_recorded_is_an_error_that_says_what_to_ask_for() {
    for (asked, says) in
        [("nobody@example.com", "no record belongs to"), ("0123456789abcdef", "no incident whose id begins")]
    {
        let output = investigate(asked, &["tests/investigate/leaked-key.json"], &[]);
        assert_eq!(output.status.code(), Some(1), "{asked}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_resource_is_told_by_all_who_touched_it_and_a_range_holds() {
    let files = ["tests/investigate/exchanged-endpoint.json"];
    let report: Value =
        serde_json::from_str(&written("pricing-live", &files, &["--format", "json"])).unwrap();
    assert_eq!(report["subject"], "resource");
    let all = report.to_string();
    for id in [205, 212].map(number) {
        assert!(all.contains(&id), "{id}");
    }
    let since = ["--format", "json", "--since", "2026-11-10"];
    let report: Value = serde_json::from_str(&written("pricing-live", &files, &since)).unwrap();
    assert!(!report["records"].to_string().contains(&number(205)));
}

fn told(name: &str) -> (Story, Value) {
    let key = Path::new(ROOT).join("tests/investigate").join(name).with_extension("toml");
    let story: Story = toml::from_str(&fs::read_to_string(key).unwrap()).unwrap();
    let files: Vec<&str> = story.files.iter().map(String::as_str).collect();
    let report = written(&story.asked, &files, &["--format", "json"]);
    (story, serde_json::from_str(&report).unwrap())
}

impl Fact {
    /// Whether exactly the records of the key carry it, where the key names any.
    fn is_from(&self, said: &Said) -> bool {
        let wanted: Vec<String> =
            self.records.iter().copied().map(number).chain(self.ids.iter().cloned()).collect();
        wanted.is_empty()
            || wanted.len() == said.records.len()
                && wanted.iter().all(|wanted| said.records.iter().any(|id| id.contains(wanted.as_str())))
    }
}

fn number(number: u32) -> String {
    format!("-{number:012}-")
}

/// What a section of a report says.
fn said(report: &Value, section: &str) -> Vec<Said> {
    let parts: Vec<&str> = section.splitn(3, '/').collect();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let one = |value: &Value, text: String| Said {
        text,
        records: list(&value["records"]).iter().filter_map(Value::as_str).map(str::to_owned).collect(),
    };
    let sentence = |value: &Value| one(value, value["text"].as_str().unwrap_or_default().to_owned());
    let of = |list: Vec<Value>| list.iter().map(sentence).collect::<Vec<_>>();
    match parts[..] {
        ["answers", question] => {
            let answers = list(&report["answers"]);
            let answer = answers.iter().find(|it| it["number"] == question.parse::<u64>().unwrap()).unwrap();
            of(list(&answer["sentences"]))
        }
        ["impact", side, ref verdict @ ..] => {
            let sides = list(&report["impact"]);
            let side = sides.iter().find(|it| it["side"] == side).unwrap();
            for verdict in verdict {
                assert_eq!(side["verdict"], *verdict, "{section}");
            }
            of(list(&side["sentences"]))
        }
        ["lineage", key] => {
            let sessions = list(&report["lineage"]);
            of(list(&sessions.iter().find(|it| it["key"] == key).unwrap()["sentences"]))
        }
        ["indicators", kind] => list(&report["indicators"])
            .iter()
            .filter(|it| it["kind"] == kind)
            .map(|it| one(it, format!("{} {}", it["value"], it["note"])))
            .collect(),
        ["practices", control] => {
            of(list(&report["practices"]).into_iter().filter(|it| it["control"] == control).collect())
        }
        ["setting" | "resource", kind, name] => {
            let resources = list(&report["resources"]);
            let touched = resources.iter().find(|it| it["kind"] == kind && it["name"] == name);
            let touched =
                touched.unwrap_or_else(|| panic!("{section} is not among {:#}", report["resources"]));
            if parts[0] == "resource" {
                return vec![one(&Value::Null, format!("{} then {}", touched["before"], touched["after"]))];
            }
            let setting = |it: &Value| Said {
                text: format!("{} {} {}", it["name"], it["before"], it["after"]),
                records: it["record"].as_str().map(str::to_owned).into_iter().collect(),
            };
            list(&touched["settings"]).iter().map(setting).collect()
        }
        _ => of(list(&report[section])),
    }
}

/// Hands over each sentence, wherever it stands; what is not known is no sentence.
fn walk(value: &Value, take: &mut impl FnMut(&Value)) {
    match value {
        Value::Object(members) => {
            if members.contains_key("text")
                && members.contains_key("records")
                && !members.contains_key("topic")
            {
                take(value);
            }
            members.values().for_each(|member| walk(member, take));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, take)),
        _ => {}
    }
}
