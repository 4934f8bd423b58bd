//! Finds whose network a call came from, by AWS's address ranges and by databases of places and operators.
//!
//! The files are read elsewhere and handed over as bytes. AWS's ranges are always known: without a file, as the binary
//! carries them.

mod aws_ranges;
mod geoip;

use std::net::IpAddr;
use std::sync::Arc;

use rsigma_eval::EventValue;
use serde::Serialize;

use crate::record::{Record, is_service_domain};
pub use aws_ranges::{AwsRange, AwsRanges, AwsRangesError};
pub use geoip::{AsNumber, Database, DatabaseError, Geo, Location, Organization};

/// What is known of the networks that calls come from.
#[derive(Debug, Clone)]
pub struct Networks {
    pub aws: Arc<AwsRanges>,
    /// Where addresses are.
    pub city: Option<Arc<Database>>,
    /// Which autonomous system they belong to.
    pub asn: Option<Arc<Database>>,
}

/// The kind of network that a call came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum NetworkKind {
    /// A service of AWS made the call: CloudTrail writes its name instead of an address.
    Service,
    /// An address that is not routed on the internet: the call took an endpoint of a VPC.
    Private,
    /// A public address that belongs to AWS. Anybody can rent one of EC2.
    Aws,
    /// A public address that does not belong to AWS.
    Internet,
}

/// What is known of the network of one call.
#[derive(Debug)]
pub struct SourceNetwork<'n> {
    /// None where the record names no address, or a broken one.
    pub kind: Option<NetworkKind>,
    pub aws: Option<AwsRange<'n>>,
    pub geo: Option<Geo<'n>>,
    pub asn: Option<AsNumber<'n>>,
}

/// The fields of a document that rules can ask for.
const KIND: &str = "sagemaker.actor.network";
const ORIGIN: &str = "cloud.origin.";
const GEO: &str = "source.geo.";
const AS: &str = "source.as.";

/// Whether a field of a document is about the network of the call.
pub fn is_field(name: &str) -> bool {
    name == KIND || [ORIGIN, GEO, AS].iter().any(|root| name.starts_with(root))
}

impl Networks {
    /// What is known without any file.
    pub fn built_in() -> Self {
        Self { aws: AwsRanges::built_in(), city: None, asn: None }
    }

    /// Finds all that is known of the network of a call; without databases no places and no systems.
    pub fn source(&self, record: &Record<'_>) -> SourceNetwork<'_> {
        let address = address(record);
        let kind = self.kind(record);
        let aws = address.and_then(|address| self.aws.find(address));
        let city = address.zip(self.city.as_ref()).and_then(|(address, city)| city.geo(address));
        let asn = address.zip(self.asn.as_ref()).and_then(|(address, asn)| asn.asn(address));
        let name = kind.and_then(|kind| name(kind, aws));
        let geo = match (city, name) {
            (None, None) => None,
            (city, name) => Some(Geo { name, ..city.unwrap_or_default() }),
        };
        SourceNetwork { kind, aws, geo, asn }
    }

    /// What a document says under this path about the network of the call; none for other paths.
    pub fn fact(&self, record: &Record<'_>, path: &str) -> Option<EventValue<'_>> {
        if path == KIND {
            return self.kind(record).map(|kind| text(kind.into()));
        }
        let address = || address(record);
        if let Some(member) = path.strip_prefix(ORIGIN) {
            let range = self.aws.find(address()?)?;
            return match member {
                "provider" => Some(text("aws")),
                "region" => Some(text(range.region)),
                "service.name" => Some(text(range.service)),
                _ => None,
            };
        }
        if let Some(member) = path.strip_prefix(GEO) {
            if member == "name" {
                let place = name(self.kind(record)?, address().and_then(|address| self.aws.find(address)))?;
                return Some(EventValue::Str(place.into()));
            }
            return self.city.as_ref()?.geo(address()?)?.text(member).map(text);
        }
        let asn = self.asn.as_ref()?.asn(path.strip_prefix(AS).and_then(|_| address())?)?;
        match path.strip_prefix(AS)? {
            "number" => Some(EventValue::Int(asn.number.into())),
            "organization.name" => asn.organization.map(|organization| text(organization.name)),
            _ => None,
        }
    }

    fn kind(&self, record: &Record<'_>) -> Option<NetworkKind> {
        let written = record.text(&["sourceIPAddress"])?;
        match written.parse() {
            Ok(address) if is_private(address) => Some(NetworkKind::Private),
            Ok(address) if self.aws.find(address).is_some() => Some(NetworkKind::Aws),
            Ok(_) => Some(NetworkKind::Internet),
            Err(_) => is_service(written).then_some(NetworkKind::Service),
        }
    }
}

impl SourceNetwork<'_> {
    /// Of a call from nowhere that is known.
    pub const UNKNOWN: Self = Self { kind: None, aws: None, geo: None, asn: None };
}

fn address(record: &Record<'_>) -> Option<IpAddr> {
    record.text(&["sourceIPAddress"])?.parse().ok()
}

fn is_service(written: &str) -> bool {
    let has_domain = written.match_indices('.').any(|(dot, _)| is_service_domain(&written[dot + 1..]));
    has_domain || written == "AWS Internal"
}

/// Whether an address belongs to no network of the internet.
fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || is_shared
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    }
}

/// What stands in the place of a place: databases know none for private addresses, and AWS's region says more than the
/// town of a data centre.
fn name(kind: NetworkKind, aws: Option<AwsRange<'_>>) -> Option<String> {
    match kind {
        NetworkKind::Private => Some("private network".to_owned()),
        NetworkKind::Aws => aws.map(|range| format!("AWS {}", range.region)),
        NetworkKind::Service | NetworkKind::Internet => None,
    }
}

fn text(text: &str) -> EventValue<'_> {
    EventValue::Str(text.into())
}

#[cfg(test)]
mod tests;
