//! Gives variables several values.

use std::fmt::Write as _;

use super::assignment::{Assignment, assignment};
use super::machine::Machine;
use super::output::joined;
use super::value::render;
use super::words::Word;

impl Machine {
    /// `name=(…)`: all elements together are what `${name[@]}` becomes.
    pub(super) fn fill_array(&mut self, name: &Word, elements: &[Word], line: &mut String) {
        let Some(Assignment { name, operator, .. }) = assignment(name) else { return };
        let mut fields = Vec::new();
        for word in elements {
            fields.extend(self.fields(word).values);
        }
        let mut value = joined(&fields);
        let _ = write!(line, "{name}{operator}( {} )", render(&value.text));
        if operator == "+="
            && let Some(mut known) = self.variables.remove(&name)
        {
            known.text.push(' ');
            known.append(&value);
            value = known;
        }
        self.set(&name, value);
    }
}
