//! Applies programs that decode what they read.

use super::decoders;
use super::machine::{Call, Machine};
use super::value::{Text, Value};

impl Machine {
    /// Applies a program that decodes its input or a file, as far as its options say so.
    pub fn decode(&mut self, name: &str, call: &Call) -> Value {
        let has = |options: &[&str]| {
            call.fields.iter().any(|field| {
                options.contains(&field.text.as_str())
                    || options.iter().any(|option| {
                        option.len() == 2
                            && field.text.len() < 5
                            && field.text.starts_with('-')
                            && !field.text.starts_with("--")
                            && field.text.contains(&option[1..])
                    })
            })
        };
        let file = call.fields[1..]
            .iter()
            .find(|field| {
                !field.text.starts_with('-')
                    && (field.text.contains('/')
                        || self.files.is_made(&field.text)
                        || field.text.contains('.') && matches!(name, "xxd" | "base64" | "base32"))
            })
            .filter(|_| !matches!(name, "tr" | "sed"));
        let mut input = file.map_or_else(|| call.stdin.clone(), |file| self.files.read(&file.text));
        let arguments: Vec<&str> = call.words().collect();
        let text = input.text.as_str();
        let most = (text.len() * 4).min(self.left());
        let decoded = match name {
            "base64" if has(&["-d", "-D", "--decode"]) => decoders::base64(text),
            "base32" if has(&["-d", "-D", "--decode"]) => decoders::base32(text),
            "xxd" if has(&["-r"]) => Some(decoders::hexadecimal(text)),
            "gunzip" | "zcat" => Some(text.as_bytes().to_vec()),
            "gzip" if has(&["-d", "--decompress"]) => Some(text.as_bytes().to_vec()),
            "openssl" if arguments.contains(&"base64") && has(&["-d"]) => decoders::base64(text),
            "rev" => Some(
                text.lines()
                    .flat_map(|line| line.chars().rev().chain(['\n']))
                    .collect::<String>()
                    .into_bytes(),
            ),
            "tr" if arguments.len() >= 2 => {
                let to = if arguments[0].starts_with('-') { "" } else { arguments[1] };
                let from = if arguments[0].starts_with('-') { arguments[1] } else { arguments[0] };
                Some(decoders::translated(text, from, to).into_bytes())
            }
            "sed" => substituted(text, &arguments).map(String::into_bytes),
            "openssl" | "uudecode" | "bunzip2" | "bzcat" | "xzcat" | "unxz" | "bzip2" | "xz"
                if has(&["-d", "--decompress", "--decode"])
                    || !matches!(name, "openssl" | "bzip2" | "xz") =>
            {
                input.origin.is_decoded = true;
                None
            }
            _ => None,
        };
        self.work(text.len());
        let is_plain = matches!(name, "tr" | "sed");
        let value = match decoded.filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => {
                let (bytes, is_whole) = decoders::inflated(&bytes, most).unwrap_or((bytes, true));
                self.facts.cut |= !is_whole;
                self.work(bytes.len());
                let mut value = Value::with_origin(&*String::from_utf8_lossy(&bytes), &input.origin);
                value.origin.is_decoded |= !is_plain || value.text.trim() != input.text.trim();
                value
            }
            None => {
                input.text = Text::default();
                input.origin.is_unknown = true;
                input
            }
        };
        match output_file(name, call) {
            Some(file) => {
                self.write(file, value, false);
                Value::default()
            }
            None => value,
        }
    }
}

/// The file that a decoder names itself for what it makes.
fn output_file<'c>(name: &str, call: &'c Call) -> Option<&'c str> {
    let mut words = call.fields[1..].iter().map(|field| field.text.as_str());
    match name {
        "xxd" => words.filter(|word| !word.starts_with('-') && word.parse::<u32>().is_err()).nth(1),
        "openssl" => words.find(|word| *word == "-out").and_then(|_| words.next()),
        _ => None,
    }
}

/// `s/plain/plain/g`; anything else leaves a text that is not known.
fn substituted(text: &str, arguments: &[&str]) -> Option<String> {
    let command = arguments.iter().find(|argument| !argument.starts_with('-'))?;
    let mut characters = command.strip_prefix('s')?.chars();
    let separator = characters.next()?;
    let parts: Vec<&str> = characters.as_str().split(separator).collect();
    let [from, to, ..] = parts.as_slice() else { return None };
    let is_plain = !from.is_empty() && from.chars().all(|character| !"\\.[]*^$+?(){}|".contains(character));
    (is_plain && to.len() <= from.len()).then(|| text.replace(from, to))
}
