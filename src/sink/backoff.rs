//! The backoff: how long to wait before something that failed is sent again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The longest possible wait before the second attempt.
const BASE: Duration = Duration::from_millis(500);
/// No wait is longer: a cluster that is back should not stand idle for minutes.
const CAP: Duration = Duration::from_secs(30);

/// A random wait after this many failures in a row: anything from nothing to a bound that doubles (full jitter), so
/// that daemons which failed together do not come back together.
pub(super) fn after(failures: u32) -> Duration {
    bound(failures).mul_f64(random())
}

fn bound(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(u32::BITS - 1);
    BASE.saturating_mul(1 << doublings).min(CAP)
}

/// A number from 0 to 1. Every hasher of the standard library is seeded anew, which is randomness enough for jitter.
fn random() -> f64 {
    let high = u32::try_from(RandomState::new().hash_one(()) >> u32::BITS).unwrap_or(u32::MAX);
    f64::from(high) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_the_cap() {
        let table =
            [(0, 500), (1, 500), (2, 1_000), (3, 2_000), (6, 16_000), (7, 30_000), (u32::MAX, 30_000)];
        for (failures, milliseconds) in table {
            assert_eq!(bound(failures), Duration::from_millis(milliseconds), "after {failures} failures");
        }
    }

    #[test]
    fn waits_differ() {
        let waits: std::collections::HashSet<Duration> = (0..100).map(|_| after(7)).collect();
        assert!(waits.len() > 90);
    }

    #[test]
    fn a_wait_is_never_longer_than_its_bound() {
        assert!((0..1_000).all(|failures| after(failures) <= bound(failures)));
    }
}
