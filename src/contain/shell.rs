//! Writes the plan as a script for Bash, from the template beside this file (pure).
//!
//! What a record says stands between quotation marks of the library, or in a comment without a character that could end
//! it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;
use time::OffsetDateTime;

use super::argument::{Argument, Part};
use super::plan::{Command, Plan, Planned};
use super::steps::Phase;
use crate::enrich::is_invisible;
use crate::templates::{fill, visible};
use crate::timestamp;

/// Which way the script goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Contain,
    /// What the script that contains did is brought back, the last first.
    Undo,
}

/// Characters of a comment that are written. The longest ARN has 2,048.
const LONGEST: usize = 4_096;
/// Who uses a thing is told up to this number; nobody reads on.
const MOST_USED: usize = 5;

/// The script. `at` is until when sessions are denied; without it that is when the script runs.
pub fn script(plan: &Plan, direction: Direction, at: Option<OffsetDateTime>) -> String {
    let unknown = plan.planned.iter().flat_map(|one| Planned::unknown(one.run.iter().chain(&one.undo)));
    let script = Script {
        direction,
        asked: &plan.asked,
        notes: &plan.notes,
        at: at.map(timestamp::format),
        evidence: safe(&plan.asked),
        accounts: plan.accounts(),
        unknown: unknown.collect(),
        kept: kept(plan),
        steps: plan.planned.iter().map(|one| Step::of(one, plan)).collect(),
        most_used: MOST_USED,
    };
    fill(include_str!("script.sh.j2"), comment, &script)
}

#[derive(Serialize)]
struct Script<'p> {
    direction: Direction,
    asked: &'p str,
    notes: &'p [String],
    at: Option<String>,
    /// What the name of the folder with the evidence ends with.
    evidence: String,
    accounts: BTreeSet<&'p str>,
    unknown: Vec<&'p str>,
    kept: Vec<Kept<'p>>,
    steps: Vec<Step<'p>>,
    most_used: usize,
}

#[derive(Serialize)]
struct Kept<'p> {
    number: usize,
    file: &'p str,
    command: String,
}

#[derive(Serialize)]
struct Step<'p> {
    #[serde(flatten)]
    planned: &'p Planned,
    phase: Phase,
    reference: &'p str,
    refused: Option<String>,
    /// Whether it is in another account than most steps.
    is_elsewhere: bool,
    run: Vec<Line<'p>>,
    undo: Vec<Line<'p>>,
}

/// A command, and the variables that it waits for.
#[derive(Serialize)]
struct Line<'p> {
    needs: Vec<&'p str>,
    command: String,
}

impl<'p> Step<'p> {
    fn of(one: &'p Planned, plan: &Plan) -> Self {
        let line = |command| Line { needs: Planned::unknown([command]), command: line(one, command) };
        Self {
            planned: one,
            phase: one.step.phase,
            reference: &one.step.reference,
            refused: one.refused.as_ref().map(ToString::to_string),
            is_elsewhere: one.account.is_some() && one.account != plan.account,
            run: one.run.iter().map(line).collect(),
            undo: one.undo.iter().map(line).collect(),
        }
    }
}

/// The commands whose output is kept. Two steps about one thing keep the same; each undo has its own file.
fn kept(plan: &Plan) -> Vec<Kept<'_>> {
    let mut written = BTreeSet::new();
    let mut all = Vec::new();
    for one in &plan.planned {
        let is_undone_with = |file: &str| one.undo.iter().flatten().any(|argument| argument.names(file));
        for kept in &one.keep {
            let command = line(one, &kept.command);
            if written.insert(command.clone()) || is_undone_with(&kept.file) {
                all.push(Kept { number: one.number, file: &kept.file, command });
            }
        }
    }
    all
}

/// A command as Bash reads it.
fn line(one: &Planned, command: &Command) -> String {
    let account = one.account.as_deref().expect("a command is written where the account is known");
    let region = one.region.as_deref().expect("a command is written where the region is known");
    let mut line = format!("aws ${{PROFILE_{account}:+\"--profile=$PROFILE_{account}\"}} --region={region}");
    for argument in command {
        line.push(' ');
        line.push_str(&argument.quoted());
    }
    line
}

impl Argument {
    /// As one word of Bash.
    fn quoted(&self) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Own(own) => own.clone(),
            Part::Value(value) if value.chars().any(is_invisible) => escaped(value),
            Part::Value(value) => {
                shlex::try_quote(value).expect("a value with a NUL was refused").into_owned()
            }
            Part::Time => "\"$NOW\"".to_owned(),
            Part::Unknown(name) => format!("\"${name}\""),
            Part::File(file) => format!("\"$EVIDENCE\"/{file}"),
        });
        parts.collect()
    }

    fn names(&self, file: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::File(named) if named == file))
    }
}

/// A value as one word of Bash in which all can be seen: a reviewer must not read another name than the shell does.
fn escaped(value: &str) -> String {
    let mut word = "$'".to_owned();
    for character in value.chars() {
        match character {
            '\'' | '\\' => word.extend(['\\', character]),
            // By its bytes, as what a code point becomes depends on the locale.
            _ if is_invisible(character) => {
                let mut bytes = [0; 4];
                for byte in character.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(word, "\\x{byte:02x}");
                }
            }
            _ => word.push(character),
        }
    }
    word.push('\'');
    word
}

/// A text for a comment: nothing in it can end the line or turn it around.
fn comment(text: &str) -> Cow<'_, str> {
    visible(text, LONGEST, &[])
}

/// A text as part of a file's name.
fn safe(text: &str) -> String {
    let safe = text.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' });
    safe.take(64).collect::<String>().trim_matches('-').to_owned()
}
