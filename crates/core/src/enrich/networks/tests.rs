//! Networks of records, and the fields that rules see of them.

use serde_json::{Value, json};

use super::*;

const CITY: &[u8] = include_bytes!("../../../../../tests/fixtures/geoip/city.mmdb");
const ASN: &[u8] = include_bytes!("../../../../../tests/fixtures/geoip/asn.mmdb");

fn networks() -> Networks {
    Networks {
        aws: AwsRanges::built_in(),
        city: Some(Arc::new(Database::of_places(CITY.to_vec()).unwrap())),
        asn: Some(Arc::new(Database::of_systems(ASN.to_vec()).unwrap())),
    }
}

fn written(networks: &Networks, address: &str) -> Value {
    let raw = json!({"sourceIPAddress": address}).to_string();
    let record = Record::parse(raw.as_bytes()).unwrap();
    let SourceNetwork { kind, aws, geo, asn } = networks.source(&record);
    let aws = aws.map(|range| json!([range.region, range.service]));
    json!({"kind": kind, "aws": aws, "geo": geo, "as": asn})
}

#[test]
fn an_address_has_a_kind_a_place_and_an_operator_as_far_as_they_are_known() {
    let office = json!({
        "country_iso_code": "DE", "country_name": "Germany", "region_name": "Land Berlin", "city_name": "Berlin",
        "location": {"lat": 52.5, "lon": 13.25}
    });
    for (address, expected) in [
        (
            "203.0.113.7",
            json!({"kind": "internet", "aws": null, "geo": office,
                "as": {"number": 64500, "organization": {"name": "Example Office"}}}),
        ),
        (
            "198.51.100.7",
            json!({"kind": "internet", "aws": null, "geo": {"country_iso_code": "NL", "country_name": "Netherlands"},
                "as": {"number": 64501}}),
        ),
        (
            "2001:db8::1",
            json!({"kind": "internet", "aws": null, "geo": {"country_iso_code": "US"}, "as": null}),
        ),
        ("192.0.2.1", json!({"kind": "internet", "aws": null, "geo": null, "as": null})),
        (
            "18.196.14.200",
            json!({"kind": "aws", "aws": ["eu-central-1", "EC2"], "geo": {"name": "AWS eu-central-1"}, "as": null}),
        ),
        ("10.0.3.7", json!({"kind": "private", "aws": null, "geo": {"name": "private network"}, "as": null})),
        (
            "100.64.0.1",
            json!({"kind": "private", "aws": null, "geo": {"name": "private network"}, "as": null}),
        ),
        ("fd00::1", json!({"kind": "private", "aws": null, "geo": {"name": "private network"}, "as": null})),
        ("sagemaker.amazonaws.com", json!({"kind": "service", "aws": null, "geo": null, "as": null})),
        (
            "sagemaker.application-autoscaling.amazonaws.com",
            json!({"kind": "service", "aws": null, "geo": null, "as": null}),
        ),
        ("AWS Internal", json!({"kind": "service", "aws": null, "geo": null, "as": null})),
        ("203.0.113.7.example", json!({"kind": null, "aws": null, "geo": null, "as": null})),
    ] {
        assert_eq!(written(&networks(), address), expected, "{address}");
    }
    let without = written(&Networks::built_in(), "203.0.113.7");
    assert_eq!(without, json!({"kind": "internet", "aws": null, "geo": null, "as": null}));
}

#[test]
fn rules_see_each_field_under_the_name_that_it_has_in_the_document() {
    let networks = networks();
    for (address, path, expected) in [
        ("203.0.113.7", "sagemaker.actor.network", Some("internet")),
        ("203.0.113.7", "source.geo.country_iso_code", Some("DE")),
        ("203.0.113.7", "source.geo.city_name", Some("Berlin")),
        ("203.0.113.7", "source.as.number", Some("64500")),
        ("203.0.113.7", "source.as.organization.name", Some("Example Office")),
        ("203.0.113.7", "source.geo.name", None),
        ("203.0.113.7", "cloud.origin.provider", None),
        ("198.51.100.7", "source.as.organization.name", None),
        ("18.196.14.200", "cloud.origin.provider", Some("aws")),
        ("18.196.14.200", "cloud.origin.region", Some("eu-central-1")),
        ("18.196.14.200", "cloud.origin.service.name", Some("EC2")),
        ("18.196.14.200", "source.geo.name", Some("AWS eu-central-1")),
        ("10.0.0.1", "sagemaker.actor.network", Some("private")),
        ("10.0.0.1", "sourceIPAddress", None),
    ] {
        let raw = json!({"sourceIPAddress": address}).to_string();
        let record = Record::parse(raw.as_bytes()).unwrap();
        let fact = networks.fact(&record, path);
        assert_eq!(
            fact.and_then(|fact| fact.as_str().map(std::borrow::Cow::into_owned)).as_deref(),
            expected,
            "{path}"
        );
    }
}

#[test]
fn what_is_no_database_of_the_right_kind_is_refused_with_what_it_is() {
    let refused = |database: Result<Database, DatabaseError>| database.unwrap_err().to_string();
    assert!(refused(Database::of_places(b"no database".to_vec())).starts_with("it is no MaxMind database: "));
    assert_eq!(
        refused(Database::of_places(ASN.to_vec())),
        "it is a database of the kind GeoLite2-ASN, and one of cities or countries is needed"
    );
    assert_eq!(
        refused(Database::of_systems(CITY.to_vec())),
        "it is a database of the kind GeoLite2-City, and one of autonomous systems is needed"
    );
}

#[test]
fn a_damaged_database_says_less_and_never_panics() {
    for (position, _) in CITY.iter().enumerate().step_by(7) {
        let mut damaged = CITY.to_vec();
        damaged[position] ^= 0xff;
        if let Ok(city) = Database::of_places(damaged) {
            let networks = Networks { city: Some(Arc::new(city)), ..Networks::built_in() };
            let told = written(&networks, "203.0.113.7");
            assert_eq!(told["kind"], "internet");
        }
    }
}
