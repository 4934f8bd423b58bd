//! Writes the plan as a script for Bash (pure).
//!
//! What a record says stands between quotation marks of the library, or in a comment without a character that could end it.

use std::fmt::Write as _;

use sagetrail_core::enrich::is_invisible;
use time::OffsetDateTime;

use super::argument::{Argument, Part};
use super::plan::{Command, Plan, Planned};
use super::steps::Phase;
use crate::timestamp;

/// Which way the script goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Contain,
    /// What the script that contains did is brought back, the last first.
    Undo,
}

/// Characters of a comment that are written. The longest ARN has 2,048.
const LONGEST: usize = 4_096;
/// Who uses a thing is told up to this number; nobody reads on.
const MOST_USED: usize = 5;

const PHASES: [(Phase, &str); 5] = [
    (Phase::Cut, "Who acted can do no more"),
    (Phase::Keep, "What a later step destroys is kept"),
    (Phase::Stop, "What runs is stopped"),
    (Phase::Close, "What was opened is closed"),
    (Phase::Remove, "What was made for it goes, with REMOVE=yes"),
];

/// What the steps of a script call.
const FUNCTIONS: &str = r#"
set -u
umask 077
export AWS_PAGER=''
failed='' waiting='' unkept=''

# account NUMBER PROFILE: nothing is done in another account than the one that is meant
account() {
  local found
  found=$(aws ${2:+"--profile=$2"} sts get-caller-identity --query=Account --output=text) && [ "$found" = "$1" ] && return
  echo "${2:-What the AWS CLI signs with} is not of account $1. Set PROFILE_$1 to a profile that is." >&2
  exit 1
}

# step NUMBER COMMAND…: says what it runs, and goes on when that fails
step() {
  printf '\n%s:' "$1" && printf ' %q' "${@:2}" && echo
  "${@:2}" || failed="$failed $1"
}

# keep NUMBER FILE COMMAND…: the same, with the output in a file of the evidence
keep() {
  printf '\n%s:' "$1" && printf ' %q' "${@:3}" && echo " > $2"
  "${@:3}" >"$EVIDENCE/$2" || unkept="$unkept $1"
}

# removal NUMBER COMMAND…: the same as step, but only with REMOVE=yes
removal() {
  [ "${REMOVE-}" != yes ] || { step "$@" && return; }
  printf '\n%s, only with REMOVE=yes:' "$1" && printf ' %q' "${@:2}" && echo
}

# needs NUMBER VARIABLE…: whether you have said what no record tells
needs() {
  local name
  for name in "${@:2}"; do
    [ -n "${!name-}" ] && continue
    printf '\n%s waits for %s\n' "$1" "$name" && waiting="$waiting $1"
    return 1
  done
}
"#;

const ENDING: &str = r#"
[ -z "$unkept" ] || echo "Of these something could not be kept, or is not there:$unkept" >&2
[ -z "$waiting" ] || echo "These wait for what you find out:$waiting" >&2
[ -z "$failed" ] || { echo "These failed:$failed" >&2; exit 1; }
"#;

/// The script. `at` is until when sessions are denied; without it that is when the script runs.
pub fn script(plan: &Plan, direction: Direction, at: Option<OffsetDateTime>) -> String {
    let mut script = String::from("#!/usr/bin/env bash\n");
    // Writing to a string cannot fail.
    let _ = head(&mut script, plan, direction);
    script += FUNCTIONS;
    let _ = settings(&mut script, plan, at);
    let _ = match direction {
        Direction::Contain => forwards(&mut script, plan),
        Direction::Undo => backwards(&mut script, plan),
    };
    script += ENDING;
    script
}

fn head(script: &mut String, plan: &Plan, direction: Direction) -> std::fmt::Result {
    let about = shown(&plan.asked);
    match direction {
        Direction::Contain => writeln!(script, "# Contains {about}. Read it, then run it: it was not run.")?,
        Direction::Undo => {
            writeln!(script, "# Undoes what the script that contains {about} did, the last first.")?;
        }
    }
    writeln!(
        script,
        "# Made by `sagetrail contain`. Each step says what it breaks, how it is undone, and where to read on."
    )?;
    for note in &plan.notes {
        writeln!(script, "# Note: {}", shown(note))?;
    }
    if plan.planned.is_empty() {
        writeln!(script, "# Nothing was found that a step could contain.")?;
    }
    Ok(())
}

fn settings(script: &mut String, plan: &Plan, at: Option<OffsetDateTime>) -> std::fmt::Result {
    match at {
        Some(at) => writeln!(script, "\nNOW={}", timestamp::format(at))?,
        None => writeln!(script, "\nNOW=${{NOW:-$(date -u +%Y-%m-%dT%H:%M:%SZ)}}")?,
    }
    writeln!(script, "EVIDENCE=${{EVIDENCE:-$PWD/evidence-{}}}", safe(&plan.asked))?;
    writeln!(script, "mkdir -p \"$EVIDENCE\" || exit 1")?;
    writeln!(
        script,
        "\n# The profile of the AWS CLI for each account; without one, what it finds by itself"
    )?;
    for account in plan.accounts() {
        writeln!(script, "PROFILE_{account}=${{PROFILE_{account}-}}")?;
        writeln!(script, "account {account} \"$PROFILE_{account}\"")?;
    }
    let unknown: Vec<&str> =
        plan.planned.iter().flat_map(|one| Planned::unknown(one.run.iter().chain(&one.undo))).collect();
    if !unknown.is_empty() {
        writeln!(
            script,
            "\n# What no record tells: set it before the script, or here, and its steps are run"
        )?;
    }
    unknown.iter().try_for_each(|name| writeln!(script, "{name}=${{{name}-}}"))
}

fn forwards(script: &mut String, plan: &Plan) -> std::fmt::Result {
    for (place, (phase, title)) in PHASES.into_iter().enumerate() {
        let is_of = |one: &&Planned| one.step.phase == phase;
        let keeps = phase == Phase::Keep && plan.planned.iter().any(|one| !one.keep.is_empty());
        if !keeps && !plan.planned.iter().any(|one| is_of(&one)) {
            continue;
        }
        writeln!(script, "\n# ==== {}. {title}", place + 1)?;
        if keeps {
            keep(script, plan)?;
        }
        for one in plan.planned.iter().filter(is_of) {
            writeln!(script)?;
            comments(script, plan, one)?;
            let verb = if phase == Phase::Remove { "removal" } else { "step" };
            commands(script, one, verb, &one.run)?;
        }
    }
    Ok(())
}

fn keep(script: &mut String, plan: &Plan) -> std::fmt::Result {
    let mut written: Vec<String> = Vec::new();
    for one in &plan.planned {
        for kept in &one.keep {
            let command = line(one, &kept.command);
            // Two steps about one thing keep the same; each undo has its own file.
            if written.contains(&command)
                && !one.undo.iter().flatten().any(|argument| argument.names(&kept.file))
            {
                continue;
            }
            writeln!(script, "keep {} {} {command}", one.number, kept.file)?;
            written.push(command);
        }
    }
    Ok(())
}

fn backwards(script: &mut String, plan: &Plan) -> std::fmt::Result {
    for one in plan.planned.iter().rev() {
        writeln!(script, "\n# ---- {}. Undo: {}", one.number, shown(&one.title))?;
        writeln!(script, "#      what:   {}", shown(&one.about))?;
        if let Some(says) = &one.undo_says {
            writeln!(script, "#      know:   {}", shown(says))?;
        }
        if one.undo.is_empty() {
            writeln!(script, "#      No command brings it back.")?;
        }
        let verb = if one.step.phase == Phase::Remove { "removal" } else { "step" };
        commands(script, one, verb, &one.undo)?;
    }
    Ok(())
}

fn comments(script: &mut String, plan: &Plan, one: &Planned) -> std::fmt::Result {
    writeln!(script, "# ---- {}. {}", one.number, shown(&one.title))?;
    let place = |part: &Option<String>| part.as_deref().map_or_else(|| "not known".to_owned(), shown);
    write!(
        script,
        "#      what:   {}, account {}, region {}",
        shown(&one.about),
        place(&one.account),
        place(&one.region)
    )?;
    let is_elsewhere = one.account.is_some() && one.account != plan.account;
    writeln!(
        script,
        "{}",
        if is_elsewhere { ", which is another account than that of most steps" } else { "" }
    )?;
    writeln!(script, "#      breaks: {}", shown(&one.breaks))?;
    if !one.used.is_empty() {
        let mut names: Vec<String> = one.used.iter().take(MOST_USED).map(|name| shown(name)).collect();
        let more = one.used.len().saturating_sub(MOST_USED);
        names.extend((more > 0).then(|| format!("{more} more")));
        writeln!(script, "#      used:   {}", names.join(", "))?;
    }
    for unknown in &one.not_known {
        writeln!(script, "#      not known: {}", shown(unknown))?;
    }
    if let Some(refused) = &one.refused {
        writeln!(script, "#      no command: {refused}")?;
    }
    if let Some(by_hand) = &one.by_hand {
        writeln!(script, "#      by hand: {}", shown(by_hand))?;
    }
    for undo in &one.undo {
        // A line break inside of quotation marks would end the comment.
        writeln!(script, "#      undo:   {}", shown(&line(one, undo)))?;
    }
    if let Some(says) = &one.undo_says {
        writeln!(script, "#      undo:   {}", shown(says))?;
    }
    writeln!(script, "#      see:    {}", one.step.reference)
}

fn commands(script: &mut String, one: &Planned, verb: &str, commands: &[Command]) -> std::fmt::Result {
    for command in commands {
        let unknown = Planned::unknown([command]);
        if !unknown.is_empty() {
            write!(script, "needs {} {} && ", one.number, unknown.join(" "))?;
        }
        writeln!(script, "{verb} {} {}", one.number, line(one, command))?;
    }
    Ok(())
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

/// A text for a comment: nothing in it can end the line or turn it around.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars().take(LONGEST) {
        if is_invisible(character) && character != ' ' {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{}", character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A text as part of a file's name.
fn safe(text: &str) -> String {
    let safe = text.chars().map(|it| if it.is_ascii_alphanumeric() { it } else { '-' });
    safe.take(64).collect::<String>().trim_matches('-').to_owned()
}
