//! Splits a script's text into words, operators and redirections, as a shell does before it runs anything.
//!
//! Comments and joined lines are gone afterwards, quotes have become parts of words, and each here-document stands at
//! its redirection. Nothing is refused: a quote or a parenthesis that is never closed reaches to the end of the text.

mod substitution;

/// One piece of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text outside of quotes, in which wildcards and braces have a meaning.
    Bare(String),
    Quoted(String),
    /// What stands behind `$`, without braces, and whether it stands in quotes.
    Variable(String, bool),
    /// The script of `$(…)` or of backticks.
    Command(String),
    /// The script of `<(…)`.
    Process(String),
}

/// What a shell takes for one word before it expands it.
pub type Word = Vec<Part>;

/// What a script is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    Word(Word),
    /// What ends a command: `;`, `&`, `&&`, `||` and the end of a line.
    End,
    Pipe,
    Open,
    Close,
    Redirect(Redirect),
}

/// Where a command's input comes from or its output goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The number or nothing that stands before the operator.
    pub descriptor: String,
    /// Such as `>` or `<&`; `<<` for here-documents and `<<<` for here-strings.
    pub operator: String,
    pub target: Word,
}

/// The tokens of a script.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), documents: Vec::new() };
    lexer.run();
    lexer.tokens
}

/// The parts of a here-document, in which only `$` and backticks mean something.
pub fn document(text: &str) -> Word {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), documents: Vec::new() };
    let mut parts = Vec::new();
    lexer.quoted(&mut parts, None);
    parts
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    tokens: Vec<Token>,
    /// Here-documents whose text begins with the next line: the token, the delimiter, and how they are written.
    documents: Vec<Document>,
}

struct Document {
    token: usize,
    delimiter: String,
    is_literal: bool,
    strips_tabs: bool,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip(&mut self, text: &str) -> bool {
        let starts = self.rest().starts_with(text);
        if starts {
            self.at += text.len();
        }
        starts
    }

    fn run(&mut self) {
        while let Some(character) = self.peek() {
            match character {
                '\\' if self.skip("\\\n") || self.skip("\\\r\n") => {}
                '\n' => {
                    self.at += 1;
                    self.tokens.push(Token::End);
                    self.read_documents();
                }
                character if character.is_whitespace() => self.at += character.len_utf8(),
                '#' => self.at += self.rest().find('\n').unwrap_or(self.rest().len()),
                '<' if self.rest().starts_with("<(") => self.word(),
                '>' if self.skip(">(") => {
                    // What is written there becomes the input of the script inside, which is read like any other group.
                    self.tokens.extend([Token::Pipe, Token::Open]);
                }
                '<' | '>' => self.redirect(String::new()),
                '&' if self.rest().starts_with("&>") => self.redirect(String::new()),
                '&' | ';' => {
                    self.at += 1;
                    self.tokens.push(Token::End);
                }
                '|' => {
                    self.at += 1;
                    if self.skip("|") {
                        self.tokens.push(Token::End);
                    } else {
                        self.skip("&");
                        self.tokens.push(Token::Pipe);
                    }
                }
                '(' | ')' => {
                    self.at += 1;
                    self.tokens.push(if character == '(' { Token::Open } else { Token::Close });
                }
                _ => self.word(),
            }
        }
    }

    fn word(&mut self) {
        let parts = self.parts();
        let stands_before_one = matches!(self.peek(), Some('<' | '>')) && !self.rest().starts_with("<(");
        match &parts[..] {
            [Part::Bare(text)] if stands_before_one && is_descriptor(text) => self.redirect(text.clone()),
            _ => self.tokens.push(Token::Word(parts)),
        }
    }

    fn redirect(&mut self, descriptor: String) {
        const OPERATORS: [&str; 11] = ["&>>", "<<<", "<<-", "&>", "<<", "<>", "<&", ">>", ">&", ">|", "<"];
        let operator = OPERATORS.into_iter().find(|operator| self.skip(operator)).unwrap_or(">");
        if operator == ">" {
            self.at += 1;
        }
        while self.skip(" ") || self.skip("\t") || self.skip("\\\n") {}
        let target = self.parts();
        let kind = match operator {
            "<<-" => "<<",
            ">|" => ">",
            other => other,
        };
        if kind == "<<" {
            self.documents.push(Document {
                token: self.tokens.len(),
                delimiter: target.iter().map(literal).collect(),
                is_literal: target.iter().any(|part| matches!(part, Part::Quoted(_))),
                strips_tabs: operator == "<<-",
            });
        }
        self.tokens.push(Token::Redirect(Redirect { descriptor, operator: kind.to_owned(), target }));
    }

    /// Reads the here-documents that were begun on the line before.
    fn read_documents(&mut self) {
        for document in std::mem::take(&mut self.documents) {
            let mut body = String::new();
            while self.at < self.text.len() {
                let line = self.text[self.at..].split_inclusive('\n').next().unwrap_or_default();
                self.at += line.len();
                let line = if document.strips_tabs { line.trim_start_matches('\t') } else { line };
                if line.trim_end_matches(['\n', '\r']) == document.delimiter {
                    break;
                }
                body.push_str(line);
            }
            if let Some(Token::Redirect(redirect)) = self.tokens.get_mut(document.token) {
                redirect.target =
                    if document.is_literal { vec![Part::Quoted(body)] } else { self::document(&body) };
            }
        }
    }

    /// The parts of one word, which ends before a blank or an operator.
    fn parts(&mut self) -> Word {
        let mut parts = Vec::new();
        let mut bare = String::new();
        while let Some(character) = self.peek() {
            match character {
                '<' if self.rest().starts_with("<(") && bare.is_empty() && parts.is_empty() => {
                    self.at += 2;
                    parts.push(Part::Process(self.until_closed()));
                }
                '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                character if character.is_whitespace() => break,
                '\\' => {
                    self.at += 1;
                    if self.skip("\n") || self.skip("\r\n") {
                        continue;
                    }
                    if let Some(escaped) = self.peek() {
                        self.at += escaped.len_utf8();
                        flush(&mut bare, &mut parts);
                        parts.push(Part::Quoted(escaped.to_string()));
                    }
                }
                '\'' => {
                    self.at += 1;
                    flush(&mut bare, &mut parts);
                    let end = self.rest().find('\'').unwrap_or(self.rest().len());
                    parts.push(Part::Quoted(self.rest()[..end].to_owned()));
                    self.at = (self.at + end + 1).min(self.text.len());
                }
                '"' => {
                    self.at += 1;
                    flush(&mut bare, &mut parts);
                    let before = parts.len();
                    self.quoted(&mut parts, Some('"'));
                    if parts.len() == before {
                        parts.push(Part::Quoted(String::new()));
                    }
                }
                '$' | '`' => {
                    flush(&mut bare, &mut parts);
                    self.dollar(&mut parts, false);
                }
                character => {
                    self.at += character.len_utf8();
                    bare.push(character);
                }
            }
        }
        flush(&mut bare, &mut parts);
        parts
    }

    /// What stands in double quotes, or in the whole of a here-document.
    fn quoted(&mut self, parts: &mut Word, closing: Option<char>) {
        let mut plain = String::new();
        while let Some(character) = self.peek() {
            match character {
                _ if Some(character) == closing => {
                    self.at += 1;
                    break;
                }
                '\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some('\n') => self.at += 1,
                        Some(escaped @ ('$' | '`' | '\\' | '"')) => {
                            self.at += 1;
                            plain.push(escaped);
                        }
                        _ => plain.push('\\'),
                    }
                }
                '$' | '`' => {
                    if !plain.is_empty() {
                        parts.push(Part::Quoted(std::mem::take(&mut plain)));
                    }
                    self.dollar(parts, true);
                }
                character => {
                    self.at += character.len_utf8();
                    plain.push(character);
                }
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Quoted(plain));
        }
    }
}

/// Whether a text says which descriptor a redirection is for: a number, or a variable that gets one.
fn is_descriptor(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
        || text.starts_with('{') && text.ends_with('}') && text.len() > 2
}

fn flush(bare: &mut String, parts: &mut Word) {
    if !bare.is_empty() {
        parts.push(Part::Bare(std::mem::take(bare)));
    }
}

fn literal(part: &Part) -> &str {
    match part {
        Part::Bare(text) | Part::Quoted(text) => text,
        Part::Variable(..) | Part::Command(_) | Part::Process(_) => "",
    }
}

/// Whether a character can be in the name of a variable.
pub fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(text: &str) -> Token {
        Token::Word(vec![Part::Bare(text.to_owned())])
    }

    #[test]
    fn comments_and_joined_lines_are_gone_and_quotes_are_parts() {
        assert_eq!(tokens("cu\\\nrl a#b # said before"), [bare("curl"), bare("a#b")]);
        assert_eq!(
            tokens("c\"\"url 'x y'"),
            [
                Token::Word(vec![
                    Part::Bare("c".into()),
                    Part::Quoted(String::new()),
                    Part::Bare("url".into())
                ]),
                Token::Word(vec![Part::Quoted("x y".into())]),
            ]
        );
        let joined =
            Redirect { descriptor: "12".into(), operator: ">".into(), target: vec![Part::Bare("f".into())] };
        assert_eq!(tokens("1\\\n2\\\n>f"), [Token::Redirect(joined)]);
        assert_eq!(tokens("$'\\x63'"), [Token::Word(vec![Part::Quoted("c".into())])]);
    }

    #[test]
    fn a_here_document_stands_at_its_redirection_and_what_follows_goes_on() {
        let found = tokens("cat <<'E' | sh\n# text\nE\nid");
        let document = Redirect {
            descriptor: String::new(),
            operator: "<<".into(),
            target: vec![Part::Quoted("# text\n".into())],
        };
        assert_eq!(
            found,
            [bare("cat"), Token::Redirect(document), Token::Pipe, bare("sh"), Token::End, bare("id")]
        );
    }

    #[test]
    fn what_is_never_closed_reaches_to_the_end() {
        for text in
            ["'a", "\"a", "$(a", "${a", "`a", "<(a", ">(a", "$'a\\", "<<X", "$(\\ü", "$((a", "a\\", "((("]
        {
            tokens(text);
        }
        assert_eq!(tokens("$(a b"), [Token::Word(vec![Part::Command("a b".into())])]);
    }
}
