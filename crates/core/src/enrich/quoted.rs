//! Writes what a record says in a form that cannot disturb the sentence, the terminal or the page it stands in.

/// Characters of one name: enough for any name of SageMaker's (63) and of IAM's (64).
const MAX_NAME_CHARACTERS: usize = 80;
/// Characters beside letters and digits that names and ARNs are made of.
const PLAIN: &str = "-_./:@+=,#*$%~";

/// The text without control characters and cut to the length of a name, and in quotation marks unless it is plain.
pub fn quoted(text: &str) -> String {
    if is_plain_name(text) {
        return text.to_owned();
    }
    let visible: String = visible(text).take(MAX_NAME_CHARACTERS + 1).collect();
    let shown = cut(&visible, MAX_NAME_CHARACTERS);
    let is_plain = |character: char| character.is_alphanumeric() || PLAIN.contains(character);
    if !visible.is_empty() && visible.chars().all(is_plain) {
        shown
    } else {
        format!("\"{}\"", shown.replace('"', "'"))
    }
}

/// Whether the text is a name as nearly all are, which stays as it is.
fn is_plain_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || PLAIN.as_bytes().contains(&byte);
    (1..=MAX_NAME_CHARACTERS).contains(&text.len()) && text.bytes().all(is_plain)
}

/// The text, cut to as many characters with an ellipsis as the last.
pub fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some(_) => text.chars().take(characters - 1).chain(['…']).collect(),
    }
}

/// What of the text can be seen, line breaks not among it.
pub fn visible(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|character| !is_invisible(*character))
}

/// Control characters, and those that only change how others are laid out: with them a name could show as another.
pub fn is_invisible(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    character.is_control()
        || matches!(character,
            '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_as_they_are_and_everything_else_is_quoted_cut_and_stripped() {
        let cases = [
            ("fraud-research", "fraud-research"),
            ("alice@example.com", "alice@example.com"),
            ("größe-7", "größe-7"),
            ("arn:aws:iam::111122223333:role/Exec", "arn:aws:iam::111122223333:role/Exec"),
            ("two words", "\"two words\""),
            ("", "\"\""),
            ("a\nb\u{1b}[31mc\u{7f}", "\"ab[31mc\""),
            ("x\" created \"y", "\"x' created 'y\""),
            ("user\u{202e}nimda", "usernimda"),
        ];
        for (text, expected) in cases {
            assert_eq!(quoted(text), expected, "{text:?}");
        }
        assert_eq!(quoted(&"x".repeat(10_000)).chars().count(), MAX_NAME_CHARACTERS);
    }

    #[test]
    fn a_cut_falls_between_characters() {
        assert_eq!(cut("größe", 5), "größe");
        assert_eq!(cut("größer", 5), "größ…");
    }
}
