//! Writes the address of a dashboard as a mustache template.

use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use url::Url;

use crate::names::Names;

/// What ends or splits a URL's fragment.
const FRAGMENT: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'%').add(b'&').add(b'#');

/// The address of a dashboard with its time range and, where there is one, its filter.
///
/// The range begins at a time of the document, so that the link leads to the same place a year later, and has no end,
/// because what it shows goes on.
pub fn link(names: &Names, dashboards: &Url, dashboard: &str, query: &str, since: Option<&str>) -> String {
    let base = dashboards.as_str().trim_end_matches('/');
    let state = if query.is_empty() {
        String::new()
    } else {
        format!("&_a=(query:(language:kuery,query:'{}'))", encoded(query))
    };
    let id = names.named(&format!("dashboard-{dashboard}"));
    let from = match since {
        Some(time) if time.starts_with("{{") => format!("'{time}'"),
        other => other.unwrap_or("now-24h").to_owned(),
    };
    format!("{base}/app/dashboards#/view/{id}?_g=(time:(from:{from},to:now)){state}")
}

/// The query as it stands in a URL; what is filled in later is encoded by OpenSearch's own function of mustache.
///
/// A variable stands between the quotes of two languages, that of queries and that of the state. Nothing escapes for
/// these, so only the keys of `sagemaker.alert`, ids of incidents and `_id` may stand in a query: they hold none of
/// their quotes.
fn encoded(query: &str) -> String {
    let mut parts = query.split("{{");
    let text = |text: &'_ str| utf8_percent_encode(text, FRAGMENT).to_string();
    let mut encoded = parts.next().map(text).unwrap_or_default();
    for part in parts {
        let (variable, rest) = part.split_once("}}").expect("a test holds each query against its variables");
        let _ = write!(encoded, "{{{{#url}}}}{{{{{variable}}}}}{{{{/url}}}}{}", text(rest));
    }
    encoded
}
