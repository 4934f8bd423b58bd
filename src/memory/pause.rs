//! How long recall pauses after it failed (pure).

use std::time::Duration;

use tokio::time::Instant;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

/// After a failure nothing is asked for a while, and then one question shows whether memory answers again.
#[derive(Debug, Default)]
pub(super) struct Pause {
    failures: u32,
    failed_at: Option<Instant>,
    until: Option<Instant>,
}

impl Pause {
    pub(super) fn is_on(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Whether a question may be asked now. After a pause only one may, until it is answered.
    pub(super) fn may_ask(&mut self, now: Instant) -> bool {
        if self.is_on(now) {
            return false;
        }
        if self.until.is_some() {
            self.until = Some(now + self.length());
        }
        true
    }

    /// Takes the failure of a question, and tells whether memory had answered before it. Many that fail together are
    /// one failure.
    pub(super) fn failed(&mut self, asked_at: Instant, now: Instant) -> bool {
        let is_first = self.failed_at.is_none();
        if self.failed_at.is_none_or(|failed_at| asked_at >= failed_at) {
            self.failures += 1;
            self.failed_at = Some(now);
            self.until = Some(now + self.length());
        }
        is_first
    }

    /// Takes an answer, and tells whether it ends a pause.
    pub(super) fn answered(&mut self) -> bool {
        std::mem::take(self).failed_at.is_some()
    }

    fn length(&self) -> Duration {
        SHORTEST.saturating_mul(2_u32.saturating_pow(self.failures.saturating_sub(1))).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_grow_with_each_failure_and_one_question_ends_them() {
        let mut now = Instant::now();
        let mut pause = Pause::default();
        assert!(pause.may_ask(now) && pause.may_ask(now), "nothing has failed yet");
        for (number, seconds) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
            assert_eq!(pause.failed(now, now), number == 0);
            now += SECOND * seconds;
            assert!(pause.is_on(now.checked_sub(SECOND / 10).unwrap()) && !pause.is_on(now), "{seconds}");
            assert!(pause.may_ask(now));
            assert!(!pause.may_ask(now), "the first question is not answered yet");
        }
        assert!(pause.answered());
        assert!(pause.may_ask(now) && pause.may_ask(now));
        assert!(!pause.answered());
        assert!(pause.failed(now, now));
        assert!(!pause.is_on(now + SECOND), "it begins anew");
    }

    #[test]
    fn questions_that_fail_together_are_one_failure() {
        let now = Instant::now();
        let mut pause = Pause::default();
        for _ in 0..32 {
            pause.failed(now, now + SECOND);
        }
        assert!(pause.is_on(now + SECOND * 19 / 10) && !pause.is_on(now + SECOND * 2));
    }
}
