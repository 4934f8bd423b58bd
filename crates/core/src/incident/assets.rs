//! What findings count by what they happened to: the registry of models is worth more than a scratch notebook.

use serde::Deserialize;

use crate::wildcard::is_like;

/// A factor that changes nothing, in percent.
pub const WHOLE: u32 = 100;
/// More entries would make each question long.
const MOST: usize = 100;

/// Resources, and how much a finding counts that happened to one of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Their ARNs, in which `*` stands for anything, whatever the case is.
    pub arn: Option<String>,
    /// A tag of theirs, as `key=value`.
    pub tag: Option<String>,
    pub percent: u32,
    pub reason: String,
}

/// What is wrong with entries of a site; none where they can be used.
pub fn problem(assets: &[Asset]) -> Option<String> {
    if assets.len() > MOST {
        return Some(format!("has more than {MOST} entries"));
    }
    assets.iter().enumerate().find_map(|(place, asset)| {
        let name = format!("entry {}", place + 1);
        let problem = match (&asset.arn, &asset.tag) {
            (Some(arn), None) if !arn.to_ascii_lowercase().starts_with("arn:") => {
                "`arn` begins with \"arn:\", such as \"arn:aws:sagemaker:*:*:endpoint/prod-*\""
            }
            (None, Some(tag)) if !tag.contains('=') => "`tag` is a key with its value, such as \"env=prod\"",
            (Some(_), Some(_)) | (None, None) => "has either `arn` or `tag`",
            _ if !(1..=1_000).contains(&asset.percent) => "`percent` is between 1 and 1000",
            _ if asset.reason.trim().is_empty() => "has no `reason`",
            _ => return None,
        };
        Some(format!("{name}: {problem}"))
    })
}

/// How much a finding counts at this resource: as the entry says that makes the most of it.
pub fn percent(assets: &[Asset], resource: Option<&str>, tags: &[String]) -> u32 {
    let fits = |asset: &&Asset| {
        let has_arn = |pattern: &String| resource.is_some_and(|resource| is_like(pattern, resource));
        asset.arn.as_ref().is_some_and(has_arn) || asset.tag.as_ref().is_some_and(|tag| tags.contains(tag))
    };
    assets.iter().filter(fits).map(|asset| asset.percent).max().unwrap_or(WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asset(arn: Option<&str>, tag: Option<&str>, percent: u32) -> Asset {
        Asset { arn: arn.map(str::to_owned), tag: tag.map(str::to_owned), percent, reason: "why".to_owned() }
    }

    #[test]
    fn a_pattern_fits_whole_arns_whatever_their_case_is() {
        let endpoint = "arn:aws:sagemaker:eu-central-1:111122223333:endpoint/Prod-churn";
        let cases = [
            ("arn:*:sagemaker:*:*:endpoint/*", true),
            ("arn:aws:sagemaker:eu-central-1:111122223333:endpoint/prod-churn", true),
            ("arn:*:endpoint/prod-*", true),
            ("arn:*:endpoint/prod", false),
            ("arn:*:endpoint-config/*", false),
            ("arn:*churn*churn", false),
            ("arn:*", true),
        ];
        for (pattern, expected) in cases {
            assert_eq!(is_like(pattern, endpoint), expected, "{pattern}");
        }
    }

    #[test]
    fn the_entry_counts_that_makes_the_most_of_a_resource_and_none_changes_nothing() {
        let assets = [
            asset(Some("arn:*:endpoint/*"), None, 50),
            asset(Some("arn:*:endpoint/prod-*"), None, 200),
            asset(None, Some("env=prod"), 150),
        ];
        let tags = ["env=prod".to_owned()];
        let cases = [
            (Some("arn:aws:x:endpoint/prod-1"), &[][..], 200),
            (Some("arn:aws:x:endpoint/test-1"), &[][..], 50),
            (Some("arn:aws:x:endpoint/test-1"), &tags[..], 150),
            (Some("arn:aws:x:notebook/n"), &[][..], WHOLE),
            (None, &[][..], WHOLE),
        ];
        for (resource, tags, expected) in cases {
            assert_eq!(percent(&assets, resource, tags), expected, "{resource:?} {tags:?}");
        }
    }

    #[test]
    fn an_entry_that_could_never_count_is_refused_by_its_number() {
        let cases = [
            (asset(None, None, 150), "entry 1: has either `arn` or `tag`"),
            (asset(Some("arn:*"), Some("a=b"), 150), "has either"),
            (asset(Some("endpoint/*"), None, 150), "begins with \"arn:\""),
            (asset(None, Some("prod"), 150), "a key with its value"),
            (asset(Some("arn:*"), None, 0), "between 1 and 1000"),
            (Asset { reason: " ".to_owned(), ..asset(Some("arn:*"), None, 150) }, "has no `reason`"),
        ];
        for (asset, expected) in cases {
            let problem = problem(std::slice::from_ref(&asset)).unwrap_or_default();
            assert!(problem.contains(expected), "{asset:?}: {problem}");
        }
        assert_eq!(problem(&[asset(Some("arn:*"), None, 150)]), None);
        assert!(problem(&vec![asset(Some("arn:*"), None, 150); 101]).unwrap().contains("more than 100"));
    }
}
