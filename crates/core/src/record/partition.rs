//! Knows AWS's names of services in each of its separate clouds.

use std::borrow::Cow;

/// The domain under which rules and the catalogue know every service.
const COMMERCIAL: &str = ".amazonaws.com";

/// The domains of the other partitions: China, the European sovereign cloud, and the isolated ones. That of the
/// government of the United States has the commercial one.
const OTHERS: [&str; 6] = [
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".c2s.ic.gov",
    ".sc2s.sgov.gov",
    ".cloud.adc-e.uk",
    ".csp.hci.ic.gov",
];

/// The name that the service has in the commercial partition, and any other text as it is.
pub fn commercial_name(service: &str) -> Cow<'_, str> {
    match without_domain(service.as_bytes()) {
        Some(length) => Cow::Owned(service[..length].to_owned() + COMMERCIAL),
        None => Cow::Borrowed(service),
    }
}

/// Whether it is the domain of a partition, under which its services have their hosts.
pub fn is_service_domain(domain: &str) -> bool {
    std::iter::once(&COMMERCIAL).chain(&OTHERS).any(|known| known.strip_prefix('.') == Some(domain))
}

/// The length of the name before the domain of another partition. A name is one label or a few, and nothing else.
pub fn without_domain(service: &[u8]) -> Option<usize> {
    let domain = OTHERS.iter().find(|domain| {
        let at = service.len().checked_sub(domain.len());
        at.is_some_and(|at| service[at..].eq_ignore_ascii_case(domain.as_bytes()))
    })?;
    let length = service.len() - domain.len();
    let is_label = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    (length > 0 && service[..length].iter().all(is_label)).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_one_name_in_all_partitions_and_what_is_no_service_keeps_its_own() {
        for (text, expected) in [
            ("sagemaker.amazonaws.com.cn", "sagemaker.amazonaws.com"),
            ("iam.AMAZONAWS.com.cn", "iam.amazonaws.com"),
            ("api.sagemaker.amazonaws.eu", "api.sagemaker.amazonaws.com"),
            ("sts.c2s.ic.gov", "sts.amazonaws.com"),
            ("sts.sc2s.sgov.gov", "sts.amazonaws.com"),
            ("kms.cloud.adc-e.uk", "kms.amazonaws.com"),
            ("kms.csp.hci.ic.gov", "kms.amazonaws.com"),
            ("kms.amazonaws.com", "kms.amazonaws.com"),
            (".amazonaws.com.cn", ".amazonaws.com.cn"),
            ("evilamazonaws.com.cn", "evilamazonaws.com.cn"),
            ("sagemaker.amazonaws.com.cn.evil.example", "sagemaker.amazonaws.com.cn.evil.example"),
            ("Boto3 at x.amazonaws.com.cn", "Boto3 at x.amazonaws.com.cn"),
            ("203.0.113.5", "203.0.113.5"),
            ("", ""),
        ] {
            assert_eq!(commercial_name(text), expected, "{text}");
        }
    }
}
