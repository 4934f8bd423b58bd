//! Reads region, account and name from the URL of a queue, and refuses what is no such URL (pure).

use std::sync::Arc;

use url::Url;

use crate::aws;
use crate::record::is_account;

/// Why an address is not that of a queue that S3 notifies.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error(
        "source.queue_url: {url} is not the URL of a queue ({problem}); give https://sqs.REGION.amazonaws.com/ACCOUNT/NAME, which `aws sqs get-queue-url --queue-name NAME` prints"
    )]
    NotAQueueUrl { url: Arc<str>, problem: &'static str },
    #[error(
        "source.queue_url: {url} is a FIFO queue, which S3 cannot notify and whose messages wait for each other; give a standard queue"
    )]
    Fifo { url: Arc<str> },
}

/// Refuses what cannot be the URL of a queue that S3 notifies, before anything is asked of AWS.
pub(super) fn check_form(url: &Url) -> Result<(), AddressError> {
    let refuse = |problem| Err(AddressError::NotAQueueUrl { url: url.as_str().into(), problem });
    match url.scheme() {
        "http" | "https" => {}
        "arn" => return refuse("it is an ARN"),
        _ => return refuse("it begins with neither https:// nor http://"),
    }
    let host = url.host_str().unwrap_or_default();
    let is_aws =
        host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn") || host.ends_with(".api.aws");
    if host.contains("console.") && (is_aws || host.contains("aws.amazon.com")) {
        return refuse("it is an address of the AWS console");
    }
    let path: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
    let Some(name) = path.last() else { return refuse("it names no queue") };
    if name.rsplit_once('.').is_some_and(|(_, kind)| kind == "fifo") {
        return Err(AddressError::Fifo { url: url.as_str().into() });
    }
    if is_aws && !matches!(path[..], [account, _] if is_account(account)) {
        return refuse("its path is not ACCOUNT/NAME");
    }
    Ok(())
}

/// In which region and account a queue was looked for, where its URL tells.
pub(super) fn place(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return String::new() };
    let account = url.path_segments().and_then(|mut segments| segments.next().map(str::to_owned));
    match (aws::queue_region(&url), account) {
        (Some(region), Some(account)) => format!(" in {region} of account {account}"),
        _ => String::new(),
    }
}

/// The URL of the queue with this ARN. It lies in the same region, so only the account and the name differ.
pub(super) fn dead_letter_url(url: &str, arn: &str) -> Option<Arc<str>> {
    let mut parts = arn.split(':').skip(4);
    let (account, name) = (parts.next()?, parts.next()?);
    let mut url = Url::parse(url).ok()?;
    let (before, _) = url.path().rsplit_once('/')?;
    let before = before.rsplit_once('/').map_or("", |(before, _)| before);
    let path =
        if account.is_empty() { format!("{before}/{name}") } else { format!("{before}/{account}/{name}") };
    url.set_path(&path);
    Some(url.as_str().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_of_a_standard_queue_is_refused_with_what_is_wrong() {
        for (url, problem) in [
            ("arn:aws:sqs:eu-west-1:111122223333:trail", "it is an ARN"),
            ("sqs://eu-west-1/trail", "neither https"),
            ("https://eu-west-1.console.aws.amazon.com/sqs/v3/home?region=eu-west-1#/queues", "AWS console"),
            ("https://sqs.eu-west-1.amazonaws.com/", "names no queue"),
            ("https://sqs.eu-west-1.amazonaws.com/trail", "ACCOUNT/NAME"),
            ("https://sqs.eu-west-1.amazonaws.com/trail/111122223333", "ACCOUNT/NAME"),
            ("https://sqs.eu-west-1.amazonaws.com/111122223333/trail.fifo", "FIFO"),
            ("http://127.0.0.1:4566/000000000000/trail.fifo", "FIFO"),
        ] {
            let error = check_form(&Url::parse(url).expect("it is a URL")).expect_err(url).to_string();
            assert!(error.contains(problem) && error.starts_with("source.queue_url: "), "{error}");
        }
        for url in [
            "http://127.0.0.1/111122223333/trail",
            "https://sqs.eu-west-1.amazonaws.com/111122223333/trail",
            "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/trail-fifo",
            "https://vpce-0a1b-2c3d.sqs.eu-west-3.vpce.amazonaws.com/111122223333/trail",
            "http://localhost:9324/trail",
        ] {
            assert!(check_form(&Url::parse(url).expect("it is a URL")).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_queue_that_is_not_there_was_looked_for_in_a_region_and_an_account() {
        assert_eq!(
            place("https://sqs.eu-west-1.amazonaws.com/111122223333/trail"),
            " in eu-west-1 of account 111122223333"
        );
        assert_eq!(place("http://127.0.0.1:5000/111122223333/trail"), "");
    }

    #[test]
    fn the_url_of_a_dead_letter_queue_differs_in_account_and_name_alone() {
        for (url, arn, dead) in [
            (
                "https://sqs.eu-west-1.amazonaws.com/111122223333/trail",
                "arn:aws:sqs:eu-west-1:444455556666:dead",
                Some("https://sqs.eu-west-1.amazonaws.com/444455556666/dead"),
            ),
            (
                "http://localhost:9324/trail",
                "arn:aws:sqs:elasticmq::dead",
                Some("http://localhost:9324/dead"),
            ),
            ("https://sqs.eu-west-1.amazonaws.com/111122223333/trail", "nonsense", None),
        ] {
            assert_eq!(dead_letter_url(url, arn).as_deref(), dead);
        }
    }
}
