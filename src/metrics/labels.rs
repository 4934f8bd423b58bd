//! The labels: the closed sets of values that a series may be told apart by.

/// A value of a closed label set.
pub trait Label {
    /// The label's value in the exposition.
    fn label(&self) -> &'static str;
}

/// Declares an enum whose variants are the closed set of one label's values.
macro_rules! label_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident => $value:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// Every value, so that a series exists (at zero) before its first event.
            pub const ALL: &[Self] = &[$(Self::$variant),+];
        }

        impl $crate::metrics::Label for $name {
            fn label(&self) -> &'static str {
                match self { $(Self::$variant => $value),+ }
            }
        }
    };
}
pub(crate) use label_enum;

label_enum! {
    /// How a message ended.
    MessageOutcome {
        /// Every record of it is stored, deliberately not selected or set aside: it was deleted.
        Deleted => "deleted",
        /// Something failed: it was left, and the queue will deliver it again.
        Failed => "failed",
        /// No known notification form: it was left to the redrive policy.
        NotUnderstood => "not_understood",
        /// The daemon stopped before it was done: it was given back at once.
        Released => "released",
        /// Its task panicked: it was left.
        Panicked => "panicked",
    }
}

label_enum! {
    /// Why an object could not be used whole.
    ObjectFailure {
        /// Its bucket or account is not on the allow-list: it was not asked for.
        NotAllowed => "not_allowed",
        Missing => "missing",
        Forbidden => "forbidden",
        /// It was moved to a storage class that must be restored before it can be read.
        Archived => "archived",
        TooLarge => "too_large",
        /// S3 did not answer in time, or with an error that may pass.
        Unavailable => "unavailable",
        CorruptGzip => "corrupt_gzip",
        TruncatedGzip => "truncated_gzip",
        UncompressedTooLarge => "uncompressed_too_large",
        NoRecords => "no_records",
        NotAnObject => "record_not_an_object",
        RecordTooLarge => "record_too_large",
        MalformedJson => "malformed_json",
    }
}

label_enum! {
    /// Why a notification's object was deliberately not read.
    ObjectSkip {
        Digest => "digest",
        Insight => "insight",
        /// Its name is not CloudTrail's, and neither does AWS's own tree say what it is.
        Foreign => "foreign_key",
        /// The log of another service in AWS's own tree, or a folder's entry.
        OtherKind => "other_kind",
        Removed => "object_removed",
        /// It was restored, tagged, moved to another storage class: nothing new is in it.
        OtherEvent => "other_event",
    }
}

label_enum! {
    /// Why the current version of an object was read in place of the one that its notification names.
    VersionPassedOver {
        /// The role may not read versions.
        Denied => "denied",
        Gone => "gone",
    }
}

label_enum! {
    /// Why a record was set aside in the rejected index.
    RejectReason {
        /// Its bytes are no JSON that can be read.
        Malformed => "malformed",
        /// The enrichment panicked at it.
        Panicked => "panicked",
        /// OpenSearch refused the document.
        Refused => "refused_by_opensearch",
    }
}

label_enum! {
    /// How a bulk request ended.
    BulkOutcome {
        Accepted => "accepted",
        /// Answered, and some items must be sent again or were refused.
        Partial => "partial",
        /// 429 or 503 for the whole request.
        Throttled => "throttled",
        /// 413: the body was cut in two and sent again.
        TooLarge => "too_large",
        /// No answer, or one that cannot be used.
        Failed => "failed",
    }
}

label_enum! {
    /// What was sent again.
    Retry { BulkRequest => "bulk_request", BulkItem => "bulk_item", Object => "object" }
}

label_enum! {
    /// One leg of a record's way from the API call to the index.
    FreshnessStage {
        EventToObject => "event_to_object",
        ObjectToReceived => "object_to_received",
        ReceivedToIndexed => "received_to_indexed",
    }
}

label_enum! {
    /// How the renewal of a message's visibility ended.
    Renewal { Renewed => "renewed", Failed => "failed" }
}

label_enum! {
    /// How an order to load the rules again ended.
    Reload {
        Reloaded => "reloaded",
        /// They could not be loaded: the old ones stay in use.
        Refused => "refused",
    }
}

label_enum! {
    /// What the daemon cannot work without, and waits for.
    Wait {
        Queue => "queue",
        OpenSearch => "opensearch",
    }
}

label_enum! {
    /// A queue whose messages are counted.
    QueueKind {
        Source => "source",
        /// Where messages go that failed too often.
        DeadLetter => "dead_letter",
    }
}
