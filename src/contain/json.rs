//! Writes the plan as JSON, with each command as the input document that the AWS CLI takes (pure).

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::argument::{Argument, Part};
use super::plan::{Command, Plan, Planned};
use crate::timestamp;

/// Words of options that the API writes in capitals.
const WORDS: [(&str, &str); 3] = [("ml", "ML"), ("ai", "AI"), ("arns", "Arns")];
/// Services whose members begin with a small letter.
const SMALL: [&str; 2] = ["ecr", "logs"];
/// Commands of the CLI that are no operation of an API.
const NO_OPERATION: [(&str, &str); 2] = [("s3", "cp"), ("sagemaker", "wait")];
/// Options of the CLI itself.
const OF_THE_CLI: [&str; 2] = ["--query", "--output"];

/// The plan with everything that the script says.
pub fn document(plan: &Plan, at: OffsetDateTime) -> Value {
    let steps = plan.planned.iter().map(|one| {
        let commands = |commands: &[Command]| commands.iter().map(|it| command(it, at)).collect::<Value>();
        json!({
            "number": one.number, "step": one.step.id, "phase": one.step.phase, "title": one.title, "about": one.about,
            "account": one.account, "region": one.region,
            "is_in_another_account": one.account.is_some() && one.account != plan.account,
            "keep": one.keep.iter().map(|kept| {
                let mut keep = command(&kept.command, at);
                keep["file"] = kept.file.clone().into();
                keep
            }).collect::<Value>(),
            "run": commands(&one.run), "by_hand": one.by_hand,
            "breaks": one.breaks, "used": one.used,
            "undo": commands(&one.undo), "undo_says": one.undo_says,
            "unknown": Planned::unknown(one.run.iter().chain(&one.undo)),
            "not_known": one.not_known, "refused": one.refused.as_ref().map(ToString::to_string),
            "reference": one.step.reference,
        })
    });
    json!({"asked": plan.asked, "account": plan.account, "notes": plan.notes, "steps": steps.collect::<Value>()})
}

/// A command with its arguments, and the same as an input of the operation where it is one.
fn command(command: &Command, at: OffsetDateTime) -> Value {
    let arguments: Vec<String> = command.iter().map(|argument| argument.plain(at)).collect();
    let mut written = json!({"arguments": arguments});
    let (service, operation) = (arguments[0].as_str(), arguments[1].as_str());
    if NO_OPERATION.contains(&(service, operation)) {
        return written;
    }
    let mut input = Map::new();
    for (argument, text) in command.iter().zip(&arguments).skip(2) {
        let (option, value) = text.split_once('=').unwrap_or((text, ""));
        if OF_THE_CLI.contains(&option) {
            continue;
        }
        let value = if argument.parts.len() == 1 && !text.contains('=') {
            json!(true)
        } else if argument.is_structure {
            serde_json::from_str(value).unwrap_or_else(|_| json!(value))
        } else {
            json!(value)
        };
        input.insert(member(option, service), value);
    }
    written["input"] = Value::Object(input);
    written
}

/// The member of the API that an option is.
fn member(option: &str, service: &str) -> String {
    let mut member = String::new();
    for (place, word) in option.trim_start_matches("--").split('-').enumerate() {
        let known = WORDS.iter().find(|(small, _)| *small == word).map(|(_, written)| *written);
        match (known, place, SMALL.contains(&service)) {
            (_, 0, true) => member.push_str(word),
            (Some(written), ..) => member.push_str(written),
            (None, ..) => {
                let (first, rest) = word.split_at(1);
                member.push_str(&first.to_ascii_uppercase());
                member.push_str(rest);
            }
        }
    }
    member
}

impl Argument {
    fn plain(&self, at: OffsetDateTime) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Own(text) | Part::Value(text) => text.clone(),
            Part::Time => timestamp::format(at),
            Part::Unknown(name) => format!("${{{name}}}"),
            Part::File(file) => format!("${{EVIDENCE}}/{file}"),
        });
        parts.collect()
    }
}
