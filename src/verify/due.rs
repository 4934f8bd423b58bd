//! When a file of records was delivered, and when the digest that names it is due, by its key (pure).

use time::{Date, OffsetDateTime};

use super::chain::PATIENCE;
use super::digest::LogFile;
use crate::source::key;

/// Whether a digest that names a file of records must be there by now.
pub fn is_due(key: &str, now: OffsetDateTime) -> bool {
    key::classify(key).is_ok_and(|key| key.delivered_at + PATIENCE < now)
}

/// The day of a file of records, by its name.
pub fn delivered_on(file: &LogFile) -> Option<Date> {
    key::classify(&file.s3_object).ok().map(|key| key.delivered_at.date())
}

/// The folder of a day's files, by that of its digests.
pub fn files_of(folder: &str) -> String {
    folder.replacen("/CloudTrail-Digest/", "/CloudTrail/", 1)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_file_is_asked_about_when_its_digest_is_due_and_what_holds_no_records_never() {
        let key = "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/01/111122223333_CloudTrail_eu-west-1_20260301T1200Z_a.json.gz";
        assert!(!is_due(key, datetime!(2026-03-01 14:00 UTC)));
        assert!(is_due(key, datetime!(2026-03-01 14:01 UTC)));
        assert!(!is_due(
            "AWSLogs/111122223333/CloudTrail/eu-west-1/2026/03/01/notes.txt",
            datetime!(2026-04-01 00:00 UTC)
        ));
    }
}
