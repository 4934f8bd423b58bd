//! Lists what to look for elsewhere: addresses, keys, hosts, images, buckets, accounts and scripts (pure).

use std::collections::BTreeMap;

use super::entry::Entry;
use super::report::Indicator;
use crate::contain::account_of;

/// The most indicators of one kind.
pub const MOST: usize = 200;
/// The most records that one names.
const MOST_IDS: usize = 20;

/// The rule that finds functions, queues and the like of another account. It knows those of AWS's own, which many calls
/// name.
const GIVEN: &str = "7c9a23eb-4f96-47b1-8114-3852e30b4494";

/// The place of its kind among the kinds, the kind, and the value.
type Indicated = (u8, &'static str, String);

/// The indicators in the order of their kinds, and how many there would be more.
pub fn indicators(entries: &[Entry]) -> (Vec<Indicator>, usize) {
    let mut found: BTreeMap<Indicated, (Option<String>, Vec<&Entry>)> = BTreeMap::new();
    let mut take = |(order, kind): (u8, &'static str), value: &str, note: Option<String>, entry| {
        let (_, entries) = found.entry((order, kind, value.to_owned())).or_insert_with(|| (note, Vec::new()));
        let entries: &mut Vec<&Entry> = entries;
        if entries.last().is_none_or(|last: &&Entry| last.id != Entry::id(entry)) {
            entries.push(entry);
        }
    };
    for entry in entries {
        // Services of AWS call under names, and what is in AWS's own networks is no sign of anybody.
        if let (Some(address), Some("internet") | None) = (&entry.address, entry.network.as_deref()) {
            take((0, "address"), address, None, entry);
        }
        for key in entry.key.iter().chain(&entry.issued_key) {
            take((1, "access-key"), key, None, entry);
        }
        for named in &entry.named {
            let (place, value) = named_in_script(named);
            take(place, &value, Some("a script names it".to_owned()), entry);
            if place == URL
                && let Some(host) = host(named)
            {
                let place = if is_address(host) { (0, "address") } else { HOST };
                take(place, host, Some("a script names it".to_owned()), entry);
            }
        }
        for (place, image) in entry.images.iter().enumerate() {
            let owner = entry.image_owners.get(place).or_else(|| entry.image_owners.first());
            let note = match owner.map(String::as_str) {
                Some("aws") => continue,
                Some("own") => "from a registry of this account".to_owned(),
                Some(account) => format!("from the registry of account {account}"),
                None => "from a registry that is not known".to_owned(),
            };
            take((4, "image"), image, Some(note), entry);
        }
        for bucket in &entry.buckets {
            take((5, "bucket"), bucket, None, entry);
        }
        for account in &entry.foreign_accounts {
            take((6, "account"), account, Some("a policy lets it in".to_owned()), entry);
        }
        for arn in entry.given.iter().filter(|_| entry.findings.iter().any(|found| found.id == GIVEN)) {
            if let Some(account) = account_of(arn) {
                take((6, "account"), account, Some(format!("{} names {arn}", entry.action)), entry);
            }
        }
        if entry.succeeded && entry.action.starts_with("AssumeRole") {
            let role = entry.request.get("roleArn").and_then(|arn| account_of(arn));
            if let Some(account) = role.filter(|account| entry.account.as_deref() != Some(*account)) {
                take((6, "account"), account, Some("a role of it was taken".to_owned()), entry);
            }
        }
        for (script, is_whole) in &entry.scripts {
            let note = (!is_whole)
                .then(|| "of its text with secrets redacted, which is not that of the file".to_owned());
            take((7, "script-sha256"), script, note, entry);
        }
    }
    let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
    let mut left_out = 0;
    let mut told = Vec::new();
    for ((order, kind, value), (note, entries)) in found {
        let count = counts.entry(order).or_default();
        *count += 1;
        if *count > MOST {
            left_out += 1;
            continue;
        }
        told.push(Indicator {
            kind: kind.to_owned(),
            value,
            note,
            records: entries.iter().take(MOST_IDS).map(|entry| entry.id.clone()).collect(),
            more: entries.len().saturating_sub(MOST_IDS),
        });
    }
    (told, left_out)
}

const HOST: (u8, &str) = (2, "host");
const URL: (u8, &str) = (3, "url");

fn named_in_script(named: &str) -> ((u8, &'static str), String) {
    let place = if named.contains("://") {
        URL
    } else if is_address(named) {
        (0, "address")
    } else {
        HOST
    };
    (place, named.to_owned())
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

/// The host of a URL, without its port.
fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let host = host.rsplit('@').next()?;
    let host = host.split(':').next()?;
    (!host.is_empty()).then_some(host)
}

impl Entry {
    fn id(entry: &Self) -> &str {
        &entry.id
    }
}
