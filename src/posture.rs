//! Tells rules of posture from others: they find what a request leaves open, whoever made it, and not that somebody
//! attacks.

use std::collections::HashSet;
use std::sync::LazyLock;

use include_dir::{Dir, include_dir};

static RULES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/config/rules/posture");

static IDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let texts = RULES.files().filter_map(include_dir::File::contents_utf8);
    texts.flat_map(str::lines).filter_map(|line| line.strip_prefix("id: ")).map(str::trim).collect()
});

/// Whether a rule of ours looks only at posture.
pub fn is_posture(id: &str) -> bool {
    IDS.contains(id)
}

/// Whether a finding of a rule is a sign of an attack, and not of a habit.
pub fn is_sign(id: &str, level: &str) -> bool {
    matches!(level, "medium" | "high" | "critical") && !is_posture(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_of_posture_is_known_and_is_no_sign() {
        let files =
            RULES.files().filter(|file| file.path().extension().is_some_and(|it| it == "yml")).count();
        assert!(files > 10 && IDS.len() >= files, "{files} files, {} ids", IDS.len());
        let one = IDS.iter().next().unwrap();
        assert!(is_posture(one) && !is_sign(one, "medium"));
        assert!(is_sign("another", "medium") && !is_sign("another", "low"));
    }
}
