//! Receives, renews, releases and deletes messages of the SQS queue.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName as Attribute,
};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::Instant;
use url::Url;

use self::address::{AddressError, check_form, dead_letter_url, place};
use crate::aws;
use crate::denial::Denial;

mod address;

/// Messages in one request at most, for receiving and for deleting.
pub const BATCH: usize = 10;

/// An SQS queue whose own settings are known. Cloning it is cheap.
#[derive(Clone)]
pub struct Queue {
    client: Client,
    url: Arc<str>,
    visibility_timeout: Duration,
    redrive: Option<Redrive>,
    backlog: Option<u64>,
}

/// The queue's redrive policy: after how many deliveries a message moves, and to which queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    pub max_receive_count: u32,
    pub dead_letter_queue_arn: String,
}

/// One delivery of a message.
#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    pub body: String,
    pub receipt: Receipt,
    /// From here on the queue hides the message for its visibility timeout.
    pub received_at: Instant,
    pub sent_at: Option<OffsetDateTime>,
    /// How often it has been delivered, this time included.
    pub receive_count: Option<u32>,
}

/// The right to renew, release or delete one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt(String);

/// Why a request to the queue failed. Where the operator must act, the text says how.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(
        "{operation} on {url}: there is no such queue{}; check source.queue_url, its account and its region",
        place(url)
    )]
    Missing { operation: &'static str, url: Arc<str>, source: Source },
    #[error("{operation} on {url} was denied ({cause}): {}", denial.advice())]
    Denied { operation: &'static str, url: Arc<str>, denial: Denial, cause: String, source: Source },
    #[error(
        "{operation} on {url} was denied ({cause}); grant sqs:{action} on this queue to the daemon's role"
    )]
    Forbidden { operation: &'static str, action: &'static str, url: Arc<str>, cause: String, source: Source },
    #[error("{operation} on {url} could not be signed ({cause}); {}", aws::GIVE_IDENTITY)]
    Unsigned { operation: &'static str, url: Arc<str>, cause: String, source: Source },
    #[error(
        "{operation} on {url}: the receipt is no longer valid ({cause}); SQS may deliver the message again"
    )]
    Gone { operation: &'static str, url: Arc<str>, cause: String, source: Source },
    #[error(
        "the visibility timeout of {url} is 0, so each message would be delivered again at once; set VisibilityTimeout to 60 or more"
    )]
    NoVisibility { url: Arc<str> },
    #[error(
        "GetQueueAttributes on {url}: the answer has no usable {attribute}; check whether source.queue_url leads to SQS"
    )]
    Attribute { url: Arc<str>, attribute: &'static str },
    #[error("{operation} on {url} failed: {cause}")]
    Failed { operation: &'static str, url: Arc<str>, cause: String, source: Source },
}

type Source = Box<dyn std::error::Error + Send + Sync>;

impl Queue {
    /// Asks the queue for its attributes, so that nothing about it is assumed.
    pub async fn open(client: Client, url: &Url) -> Result<Self, QueueError> {
        check_form(url)?;
        let url: Arc<str> = url.as_str().into();
        let answer = client
            .get_queue_attributes()
            .queue_url(&*url)
            .attribute_names(Attribute::VisibilityTimeout)
            .attribute_names(Attribute::RedrivePolicy)
            .attribute_names(Attribute::ApproximateNumberOfMessages)
            .send()
            .await
            .map_err(|error| failure("GetQueueAttributes", "GetQueueAttributes", &url, error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let unusable = |attribute| QueueError::Attribute { url: url.clone(), attribute };

        let seconds = attributes.get(&Attribute::VisibilityTimeout).and_then(|text| text.parse().ok());
        let seconds: u64 = seconds.ok_or_else(|| unusable("VisibilityTimeout"))?;
        if seconds == 0 {
            return Err(QueueError::NoVisibility { url });
        }
        let redrive = attributes.get(&Attribute::RedrivePolicy);
        let redrive = redrive.map(|policy| self::redrive(policy).ok_or_else(|| unusable("RedrivePolicy")));
        let redrive = redrive.transpose()?;
        let backlog =
            attributes.get(&Attribute::ApproximateNumberOfMessages).and_then(|text| text.parse().ok());
        Ok(Self { client, url, visibility_timeout: Duration::from_secs(seconds), redrive, backlog })
    }

    /// Roughly how many messages are waiting now.
    pub async fn depth(&self) -> Result<u64, QueueError> {
        depth(&self.client, &self.url).await
    }

    /// The dead-letter queue, if there is one.
    pub fn dead_letter_queue(&self) -> Option<DeadLetterQueue> {
        let url = dead_letter_url(&self.url, &self.redrive.as_ref()?.dead_letter_queue_arn)?;
        Some(DeadLetterQueue { client: self.client.clone(), url })
    }

    /// The queue's URL, as the configuration has it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How long the queue hides a message that was delivered or renewed.
    pub fn visibility_timeout(&self) -> Duration {
        self.visibility_timeout
    }

    /// None means that a message which always fails comes back until it expires.
    pub fn redrive(&self) -> Option<&Redrive> {
        self.redrive.as_ref()
    }

    /// Roughly how many messages were waiting when the queue was opened.
    pub fn backlog(&self) -> Option<u64> {
        self.backlog
    }

    /// Waits up to `wait` for messages and takes at most `max` of them (from 1 to [`BATCH`]).
    ///
    /// A receive that is dropped in flight may leave messages hidden for one visibility timeout.
    pub async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Message>, QueueError> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&*self.url)
            .max_number_of_messages(i32::try_from(max.clamp(1, BATCH)).unwrap_or(1))
            .wait_time_seconds(i32::try_from(wait.as_secs()).unwrap_or(i32::MAX))
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .send()
            .await
            .map_err(|error| failure("ReceiveMessage", "ReceiveMessage", &self.url, error))?;
        let received_at = Instant::now();
        Ok(answer.messages.unwrap_or_default().into_iter().map(|raw| message(raw, received_at)).collect())
    }

    /// Hides the message for another visibility timeout, counted from now.
    pub async fn renew(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.change_visibility(receipt, self.visibility_timeout).await
    }

    /// Gives the message back, to be delivered again at once.
    pub async fn release(&self, receipt: &Receipt) -> Result<(), QueueError> {
        self.change_visibility(receipt, Duration::ZERO).await
    }

    async fn change_visibility(&self, receipt: &Receipt, hidden: Duration) -> Result<(), QueueError> {
        const OPERATION: &str = "ChangeMessageVisibility";
        self.client
            .change_message_visibility()
            .queue_url(&*self.url)
            .receipt_handle(&receipt.0)
            .visibility_timeout(i32::try_from(hidden.as_secs()).unwrap_or(i32::MAX))
            .send()
            .await
            .map(drop)
            .map_err(|error| match code(&error) {
                // SQS says InvalidParameterValue both of a message that is visible again and of one that has been
                // hidden for twelve hours, the most there is: either way no renewal will ever succeed.
                Some("ReceiptHandleIsInvalid" | "MessageNotInflight" | "InvalidParameterValue") => {
                    QueueError::Gone {
                        operation: OPERATION,
                        url: self.url.clone(),
                        cause: aws::cause(&error),
                        source: error.into(),
                    }
                }
                _ => failure(OPERATION, OPERATION, &self.url, error),
            })
    }

    /// Deletes up to [`BATCH`] messages with one request, and answers with one outcome for each, in their order.
    pub(super) async fn delete(&self, receipts: Vec<Receipt>) -> Result<Vec<DeleteOutcome>, QueueError> {
        // An entry that the answer does not mention was not deleted, as far as anyone knows.
        let mut outcomes = vec![DeleteOutcome::Failed("not in the answer".to_owned()); receipts.len()];
        let entries = receipts.into_iter().enumerate().map(|(index, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(receipt.0)
                .build()
                .expect("both members are set")
        });
        let answer = self
            .client
            .delete_message_batch()
            .queue_url(&*self.url)
            .set_entries(Some(entries.collect()))
            .send()
            .await
            .map_err(|error| failure("DeleteMessageBatch", "DeleteMessage", &self.url, error))?;

        for entry in answer.successful() {
            if let Some(outcome) = entry.id().parse().ok().and_then(|index: usize| outcomes.get_mut(index)) {
                *outcome = DeleteOutcome::Deleted;
            }
        }
        for entry in answer.failed() {
            if let Some(outcome) = entry.id().parse().ok().and_then(|index: usize| outcomes.get_mut(index)) {
                let why = entry.code().to_owned();
                *outcome = if entry.sender_fault() {
                    DeleteOutcome::Refused(why)
                } else {
                    DeleteOutcome::Failed(why)
                };
            }
        }
        Ok(outcomes)
    }
}

/// The dead-letter queue, whose messages are only counted.
pub struct DeadLetterQueue {
    client: Client,
    url: Arc<str>,
}

impl DeadLetterQueue {
    /// Roughly how many messages are in it.
    pub async fn depth(&self) -> Result<u64, QueueError> {
        depth(&self.client, &self.url).await
    }
}

async fn depth(client: &Client, url: &Arc<str>) -> Result<u64, QueueError> {
    const OPERATION: &str = "GetQueueAttributes";
    let answer = client
        .get_queue_attributes()
        .queue_url(&**url)
        .attribute_names(Attribute::ApproximateNumberOfMessages)
        .send()
        .await
        .map_err(|error| failure(OPERATION, OPERATION, url, error))?;
    let attributes = answer.attributes.unwrap_or_default();
    let depth = attributes.get(&Attribute::ApproximateNumberOfMessages).and_then(|text| text.parse().ok());
    depth.ok_or_else(|| QueueError::Attribute { url: url.clone(), attribute: "ApproximateNumberOfMessages" })
}

/// The outcome of one message in a batch to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DeleteOutcome {
    Deleted,
    /// The queue's own trouble: it may work the next time.
    Failed(String),
    /// It will never work.
    Refused(String),
}

#[cfg(test)]
impl Receipt {
    pub(super) fn new(handle: String) -> Self {
        Self(handle)
    }
}

pub(crate) fn redrive(policy: &str) -> Option<Redrive> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let count = policy.get("maxReceiveCount")?;
    // The count is stored as it was set: some tools write a number, some a string.
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok())?;
    Some(Redrive {
        max_receive_count: u32::try_from(count).ok()?,
        dead_letter_queue_arn: policy.get("deadLetterTargetArn")?.as_str()?.to_owned(),
    })
}

/// A member that SQS always sends is taken as empty when it is missing: an empty body is not understood and an empty
/// receipt not accepted, and both of these are counted and logged, while a message dropped here would not be.
fn message(raw: aws_sdk_sqs::types::Message, received_at: Instant) -> Message {
    let attribute = |name| raw.attributes.as_ref().and_then(|attributes| attributes.get(&name));
    let sent_at = attribute(MessageSystemAttributeName::SentTimestamp)
        .and_then(|milliseconds| milliseconds.parse::<i128>().ok())
        .and_then(|milliseconds| {
            OffsetDateTime::from_unix_timestamp_nanos(milliseconds.checked_mul(1_000_000)?).ok()
        });
    let receive_count =
        attribute(MessageSystemAttributeName::ApproximateReceiveCount).and_then(|count| count.parse().ok());
    Message {
        id: raw.message_id.unwrap_or_default(),
        body: raw.body.unwrap_or_default(),
        receipt: Receipt(raw.receipt_handle.unwrap_or_default()),
        received_at,
        sent_at,
        receive_count,
    }
}

/// Sorts a failed request; `action` is the permission that the operation needs.
fn failure<E>(operation: &'static str, action: &'static str, url: &Arc<str>, error: SdkError<E>) -> QueueError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let (url, cause) = (url.clone(), aws::cause(&error));
    let denial = denial(status, code(&error), &aws::said(&error));
    let (code, is_unsigned) = (code(&error).map(str::to_owned), aws::is_unsigned(&error));
    let source = error.into();
    match (code.as_deref(), denial) {
        (Some("QueueDoesNotExist" | "NonExistentQueue"), _) => QueueError::Missing { operation, url, source },
        (Some("UnsupportedOperation" | "InvalidAddress"), _) => {
            AddressError::NotAQueueUrl { url, problem: "SQS does not know it as one" }.into()
        }
        (_, Some(Denial::Permission)) => QueueError::Forbidden { operation, action, url, cause, source },
        (_, Some(denial)) if denial != Denial::Throttled => {
            QueueError::Denied { operation, url, denial, cause, source }
        }
        (_, None) if is_unsigned => QueueError::Unsigned { operation, url, cause, source },
        _ => QueueError::Failed { operation, url, cause, source },
    }
}

/// SQS denies with a 400 as well, and names the cause in the code.
fn denial(status: Option<u16>, code: Option<&str>, said: &str) -> Option<Denial> {
    let is_denial = match code {
        Some("AccessDenied" | "AccessDeniedException" | "ExpiredToken" | "ExpiredTokenException") => true,
        Some(code) => code.starts_with("Kms") || code.starts_with("KMS."),
        None => false,
    };
    (is_denial || matches!(status, Some(401 | 403))).then(|| Denial::read(status.unwrap_or(403), said))
}

/// The error's code. SQS puts its name before some, for the sake of clients that are older than its JSON protocol.
fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<&str> {
    error.code().map(|code| code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code))
}

#[cfg(test)]
mod tests;
