//! Takes addresses apart as the programs that open them do, so that no longer name passes for a shorter one.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The host of an address, in small letters: without scheme, user, port and path.
pub fn host(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let end = if host.starts_with('[') { host.find(']').map_or(host.len(), |end| end + 1) } else { 0 };
    let end = host[end..].find(':').map_or(host.len(), |colon| end + colon);
    host[..end].to_ascii_lowercase()
}

/// An address as it is asked for: with its host in small letters, and without the segments `.` and `..`, which clients
/// take away before they ask.
pub fn asked(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (path, query) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
    let mut segments: Vec<&str> = Vec::new();
    let count = path.split('/').count();
    for (position, segment) in path.split('/').enumerate() {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        let is_last = position + 1 == count;
        match plain.as_str() {
            "." if position > 0 => segments.extend(is_last.then_some("")),
            ".." if position > 0 => {
                if segments.len() > 1 {
                    segments.pop();
                }
                segments.extend(is_last.then_some(""));
            }
            _ => segments.push(segment),
        }
    }
    let (user, host) = authority.rsplit_once('@').map_or(("", authority), |(user, host)| (user, host));
    let user = if user.is_empty() { String::new() } else { format!("{user}@") };
    format!("{scheme}://{user}{}{}{query}", host.to_ascii_lowercase(), segments.join("/"))
}

/// Whether an address is one of the machine itself, or of its metadata.
pub fn is_own_machine(address: &str) -> bool {
    let host = host(address);
    if host == "localhost" {
        return true;
    }
    let bare = host.trim_matches(['[', ']']);
    bare.parse::<Ipv4Addr>()
        .is_ok_and(|address| address.is_loopback() || address.is_link_local() || address.is_unspecified())
        || bare.parse::<Ipv6Addr>().is_ok_and(|address| {
            address.is_loopback() || address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_ends_where_its_client_ends_it() {
        for (address, expected) in [
            ("https://GitHub.com/a/b.git", "github.com"),
            ("https://github.com.evil.example/a", "github.com.evil.example"),
            ("https://github.com@evil.example/a", "evil.example"),
            ("ssh://git@github.com:22/a", "github.com"),
            ("https://evil.example?github.com/a", "evil.example"),
            ("git@github.com:a/b.git", "github.com"),
            ("http://[::1]:8080/", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(host(address), expected, "{address}");
        }
    }

    #[test]
    fn an_address_is_the_one_that_is_asked_for() {
        for (address, expected) in [
            ("https://RAW.example/aws/../evil/x.sh", "https://raw.example/evil/x.sh"),
            ("https://a.example/aws/%2e%2E/./evil/x", "https://a.example/evil/x"),
            ("https://a.example/../../x", "https://a.example/x"),
            ("https://a.example/a/b/..", "https://a.example/a/"),
            ("https://a.example/a..b/...?q=../x", "https://a.example/a..b/...?q=../x"),
            ("https://a.example", "https://a.example"),
            ("https://U:P@A.example/x", "https://U:P@a.example/x"),
            ("docker.io/x", "docker.io/x"),
        ] {
            assert_eq!(asked(address), expected, "{address}");
        }
    }

    #[test]
    fn only_the_machine_itself_is_the_own_machine() {
        for own in
            ["http://localhost:8888/", "http://127.0.0.1/", "http://169.254.169.254/latest", "http://[::1]/"]
        {
            assert!(is_own_machine(own), "{own}");
        }
        for other in [
            "http://localhost.evil.example/",
            "http://127.evil.example/",
            "http://169.254.evil.example/",
            "http://10.0.0.5/",
        ] {
            assert!(!is_own_machine(other), "{other}");
        }
    }
}
