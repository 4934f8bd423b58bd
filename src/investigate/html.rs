//! Writes a report as one page of HTML without references outside of it (pure).

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::markdown::words;
use super::picture;
use super::report::{Answer, Indicator, Report, Sentence, Session, Step, Touched, Verdict};
use super::shown::{Numbers, shown, title};

const STYLE: &str = include_str!("investigate.css");
/// The most numbers of records behind one sentence.
const MOST_NUMBERS: usize = 12;
const SECTIONS: [(&str, &str); 10] = [
    ("questions", "The fifteen questions"),
    ("unknown", "What is not known"),
    ("timeline", "Timeline"),
    ("lineage", "Lineage of every session"),
    ("resources", "Resources touched"),
    ("denied", "What was denied"),
    ("indicators", "Indicators"),
    ("practices", "Best practices that were not followed"),
    ("records", "Records"),
    ("about", "How to read this"),
];

pub fn html(report: &Report) -> String {
    let page = Page { report, numbers: Numbers::of(report) };
    let title = title(report);
    let body = html! {
        a class="skip" href="#main" { "Skip to the report" }
        header { h1 { (shown(&title)) } (page.head()) }
        nav aria-label="Sections" { ul { @for (id, name) in SECTIONS { li { a href=(format!("#{id}")) { (name) } } } } }
        main id="main" {
            (page.questions())
            (page.unknown())
            (page.timeline())
            (page.lineage())
            (page.resources())
            (section("denied", &page.sentences(&report.denied, "No record that was read shows a denial.")))
            (page.indicators())
            (page.practices())
            (page.records())
        }
        footer id="about" {
            h2 { (SECTIONS[9].1) }
            p { "Each sentence follows from the records whose numbers stand behind it; a number leads to its record below. \
                 A sentence tells what was called, and not what somebody meant by it. What no record shows is not said: see what is not known." }
            p { "Written by sagetrail from stored records, without a language model. The same records are the same page." }
        }
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="color-scheme" content="light dark";
                title { (shown(&title)) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
    .into_string()
}

fn section(id: &str, body: &Markup) -> Markup {
    let name = SECTIONS.iter().find(|(known, _)| *known == id).map_or(id, |(_, name)| name);
    html! {
        section id=(id) aria-labelledby=(format!("{id}-heading")) { h2 id=(format!("{id}-heading")) { (name) } (body) }
    }
}

struct Page<'r> {
    report: &'r Report,
    numbers: Numbers<'r>,
}

impl Page<'_> {
    fn head(&self) -> Markup {
        let Report { counts, first, last, incident, summary, impact, .. } = self.report;
        html! {
            @if let Some(incident) = incident {
                p class="lead" { (shown(&incident.sentence)) (self.cites(&incident.records, 0)) }
                p { "State " (shown(&incident.state)) ", opened " time { (shown(&incident.opened)) } ". " (shown(&incident.reason)) }
            }
            p {
                (counts.records) " records from " time { (first.as_deref().unwrap_or("unknown")) } " to "
                time { (last.as_deref().unwrap_or("unknown")) } ": " (counts.succeeded) " succeeded, " (counts.failed) " failed, "
                (counts.denied) " of these denied."
            }
            ul class="verdicts" {
                @for side in impact { li { (side.side) ": " strong class=(verdict(side.verdict)) { (side.verdict.words()) } } }
            }
            (self.list(summary))
        }
    }

    fn questions(&self) -> Markup {
        section("questions", &html! { @for answer in &self.report.answers { (self.answer(answer)) } })
    }

    fn answer(&self, answer: &Answer) -> Markup {
        let Answer { number, question, sentences, more } = answer;
        html! {
            article id=(format!("q{number}")) {
                h3 { (number) ". " (question) }
                @if *number == 13 {
                    table {
                        caption { "Judged by stated rules (config/impact.toml)" }
                        thead { tr { th scope="col" { "side" } th scope="col" { "verdict" } } }
                        tbody {
                            @for side in &self.report.impact {
                                tr { th scope="row" { (side.side) } td { strong class=(verdict(side.verdict)) { (side.verdict.words()) } } }
                            }
                        }
                    }
                }
                @if sentences.is_empty() { p class="none" { "No record that was read answers this; see " a href="#unknown" { "what is not known" } "." } }
                @if sentences.len() > 8 {
                    (self.list(&sentences[..8]))
                    details { summary { (sentences.len() - 8) " more sentences" } (self.list(&sentences[8..])) }
                } @else { (self.list(sentences)) }
                @if *more > 0 { p class="none" { (more) " more sentences are left out." } }
            }
        }
    }

    fn unknown(&self) -> Markup {
        section(
            "unknown",
            &html! {
                dl {
                    @for unknown in &self.report.unknown {
                        dt { (unknown.topic) }
                        dd { (shown(&unknown.text)) (self.cites(&unknown.records, unknown.more)) }
                    }
                }
            },
        )
    }

    fn timeline(&self) -> Markup {
        let row = |step: &Step| {
            html! {
                tr {
                    td { time { (step.sentence.at) } }
                    td { span class=(format!("badge {}", level(&step.level))) { (shown(&step.level)) } }
                    td { (shown(&step.sentence.text)) @if !step.findings.is_empty() { p class="found" { (shown(&step.findings.join("; "))) } } }
                    td { (self.cites(&step.sentence.records, step.sentence.more)) }
                }
            }
        };
        section(
            "timeline",
            &html! {
                figure { (picture::timeline(self.report)) figcaption { "Each dot is a step; the larger, the worse." } }
                details {
                    summary { "All " (self.report.timeline.len()) " steps" }
                    table {
                        caption { "Steps in the order of their times" }
                        thead { tr { th scope="col" { "time" } th scope="col" { "level" } th scope="col" { "what" } th scope="col" { "records" } } }
                        tbody { @for step in &self.report.timeline { (row(step)) } }
                    }
                }
            },
        )
    }

    fn lineage(&self) -> Markup {
        let one = |session: &Session| {
            html! {
                details {
                    summary { (shown(&session.key)) ", " (session.calls) " calls" @if session.missing.is_some() { " — " strong class="harmed" { "link missing" } } }
                    dl {
                        dt { "principal" } dd { (shown(&session.principal)) }
                        @if let Some(parent) = &session.parent { dt { "issued with" } dd { (shown(parent)) } }
                        @if let Some(missing) = &session.missing { dt { "not known" } dd { (shown(missing)) } }
                        @if !session.chain.is_empty() { dt { "chain" } dd { (shown(&session.chain.join(" → "))) } }
                        @if !session.addresses.is_empty() { dt { "addresses" } dd { (shown(&session.addresses.join(", "))) } }
                        @if !session.agents.is_empty() { dt { "user agents" } dd { (shown(&session.agents.join("; "))) } }
                    }
                    (self.list(&session.sentences))
                }
            }
        };
        section(
            "lineage",
            &html! {
                figure { (picture::lineage(self.report)) figcaption { "Each box is one set of credentials, right of the one that asked for it. A dashed box has a missing link." } }
                @for session in &self.report.lineage { (one(session)) }
            },
        )
    }

    fn resources(&self) -> Markup {
        section("resources", &html! { @for touched in &self.report.resources { (self.touched(touched)) } })
    }

    fn touched(&self, touched: &Touched) -> Markup {
        html! {
            details {
                summary { (shown(&touched.kind)) " " strong { (shown(&touched.name)) } ": before " (touched.before.words()) ", after " (touched.after.words()) }
                @if let Some(arn) = &touched.arn { p class="arn" { (shown(arn)) } }
                @if touched.settings.is_empty() { p class="none" { "Its configuration is unknown." } } @else {
                    table {
                        caption { "Configuration" }
                        thead { tr { th scope="col" { "setting" } th scope="col" { "before" } th scope="col" { "after" } } }
                        tbody {
                            @for setting in &touched.settings {
                                tr {
                                    th scope="row" { (shown(&setting.name)) }
                                    td { (shown(&words(setting.before.as_deref()))) }
                                    td { @if setting.before != setting.after { strong { (shown(&words(setting.after.as_deref()))) } } @else { (shown(&words(setting.after.as_deref()))) }
                                        (self.cites(setting.record.as_slice(), 0)) }
                                }
                            }
                        }
                    }
                }
                (self.list(&touched.sentences))
            }
        }
    }

    fn indicators(&self) -> Markup {
        let indicators = &self.report.indicators;
        let list: Vec<&str> = indicators.iter().map(|it| it.value.as_str()).collect();
        let row = |indicator: &Indicator| {
            html! {
                tr {
                    td { (indicator.kind) } td class="value" { (shown(&indicator.value)) } td { (shown(indicator.note.as_deref().unwrap_or_default())) }
                    td { (self.cites(&indicator.records, indicator.more)) }
                }
            }
        };
        section(
            "indicators",
            &html! {
                table {
                    caption { "What to look for elsewhere" }
                    thead { tr { th scope="col" { "kind" } th scope="col" { "value" } th scope="col" { "note" } th scope="col" { "records" } } }
                    tbody { @for indicator in indicators { (row(indicator)) } }
                }
                details { summary { "As a list to paste" } pre tabindex="0" { @for value in list { (shown(value)) "\n" } } }
            },
        )
    }

    fn practices(&self) -> Markup {
        section(
            "practices",
            &html! {
                @if self.report.practices.is_empty() { p class="none" { "No rule of posture matched a record that was read." } }
                table {
                    caption { "What was missing, and the control that would have prevented it" }
                    thead { tr { th scope="col" { "what" } th scope="col" { "control" } th scope="col" { "AWS Config" } th scope="col" { "records" } } }
                    tbody {
                        @for practice in &self.report.practices {
                            tr {
                                td { (shown(&practice.sentence.text)) @if let Some(reference) = &practice.reference { p class="arn" { (shown(reference)) } } }
                                td { (practice.control.as_deref().unwrap_or("none")) }
                                td { (practice.config_rules.join(", ")) }
                                td { (self.cites(&practice.sentence.records, practice.sentence.more)) }
                            }
                        }
                    }
                }
            },
        )
    }

    fn records(&self) -> Markup {
        let or_unknown =
            |text: &Option<String>| shown(text.as_deref().unwrap_or("before the range")).into_owned();
        section(
            "records",
            &html! {
                details {
                    summary { (self.report.records.len()) " records that are named above" }
                    table {
                        caption { "Records" }
                        thead { tr { th scope="col" { "number" } th scope="col" { "time" } th scope="col" { "what" } th scope="col" { "where it is" } } }
                        tbody {
                            @for (place, record) in self.report.records.iter().enumerate() {
                                tr id=(format!("r{}", place + 1)) {
                                    th scope="row" { (place + 1) }
                                    td { time { (or_unknown(&record.at)) } }
                                    td { (or_unknown(&record.text)) @if let Some(error) = &record.error { " (" (shown(error)) ")" } }
                                    td class="value" { (shown(&record.id)) @if let Some(index) = &record.index { br; (shown(index)) } @if let Some(file) = &record.file { br; (shown(file)) } }
                                }
                            }
                        }
                    }
                }
            },
        )
    }

    fn sentences(&self, sentences: &[Sentence], none: &str) -> Markup {
        html! { @if sentences.is_empty() { p class="none" { (none) } } (self.list(sentences)) }
    }

    fn list(&self, sentences: &[Sentence]) -> Markup {
        html! {
            @if !sentences.is_empty() {
                ul {
                    @for sentence in sentences {
                        li { time { (sentence.at) } " " (shown(&sentence.text)) (self.cites(&sentence.records, sentence.more)) }
                    }
                }
            }
        }
    }

    fn cites(&self, ids: &[String], more: usize) -> Markup {
        let more = more + ids.len().saturating_sub(MOST_NUMBERS);
        html! {
            @for id in ids.iter().take(MOST_NUMBERS) {
                @let number = self.numbers.get(id);
                " " a class="cite" href=(format!("#r{number}")) aria-label=(format!("record {number}")) { (number) }
            }
            @if more > 0 { span class="cite" { " and " (more) " more" } }
        }
    }
}

/// A class of the style sheet, whatever the record says.
fn level(text: &str) -> &'static str {
    ["critical", "high", "medium", "low"].into_iter().find(|known| *known == text).unwrap_or("informational")
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotShown => "not-shown",
        Verdict::Attempted => "attempted",
        Verdict::AtRisk => "at-risk",
        Verdict::Harmed => "harmed",
    }
}
