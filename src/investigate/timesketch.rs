//! Writes each record that is named as a line of JSON, as Timesketch imports it (pure).

use serde_json::json;

use super::report::Report;
use super::shown::title;

/// One event a line, with the three members that Timesketch demands: `message`, `datetime` and `timestamp_desc`.
pub fn timesketch(report: &Report) -> String {
    let sketch = title(report);
    let mut lines = String::new();
    for step in &report.timeline {
        let sentence = &step.sentence;
        let line = json!({
            "message": sentence.text,
            "datetime": with_offset(&sentence.at),
            "timestamp_desc": "CloudTrail event time",
            "data_type": "sagetrail:step",
            "investigation": sketch,
            "principal": step.principal,
            "action": step.action,
            "outcome": if step.succeeded { "success" } else { "failure" },
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

/// Its examples write the offset of UTC in digits.
fn with_offset(time: &str) -> String {
    time.strip_suffix('Z').map_or_else(|| time.to_owned(), |time| format!("{time}+00:00"))
}
