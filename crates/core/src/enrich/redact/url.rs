//! Splits a URL into who may enter by it, which is a secret, and where it leads, which never is.

use std::ops::Range;

/// Where in a text the passwords of URLs' users stand, and tokens in the place of users.
pub fn users(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&text.as_bytes()[from..], b"://") {
        let start = from + at + 3;
        let is_end = |symbol: char| symbol.is_whitespace() || matches!(symbol, '"' | '\'' | '<' | '>' | '`');
        let end = text[start..].find(is_end).map_or(text.len(), |at| start + at);
        let rest = &text[start..end];
        if let Some(user) = user_end(rest) {
            match rest[..user].find(':') {
                Some(colon) if colon + 1 < user => found.push(start + colon + 1..start + user),
                None if is_token(&rest[..user]) => found.push(start..start + user),
                _ => {}
            }
        }
        from = end;
    }
    found
}

/// Where the host stands in a URL behind its scheme.
pub fn host_of(rest: &str) -> Range<usize> {
    let start = user_end(rest).map_or(0, |at| at + 1);
    let end = rest[start..].find(['/', '?', '#', '\\', ';', ',']).map_or(rest.len(), |at| start + at);
    start..end
}

/// Whether a host can be written so: in letters of any script, percent-encoded, as an address, or with a shell's
/// variables. A random password that holds `://` is mostly none.
pub fn may_be_host(text: &str) -> bool {
    text.chars().all(|symbol| {
        symbol.is_alphanumeric()
            || matches!(symbol, '.' | '-' | '_' | '%' | ':' | '[' | ']' | '$' | '{' | '}')
    })
}

/// Where the `@` stands that ends the user, behind the scheme. A password before it may hold `@` and `/`.
fn user_end(rest: &str) -> Option<usize> {
    let last = rest.rfind('@')?;
    let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        // `u:p@ss/w0rd@host`: what stands before the slash is a host when it has a dot or a port.
        Some(at) if last > authority => {
            let host = &rest[at + 1..authority];
            let goes_on = is_host(rest[last + 1..].split(['/', '?', '#']).next()?);
            Some(if host.contains(['.', ':']) || !goes_on { at } else { last })
        }
        Some(at) => Some(at),
        None => {
            // Before the first slash stands a user and the beginning of a password, or a host with a port.
            let (_, port) = rest[..authority].split_once(':')?;
            let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
            (!is_port && is_host(rest[last + 1..].split(['/', '?', '#']).next()?)).then_some(last)
        }
    }
}

/// Whether it could be a host and a port.
fn is_host(text: &str) -> bool {
    let host = text.split(':').next().unwrap_or_default();
    !host.is_empty()
        && (host.contains('.')
            || text.contains(':')
            || host.starts_with('[')
            || host.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'))
}

/// Longer than the names of people, and without their signs.
fn is_token(user: &str) -> bool {
    (20..=256).contains(&user.len()) && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_ends_before_the_host_whatever_it_holds() {
        for (text, secret, host) in [
            ("postgres://app:hunter2@db.example:5432/x", "hunter2", "db.example:5432"),
            ("postgres://app:hun@ter/2@db.example:5432/x", "hun@ter/2", "db.example:5432"),
            ("redis://:p@cache:6379", "p", "cache:6379"),
            ("https://u:a@b@h.example/x", "a@b", "h.example"),
            ("https://u:a/b@h.example/x", "a/b", "h.example"),
            ("https://EXAMPLE0123456789abcd@git.example/r", "EXAMPLE0123456789abcd", "git.example"),
            ("https://host.example:8443/@scope", "", "host.example:8443"),
            ("https://h.example/a:b@c.example", "", "h.example"),
            ("s3://bucket/key:with@sign", "", "bucket"),
            ("ssh://git@git.example/r", "", "git.example"),
        ] {
            let found = users(text);
            assert_eq!(found.first().map_or("", |found| &text[found.clone()]), secret, "{text}");
            let rest = text.split_once("://").unwrap().1;
            assert_eq!(&rest[host_of(rest)], host, "{text}");
        }
    }
}
