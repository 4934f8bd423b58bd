//! Names of outcomes and reasons, one closed set for each label of a metric.

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// A closed set of a label's values.
pub trait Label: VariantArray + Copy + Into<&'static str> {
    /// Every value, so that a series exists (at zero) before its first event.
    const ALL: &'static [Self] = Self::VARIANTS;

    /// The label's value in the exposition.
    fn label(self) -> &'static str {
        self.into()
    }
}

impl<Values: VariantArray + Copy + Into<&'static str>> Label for Values {}

/// How a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum MessageOutcome {
    /// Every record of it is stored, deliberately not selected or rejected: it was deleted.
    Deleted,
    /// Something failed: it was left, and the queue will deliver it again.
    Failed,
    /// No known notification form: it was left to the redrive policy.
    NotUnderstood,
    /// The daemon stopped before it was done: it was given back at once.
    Released,
    /// Its task panicked: it was left.
    Panicked,
}

/// How a notification was wrapped on its way to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum NotificationForm {
    /// S3 straight to SQS, or through SNS with raw delivery, which leaves no trace.
    S3,
    /// S3 through an SNS envelope.
    #[strum(serialize = "s3_sns")]
    S3OverSns,
    /// S3 through EventBridge, with or without an SNS envelope.
    #[strum(serialize = "eventbridge")]
    EventBridge,
    /// CloudTrail's own SNS notification, enveloped or raw.
    #[strum(serialize = "cloudtrail")]
    CloudTrail,
    /// A message that only proves that the way works: `s3:TestEvent`, CloudTrail's validation message.
    Test,
}

/// Why an object could not be used whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ObjectFailure {
    /// Its bucket or account is not on the allow-list: it was not asked for.
    NotAllowed,
    Missing,
    Forbidden,
    /// It was moved to a storage class that must be restored before it can be read.
    Archived,
    TooLarge,
    /// S3 did not answer in time, or with an error that may pass.
    Unavailable,
    CorruptGzip,
    TruncatedGzip,
    UncompressedTooLarge,
    NoRecords,
    #[strum(serialize = "record_not_an_object")]
    NotAnObject,
    RecordTooLarge,
    MalformedJson,
}

/// Why a notification's object was deliberately not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ObjectSkip {
    Digest,
    Insight,
    /// Its name is not CloudTrail's, and neither does AWS's own tree say what it is.
    #[strum(serialize = "foreign_key")]
    Foreign,
    /// The log of another service in AWS's own tree, or a folder's entry.
    OtherKind,
    #[strum(serialize = "object_removed")]
    Removed,
    /// It was restored, tagged, moved to another storage class: nothing new is in it.
    OtherEvent,
}

/// Why the current version of an object was read in place of the one that its notification names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum VersionPassedOver {
    /// The role may not read versions.
    Denied,
    Gone,
}

/// Why a record was rejected, as its document in the rejected index says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum RejectReason {
    /// Its bytes are no JSON that can be read.
    Malformed,
    /// The enrichment panicked at it.
    Panicked,
    /// OpenSearch refused the document.
    #[strum(serialize = "refused_by_opensearch")]
    Refused,
}

/// What kept the match of a rule out of the findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, IntoStaticStr, VariantArray)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum MutedBy {
    /// A Sigma filter of the site.
    Filter,
    /// An override in the configuration.
    Override,
}

/// How a bulk request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum BulkOutcome {
    Accepted,
    /// Answered, and some items must be sent again or were refused.
    Partial,
    /// 429 or 503 for the whole request.
    Throttled,
    /// 413: the body was cut in two and sent again.
    TooLarge,
    /// No answer, or one that cannot be used.
    Failed,
}

/// What became of a fact that a record told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum FactOutcome {
    Sent,
    /// It is proven to be stored already.
    Known,
    /// It travels with another of the same thing.
    Joined,
    /// OpenSearch refused it.
    #[strum(serialize = "refused_by_opensearch")]
    Rejected,
}

/// How the recall of what is known ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum RecallOutcome {
    Answered,
    TimedOut,
    /// An error, or an answer that makes no sense.
    Failed,
    /// Nothing was asked, because an earlier question failed a moment ago.
    Paused,
}

/// How a round of the correlator ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum RoundOutcome {
    /// Everything that had changed was judged.
    Complete,
    /// Its time was over: the next one goes on from where it was.
    Unfinished,
    /// OpenSearch did not answer, or refused something: the next one tries it again.
    Failed,
}

/// The state of an incident in the version that was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum IncidentVersion {
    Open,
    Escalated,
    Quiet,
    Closed,
}

/// What was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Retry {
    BulkRequest,
    BulkItem,
    Object,
}

/// One leg of a record's way from the API call to the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum FreshnessStage {
    EventToObject,
    ObjectToReceived,
    ReceivedToIndexed,
}

/// How the renewal of a message's visibility ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Renewal {
    Renewed,
    Failed,
}

/// How an order to load the rules again ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Reload {
    Reloaded,
    /// They could not be loaded: the old ones stay in use.
    Refused,
}

/// What the daemon cannot work without, and waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Wait {
    Queue,
    #[strum(serialize = "opensearch")]
    OpenSearch,
}

/// A queue whose messages are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum QueueKind {
    Source,
    /// Where messages go that failed too often.
    DeadLetter,
}

/// What a verification finds wrong, or worth knowing.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FindingKind {
    /// Delivered, and not in the ledger.
    MissingFile,
    /// Delivered, by a digest or by the ledger, and no longer in the bucket.
    DeletedFile,
    /// Its content is not what CloudTrail has signed: that in the bucket, or that which was shipped.
    AlteredFile,
    /// In the bucket, and named by no digest.
    UnprovenFile,
    /// Named by the digest after it, or certainly made for its region, and not in the bucket.
    MissingDigest,
    /// Its signature, its place or its form is wrong.
    InvalidDigest,
    /// A chain that begins anew or ends early.
    BrokenChain,
    /// In the bucket, and nobody let it be read, so nothing is known of it.
    UnreadObject,
    /// Delivered or shipped late; it is no gap.
    LateFile,
    /// Time before a chain began, of which nothing else is known; it is no gap.
    UnknownPeriod,
}

impl FindingKind {
    /// Those that leave something unproven.
    pub const GAPS: &[Self] = &[
        Self::MissingFile,
        Self::DeletedFile,
        Self::AlteredFile,
        Self::UnprovenFile,
        Self::MissingDigest,
        Self::InvalidDigest,
        Self::BrokenChain,
        Self::UnreadObject,
    ];

    /// Whether something is not proven to be there and right.
    pub fn is_gap(self) -> bool {
        Self::GAPS.contains(&self)
    }
}

/// What the correlator watches over, beside what people do.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum HealthRule {
    /// An account and region sent records, and sends none any more.
    Silence,
    /// Also the freshest records of an account and region are old when they are stored.
    Lag,
    /// Records could not be read, or OpenSearch refused their documents.
    Rejected,
    /// A verification found files that are missing or not what they were.
    VerificationGap,
    /// A place was verified again and again, and is not any more.
    VerificationSilence,
    /// Two records have one eventID and say something else.
    TwoContents,
}
