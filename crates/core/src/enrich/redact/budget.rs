//! Limits what redaction may spend on one record, in proportion to its size.
//!
//! A record can ask for far more work than its bytes are worth: gzip in gzip, JSON in JSON, a hint on every byte. Every
//! byte that is handed to a search, unpacked or written again is counted. When the budget is spent, what was not
//! searched is replaced as if it were a secret, with a marker that says so.

/// Bytes that may still be worked on.
#[derive(Debug)]
pub struct Budget {
    left: usize,
    #[cfg(test)]
    spent: usize,
}

/// Bytes of work for each byte of the record. Ordinary records need one to four.
const WORK_PER_BYTE: usize = 40;
/// Bytes of work that any record may have.
const LEAST_WORK: usize = 12 * 1024;

impl Budget {
    /// The budget of a record with so many bytes.
    pub fn of(bytes: usize) -> Self {
        Self {
            left: bytes.saturating_mul(WORK_PER_BYTE).saturating_add(LEAST_WORK),
            #[cfg(test)]
            spent: 0,
        }
    }

    /// Whether that much work may be done, which then counts as done.
    pub fn spend(&mut self, bytes: usize) -> bool {
        if bytes > self.left {
            return false;
        }
        self.left -= bytes;
        #[cfg(test)]
        {
            self.spent += bytes;
        }
        true
    }

    /// Bytes that were worked on, for tests that measure the work.
    #[cfg(test)]
    pub fn spent(&self) -> usize {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_work_in_proportion_to_its_size_and_no_more() {
        for bytes in [0, 1000, 1_000_000] {
            let mut budget = Budget::of(bytes);
            assert!(budget.spend(bytes * WORK_PER_BYTE));
            assert!(!budget.spend(LEAST_WORK + 1));
            assert!(budget.spend(LEAST_WORK) && !budget.spend(1));
        }
    }
}
