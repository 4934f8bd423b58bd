//! Writes a report as Markdown for a ticket (pure). No name of a record becomes markup.

use std::fmt::Write as _;

use super::report::{Report, Sentence};
use super::shown::{Numbers, shown, title};

/// The most numbers of records behind one sentence.
const MOST_NUMBERS: usize = 12;

pub fn markdown(report: &Report) -> String {
    let mut page = Page { text: String::new(), numbers: Numbers::of(report) };
    page.head(report);
    page.answers(report);
    page.unknown(report);
    page.timeline(report);
    page.lineage(report);
    page.resources(report);
    page.sentences("What was denied", &report.denied);
    page.indicators(report);
    page.practices(report);
    page.records(report);
    page.text
}

struct Page<'r> {
    text: String,
    numbers: Numbers<'r>,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn heading(&mut self, level: usize, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "\n{} {text}\n", "#".repeat(level));
    }

    fn head(&mut self, report: &Report) {
        let _ = writeln!(self.text, "# {}\n", escaped(&title(report)));
        let counts = &report.counts;
        let range = [&report.first, &report.last].map(|at| at.as_deref().unwrap_or("unknown"));
        let _ = writeln!(
            self.text,
            "{} records from {} to {}: {} succeeded, {} failed, {} of these denied. Numbers in brackets are records, listed at the end.\n",
            counts.records,
            escaped(range[0]),
            escaped(range[1]),
            counts.succeeded,
            counts.failed,
            counts.denied
        );
        if let Some(incident) = &report.incident {
            let cites = self.cites(&incident.records, 0);
            let _ = writeln!(
                self.text,
                "State {}, severity {}, opened {}. {}\n\n{}{cites}\n",
                escaped(&incident.state),
                escaped(&incident.severity),
                escaped(&incident.opened),
                escaped(&incident.reason),
                escaped(&incident.sentence)
            );
        }
        self.list(&report.summary);
    }

    fn answers(&mut self, report: &Report) {
        self.heading(2, "The fifteen questions");
        for answer in &report.answers {
            self.heading(3, &format!("{}\\. {}", answer.number, escaped(&answer.question)));
            if answer.number == 13 {
                for impact in &report.impact {
                    let _ =
                        writeln!(self.text, "- {}: **{}**", escaped(&impact.side), impact.verdict.words());
                }
            }
            if answer.sentences.is_empty() {
                self.line("*No record that was read answers this; see what is not known.*");
            }
            self.list(&answer.sentences);
        }
    }

    fn unknown(&mut self, report: &Report) {
        self.heading(2, "What is not known");
        for unknown in &report.unknown {
            let cites = self.cites(&unknown.records, unknown.more);
            let _ =
                writeln!(self.text, "- **{}**: {}{cites}", escaped(&unknown.topic), escaped(&unknown.text));
        }
    }

    fn timeline(&mut self, report: &Report) {
        self.heading(2, "Timeline");
        self.line("| time | level | what | records |");
        self.line("|---|---|---|---|");
        for step in &report.timeline {
            let cites = self.cites(&step.sentence.records, step.sentence.more);
            let _ = writeln!(
                self.text,
                "| {} | {} | {} |{cites} |",
                escaped(&step.sentence.at),
                escaped(&step.level),
                escaped(&step.sentence.text)
            );
        }
    }

    fn lineage(&mut self, report: &Report) {
        self.heading(2, "Lineage of every session");
        for session in &report.lineage {
            let parent = session
                .parent
                .as_deref()
                .map_or(String::new(), |parent| format!(", issued with {}", escaped(parent)));
            let missing = session
                .missing
                .as_deref()
                .map_or(String::new(), |it| format!(", **not known: {}**", escaped(it)));
            let _ = writeln!(
                self.text,
                "- {} of {}: {} calls{parent}{missing}",
                escaped(&session.key),
                escaped(&session.principal),
                session.calls
            );
            for sentence in &session.sentences {
                self.item("  ", sentence);
            }
        }
    }

    fn resources(&mut self, report: &Report) {
        self.heading(2, "Resources touched");
        for touched in &report.resources {
            self.heading(3, &format!("{} {}", escaped(&touched.kind), escaped(&touched.name)));
            let _ = writeln!(
                self.text,
                "Before: {}; after: {}.\n",
                touched.before.words(),
                touched.after.words()
            );
            if !touched.settings.is_empty() {
                self.line("| setting | before | after |");
                self.line("|---|---|---|");
                for setting in &touched.settings {
                    let cites = self.cites(setting.record.as_slice(), 0);
                    let [before, after] =
                        [&setting.before, &setting.after].map(|value| escaped(&words(value.as_deref())));
                    let _ = writeln!(self.text, "| {} | {before} | {after}{cites} |", escaped(&setting.name));
                }
                self.line("");
            }
            self.list(&touched.sentences);
        }
    }

    fn sentences(&mut self, heading: &str, sentences: &[Sentence]) {
        self.heading(2, heading);
        if sentences.is_empty() {
            self.line("*No record that was read shows any.*");
        }
        self.list(sentences);
    }

    fn indicators(&mut self, report: &Report) {
        self.heading(2, "Indicators");
        self.line("| kind | value | note | records |");
        self.line("|---|---|---|---|");
        for indicator in &report.indicators {
            let cites = self.cites(&indicator.records, indicator.more);
            let note = escaped(indicator.note.as_deref().unwrap_or_default());
            let _ = writeln!(
                self.text,
                "| {} | {} | {note} |{cites} |",
                escaped(&indicator.kind),
                escaped(&indicator.value)
            );
        }
    }

    fn practices(&mut self, report: &Report) {
        self.heading(2, "Best practices that were not followed");
        for practice in &report.practices {
            self.item("", &practice.sentence);
            let control = practice.control.as_deref().unwrap_or("none");
            let _ = writeln!(self.text, "  - control: {}", escaped(control));
            if !practice.config_rules.is_empty() {
                let _ = writeln!(self.text, "  - AWS Config: {}", escaped(&practice.config_rules.join(", ")));
            }
        }
    }

    fn records(&mut self, report: &Report) {
        self.heading(2, "Records");
        self.line("| number | id | time | call | file |");
        self.line("|---|---|---|---|---|");
        for (place, record) in report.records.iter().enumerate() {
            let of = |value: &Option<String>| escaped(value.as_deref().unwrap_or("before the range"));
            let _ = writeln!(
                self.text,
                "| {} | {} | {} | {} | {} |",
                place + 1,
                escaped(&record.id),
                of(&record.at),
                of(&record.action),
                of(&record.file)
            );
        }
    }

    fn list(&mut self, sentences: &[Sentence]) {
        for sentence in sentences {
            self.item("", sentence);
        }
    }

    fn item(&mut self, indent: &str, sentence: &Sentence) {
        let cites = self.cites(&sentence.records, sentence.more);
        let _ =
            writeln!(self.text, "{indent}- {}: {}{cites}", escaped(&sentence.at), escaped(&sentence.text));
    }

    fn cites(&self, ids: &[String], more: usize) -> String {
        let numbers: Vec<String> =
            ids.iter().take(MOST_NUMBERS).map(|id| self.numbers.get(id).to_string()).collect();
        let more = more + ids.len().saturating_sub(MOST_NUMBERS);
        match (numbers.is_empty(), more) {
            (true, _) => String::new(),
            (false, 0) => format!(" \\[{}\\]", numbers.join(", ")),
            (false, more) => format!(" \\[{} and {more} more\\]", numbers.join(", ")),
        }
    }
}

pub(super) fn words(value: Option<&[String]>) -> String {
    match value {
        None => "unknown".to_owned(),
        Some([]) => "not set".to_owned(),
        Some(values) => values.join(", "),
    }
}

/// The text on one line, with a backslash before whatever could become markup, a link, a mention or a reference.
fn escaped(text: &str) -> String {
    let shown = shown(text);
    let mut escaped = String::with_capacity(shown.len() + 16);
    for (place, character) in shown.char_indices() {
        // Written as it is, it would move what belongs to this item of a list out of it.
        if place == 0 && character == ' ' {
            escaped.push_str("&#32;");
            continue;
        }
        let (before, after) = (&shown[..place], &shown[place + character.len_utf8()..]);
        let is_markup = match character {
            ':' => after.starts_with("//"),
            '.' if before.to_ascii_lowercase().ends_with("www") => true,
            '.' | ')' => before.bytes().all(|it| it.is_ascii_digit()),
            '-' | '+' | '=' => before.is_empty(),
            other => "\\`*_[]<>#|~&!@$^{}".contains(other),
        };
        if is_markup {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
