//! Patterns in which `*` stands for any text and `?` for one character.

/// Whether a text is one that the pattern stands for.
pub fn fits(pattern: &str, text: &str) -> bool {
    fits_by(pattern, text, |one, other| one == other)
}

/// The same without regard to the case of ASCII letters.
pub fn is_like(pattern: &str, text: &str) -> bool {
    fits_by(pattern, text, |one, other| one.eq_ignore_ascii_case(&other))
}

/// It goes back no further than to the last `*`, so that the work is the product of both lengths at most.
fn fits_by(pattern: &str, text: &str, is_same: impl Fn(char, char) -> bool) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // What stands behind the last `*`, and from where on the text is to fit it.
    let mut star = None;
    loop {
        let mut behind = pattern.clone();
        match (behind.next(), text.clone().next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                star = Some((behind.clone(), text.clone()));
                pattern = behind;
            }
            (Some(wanted), Some(found)) if wanted == '?' || is_same(wanted, found) => {
                pattern = behind;
                text.next();
            }
            (Some(_), None) => return false,
            (_, Some(_)) => {
                let Some((behind, from)) = &mut star else { return false };
                from.next();
                (pattern, text) = (behind.clone(), from.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        let cases = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("?", "", false),
            ("?", "é", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-b-cd", false),
            ("*ab", "aab", true),
            ("i?m:*", "IAM:PassRole", true),
            ("a**", "a", true),
        ];
        for (pattern, text, expected) in cases {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
        let many_stars = "*a".repeat(2_000);
        assert!(!is_like(&many_stars, &"a".repeat(1_000)), "whose number is all that they cost");
        assert!(!fits("A*", "a") && fits("A*", "A"), "unless letters of another case are the same");
    }
}
