//! Takes the containers that a call runs, and tells whose registry they come from.

use serde::Serialize;

use super::texts::Texts;
use crate::enrich::aws_own;
use crate::record::{Record, is_account, is_service_domain};

/// The container images that a call runs.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Image<'r> {
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub uri: Texts<'r>,
    /// The accounts of the private ECR registries; none for public.ecr.aws or a registry outside AWS.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub account_id: Texts<'r>,
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub region: Texts<'r>,
    /// The hosts that the images come from; `docker.io` where an image names none.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub registry: Texts<'r>,
    /// Images that SageMaker knows by a name, an ARN or an id of its own, and those of machines.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub name: Texts<'r>,
    /// Whose the private registries are: `aws`, `own` for the account of the record, or another account's id.
    #[serde(skip_serializing_if = "Texts::is_empty")]
    pub owner: Texts<'r>,
}

/// AWS, as an owner.
const AWS: &str = "aws";
/// The account that the record belongs to, as an owner.
const OWN: &str = "own";

/// Members in lower case that name an image which SageMaker has registered, or the image of a machine.
const NAMES: [&str; 5] =
    ["imagename", "sagemakerimagename", "sagemakerimagearn", "sagemakerimageversionarn", "imageid"];

impl<'r> Image<'r> {
    /// Takes an image by the name of its member, or by its look wherever it stands.
    pub fn take(&mut self, name: &str, text: &'r str) {
        if NAMES.contains(&name) {
            self.name.take(text);
        }
        let registry = ecr_registry(text);
        let is_image_member = name.ends_with("image") || name.ends_with("imageuri");
        if registry.is_some() || is_image_member && !text.starts_with("arn:") {
            self.uri.take(text);
            self.registry.take(host(text));
        }
        if let Some((account_id, region)) = registry {
            self.account_id.take(account_id);
            self.region.take(region);
        }
    }

    /// Says whose the registries are, when all images are taken.
    pub fn know_owners(&mut self, record: &Record<'_>) {
        let own =
            record.text(&["recipientAccountId"]).or_else(|| record.text(&["userIdentity", "accountId"]));
        for account in self.account_id.iter() {
            self.owner.take(match *account {
                account if Some(account) == own => OWN,
                account if aws_own::is_registry(account) => AWS,
                account => account,
            });
        }
    }
}

/// The host of an image. As Docker has it, what stands before the first slash is one if it has a dot or a port.
fn host(uri: &str) -> &str {
    let uri = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    match uri.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

/// The account and region in `111122223333.dkr.ecr.eu-west-1.amazonaws.com/name:tag` and in the dual-stack form
/// `111122223333.dkr-ecr.eu-west-1.on.aws/name:tag`.
fn ecr_registry(text: &str) -> Option<(&str, &str)> {
    let host = text.split('/').next()?;
    let (account, rest) = host.split_once('.')?;
    let rest = ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."]
        .iter()
        .find_map(|beginning| rest.strip_prefix(beginning))?;
    let (region, domain) = rest.split_once('.')?;
    // Dual-stack hosts have domains of their own.
    let is_aws = is_service_domain(domain) || matches!(domain, "on.aws" | "on.amazonwebservices.com.cn");
    (is_account(account) && is_aws).then_some((account, region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_and_region_are_those_of_a_private_registry() {
        for (uri, expected) in [
            ("444455556666.dkr.ecr.eu-west-1.amazonaws.com/miner:1", Some(("444455556666", "eu-west-1"))),
            (
                "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn/miner@sha256:00",
                Some(("444455556666", "cn-north-1")),
            ),
            (
                "444455556666.dkr.ecr-fips.us-gov-west-1.amazonaws.com/x",
                Some(("444455556666", "us-gov-west-1")),
            ),
            ("444455556666.dkr-ecr.us-east-1.on.aws/x", Some(("444455556666", "us-east-1"))),
            ("public.ecr.aws/x/y:1", None),
            ("docker.io/library/python:3", None),
            ("444455556666.dkr.ecr.eu-west-1.amazonaws.com.example.net/x", None),
            ("evil.dkr.ecr.eu-west-1.amazonaws.com/x", None),
            ("", None),
        ] {
            assert_eq!(ecr_registry(uri), expected, "{uri}");
        }
    }

    #[test]
    fn the_registry_is_the_host_of_an_image() {
        for (uri, expected) in [
            (
                "444455556666.dkr.ecr.eu-west-1.amazonaws.com/x:1",
                "444455556666.dkr.ecr.eu-west-1.amazonaws.com",
            ),
            ("public.ecr.aws/x/y:1", "public.ecr.aws"),
            ("registry.example.com:5000/x", "registry.example.com:5000"),
            ("https://ghcr.io/x/y", "ghcr.io"),
            ("python:3", "docker.io"),
            ("library/python:3", "docker.io"),
        ] {
            assert_eq!(host(uri), expected, "{uri}");
        }
    }

    #[test]
    fn an_image_of_any_registry_is_taken_from_its_member_and_one_of_ecr_from_anywhere() {
        for (name, text, expected) in [
            ("trainingimage", "ghcr.io/x/y:1", true),
            ("imageuri", "public.ecr.aws/x/y:1", true),
            ("sagemaker_program", "444455556666.dkr.ecr.eu-west-1.amazonaws.com/x", true),
            ("baseimage", "arn:aws:sagemaker:eu-west-1:111122223333:image/x", false),
            ("imagename", "x", false),
        ] {
            let mut image = Image::default();
            image.take(name, text);
            assert_eq!(!image.uri.is_empty(), expected, "{name} {text}");
        }
    }
}
