//! Words that the names of members end in, such as `Arn` in `roleArn`.

/// Words in lower case, by their last letters: every member of every record is asked for them.
pub struct Endings {
    by_last: [Vec<String>; 256],
}

impl Endings {
    /// Sorts words, which are in lower case, by their last letters.
    pub fn new(words: Vec<String>) -> Self {
        let mut by_last = [const { Vec::new() }; 256];
        for word in words {
            if let Some(last) = word.bytes().last() {
                by_last[usize::from(last)].push(word);
            }
        }
        Self { by_last }
    }

    /// Whether a name ends in one of them, as a word of its own.
    pub fn end(&self, name: &str) -> bool {
        let Some(last) = name.bytes().last() else { return false };
        self.by_last[usize::from(last.to_ascii_lowercase())].iter().any(|word| is_last_word(word, name))
    }
}

fn is_last_word(word: &str, name: &str) -> bool {
    let Some(start) = name.len().checked_sub(word.len()) else { return false };
    let (before, last) = (&name.as_bytes()[..start], &name.as_bytes()[start..]);
    last.eq_ignore_ascii_case(word.as_bytes())
        && before.last().is_none_or(|byte| last[0].is_ascii_uppercase() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_in_a_word_where_its_case_changes_or_a_sign_stands_before_it() {
        let endings = Endings::new(["id", "hostname", "arn"].map(str::to_owned).to_vec());
        for name in ["id", "ID", "vpcId", "vpc_id", "vpc.id", "redisHostName", "hostname", "roleARN"] {
            assert!(endings.end(name), "{name}");
        }
        for name in ["", "paid", "learn", "idle", "xhostname", "n"] {
            assert!(!endings.end(name), "{name}");
        }
    }
}
