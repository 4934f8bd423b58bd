//! Finds the name of a program, also of a copy, behind a pattern, or in the first line of a script.

use super::facts::Behavior;
use super::machine::Machine;
use super::value::Value;
use super::vocabulary::VOCABULARY;

impl Machine {
    /// The name of a command's program, also of a copy or behind a pattern.
    pub(super) fn name_of(&mut self, first: &Value, is_pieced: bool) -> String {
        let text = &first.text;
        let mut name = text.rsplit('/').next().unwrap_or_default().to_owned();
        if name.contains(['?', '*', '[']) && (text.starts_with('/') || name.len() > 2) {
            let found = VOCABULARY.programs.worth_hiding().find(|known| fits(&name, known));
            if let Some(known) = found {
                self.facts.behaviors.insert(Behavior::HiddenName);
                name.clone_from(known);
            }
        } else if is_pieced && VOCABULARY.programs.worth_hiding().any(|known| *known == name) {
            self.facts.behaviors.insert(Behavior::HiddenName);
        }
        let is_path = text.contains('/');
        if let Some(program) = first
            .origin
            .program
            .clone()
            .or_else(|| is_path.then(|| self.files.read(text).origin.program).flatten())
        {
            program
        } else {
            name
        }
    }
}

/// The language that the first line of a script names, if it is not a shell's.
pub fn shebang(text: &str) -> Option<String> {
    let line = text.trim_start().strip_prefix("#!")?.lines().next()?;
    let name =
        line.split_whitespace().filter_map(|word| word.rsplit('/').next()).find(|name| *name != "env")?;
    VOCABULARY.programs.is_interpreter(name).then(|| name.to_owned())
}

/// Whether a pattern with wildcards fits a name.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let letters = pattern.iter().filter(|character| character.is_alphanumeric()).count();
    let stars = pattern.iter().filter(|character| **character == '*').count();
    letters > 0 && stars <= 2 && pattern.len() <= 24 && fits_from(&pattern, &name)
}

fn fits_from(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => fits_from(rest, name) || !name.is_empty() && fits_from(pattern, &name[1..]),
        (['?', rest @ ..], [_, after @ ..]) => fits_from(rest, after),
        (['[', one, ']', rest @ ..], [first, after @ ..]) => one == first && fits_from(rest, after),
        ([character, rest @ ..], [first, after @ ..]) => character == first && fits_from(rest, after),
        _ => false,
    }
}
