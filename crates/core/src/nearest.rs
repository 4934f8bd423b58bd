//! Finds the name that somebody meant who wrote another.

/// Similarity from 0 to 1 (Jaro-Winkler) below which a suggestion would only confuse.
const CLOSE_ENOUGH: f64 = 0.8;

/// The allowed name that is closest in spelling, when one is close enough to be what was meant.
pub fn nearest<'a>(name: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    allowed
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= CLOSE_ENOUGH)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}
