//! Reads the files that say whose an address is, at the start and whenever they change.
//!
//! None of them is needed to ship a record. A file that cannot be used is reported once, and what was known before
//! stays.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::config::EnrichConfig;
use crate::enrich::networks::{AwsRanges, AwsRangesError, Database, DatabaseError, Networks};

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkFileError {
    #[error("enrich.{setting}: cannot read {}: {source}", path.display())]
    Read { setting: &'static str, path: PathBuf, source: std::io::Error },
    #[error("enrich.{setting}: cannot use {}: {source}", path.display())]
    AwsRanges { setting: &'static str, path: PathBuf, source: AwsRangesError },
    #[error("enrich.{setting}: cannot use {}: {source}", path.display())]
    Database { setting: &'static str, path: PathBuf, source: DatabaseError },
}

/// What tells one version of the files from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions([Option<(SystemTime, u64)>; 3]);

/// Reads the files. In place of one that cannot be used stands what was known.
pub fn load(config: &EnrichConfig, known: &Networks) -> (Networks, Vec<NetworkFileError>) {
    let EnrichConfig { aws_ranges_file, geoip_city_file, geoip_asn_file } = config;
    let mut problems = Vec::new();
    let aws = loaded(aws_ranges_file.as_deref(), AWS_RANGES, &mut problems, |setting, path, bytes| {
        AwsRanges::parse(&bytes).map_err(|source| NetworkFileError::AwsRanges { setting, path, source })
    });
    let city = loaded(geoip_city_file.as_deref(), CITY, &mut problems, |setting, path, bytes| {
        Database::of_places(bytes).map_err(|source| NetworkFileError::Database { setting, path, source })
    });
    let asn = loaded(geoip_asn_file.as_deref(), ASN, &mut problems, |setting, path, bytes| {
        Database::of_systems(bytes).map_err(|source| NetworkFileError::Database { setting, path, source })
    });
    let networks = Networks {
        aws: aws.unwrap_or_else(|| Arc::clone(&known.aws)),
        city: city.or_else(|| known.city.clone()),
        asn: asn.or_else(|| known.asn.clone()),
    };
    (networks, problems)
}

/// The versions of the files that are there now.
pub fn versions(config: &EnrichConfig) -> Versions {
    let EnrichConfig { aws_ranges_file, geoip_city_file, geoip_asn_file } = config;
    Versions([aws_ranges_file, geoip_city_file, geoip_asn_file].map(|path| {
        let metadata = std::fs::metadata(path.as_deref()?).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }))
}

const AWS_RANGES: &str = "aws_ranges_file";
const CITY: &str = "geoip_city_file";
const ASN: &str = "geoip_asn_file";

fn loaded<T>(
    path: Option<&Path>,
    setting: &'static str,
    problems: &mut Vec<NetworkFileError>,
    parse: impl Fn(&'static str, PathBuf, Vec<u8>) -> Result<T, NetworkFileError>,
) -> Option<Arc<T>> {
    let path = path?.to_owned();
    let read =
        std::fs::read(&path).map_err(|source| NetworkFileError::Read { setting, path: path.clone(), source });
    match read.and_then(|bytes| parse(setting, path, bytes)) {
        Ok(parsed) => Some(Arc::new(parsed)),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::write;

    use super::*;

    #[test]
    fn each_file_that_can_be_used_is_and_the_others_are_reported_and_leave_what_was_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Some(folder.path().join(name));
        let config = EnrichConfig {
            aws_ranges_file: path("ip-ranges.json"),
            geoip_city_file: Some("tests/fixtures/geoip/city.mmdb".into()),
            geoip_asn_file: Some("tests/fixtures/geoip/city.mmdb".into()),
        };
        let built_in = Networks::built_in();
        let (first, problems) = load(&config, &built_in);
        assert!(first.city.is_some() && first.asn.is_none() && Arc::ptr_eq(&first.aws, &built_in.aws));
        let problems: Vec<String> = problems.iter().map(NetworkFileError::to_string).collect();
        assert!(problems[0].starts_with("enrich.aws_ranges_file: cannot read "), "{problems:?}");
        assert!(problems[1].starts_with("enrich.geoip_asn_file: cannot use "), "{problems:?}");
        assert_eq!(problems.len(), 2);

        let before = versions(&config);
        let ranges =
            r#"{"prefixes": [{"ip_prefix": "192.0.2.0/24", "region": "eu-west-1", "service": "EC2"}]}"#;
        write(folder.path().join("ip-ranges.json"), ranges).unwrap();
        assert_ne!(versions(&config), before);
        let (second, _) = load(&config, &first);
        assert_eq!(second.aws.find("192.0.2.1".parse().unwrap()).unwrap().region, "eu-west-1");
        write(folder.path().join("ip-ranges.json"), "{").unwrap();
        let (third, problems) = load(&config, &second);
        assert!(Arc::ptr_eq(&third.aws, &second.aws) && problems.len() == 2);
    }
}
