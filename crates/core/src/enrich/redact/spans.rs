//! Unites and cuts the places of a text where secrets stand, and keeps what stands for each.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::secrets::SECRETS;
use super::url;

/// One secret in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub range: Range<usize>,
    /// The secret with its escapes undone, where that is not what stands in the range.
    pub meant: Option<String>,
    /// What is written instead, where that is no marker: a script that was packed again.
    pub instead: Option<String>,
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self { range, meant: None, instead: None }
    }
}

/// The spans in order, each byte in one of them at most: what overlaps is one secret.
pub fn united(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by_key(|span| (span.range.start, std::cmp::Reverse(span.range.end)));
    let mut united: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match united.last_mut() {
            Some(last) if span.range.start < last.range.end => {
                let grows = span.range.end > last.range.end;
                let is_same = span.range == last.range;
                let is_plain = last.meant.is_none();
                last.range.end = last.range.end.max(span.range.end);
                if grows {
                    last.meant = None;
                }
                if grows || span.instead.is_none() {
                    // A secret around a script or across its end is replaced as a whole.
                    last.instead = None;
                }
                // What escapes around a secret hid from the first reading is better known from the second.
                if is_plain && !is_same && !grows {
                    last.meant = span.meant;
                }
            }
            _ => united.push(span),
        }
    }
    united
}

/// The spans without what says where: hosts, addresses and ARNs. Spans are in order and do not overlap, and so are the
/// kept.
pub fn without(spans: Vec<Span>, kept: &[Range<usize>], text: &str) -> Vec<Span> {
    let mut left = Vec::with_capacity(spans.len());
    let mut passed = 0;
    for span in spans {
        while kept.get(passed).is_some_and(|kept| kept.end <= span.range.start) {
            passed += 1;
        }
        let mut start = span.range.start;
        let mut is_cut = false;
        for kept in kept[passed..].iter().take_while(|kept| kept.start < span.range.end) {
            is_cut = true;
            left.extend(core(text, start..kept.start.max(start)).map(Span::from));
            start = kept.end.max(start);
        }
        if !is_cut {
            left.push(span);
        } else if start < span.range.end {
            left.extend(core(text, start..span.range.end).map(Span::from));
        }
    }
    left
}

/// A part of a secret without the signs around it, such as the slash behind a host.
fn core(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let is_sign = |symbol: char| {
        matches!(symbol, '/' | ':' | '@' | '?' | '#' | '&' | '=' | ',' | ';' | '"' | '\'' | '\\')
            || symbol.is_whitespace()
    };
    let part = &text[range.clone()];
    let trimmed = part.trim_start_matches(is_sign);
    let start = range.end - trimmed.len();
    let end = start + trimmed.trim_end_matches(is_sign).len();
    // A part may be what another reading has replaced already.
    (start < end && !SECRETS.is_harmless(&text[start..end])).then_some(start..end)
}

/// The part of a span that stands in a range, counted from its start.
pub fn within(span: &Span, range: &Range<usize>) -> Option<Span> {
    let start = span.range.start.max(range.start);
    let end = span.range.end.min(range.end);
    (start < end).then(|| {
        let is_whole = start == span.range.start && end == span.range.end;
        let part = start - range.start..end - range.start;
        if is_whole { Span { range: part, ..span.clone() } } else { Span::from(part) }
    })
}

/// The hosts of a text's URLs: under the name of a secret, what else looks like a host may be a password.
pub fn hosts_of_urls(text: &str) -> Vec<Range<usize>> {
    if text.contains("://") { whereabouts(text) } else { Vec::new() }
}

/// What of a text says where: the host of each URL with its scheme, addresses, names of hosts, and ARNs.
pub fn whereabouts(text: &str) -> Vec<Range<usize>> {
    let mut kept: Vec<Range<usize>> = Vec::new();
    let mut take = |range: Range<usize>| {
        if !range.is_empty() && kept.last().is_none_or(|last| last.end <= range.start) {
            kept.push(range);
        }
    };
    for found in PLACE.captures_iter(text) {
        if let (Some(scheme), Some(rest)) = (found.name("scheme"), found.name("rest")) {
            let host = url::host_of(rest.as_str());
            if url::may_be_host(&rest.as_str()[host.clone()]) {
                take(scheme.range());
                take(rest.start() + host.start..rest.start() + host.end);
            }
        } else if let Some(host) = found.name("host") {
            let domain = host.as_str().split([':', '/']).next().unwrap_or_default();
            let has_more = domain.len() < host.as_str().len();
            let last = domain.rsplit('.').next().unwrap_or_default();
            if has_more || SECRETS.is_top_domain(last) {
                take(host.start()..host.start() + domain.len());
            }
        } else if let Some(place) = found.name("place") {
            take(place.range());
        }
    }
    kept
}

static PLACE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)
        (?<scheme>(?-u:\b)[A-Za-z][A-Za-z0-9+.-]{1,20}://)(?<rest>[^\s"'<>`|]+)
        | (?<place>
            arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]*:[A-Za-z0-9_+=.@/:*$-]+
            | /dev/(?:tcp|udp)/[A-Za-z0-9_.:-]+
            | (?-u:\b)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?-u:\b)
          )
        | (?:^|[\s"'=,@(])(?<host>(?:[a-z0-9](?:[a-z0-9-]{0,62})\.){1,8}[a-z][a-z0-9-]{1,30}(?::[0-9]{1,5}(?-u:\b)|/|(?-u:\b)$|(?-u:\b)))
        "#,
    )
    .expect("the pattern is fixed and tested")
});

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(spans: &[Span]) -> Vec<(usize, usize)> {
        spans.iter().map(|span| (span.range.start, span.range.end)).collect()
    }

    #[test]
    fn spans_that_overlap_nest_or_end_inside_one_another_become_one() {
        for (given, expected) in [
            (vec![(0, 4), (2, 6)], vec![(0, 6)]),
            (vec![(2, 6), (0, 4)], vec![(0, 6)]),
            (vec![(0, 9), (2, 4), (8, 12)], vec![(0, 12)]),
            (vec![(0, 3), (3, 5)], vec![(0, 3), (3, 5)]),
            (vec![(5, 6), (0, 2), (0, 2)], vec![(0, 2), (5, 6)]),
        ] {
            assert_eq!(
                ranges(&united(given.into_iter().map(|(start, end)| Span::from(start..end)).collect())),
                expected
            );
        }
        let decoded = Span { range: 2..4, meant: Some("x".to_owned()), instead: None };
        assert_eq!(united(vec![(0..8).into(), decoded.clone()])[0].meant.as_deref(), Some("x"));
        assert_eq!(united(vec![(2..4).into(), decoded.clone()])[0].meant, None);
        assert_eq!(united(vec![decoded, (3..9).into()])[0].meant, None);
        let packed = Span { range: 0..8, meant: None, instead: Some("packed".to_owned()) };
        assert_eq!(united(vec![packed, (4..12).into()])[0].instead, None);
    }

    #[test]
    fn what_says_where_is_cut_out_of_a_secret_with_the_signs_beside_it() {
        let text = "http://evil.example/abc https://u:pw@h.example:8443/d?e=f arn:aws:iam::1:role/x 203.0.113.9 db.example.com x.y";
        let kept = whereabouts(text);
        let shown: Vec<&str> = kept.iter().map(|range| &text[range.clone()]).collect();
        assert_eq!(
            shown,
            [
                "http://",
                "evil.example",
                "https://",
                "h.example:8443",
                "arn:aws:iam::1:role/x",
                "203.0.113.9",
                "db.example.com"
            ]
        );
        let left: Vec<&str> = ranges(&without(vec![(0..57).into()], &kept, text))
            .into_iter()
            .map(|(start, end)| &text[start..end])
            .collect();
        assert_eq!(left, ["abc", "u:pw", "d?e=f"]);
        assert_eq!(without(vec![(7..19).into()], &kept, text), []);
        assert_eq!(ranges(&without(vec![(20..23).into()], &kept, text)), [(20, 23)]);
    }

    #[test]
    fn of_a_span_only_what_stands_in_the_word_is_of_the_word() {
        let span = Span::from(4..10);
        for (word, expected) in
            [(0..4, None), (0..6, Some(4..6)), (4..10, Some(0..6)), (6..8, Some(0..2)), (10..12, None)]
        {
            assert_eq!(within(&span, &word).map(|part| part.range), expected, "{word:?}");
        }
    }
}
