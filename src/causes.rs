//! The causes of an error, on one line.

use std::error::Error;

/// An error's text and that of each error below it: libraries say only "error sending request", and the reason is
/// further down. What a text ends with already is not repeated.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // The sources of AWS credentials that were tried stand on a line each.
        let cause = error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}
