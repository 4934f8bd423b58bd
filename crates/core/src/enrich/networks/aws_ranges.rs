//! Finds the region and service of an address in AWS's ranges, as it publishes them in `ip-ranges.json`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use ipnet::IpNet;
use serde::Deserialize;

/// The ranges of one published file. They nest; what is kept are the parts in which one range is the narrowest.
#[derive(Debug, PartialEq, Eq)]
pub struct AwsRanges {
    /// In order and disjoint.
    parts: Vec<Part>,
    /// Region and service.
    labels: Vec<(String, String)>,
}

/// Whose address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwsRange<'r> {
    /// Such as `eu-central-1`, or `GLOBAL`.
    pub region: &'r str,
    /// Such as `EC2`, or `AMAZON` where AWS names no service.
    pub service: &'r str,
}

/// Why a file of ranges cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AwsRangesError {
    #[error("it is no ip-ranges.json: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it has no prefixes")]
    Empty,
    #[error("\"{0}\" is no network")]
    Network(String),
}

/// The ranges as they were when this version was made.
static BUILT_IN: LazyLock<Arc<AwsRanges>> = LazyLock::new(|| {
    let networks = include_str!("../../../../../config/aws-ranges.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| {
            let mut words = line.split(' ');
            let (region, service) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            words.map(move |network| (network.parse().expect("a test reads the file"), region, service))
        });
    Arc::new(AwsRanges::of(networks))
});

/// The service of ranges that no narrower service uses.
const ANY_SERVICE: &str = "AMAZON";
/// The service whose ranges hold those of some narrower services.
const RENTED: &str = "EC2";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    first: u128,
    last: u128,
    label: usize,
}

#[derive(Deserialize)]
struct File<'f> {
    #[serde(borrow)]
    prefixes: Vec<Prefix<'f>>,
    #[serde(borrow, default)]
    ipv6_prefixes: Vec<Prefix<'f>>,
}

#[derive(Deserialize)]
struct Prefix<'f> {
    #[serde(alias = "ip_prefix", alias = "ipv6_prefix")]
    network: &'f str,
    region: &'f str,
    service: &'f str,
}

impl AwsRanges {
    /// The ranges that the binary carries, which are as old as its release.
    pub fn built_in() -> Arc<Self> {
        Arc::clone(&BUILT_IN)
    }

    /// Reads the bytes of `ip-ranges.json`.
    pub fn parse(bytes: &[u8]) -> Result<Self, AwsRangesError> {
        let file: File<'_> = serde_json::from_slice(bytes)?;
        if file.prefixes.is_empty() {
            return Err(AwsRangesError::Empty);
        }
        let prefixes = file.prefixes.iter().chain(&file.ipv6_prefixes);
        let networks: Vec<_> = prefixes
            .map(|&Prefix { network, region, service }| match network.parse() {
                Ok(network) => Ok((network, region, service)),
                Err(_) => Err(AwsRangesError::Network(network.to_owned())),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self::of(networks.into_iter()))
    }

    /// The narrowest range that the address is in.
    pub fn find(&self, address: IpAddr) -> Option<AwsRange<'_>> {
        let number = number(address);
        let behind = self.parts.partition_point(|part| part.first <= number);
        let part = self.parts[..behind].last().filter(|part| number <= part.last)?;
        let (region, service) = &self.labels[part.label];
        Some(AwsRange { region, service })
    }

    fn of<'t>(networks: impl Iterator<Item = (IpNet, &'t str, &'t str)>) -> Self {
        let mut labels = Vec::new();
        let mut known = HashMap::new();
        let mut ranges: Vec<(Part, u8)> = networks
            .map(|(network, region, service)| {
                let label = *known.entry((region, service)).or_insert_with(|| {
                    labels.push((region.to_owned(), service.to_owned()));
                    labels.len() - 1
                });
                let (first, last) = (number(network.network()), number(network.broadcast()));
                (Part { first, last, label }, precision(service))
            })
            .collect();
        // What lies within another comes behind it, and of equal ones the most telling last.
        ranges.sort_by(|(one, precise), (other, preciser)| {
            let by_place = one.first.cmp(&other.first).then(other.last.cmp(&one.last));
            by_place.then(precise.cmp(preciser)).then_with(|| labels[other.label].cmp(&labels[one.label]))
        });
        Self { parts: disjoint(ranges.into_iter().map(|(part, _)| part)), labels }
    }
}

/// Prefixes nest or are disjoint, so a stack of those that are open gives the narrowest at each place.
fn disjoint(ranges: impl Iterator<Item = Part>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut open: Vec<Part> = Vec::new();
    // Everything before it is written.
    let mut next = 0;
    for range in ranges {
        while let Some(outer) = open.last().copied().filter(|outer| outer.last < range.first) {
            push(&mut parts, outer, &mut next, outer.last);
            open.pop();
        }
        if let Some(outer) = open.last().filter(|_| range.first > next) {
            push(&mut parts, *outer, &mut next, range.first - 1);
        }
        next = next.max(range.first);
        open.push(range);
    }
    while let Some(outer) = open.pop() {
        push(&mut parts, outer, &mut next, outer.last);
    }
    parts
}

/// Writes what is left of a range up to a place, unless nothing is.
fn push(parts: &mut Vec<Part>, range: Part, next: &mut u128, last: u128) {
    let first = range.first.max(*next);
    if first <= last {
        parts.push(Part { first, last, label: range.label });
        *next = last.saturating_add(1);
    }
}

/// Addresses of both families on one line: those of IPv4 where IPv6 maps them.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => address.into(),
    }
}

fn of_v4(address: Ipv4Addr) -> u128 {
    address.to_ipv6_mapped().into()
}

fn precision(service: &str) -> u8 {
    match service {
        ANY_SERVICE => 0,
        RENTED => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(ranges: &AwsRanges, address: &str) -> Option<(String, String)> {
        let range = ranges.find(address.parse().unwrap())?;
        Some((range.region.to_owned(), range.service.to_owned()))
    }

    #[test]
    fn the_narrowest_range_and_the_most_telling_service_count() {
        let json = r#"{"syncToken": "1", "createDate": "2026-08-22-15-17-05", "prefixes": [
            {"ip_prefix": "192.0.2.0/24", "region": "eu-west-1", "service": "AMAZON", "network_border_group": "eu-west-1"},
            {"ip_prefix": "192.0.2.0/24", "region": "eu-west-1", "service": "EC2"},
            {"ip_prefix": "192.0.2.64/26", "region": "eu-west-1", "service": "S3"},
            {"ip_prefix": "192.0.2.64/26", "region": "eu-west-1", "service": "AMAZON"},
            {"ip_prefix": "192.0.2.80/28", "region": "GLOBAL", "service": "CLOUDFRONT"},
            {"ip_prefix": "198.51.100.0/25", "region": "us-east-1", "service": "AMAZON"}
        ], "ipv6_prefixes": [{"ipv6_prefix": "2001:db8::/32", "region": "us-east-2", "service": "EC2"}]}"#;
        let ranges = AwsRanges::parse(json.as_bytes()).unwrap();
        for (address, expected) in [
            ("192.0.1.255", None),
            ("192.0.2.0", Some(("eu-west-1", "EC2"))),
            ("192.0.2.63", Some(("eu-west-1", "EC2"))),
            ("192.0.2.64", Some(("eu-west-1", "S3"))),
            ("192.0.2.80", Some(("GLOBAL", "CLOUDFRONT"))),
            ("192.0.2.95", Some(("GLOBAL", "CLOUDFRONT"))),
            ("192.0.2.96", Some(("eu-west-1", "S3"))),
            ("192.0.2.128", Some(("eu-west-1", "EC2"))),
            ("192.0.2.255", Some(("eu-west-1", "EC2"))),
            ("::ffff:192.0.2.255", Some(("eu-west-1", "EC2"))),
            ("192.0.3.0", None),
            ("198.51.100.127", Some(("us-east-1", "AMAZON"))),
            ("198.51.100.128", None),
            ("2001:db8::1", Some(("us-east-2", "EC2"))),
            ("2001:db9::1", None),
        ] {
            let expected = expected.map(|(region, service)| (region.to_owned(), service.to_owned()));
            assert_eq!(found(&ranges, address), expected, "{address}");
        }
    }

    #[test]
    fn what_is_no_list_of_ranges_is_refused() {
        for (text, problem) in [
            ("", "it is no ip-ranges.json: "),
            ("{}", "it is no ip-ranges.json: "),
            (r#"{"prefixes": []}"#, "it has no prefixes"),
            (
                r#"{"prefixes": [{"ip_prefix": "192.0.2.0/33", "region": "x", "service": "EC2"}]}"#,
                "\"192.0.2.0/33\" is no",
            ),
        ] {
            let error = AwsRanges::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{text}: {error}");
        }
    }

    #[test]
    fn the_built_in_ranges_know_regions_and_no_address_of_anybody_else() {
        let ranges = AwsRanges::built_in();
        for (address, expected) in [
            ("18.196.14.200", Some(("eu-central-1", "EC2"))),
            ("2a05:d014::1", Some(("eu-central-1", "EC2"))),
            ("203.0.113.7", None),
            ("8.8.8.8", None),
            ("10.0.0.1", None),
            ("2001:db8::1", None),
        ] {
            let expected = expected.map(|(region, service)| (region.to_owned(), service.to_owned()));
            assert_eq!(found(&ranges, address), expected, "{address}");
        }
    }
}
