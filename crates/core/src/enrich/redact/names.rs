//! Judges how far the name of a variable, a flag or a member tells that its value is a secret.

use std::collections::HashMap;

use serde::Deserialize;

/// How sure a name makes that its value is a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Only a value that looks random is one.
    Possible,
    /// Any value is one where values are given; in labels and prose only one that looks random.
    Likely,
    Strong,
}

/// The words that tell, in lower case.
#[derive(Deserialize)]
pub struct Names {
    strong_words: Vec<String>,
    strong_parts: Vec<String>,
    likely_endings: Vec<String>,
    likely_parts: Vec<String>,
    harmless_parts: Vec<String>,
    possible_endings: Vec<String>,
    harmless_before: HashMap<String, Vec<String>>,
    harmless_endings: Vec<String>,
    silent_endings: Vec<String>,
}

/// Bytes of the longest name that is looked at. What is longer is no name.
pub const MOST_NAME_BYTES: usize = 128;

impl Names {
    /// Words of which a name must hold one to tell anything.
    pub fn hints(&self) -> impl Iterator<Item = &str> {
        let lists = [
            &self.strong_words,
            &self.strong_parts,
            &self.likely_endings,
            &self.likely_parts,
            &self.possible_endings,
        ];
        // Of words in a row the last one is looked for, since any sign can stand between them.
        lists.into_iter().flatten().map(|words| words.rsplit(' ').next().unwrap_or(words))
    }

    /// What the name tells of its value, or nothing.
    pub fn strength(&self, name: &str) -> Option<Strength> {
        if name.len() > MOST_NAME_BYTES {
            return None;
        }
        let mut words = words_of(name);
        while words.len() > 1 && words.last().is_some_and(|last| self.is_silent(last)) {
            words.pop();
        }
        let last = words.last()?.as_str();
        let is = |list: &[String], word: &str| list.iter().any(|known| known == word);
        if is(&self.harmless_endings, last) {
            return None;
        }
        let line = words.join(" ");
        let is_strong = self.strong_words.iter().any(|known| holds_words(&line, known))
            || words.iter().any(|word| self.strong_parts.iter().any(|part| word.contains(part.as_str())));
        if is_strong {
            return Some(Strength::Strong);
        }
        let before = words.len().checked_sub(2).map(|at| words[at].as_str());
        let singular = last.strip_suffix('s').unwrap_or(last);
        let harmless = self.harmless_before.get(last).or_else(|| self.harmless_before.get(singular));
        if let (Some(harmless), Some(before)) = (harmless, before)
            && is(harmless, before)
        {
            return None;
        }
        let ends_likely = self.likely_parts.iter().any(|part| last.ends_with(part.as_str()))
            && !is(&self.harmless_parts, last);
        if is(&self.likely_endings, last) || ends_likely {
            return Some(Strength::Likely);
        }
        is(&self.possible_endings, last).then_some(Strength::Possible)
    }

    fn is_silent(&self, word: &str) -> bool {
        word.bytes().all(|byte| byte.is_ascii_digit())
            || self.silent_endings.iter().any(|known| known == word)
    }
}

/// Whether words stand in a line of words, as whole words.
fn holds_words(line: &str, words: &str) -> bool {
    line.match_indices(words).any(|(start, _)| {
        let is_blank = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == b' ');
        let (before, after) = (&line.as_bytes()[..start], &line.as_bytes()[start + words.len()..]);
        is_blank(before.last()) && is_blank(after.first())
    })
}

/// The words of a name in lower case: `DB_PASSWORD`, `dbPassword` and `db-password2` are all `db`, `password`.
fn words_of(name: &str) -> Vec<String> {
    let bytes = name.as_bytes();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for (at, &byte) in bytes.iter().enumerate() {
        let starts_word = byte.is_ascii_uppercase()
            && at > 0
            && (bytes[at - 1].is_ascii_lowercase()
                || bytes[at - 1].is_ascii_digit()
                || bytes[at - 1].is_ascii_uppercase()
                    && bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase));
        if !byte.is_ascii_alphanumeric() || starts_word {
            words.push(std::mem::take(&mut word));
        }
        if byte.is_ascii_alphanumeric() {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
    }
    words.push(word);
    for word in &mut words {
        let letters = word.trim_end_matches(|symbol: char| symbol.is_ascii_digit());
        if !letters.is_empty() {
            word.truncate(letters.len());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a value could have come from a generator of secrets, and is no word, path, number or version.
pub fn looks_random(value: &str) -> bool {
    let value = value.trim();
    if value.len() < 8 || value.contains("://") || value.starts_with(['/', '.', '~']) {
        return false;
    }
    if value.bytes().any(|byte| byte.is_ascii_whitespace() || matches!(byte, b'(' | b'{' | b'<' | b'[')) {
        return false;
    }
    let has = |test: fn(u8) -> bool| value.bytes().any(test);
    let (digit, upper, lower) = (
        has(|byte| byte.is_ascii_digit()),
        has(|byte| byte.is_ascii_uppercase()),
        has(|byte| byte.is_ascii_lowercase()),
    );
    if has(|byte| matches!(byte, b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'?' | b'~'))
        && (digit || upper && lower)
    {
        return true;
    }
    value.split(['-', '_', '.', '/', ':', '=', '+', ',']).any(is_random_part)
}

/// Letters and digits that take turns, or nothing but hexadecimal digits, at some length.
fn is_random_part(part: &str) -> bool {
    let bytes = part.as_bytes();
    let kind = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'A'..=b'Z' => 1,
        _ => 2,
    };
    let turns = bytes.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_hexadecimal = bytes.len() >= 16 && digits >= 2 && bytes.iter().all(u8::is_ascii_hexdigit);
    is_hexadecimal || bytes.len() >= 8 && digits > 0 && turns >= 3 || bytes.len() >= 16 && turns >= 5
}

/// An AWS secret access key by itself: forty characters of base64. Git's commit ids are as long, but plain
/// hexadecimal, and paths hardly ever mix cases and digits.
pub fn is_aws_secret_key(text: &str) -> bool {
    let any = |test: fn(&u8) -> bool| text.as_bytes().iter().any(test);
    text.len() == 40
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'+'))
        && any(u8::is_ascii_uppercase)
        && any(u8::is_ascii_lowercase)
        && any(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::super::secrets::SECRETS;
    use super::*;

    #[test]
    fn a_name_tells_by_its_words_and_by_what_stands_before_and_behind_them() {
        let strength = |name| SECRETS.names().strength(name);
        for name in [
            "DB_PASSWORD",
            "dbPassword",
            "db-password2",
            "DBPASSWORD",
            "PASSWORD_PROD",
            "MyCredential",
            "apiKey",
            "X-Api-Key",
            "AWS_SECRET_ACCESS_KEY",
            "client_secret",
            "spring.datasource.password",
            "PGPASSWORD",
            "creds",
            "SIGNING_KEY",
        ] {
            assert_eq!(strength(name), Some(Strength::Strong), "{name}");
        }
        for name in [
            "HF_TOKEN",
            "hfToken",
            "MYSQL_PASS",
            "MYSQLPASS",
            "REDIS_PW",
            "SENTRY_DSN",
            "NPM_AUTH",
            "PWD",
            "HASH_SALT",
            "TOKEN_2",
        ] {
            assert_eq!(strength(name), Some(Strength::Likely), "{name}");
        }
        for name in ["WANDB_API_KEYS", "DD_KEY", "key", "sig"] {
            assert_eq!(strength(name), Some(Strength::Possible), "{name}");
        }
        for name in [
            "second_pass",
            "bos_token",
            "eosToken",
            "password_column",
            "cost-token",
            "max_tokens",
            "tokenizer",
            "sort_key",
            "bypass",
            "label_key",
            "SECRET_NAME",
            "secretArn",
            "password_file",
            "author",
            "monkey",
            "keyboard",
            "passenger",
            "compass",
            "X-aws-ec2-metadata-token-ttl-seconds",
            "AWS_ACCESS_KEY_ID",
            "nextToken",
            "path",
            "",
        ] {
            assert_eq!(strength(name), None, "{name}");
        }
    }

    #[test]
    fn a_value_looks_random_by_its_symbols() {
        for value in [
            "Zx9k2Lm4Qp",
            "0123456789abcdef",
            "hunter2!x",
            "a81f3c9e-7d2b-4c1d",
            "wJalrXUtnFEMIbPxRfiCY",
            "p4ssw0rd",
        ] {
            assert!(looks_random(value), "{value}");
        }
        for value in [
            "finance",
            "cost-center-12",
            "models/v2/model.tar.gz",
            "s3://b/k9x8c7v6",
            "2026-11-23",
            "user_id",
            "getPassword",
            "/opt/ml/a1b2c3d4",
        ] {
            assert!(!looks_random(value), "{value}");
        }
    }
}
