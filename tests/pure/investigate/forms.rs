//! The forms of a report: whatever a record is called, it stays text in each of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pulldown_cmark::{Event, Options, Parser, Tag};
use sagetrail::investigate::{
    Entry, IncidentFacts, MOST_RECORDS, Material, Report, Subject, html, markdown, tell, timesketch,
    timesketch_csv,
};
use serde_json::{Value, json};

use super::{ROOT, written};

const STORY: &str = "tests/fixtures/attack-story.json.gz";
/// What was there before.
const QUIET: &str = "tests/fixtures/quiet-day.json.gz";
const INCIDENT: &str = "ef59c50419a67acb64ab3f936e02b75d";
const FORMS: [&str; 5] = ["html", "markdown", "json", "timesketch", "timesketch-csv"];

/// Names that would be markup, in one form or another, if they were not written as text.
const HOSTILE: [&str; 18] = [
    "<img src=x onerror=alert(1)>",
    "</style></title></svg><script>alert(1)</script>",
    "\" onmouseover=\"alert(1)",
    "a\u{202e}b\u{200b}c\u{7}d",
    "line\n\n# Heading\n\n- item",
    "| cell | [link](https://evil.example) ![x](https://evil.example/x.png)",
    "`code` ``` **bold** ~~gone~~ <https://evil.example> www.evil.example https://evil.example/y",
    "\\[x\\]\\(y\\) \\",
    "{\"json\": [1]}\r\n",
    "&lt;b&gt; &#60; &amp;",
    "1) one\n2. two\n> quote\n    indented\n---\n===",
    "@everyone #1 $x$ a@evil.example :smile:",
    "=HYPERLINK(\"https://evil.example\";\"x\")",
    "+1+cmd|' /C calc'!A0",
    "-2\",\"forged cell\"\r\n\"forged\",\"row\"",
    "\t=1+1",
    " @SUM(1)",
    "%A,B;C",
];

#[test]
fn the_same_files_are_the_same_bytes_in_every_form() {
    for form in FORMS {
        let [first, second] = [(); 2].map(|()| written(INCIDENT, &[STORY], &["--format", form]));
        assert!(first.len() > 1_000 && first == second, "{form}");
    }
}

#[test]
fn the_report_of_the_sample_attack_is_as_a_person_last_read_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_sagetrail"))
        .args(["investigate", INCIDENT, "--from-files", QUIET, STORY])
        .current_dir(ROOT)
        .env_remove("SAGETRAIL_CONFIG")
        .output()
        .unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let golden = Path::new(ROOT).join("tests/golden/report.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &report).unwrap();
    }
    let known = fs::read_to_string(golden).unwrap_or_default();
    assert!(report == known, "the report changed; UPDATE_GOLDEN=1 writes it anew");
}

#[test]
fn each_line_for_timesketch_has_what_it_demands() {
    let lines = timesketch(&hostile());
    assert_eq!(lines.lines().count(), HOSTILE.len());
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        for member in ["message", "datetime", "timestamp_desc"] {
            assert!(event[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {line}");
        }
        assert!(event["datetime"].as_str().unwrap().ends_with("+00:00"), "{line}");
    }
}

#[test]
fn no_name_becomes_a_formula_a_cell_or_a_row_of_the_table() {
    let (table, plain) = (timesketch_csv(&hostile()), timesketch_csv(&harmless()));
    let [hostile, harmless] = [&table, &plain].map(|table| cells(table));
    assert_eq!(hostile.len(), 1 + HOSTILE.len());
    assert_eq!(hostile[0], harmless[0]);
    assert_eq!(hostile[0][..3], ["message", "datetime", "timestamp_desc"]);
    let mut texts = 0;
    for row in &hostile {
        assert_eq!(row.len(), hostile[0].len(), "{row:?}");
        for cell in row {
            assert!(!cell.trim_start().starts_with(['=', '+', '-', '@']), "{cell:?}");
            assert!(!cell.contains(char::is_control), "{cell:?}");
            texts += usize::from(cell.starts_with('\''));
        }
    }
    assert!(texts > 10, "{texts}");
}

/// The rows of a table in which every cell has quotation marks, as a program reads them.
fn cells(table: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut is_quoted, mut letters) = (false, table.chars().peekable());
    while let Some(letter) = letters.next() {
        match (letter, is_quoted) {
            ('"', true) if letters.next_if_eq(&'"').is_some() => cell.push('"'),
            ('"', _) => is_quoted = !is_quoted,
            (',', false) => row.push(std::mem::take(&mut cell)),
            ('\r', false) => {}
            ('\n', false) => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            (letter, _) => cell.push(letter),
        }
    }
    rows
}

#[test]
fn no_name_becomes_an_element_an_attribute_or_a_reference_of_the_page() {
    let (page, plain) = (html(&hostile()), html(&harmless()));
    for text in [
        "<img",
        "<script",
        "onerror=alert(1)>",
        "</style></title>",
        "\" onmouseover",
        "\u{202e}",
        "\u{200b}",
        "\u{7}",
    ] {
        assert!(!page.contains(text), "{text:?}");
    }
    // Names make texts and nothing else, so both have the same elements.
    assert_eq!(elements(&page), elements(&plain));
    for outside in ["src=\"", "@import", "url(", "<link", "<iframe", "href=\"http"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn no_name_breaks_out_of_the_markdown() {
    let (page, plain) = (markdown(&hostile()), markdown(&harmless()));
    let [hostile, harmless] = [&page, &plain].map(|page| {
        let events: Vec<Event<'_>> = Parser::new_ext(page, Options::all()).collect();
        for event in &events {
            let is_markup = matches!(
                event,
                Event::Html(_)
                    | Event::InlineHtml(_)
                    | Event::Code(_)
                    | Event::InlineMath(_)
                    | Event::DisplayMath(_)
                    | Event::FootnoteReference(_)
                    | Event::Start(
                        Tag::Link { .. }
                            | Tag::Image { .. }
                            | Tag::CodeBlock(_)
                            | Tag::BlockQuote(_)
                            | Tag::Strikethrough
                    )
            );
            assert!(!is_markup, "{event:?}");
        }
        events.iter().filter(|event| matches!(event, Event::Start(_))).count()
    });
    assert_eq!(hostile, harmless);
    for link in ["https://evil", "www.evil"] {
        assert!(!page.contains(link), "{link}");
    }
}

#[test]
fn whatever_a_record_is_called_it_is_whole_in_the_json() {
    let report = serde_json::to_value(hostile()).unwrap();
    let told: Vec<&str> =
        report["records"].as_array().unwrap().iter().filter_map(|it| it["principal"].as_str()).collect();
    assert_eq!(told, HOSTILE);
}

#[test]
fn what_a_report_holds_is_bounded_however_many_records_there_are_and_it_says_so() {
    let report = |records: usize| {
        let entries = (0..records).map(|number| entry(&format!("name-{number}"), number)).collect();
        tell(&Material::new("many", Subject::Principal, entries))
    };
    let sizes = |report: &Report| {
        [html(report), markdown(report), timesketch(report), timesketch_csv(report)].map(|it| it.len())
    };
    let (some, many) = (report(5_000), report(MOST_RECORDS));
    for (some, many) in sizes(&some).into_iter().zip(sizes(&many)) {
        assert!(many > 10_000 && many < some * 5 / 4, "{some} and {many}");
    }
    for report in [some, many] {
        assert!(report.unknown.iter().any(|unknown| unknown.topic == "bounds"), "{:?}", report.unknown);
    }
    let mut cut = Material::new("many", Subject::Principal, vec![entry("name", 1)]);
    cut.left_out = Some(7);
    let unknown = tell(&cut).unknown;
    assert!(unknown.iter().any(|it| it.text.starts_with("7 later records of the range")), "{unknown:?}");
}

#[test]
fn records_of_an_incident_that_are_gone_are_counted() {
    let mut material = Material::new("0a1b", Subject::Incident, vec![entry("name", 1)]);
    let text = String::new;
    material.incident = Some(IncidentFacts {
        id: text(),
        state: text(),
        severity: text(),
        reason: text(),
        opened: text(),
        sentence: text(),
        origins: Vec::new(),
        cut: Vec::new(),
        records: vec!["id-1".to_owned(), "id-gone".to_owned()],
    });
    let unknown = tell(&material).unknown;
    assert!(unknown.iter().any(|it| it.text.starts_with("1 of the 2 records in which")), "{unknown:?}");
    material.incident.as_mut().unwrap().records.pop();
    let unknown = tell(&material).unknown;
    assert!(!unknown.iter().any(|it| it.topic == "records of the incident"), "{unknown:?}");
}

#[test]
fn a_caller_whom_no_record_names_is_told_as_that_and_a_name_of_a_thing_alone_is_no_principal() {
    let nobody = json!({"@timestamp": "2026-11-03T12:00:00.000Z", "sagemaker": {"alert": {"principal": "none", "origin": "none"},
        "resource": {"type": "notebook-instance", "name": "nb"}}});
    let nobody = Entry::read("index", "id", &nobody).unwrap();
    assert_eq!(nobody.principal, "somebody whom the record does not name");
    assert_eq!(nobody.origin, nobody.principal);
    let of_thing = Material::new("NB", Subject::Principal, vec![nobody]);
    assert_eq!(of_thing.subject, Subject::Resource);
    let of_caller = Material::new("name", Subject::Principal, vec![entry("name", 1)]);
    assert_eq!(of_caller.subject, Subject::Principal);
}

#[test]
fn a_browser_shows_the_page_without_asking_anybody() {
    let Some(browser) = browser() else {
        eprintln!("skipped: there is no chromium here");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, report) in [("harmless", harmless()), ("hostile", hostile())] {
        let page = folder.path().join(name).with_extension("html");
        fs::write(&page, html(&report)).unwrap();
        let dom = dumped(&browser, &page, folder.path());
        assert_eq!(count(&dom, "<article"), 15, "{name}");
        assert_eq!((count(&dom, "<h1"), count(&dom, "<main"), count(&dom, "<nav")), (1, 1, 1), "{name}");
        assert_eq!((count(&dom, "<svg"), count(&dom, "<desc")), (2, 2), "{name}");
        for element in ["<img", "<script", "<link"] {
            assert_eq!(count(&dom, element), 0, "{name} {element}");
        }
        let tags = dom.split('<').skip(1).filter_map(|rest| rest.split('>').next());
        assert_eq!(tags.filter(|tag| tag.contains(" on")).count(), 0, "{name}");
        // Whoever cannot see hears headings in their order, and each table's heads.
        let levels: Vec<u32> = dom
            .match_indices("<h")
            .filter_map(|(place, _)| dom[place + 2..].chars().next()?.to_digit(10))
            .collect();
        assert!(levels[0] == 1 && levels.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{levels:?}");
        assert!(
            count(&dom, "<table>") <= count(&dom, "<caption>") && count(&dom, "<th scope=") > 10,
            "{name}"
        );
    }
}

/// A browser of Debian or of a distribution that calls it so.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file())
}

fn dumped(browser: &Path, page: &Path, folder: &Path) -> String {
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

/// The names of all elements in their order.
fn elements(page: &str) -> Vec<&str> {
    let name = |(place, _): (usize, &str)| page[place + 1..].split([' ', '>', '\n']).next();
    page.match_indices('<').filter_map(name).collect()
}

fn hostile() -> Report {
    report(&HOSTILE.map(str::to_owned))
}

/// As many records under names that nobody could take for markup.
fn harmless() -> Report {
    let names: Vec<String> = (0..HOSTILE.len()).map(|number| format!("name{number}")).collect();
    report(&names)
}

fn report(names: &[String]) -> Report {
    let entries = names.iter().enumerate().map(|(number, name)| entry(name, number)).collect();
    tell(&Material::new(&names[0], Subject::Principal, entries))
}

/// A record that has the name wherever a caller can put one.
fn entry(name: &str, number: usize) -> Entry {
    let (minute, second) = (number / 60 % 60, number % 60);
    let document = json!({
        "@timestamp": format!("2026-11-03T{:02}:{minute:02}:{second:02}.000Z", number / 3600),
        "message": format!("{name} created training job {name}"),
        "event": {"action": format!("CreateTrainingJob{name}"), "provider": "sagemaker.amazonaws.com", "outcome": "success"},
        "log": {"file": {"path": name}},
        "rule": {"id": ["0c992b56-3d66-45ad-9f3d-c94b25113c93"]},
        "user": {"name": name},
        "user_agent": {"original": name},
        "source": {"address": name},
        "aws": {"cloudtrail": {"user_identity": {"access_key_id": name}}},
        "sagemaker": {
            "questions": (1..=15).collect::<Vec<u8>>(),
            "access_level": "write",
            "severity": "medium",
            "actor": {"name": name, "network": "internet", "agent": name, "chain": [name]},
            "alert": {"principal": name, "origin": name},
            "findings": [{"id": "0c992b56-3d66-45ad-9f3d-c94b25113c93", "title": name, "level": "medium", "reference": name}],
            "categories": ["data-poisoning"],
            "context": [name],
            "resource": {"type": name, "name": name, "configuration": {name: [name]}},
            "s3": {"buckets": [name]},
            "image": {"uri": [name], "owner": [name]},
            "lifecycle": {"script": [name]},
            "policy": {"foreign_accounts": [name]},
            "runbook": [name],
        },
    });
    Entry::read("index", &format!("id-{number}"), &document).unwrap()
}
