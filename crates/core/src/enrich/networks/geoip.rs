//! Finds in `MaxMind`'s databases where an address is, and which autonomous system it belongs to.

use std::net::IpAddr;

use maxminddb::{MaxMindDbError, Reader};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// One database, whole in memory.
#[derive(Debug)]
pub struct Database {
    reader: Reader<Vec<u8>>,
}

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("it is no MaxMind database: {0}")]
    Format(#[from] MaxMindDbError),
    #[error("it is a database of the kind {found}, and one of {wanted} is needed")]
    Kind { found: String, wanted: Contents },
}

/// What a database tells of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display)]
pub enum Contents {
    #[strum(to_string = "cities or countries")]
    Places,
    #[strum(to_string = "autonomous systems")]
    Systems,
}

/// ECS `source.geo`.
#[skip_serializing_none]
#[derive(Debug, Default, Serialize)]
pub struct Geo<'d> {
    pub name: Option<String>,
    pub country_iso_code: Option<&'d str>,
    pub country_name: Option<&'d str>,
    pub region_name: Option<&'d str>,
    pub city_name: Option<&'d str>,
    pub location: Option<Location>,
}

/// A `geo_point`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Location {
    pub lat: f64,
    pub lon: f64,
}

/// ECS `source.as`.
#[skip_serializing_none]
#[derive(Debug, Serialize)]
pub struct AsNumber<'d> {
    pub number: u32,
    pub organization: Option<Organization<'d>>,
}

/// Who runs an autonomous system, as ECS has it.
#[derive(Debug, Serialize)]
pub struct Organization<'d> {
    pub name: &'d str,
}

impl Database {
    /// Reads the bytes of a database of places.
    pub fn of_places(bytes: Vec<u8>) -> Result<Self, DatabaseError> {
        Self::parse(bytes, Contents::Places)
    }

    /// Reads the bytes of a database of autonomous systems.
    pub fn of_systems(bytes: Vec<u8>) -> Result<Self, DatabaseError> {
        Self::parse(bytes, Contents::Systems)
    }

    fn parse(bytes: Vec<u8>, wanted: Contents) -> Result<Self, DatabaseError> {
        let reader = Reader::from_source(bytes)?;
        let found = &reader.metadata().database_type;
        if kind(found) == Some(wanted) {
            Ok(Self { reader })
        } else {
            Err(DatabaseError::Kind { found: found.clone(), wanted })
        }
    }

    /// Where the address is. A damaged entry says nothing, as an absent one does.
    pub fn geo(&self, address: IpAddr) -> Option<Geo<'_>> {
        let place: Place<'_> = self.reader.lookup(address).ok()?.decode().ok()??;
        let country = place.country.or(place.registered_country);
        Some(Geo {
            name: None,
            country_iso_code: country.as_ref().and_then(|country| country.iso_code),
            country_name: country.and_then(|country| country.names?.en),
            region_name: place.subdivisions.into_iter().next().and_then(|region| region.names?.en),
            city_name: place.city.and_then(|city| city.names?.en),
            location: place.location.and_then(Point::on_earth),
        })
    }

    /// Which autonomous system the address belongs to.
    pub fn asn(&self, address: IpAddr) -> Option<AsNumber<'_>> {
        let system: System<'_> = self.reader.lookup(address).ok()?.decode().ok()??;
        Some(AsNumber {
            number: system.autonomous_system_number?,
            organization: system.autonomous_system_organization.map(|name| Organization { name }),
        })
    }
}

impl<'d> Geo<'d> {
    /// A member by its name in the document.
    pub fn text(&self, member: &str) -> Option<&'d str> {
        match member {
            "country_iso_code" => self.country_iso_code,
            "country_name" => self.country_name,
            "region_name" => self.region_name,
            "city_name" => self.city_name,
            _ => None,
        }
    }
}

/// Vendors call them `GeoLite2-City`, `DBIP-City-Lite`, `GeoLite2-ASN`, `DBIP-ASN-Lite (compat=GeoLite2-ASN)`.
fn kind(name: &str) -> Option<Contents> {
    let has = |word| name.contains(word);
    if has("ASN") || has("ISP") {
        Some(Contents::Systems)
    } else if has("City") || has("Country") || has("Enterprise") || has("Location") {
        Some(Contents::Places)
    } else {
        None
    }
}

#[derive(Deserialize)]
struct Place<'d> {
    #[serde(borrow)]
    city: Option<Region<'d>>,
    #[serde(borrow)]
    country: Option<Region<'d>>,
    /// Where the network is registered, which is all that is known of some.
    #[serde(borrow)]
    registered_country: Option<Region<'d>>,
    #[serde(borrow, default)]
    subdivisions: Vec<Region<'d>>,
    location: Option<Point>,
}

#[derive(Deserialize)]
struct Region<'d> {
    iso_code: Option<&'d str>,
    #[serde(borrow)]
    names: Option<Names<'d>>,
}

#[derive(Deserialize)]
struct Names<'d> {
    en: Option<&'d str>,
}

#[derive(Deserialize)]
struct Point {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl Point {
    /// OpenSearch refuses a point that is not on earth.
    fn on_earth(self) -> Option<Location> {
        let (lat, lon) = (self.latitude?, self.longitude?);
        (lat.abs() <= 90.0 && lon.abs() <= 180.0).then_some(Location { lat, lon })
    }
}

#[derive(Deserialize)]
struct System<'d> {
    autonomous_system_number: Option<u32>,
    #[serde(borrow)]
    autonomous_system_organization: Option<&'d str>,
}
