//! Makes networks of addresses: few enough to be read, and no wider than what was seen.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::evidence::Evidence;

/// The widest networks that addresses of the internet are put together in: what one site usually has of its provider.
const PUBLIC_V4: u8 = 24;
const V6: u8 = 48;
/// A single host of IPv6 changes its address within this network all the time.
const HOST_V6: u8 = 64;
/// The widest network of private addresses, which a VPC usually is.
const PRIVATE_V4: u8 = 16;

/// Puts addresses of one site together into the narrowest network that holds them, unless that would hold one of the
/// others too. What is no address is left out.
pub fn networks(addresses: BTreeMap<String, Evidence>, without: &[IpAddr]) -> BTreeMap<String, Evidence> {
    let mut sites: BTreeMap<IpNet, Vec<(IpAddr, Evidence)>> = BTreeMap::new();
    for (text, evidence) in addresses {
        if let Ok(address) = text.parse() {
            sites.entry(site(address)).or_default().push((address, evidence));
        }
    }
    let mut networks: BTreeMap<String, Evidence> = BTreeMap::new();
    for members in sites.into_values() {
        let whole = narrowest(members.iter().map(|(address, _)| *address));
        let holds_others = whole.is_some_and(|network| without.iter().any(|other| network.contains(other)));
        for (address, evidence) in members {
            let network = whole.filter(|_| !holds_others).unwrap_or_else(|| host(address));
            networks.entry(network.to_string()).or_default().add(evidence);
        }
    }
    networks
}

fn site(address: IpAddr) -> IpNet {
    let length = match address {
        IpAddr::V4(address) if address.is_private() => PRIVATE_V4,
        IpAddr::V4(_) => PUBLIC_V4,
        IpAddr::V6(_) => V6,
    };
    network(address, length)
}

/// The narrowest network that holds all of some addresses, which are of one family; none of none.
fn narrowest(mut addresses: impl Iterator<Item = IpAddr>) -> Option<IpNet> {
    let mut found = host(addresses.next()?);
    for address in addresses {
        while !found.contains(&address) {
            found = found.supernet()?;
        }
    }
    Some(found)
}

fn host(address: IpAddr) -> IpNet {
    network(address, if address.is_ipv4() { 32 } else { HOST_V6 })
}

/// The lengths above are those of the address's family.
fn network(address: IpAddr, length: u8) -> IpNet {
    IpNet::new(address, length).unwrap_or_else(|_| IpNet::from(address)).trunc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_site_become_the_narrowest_network_that_holds_them() {
        let cases: &[(&[&str], &[&str])] = &[
            (&["203.0.113.7"], &["203.0.113.7/32"]),
            (&["203.0.113.7", "203.0.113.6"], &["203.0.113.6/31"]),
            (&["203.0.113.7", "203.0.113.200"], &["203.0.113.0/24"]),
            (&["203.0.113.7", "203.0.114.7"], &["203.0.113.7/32", "203.0.114.7/32"]),
            (&["10.1.0.5", "10.1.255.5", "10.2.0.5"], &["10.1.0.0/16", "10.2.0.5/32"]),
            (&["2001:db8:1::5"], &["2001:db8:1::/64"]),
            (&["2001:db8:1::5", "2001:db8:1:1::5"], &["2001:db8:1::/63"]),
            (&["sagemaker.amazonaws.com"], &[]),
        ];
        for (addresses, expected) in cases {
            let seen = addresses
                .iter()
                .map(|text| ((*text).to_owned(), Evidence { records: 1, ..Evidence::default() }));
            let found = networks(seen.collect(), &[]);
            assert_eq!(found.keys().collect::<Vec<_>>(), *expected, "{addresses:?}");
            let parsed = addresses.iter().filter(|text| text.parse::<IpAddr>().is_ok()).count() as u64;
            assert_eq!(found.values().map(|evidence| evidence.records).sum::<u64>(), parsed);
        }
    }

    #[test]
    fn a_network_that_would_hold_another_address_stays_apart() {
        let seen = ["203.0.113.7", "203.0.113.200"].map(|text| (text.to_owned(), Evidence::default()));
        let found = networks(BTreeMap::from(seen), &["203.0.113.99".parse().unwrap()]);
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ["203.0.113.200/32", "203.0.113.7/32"]);
    }
}
