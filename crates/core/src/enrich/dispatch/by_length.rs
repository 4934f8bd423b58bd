//! Values under texts, the shorter texts first.

/// A map of texts of which most have different lengths, so that one is found in fewer steps than it takes to hash it.
#[derive(Debug)]
pub struct ByLength<T>(Vec<(Vec<u8>, T)>);

impl<T> ByLength<T> {
    /// The value under exactly this text, whose case counts.
    pub fn get(&self, text: &[u8]) -> Option<&T> {
        let order = |known: &[u8]| known.len().cmp(&text.len()).then_with(|| known.cmp(text));
        let place = self.0.binary_search_by(|(known, _)| order(known)).ok()?;
        Some(&self.0[place].1)
    }
}

impl<T> Default for ByLength<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> FromIterator<(Vec<u8>, T)> for ByLength<T> {
    fn from_iter<I: IntoIterator<Item = (Vec<u8>, T)>>(entries: I) -> Self {
        let mut entries: Vec<(Vec<u8>, T)> = entries.into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
        Self(entries)
    }
}
