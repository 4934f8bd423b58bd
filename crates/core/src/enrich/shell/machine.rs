//! Goes through a script once from its beginning to its end, whatever its conditions and loops would do, and remembers
//! variables, files and connections.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

use super::assignment::{Assignment, assignment, is_array};
use super::coprocess::Coprocess;
use super::facts::{Behavior, Facts};
use super::files::{Files, Filled};
use super::groups::Groups;
use super::value::{Origin, Value, render};
use super::words::{self, Redirect, Token, Word};

/// What has been learnt of a script so far.
pub struct Machine {
    pub(super) variables: HashMap<String, Value>,
    pub files: Files,
    /// Descriptors that lead to another host, with its address.
    pub(super) sockets: HashMap<String, String>,
    pub facts: Facts,
    /// Bytes that may still be read or made.
    work: usize,
    depth: usize,
    /// Whether the last command ran its input as a script, whose commands are then kept by themselves.
    pub has_run: bool,
    /// Whether a line was run that `read` took from an input of which nothing was known yet.
    pub runs_line: bool,
    /// Scripts that were run already.
    known: HashSet<String>,
}

/// A function whose body has no braces of its own.
static FUNCTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[\s;])(?<name>[A-Za-z_][A-Za-z0-9_-]*)\s*\(\)\s*\{(?<body>[^{}]*)\}")
        .expect("the pattern is fixed and tested")
});

/// How deep scripts may run scripts.
const MAX_DEPTH: usize = 12;

#[derive(Default)]
struct Pending {
    words: Vec<Word>,
    redirects: Vec<Redirect>,
}

/// One command as programs see it.
pub struct Call {
    /// Its fields, of which the first is the program.
    pub fields: Vec<Value>,
    pub stdin: Value,
    /// Whether a connection to another host is its input or output.
    pub has_socket: bool,
    /// Whether the name of the program is put together of pieces.
    pub is_pieced: bool,
}

impl Call {
    /// What stands behind the name of the program.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.fields[1..].iter().map(|field| field.text.as_str())
    }
}

impl Machine {
    /// A machine that may read and make `work` bytes, and keeps `room` bytes of what it finds.
    pub fn new(work: usize, room: usize) -> Self {
        Self {
            variables: HashMap::new(),
            files: Files::default(),
            sockets: HashMap::new(),
            facts: Facts::new(room),
            work,
            depth: 0,
            has_run: false,
            runs_line: false,
            known: HashSet::new(),
        }
    }

    /// Counts bytes that are read or made.
    pub fn work(&mut self, bytes: usize) {
        if bytes >= self.work {
            self.facts.cut = true;
            self.work = 0;
        } else {
            self.work -= bytes;
        }
    }

    /// Whether all work is done that may be done; what was not read by then is left out.
    pub fn is_spent(&self) -> bool {
        self.work == 0
    }

    /// Bytes that may still be read or made.
    pub fn left(&self) -> usize {
        self.work
    }

    /// What a variable holds; None where the script did not set it. `PWD` is the working folder.
    pub fn variable(&self, name: &str) -> Option<Value> {
        if name == "PWD" && !self.files.folder.is_empty() {
            return Some(Value::known(self.files.folder.as_str()));
        }
        self.variables.get(name).cloned()
    }

    /// Sets a variable in place of what it held.
    pub fn set(&mut self, name: &str, value: Value) {
        self.variables.insert(name.to_owned(), value);
    }

    /// Whether something leads to another host: a descriptor that was opened, or a path of a connection.
    pub(super) fn is_socket(&self, target: &str) -> bool {
        self.sockets.contains_key(target)
            || target.starts_with("/dev/tcp/")
            || target.starts_with("/dev/udp/")
    }

    /// Remembers what `<(…)` stands for.
    pub fn keep_stream(&mut self, path: &str, output: Value) {
        self.files.write(path, output, false);
    }

    /// Remembers what comes out of a coprocess: a connection, what a shell writes, or what was fetched.
    fn keep_output(&mut self, descriptor: String, output: Option<&Value>) {
        let Some(output) = output else { return };
        if output.origin.is_socket {
            self.sockets.insert(descriptor, String::new());
        } else {
            self.keep_stream(&format!("/dev/fd/{descriptor}"), output.clone());
        }
    }

    /// Runs a script inside of another and returns its output. A script that is known says nothing new.
    pub fn nested(&mut self, script: &str, stdin: &Value) -> Value {
        self.deeper(script, |machine| machine.run(script, stdin))
    }

    /// Reads a text inside of another. Whatever holds a part of its own kind comes through here, because a stack that
    /// is used up ends the whole process.
    pub fn deeper(&mut self, text: &str, read: impl FnOnce(&mut Self) -> Value) -> Value {
        self.work(2 * text.len() + 8);
        if self.is_spent() || self.depth == MAX_DEPTH {
            self.facts.cut = true;
            return Value::unknown();
        }
        self.depth += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    /// Runs a script that a file, a variable or a pipe holds, each once.
    pub fn once(&mut self, script: &str, stdin: &Value) -> Value {
        // To know it again costs less than to read it, and is not free.
        self.work(script.len() / 4);
        if self.is_spent() || script.trim().is_empty() || !self.known.insert(script.to_owned()) {
            return Value::unknown();
        }
        self.nested(script, stdin)
    }

    fn run(&mut self, script: &str, stdin: &Value) -> Value {
        self.remember_functions(script);
        let mut groups = Groups::of_script(stdin);
        let mut pending = Pending::default();
        let mut pipe: Option<Value> = None;
        let mut line = String::new();
        let mut array: Option<Word> = None;
        let mut coprocess: Option<Coprocess> = None;
        for token in words::tokens(script) {
            if self.is_spent() {
                break;
            }
            match token {
                Token::End if array.is_some() => {}
                Token::Redirect(redirect) => pending.redirects.push(redirect),
                Token::Word(word) => {
                    let reserved = match (pending.words.as_slice(), word.as_slice()) {
                        ([], [words::Part::Bare(text)]) => text.as_str(),
                        _ => "",
                    };
                    let is_group = matches!(word.as_slice(), [words::Part::Bare(text)] if text == "{");
                    if is_group && let Some(coprocess) = &mut coprocess {
                        coprocess.take_name(&mut pending.words, &groups);
                    }
                    match reserved {
                        "coproc" => coprocess = Some(Coprocess::begin(&groups)),
                        _ if is_group && pending.words.is_empty() => groups.open(&mut pipe),
                        "if" | "while" | "until" => groups.open(&mut pipe),
                        "then" | "else" | "elif" | "do" | "!" | "time" | "function" => {}
                        "fi" | "done" | "}" | "esac" => {
                            pipe = Some(groups.close());
                            line.push('…');
                            pending.words.clear();
                        }
                        "for" | "case" => {
                            groups.open(&mut pipe);
                            pending.words.push(word);
                        }
                        _ => pending.words.push(word),
                    }
                }
                Token::Open if is_array(&pending.words) => {
                    groups.open(&mut pipe);
                    array = pending.words.pop();
                }
                Token::Close if array.is_some() => {
                    groups.close();
                    let name = array.take().unwrap_or_default();
                    self.fill_array(&name, &std::mem::take(&mut pending.words), &mut line);
                }
                Token::Open if coprocess.is_none() && pending.words.len() == 1 => pending.words.clear(),
                Token::Open => {
                    if let Some(coprocess) = &mut coprocess {
                        coprocess.take_name(&mut pending.words, &groups);
                    }
                    groups.open(&mut pipe);
                }
                Token::Pipe | Token::End | Token::Close => {
                    let stdin = match pipe.take() {
                        // A group's output, which its redirections may still keep from going on.
                        Some(value) if pending.words.is_empty() && !line.is_empty() => {
                            self.take_input_of_group(&pending.redirects);
                            let value = self.redirected(value, &pending.redirects, &mut line);
                            pending.redirects.clear();
                            pipe = Some(value);
                            Value::default()
                        }
                        Some(value) => value,
                        None => groups.stdin(),
                    };
                    if !pending.words.is_empty() || !pending.redirects.is_empty() {
                        let output = self.command(std::mem::take(&mut pending), stdin, &mut line);
                        pipe = Some(output);
                    }
                    if token == Token::Pipe {
                        line.push_str(" | ");
                        continue;
                    }
                    if let Some(started) = coprocess.take_if(|started| started.ends_in(&groups)) {
                        self.keep_output(started.descriptor(), pipe.as_ref());
                    }
                    self.end(&mut line, pipe.take(), &mut groups);
                    if token == Token::Close {
                        pipe = Some(groups.close());
                        line.push('…');
                    }
                }
            }
        }
        if !pending.words.is_empty() || !pending.redirects.is_empty() {
            if pending.words.is_empty() {
                self.take_input_of_group(&pending.redirects);
            }
            let stdin = pipe.take().unwrap_or_else(|| groups.stdin());
            pipe = Some(self.command(pending, stdin, &mut line));
        }
        self.end(&mut line, pipe, &mut groups);
        groups.into_output()
    }

    fn remember_functions(&mut self, script: &str) {
        for found in FUNCTION.captures_iter(script) {
            self.set(&format!("function {}", &found["name"]), Value::known(&found["body"]));
        }
    }

    /// Ends a pipeline: what it says is kept, and its output is the group's.
    fn end(&mut self, line: &mut String, output: Option<Value>, groups: &mut Groups) {
        self.facts.take_command(&std::mem::take(line));
        if let Some(output) = output
            && !output.is_nothing()
        {
            self.work(output.text.len());
            if !self.is_spent() {
                groups.append(&output);
            }
        }
    }

    /// One command of a pipeline. Returns what it writes for the next.
    fn command(&mut self, pending: Pending, stdin: Value, line: &mut String) -> Value {
        let Pending { words, redirects } = pending;
        let mut rest = words.as_slice();
        while let [word, after @ ..] = rest
            && let Some(Assignment { name, operator, value }) = assignment(word)
        {
            let mut value = self.text(&value);
            let _ = write!(line, "{name}{operator}{} ", render(&value.text));
            if operator == "+="
                && let Some(mut known) = self.variables.remove(&name)
            {
                known.append(&value);
                value = known;
            }
            self.facts.take_setting(&name, &value.text);
            self.set(&name, value);
            rest = after;
        }
        let mut fields = Vec::new();
        let mut is_pieced = false;
        for (position, word) in rest.iter().enumerate() {
            if self.is_spent() {
                break;
            }
            let found = self.fields(word);
            is_pieced |= position == 0 && found.is_pieced;
            fields.extend(found.values);
        }
        let mut call = Call { fields, stdin, has_socket: false, is_pieced };
        for redirect in &redirects {
            self.take_input(redirect, &mut call);
        }
        for (position, field) in call.fields.iter().enumerate() {
            if position > 0 {
                line.push(' ');
            }
            line.push_str(&render(&field.text));
        }
        self.has_run = false;
        let output = self.program(&mut call);
        self.redirected(output, &redirects, line)
    }

    /// Fills a file; some are run by themselves.
    pub fn write(&mut self, path: &str, content: Value, appends: bool) {
        if self.is_spent() {
            return;
        }
        self.started(path, &content);
        self.files.write(path, content, appends);
    }

    /// Fills a folder with files that come from elsewhere.
    pub fn fill_folder(&mut self, path: &str, origin: &Origin) {
        self.facts.cut |= self.files.fill_folder(path, origin) == Filled::No;
    }

    /// Says that a text is run, by whatever program.
    pub fn is_run(&mut self, value: &Origin) {
        self.facts.cut |= value.has_more_sources;
        for source in &value.sources {
            self.work(source.len() / 4);
            self.facts.take_run(source);
        }
        if value.is_decoded {
            self.facts.behaviors.insert(Behavior::DecodedRun);
        }
        if value.is_socket {
            self.facts.behaviors.insert(Behavior::RemoteShell);
        }
        self.runs_line |= value.is_line;
    }
}
