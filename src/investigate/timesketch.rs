//! Writes each step of the timeline as Timesketch imports it (pure).

use serde_json::json;

use super::report::Report;
use super::shown::{shown, title};

const WHAT: &str = "CloudTrail event time";
const TYPE: &str = "sagetrail:step";
const COLUMNS: [&str; 12] = [
    "message",
    "datetime",
    "timestamp_desc",
    "data_type",
    "investigation",
    "principal",
    "action",
    "outcome",
    "level",
    "findings",
    "count",
    "records",
];

/// One event a line, with the three members that Timesketch demands: `message`, `datetime` and `timestamp_desc`.
pub fn timesketch(report: &Report) -> String {
    let sketch = title(report);
    let mut lines = String::new();
    for step in &report.timeline {
        let sentence = &step.sentence;
        let line = json!({
            "message": sentence.text,
            "datetime": with_offset(&sentence.at),
            "timestamp_desc": WHAT,
            "data_type": TYPE,
            "investigation": sketch,
            "principal": step.principal,
            "action": step.action,
            "outcome": outcome(step.succeeded),
            "level": step.level,
            "tag": step.findings,
            "count": step.count,
            "until": step.until.as_deref().map(with_offset),
            "records": sentence.records,
        });
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    lines
}

/// The same as CSV. People open it in spreadsheets too, so no cell begins as a formula does.
pub fn timesketch_csv(report: &Report) -> String {
    let sketch = title(report);
    let mut rows = row(COLUMNS);
    for step in &report.timeline {
        let sentence = &step.sentence;
        rows += &row([
            sentence.text.as_str(),
            &with_offset(&sentence.at),
            WHAT,
            TYPE,
            &sketch,
            &step.principal,
            &step.action,
            outcome(step.succeeded),
            &step.level,
            &step.findings.join("; "),
            &step.count.to_string(),
            &sentence.records.join(" "),
        ]);
    }
    rows
}

fn row(cells: [&str; COLUMNS.len()]) -> String {
    format!("{}\r\n", cells.map(cell).join(","))
}

/// A text on one line in quotation marks. An apostrophe before what a spreadsheet would evaluate makes it a text.
fn cell(text: &str) -> String {
    let shown = shown(text).replace('"', "\"\"");
    let is_formula = shown.trim_start().starts_with(['=', '+', '-', '@', '|', '%']);
    format!("\"{}{shown}\"", if is_formula { "'" } else { "" })
}

fn outcome(succeeded: bool) -> &'static str {
    if succeeded { "success" } else { "failure" }
}

/// Its examples write the offset of UTC in digits.
fn with_offset(time: &str) -> String {
    time.strip_suffix('Z').map_or_else(|| time.to_owned(), |time| format!("{time}+00:00"))
}
