//! Computes how long to wait before a failed attempt is repeated.

use std::time::Duration;

/// Exponential with full jitter: any time up to `base`, doubled for each earlier retry, and never more than `longest`.
///
/// Full jitter spreads the retries of many daemons that failed at the same moment.
pub fn full_jitter(base: Duration, longest: Duration, earlier_retries: u32) -> Duration {
    let doubled = base.saturating_mul(2_u32.saturating_pow(earlier_retries));
    doubled.min(longest).mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_differ() {
        let waits: std::collections::HashSet<Duration> =
            (0..100).map(|_| full_jitter(Duration::from_secs(1), Duration::from_secs(1), 0)).collect();
        assert!(waits.len() > 90);
    }

    #[test]
    fn a_wait_doubles_up_to_its_limit_however_often_something_failed() {
        let (base, longest) = (Duration::from_millis(100), Duration::from_secs(2));
        for (retries, limit) in [(0, 100), (1, 200), (3, 800), (5, 2_000), (40, 2_000), (u32::MAX, 2_000)] {
            for _ in 0..100 {
                assert!(full_jitter(base, longest, retries) <= Duration::from_millis(limit));
            }
        }
    }
}
