//! Checks that S3 can write to the queue, that the daemon can read it, and that failed messages are kept.

use std::collections::{BTreeSet, HashMap};

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName as Attribute;
use url::Url;

use super::finding::Finding;
use super::policy::{self, Sender, senders};
use crate::aws;
use crate::source::queue::{Redrive, redrive};

/// A file takes seconds, and a renewal has a quarter of the timeout: with less, a slow minute leads to double work.
const LEAST_VISIBILITY: u64 = 60;
/// What SQS gives a new queue (seconds): a long weekend. With less, an outage loses notifications.
const LEAST_RETENTION: u64 = 345_600;

pub(super) struct Queue {
    pub(super) arn: Option<String>,
    pub(super) findings: Vec<Finding>,
}

pub(super) async fn examine(aws: &SdkConfig, url: Option<&Url>) -> Queue {
    let Some(url) = url else {
        let fix = "give the URL of the SQS queue that S3 notifies";
        let findings = vec![Finding::broken("queue", "source.queue_url is not set", fix)];
        return Queue { arn: None, findings };
    };
    let client = aws::queue_client(aws, url);
    let attributes = match attributes(&client, url.as_str()).await {
        Ok(attributes) => attributes,
        Err(problem) => {
            let fix = "check source.queue_url, and grant sqs:GetQueueAttributes on the queue";
            let findings = vec![Finding::broken("queue", format!("{url}: {problem}"), fix)];
            return Queue { arn: None, findings };
        }
    };
    let mut findings = judge(&attributes);
    if let Some(redrive) = attributes.get(&Attribute::RedrivePolicy).and_then(|policy| redrive(policy)) {
        findings.push(judge_dead_letters(&redrive, dead_letters(&client, &redrive).await));
    }
    Queue { arn: attributes.get(&Attribute::QueueArn).cloned(), findings }
}

/// The buckets that may send to the queue, by its policy.
pub(super) async fn buckets(aws: &SdkConfig, url: &Url) -> Result<BTreeSet<String>, String> {
    let attributes = attributes(&aws::queue_client(aws, url), url.as_str()).await?;
    Ok(attributes.get(&Attribute::Policy).map(|policy| policy::buckets(policy)).unwrap_or_default())
}

async fn attributes(client: &Client, url: &str) -> Result<HashMap<Attribute, String>, String> {
    let request = client.get_queue_attributes().queue_url(url).attribute_names(Attribute::All);
    let answer = request.send().await.map_err(|error| aws::cause(&error))?;
    Ok(answer.attributes.unwrap_or_default())
}

/// The number of messages in the dead-letter queue.
async fn dead_letters(client: &Client, redrive: &Redrive) -> Result<u64, String> {
    let mut parts = redrive.dead_letter_queue_arn.rsplit(':');
    let (name, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let request = client.get_queue_url().queue_name(name).queue_owner_aws_account_id(account);
    let url = request.send().await.map_err(|error| aws::cause(&error))?.queue_url.unwrap_or_default();
    let attributes = attributes(client, &url).await?;
    number(&attributes, &Attribute::ApproximateNumberOfMessages)
        .ok_or_else(|| "the answer has no number of messages".to_owned())
}

/// Judges the queue by its own attributes.
fn judge(attributes: &HashMap<Attribute, String>) -> Vec<Finding> {
    vec![
        judge_visibility(number(attributes, &Attribute::VisibilityTimeout).unwrap_or_default()),
        judge_retention(number(attributes, &Attribute::MessageRetentionPeriod).unwrap_or_default()),
        judge_redrive(attributes.get(&Attribute::RedrivePolicy).map(String::as_str)),
        judge_encryption(attributes.get(&Attribute::KmsMasterKeyId).map(String::as_str)),
        judge_senders(attributes.get(&Attribute::Policy).map(String::as_str)),
        Finding::fine(
            "queue",
            format!(
                "{} messages wait, {} are being worked on",
                number(attributes, &Attribute::ApproximateNumberOfMessages).unwrap_or_default(),
                number(attributes, &Attribute::ApproximateNumberOfMessagesNotVisible).unwrap_or_default()
            ),
        ),
    ]
}

fn judge_visibility(seconds: u64) -> Finding {
    const SUBJECT: &str = "queue visibility";
    let fix = format!("set VisibilityTimeout to {LEAST_VISIBILITY} or more");
    match seconds {
        0 => Finding::broken(SUBJECT, "the timeout is 0 s: each message is delivered again at once", fix),
        1..LEAST_VISIBILITY => Finding::warning(
            SUBJECT,
            format!("the timeout is {seconds} s: slow files are delivered twice"),
            fix,
        ),
        _ => Finding::fine(SUBJECT, format!("the timeout is {seconds} s, and the daemon renews it")),
    }
}

fn judge_retention(seconds: u64) -> Finding {
    const SUBJECT: &str = "queue retention";
    let hours = seconds / 3600;
    if seconds < LEAST_RETENTION {
        let text = format!("messages expire after {hours} h: a longer outage loses their files");
        Finding::warning(SUBJECT, text, "set MessageRetentionPeriod to 1209600 (14 days)")
    } else {
        Finding::fine(SUBJECT, format!("an outage may last {hours} h before messages expire"))
    }
}

fn judge_redrive(policy: Option<&str>) -> Finding {
    const SUBJECT: &str = "queue redrive";
    match policy.map(redrive) {
        Some(Some(Redrive { max_receive_count, dead_letter_queue_arn })) => Finding::fine(
            SUBJECT,
            format!("after {max_receive_count} deliveries a message goes to {dead_letter_queue_arn}"),
        ),
        Some(None) => Finding::broken(
            SUBJECT,
            "the policy has no usable maxReceiveCount and deadLetterTargetArn",
            "set RedrivePolicy again",
        ),
        None => Finding::warning(
            SUBJECT,
            "there is no redrive policy: a message that always fails comes back until it expires, and nobody sees it",
            "give the queue a dead-letter queue, and an alarm on it",
        ),
    }
}

/// S3 has no grant on the key that AWS manages for SQS, and an account cannot add one.
fn judge_encryption(key: Option<&str>) -> Finding {
    const SUBJECT: &str = "queue encryption";
    match key {
        Some(key) if key.ends_with("alias/aws/sqs") => Finding::broken(
            SUBJECT,
            "the queue is encrypted with alias/aws/sqs, which S3, SNS and EventBridge may not use: no notification arrives",
            "encrypt it with SSE-SQS, or with a KMS key of your own whose policy lets the sender use it",
        ),
        Some(key) => Finding::fine(
            SUBJECT,
            format!("with {key}; its policy must let the sender use it, and let this role decrypt"),
        ),
        None => Finding::fine(SUBJECT, "with the key of SQS, or none"),
    }
}

fn judge_senders(policy: Option<&str>) -> Finding {
    const SUBJECT: &str = "queue policy";
    let fix = "allow sqs:SendMessage to s3.amazonaws.com, sns.amazonaws.com or events.amazonaws.com, with the condition aws:SourceArn or aws:SourceAccount";
    match senders(policy.unwrap_or_default()) {
        Err(problem) => Finding::broken(SUBJECT, problem, fix),
        Ok(senders) if senders.contains(&Sender::Anyone) => Finding::warning(
            SUBJECT,
            "anyone may send to the queue, and so make the daemon read objects of their choice",
            fix,
        ),
        Ok(senders) if senders.is_empty() => {
            Finding::broken(SUBJECT, "no service may send to the queue, so no notification arrives", fix)
        }
        Ok(senders) => {
            let names: Vec<String> = senders.iter().map(ToString::to_string).collect();
            Finding::fine(SUBJECT, format!("{} may send to the queue", names.join(", ")))
        }
    }
}

fn judge_dead_letters(redrive: &Redrive, waiting: Result<u64, String>) -> Finding {
    const SUBJECT: &str = "dead-letter queue";
    match waiting {
        Ok(0) => Finding::fine(SUBJECT, "empty"),
        Ok(waiting) => Finding::broken(
            SUBJECT,
            format!("it holds {waiting} failed messages, whose files are not in OpenSearch"),
            format!(
                "see the daemon's log for why, then: aws sqs start-message-move-task --source-arn {}",
                redrive.dead_letter_queue_arn
            ),
        ),
        Err(problem) => Finding::warning(
            SUBJECT,
            format!("cannot read the attributes of {}: {problem}", redrive.dead_letter_queue_arn),
            "grant sqs:GetQueueUrl and sqs:GetQueueAttributes on it",
        ),
    }
}

fn number(attributes: &HashMap<Attribute, String>, name: &Attribute) -> Option<u64> {
    attributes.get(name)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn each_attribute_is_judged_by_what_it_leads_to() {
        let redrive =
            r#"{"maxReceiveCount":5,"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:111122223333:dead"}"#;
        let sends = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]}"#;
        let cases = [
            (judge_visibility(0), State::Broken),
            (judge_visibility(30), State::Warning),
            (judge_visibility(60), State::Fine),
            (judge_retention(3600), State::Warning),
            (judge_retention(1_209_600), State::Fine),
            (judge_redrive(None), State::Warning),
            (judge_redrive(Some("{}")), State::Broken),
            (judge_redrive(Some(redrive)), State::Fine),
            (judge_encryption(Some("arn:aws:kms:eu-west-1:111122223333:alias/aws/sqs")), State::Broken),
            (judge_encryption(Some("alias/aws/sqs")), State::Broken),
            (judge_encryption(Some("alias/trail")), State::Fine),
            (judge_encryption(None), State::Fine),
            (judge_senders(None), State::Broken),
            (judge_senders(Some("{")), State::Broken),
            (judge_senders(Some(sends)), State::Fine),
        ];
        for (finding, state) in cases {
            assert_eq!(finding.state, state, "{finding:?}");
            assert_eq!(finding.fix.is_none(), state == State::Fine, "{finding:?}");
        }
    }

    #[test]
    fn a_message_that_was_given_up_is_broken_and_a_dead_letter_queue_that_is_closed_to_us_a_warning() {
        let redrive = Redrive {
            max_receive_count: 5,
            dead_letter_queue_arn: "arn:aws:sqs:eu-west-1:111122223333:dead".to_owned(),
        };
        for (waiting, state) in
            [(Ok(0), State::Fine), (Ok(2), State::Broken), (Err("AccessDenied".to_owned()), State::Warning)]
        {
            assert_eq!(judge_dead_letters(&redrive, waiting.clone()).state, state, "{waiting:?}");
        }
    }
}
