//! The groups of commands that a script is in while it is read: lists in braces or parentheses, loops and conditions.

use super::value::Value;

/// The groups that are open, the innermost last. The first is the script itself.
pub(super) struct Groups(Vec<Group>);

struct Group {
    stdin: Value,
    output: Value,
}

impl Groups {
    pub(super) fn of_script(stdin: &Value) -> Self {
        Self(vec![Group { stdin: stdin.clone(), output: Value::default() }])
    }

    /// How many are open.
    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }

    /// What a command of the innermost group reads.
    pub(super) fn stdin(&self) -> Value {
        self.0.last().map(|group| group.stdin.clone()).unwrap_or_default()
    }

    /// Opens a group, which reads what a pipe brings or else what the group around it reads.
    pub(super) fn open(&mut self, pipe: &mut Option<Value>) {
        let stdin = pipe.take().unwrap_or_else(|| self.stdin());
        self.0.push(Group { stdin, output: Value::default() });
    }

    /// Adds to what the innermost group writes.
    pub(super) fn append(&mut self, output: &Value) {
        if let Some(group) = self.0.last_mut() {
            group.output.append(output);
        }
    }

    /// Closes the innermost group and returns what it wrote; the script itself stays open.
    pub(super) fn close(&mut self) -> Value {
        match self.0.len() {
            0 | 1 => Value::default(),
            _ => self.0.pop().map(|group| group.output).unwrap_or_default(),
        }
    }

    /// Returns what all that are open wrote.
    pub(super) fn into_output(self) -> Value {
        let mut output = Value::default();
        for group in self.0 {
            output.append(&group.output);
        }
        output
    }
}
