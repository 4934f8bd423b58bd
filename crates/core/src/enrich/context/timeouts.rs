//! Takes how long a call lets something live, in seconds.

use serde::Serialize;
use serde_json_borrow::Value;
use serde_with::skip_serializing_none;

use super::values::{MAX_LONG, whole};

/// The longest of each, where a call has several.
#[skip_serializing_none]
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
pub struct Timeouts {
    /// Until an app without work is stopped.
    pub idle: Option<u64>,
    /// Until a session that was opened with a presigned URL ends.
    pub session: Option<u64>,
    /// Until a presigned URL can no longer be used.
    pub url: Option<u64>,
    /// For which the instances of a training job are kept after it ended.
    pub keep_alive: Option<u64>,
    /// For which a job may run.
    pub run: Option<u64>,
    /// For which a job may wait for capacity and run.
    pub wait: Option<u64>,
    /// For which a job may wait for the capacity of a training plan.
    pub pending: Option<u64>,
}

impl Timeouts {
    /// Takes a member of a request, whose name is in lower case, in the unit that its name says.
    pub fn take(&mut self, name: &str, value: &Value<'_>) {
        let (timeout, unit_seconds) = match name {
            "idletimeoutinminutes" => (&mut self.idle, 60),
            "sessionexpirationdurationinseconds" => (&mut self.session, 1),
            "expiresinseconds" => (&mut self.url, 1),
            "keepaliveperiodinseconds" => (&mut self.keep_alive, 1),
            "maxruntimeinseconds" | "maxautomljobruntimeinseconds" | "maxruntimepertrainingjobinseconds" => {
                (&mut self.run, 1)
            }
            "maxwaittimeinseconds" => (&mut self.wait, 1),
            "maxpendingtimeinseconds" => (&mut self.pending, 1),
            _ => return,
        };
        *timeout = whole(value).map(|count| count.saturating_mul(unit_seconds).min(MAX_LONG)).max(*timeout);
    }
}
