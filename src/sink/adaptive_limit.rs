//! Adapts how many bulks may be in flight and how large they may be to how OpenSearch takes them (AIMD).
//!
//! Push-back halves both limits; every quiet answer raises them a step, up to what is configured. The module reads no
//! clock: durations come in as values.

use std::time::Duration;

/// A bulk this small is never the problem; smaller ones would only multiply requests.
const LEAST_BYTES: usize = 64 << 10;
/// Quiet answers from the smallest bulk size to the largest.
const STEPS_TO_FULL: usize = 16;
/// Quiet answers before a size is tried that was once too large: rare enough to cost nothing.
const ANSWERS_TO_LIFT: u32 = 500;
/// How much of the difference one answer moves the usual time: about the last sixteen count.
const SMOOTHING: f64 = 1.0 / 16.0;
/// Times the usual time from which an answer is slow.
const SLOW_FACTOR: f64 = 3.0;
/// An answer quicker than this is never slow: jitter of small numbers says nothing about load.
const NEVER_SLOW: Duration = Duration::from_millis(500);
/// Answers before the usual time is known well enough to call one slow.
const LEAST_ANSWERS: u32 = 8;
/// Size classes, one for each power of two: the time of a large bulk says nothing about that of a small one.
const SIZE_CLASSES: usize = usize::BITS as usize + 1;

/// The two limits and what they are learnt from.
#[derive(Debug)]
pub(super) struct AdaptiveLimit {
    most_concurrency: usize,
    most_bytes: usize,
    /// The most bytes that a bulk may have, as far as is known: the configured limit, or less after a 413.
    ceiling: usize,
    /// Answers since the ceiling was found or last lifted.
    below_ceiling: u32,
    /// The lowest ceiling that was logged.
    told: usize,
    concurrency: usize,
    bytes: usize,
    /// Quiet answers since the concurrency changed; one round of them earns one more.
    quiet: usize,
    /// Counts decreases.
    epoch: Epoch,
    latency: [LatencyEwma; SIZE_CLASSES],
}

/// When an attempt began. Bulks that fail together count as one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(u64);

/// What became of an attempt.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signal {
    /// OpenSearch took it all.
    Answered { bytes: usize, took: Duration },
    /// Push-back: 429, 503, or no answer in time.
    PushedBack,
    /// It takes no request of that many bytes (413).
    TooLarge { bytes: usize },
}

#[derive(Debug, Clone, Copy, Default)]
struct LatencyEwma {
    seconds: f64,
    answers: u32,
}

impl AdaptiveLimit {
    pub(super) fn new(most_concurrency: usize, most_bytes: usize) -> Self {
        Self {
            most_concurrency,
            most_bytes,
            ceiling: most_bytes,
            below_ceiling: 0,
            told: usize::MAX,
            concurrency: most_concurrency,
            bytes: most_bytes,
            quiet: 0,
            epoch: Epoch(0),
            latency: [LatencyEwma::default(); SIZE_CLASSES],
        }
    }

    /// Bulks that may be in flight now.
    pub(super) fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// Bytes that a bulk may hold now.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the token of an attempt that begins now, for `learn`.
    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Learns from the outcome of an attempt that began in `began`. Returns a new lowest ceiling, to be logged.
    pub(super) fn learn(&mut self, began: Epoch, signal: Signal) -> Option<usize> {
        match signal {
            Signal::TooLarge { bytes } => return self.too_large(bytes),
            Signal::PushedBack => self.decrease(began, |limit| limit / 2),
            Signal::Answered { bytes, took } if self.is_slow(bytes, took) => {
                self.decrease(began, |limit| limit - limit.div_ceil(4));
            }
            Signal::Answered { .. } => self.increase(),
        }
        None
    }

    /// A bulk above the ceiling was sent before the ceiling was known, and teaches nothing new.
    fn too_large(&mut self, bytes: usize) -> Option<usize> {
        if bytes > self.ceiling {
            return None;
        }
        self.ceiling = (bytes / 2).max(1);
        self.below_ceiling = 0;
        self.bytes = self.bytes.min(self.ceiling);
        let is_news = self.ceiling < self.told;
        self.told = self.told.min(self.ceiling);
        is_news.then_some(self.ceiling)
    }

    fn decrease(&mut self, began: Epoch, less: impl Fn(usize) -> usize) {
        if began != self.epoch {
            return;
        }
        self.epoch = Epoch(self.epoch.0 + 1);
        self.quiet = 0;
        self.concurrency = less(self.concurrency).max(1);
        self.bytes = less(self.bytes).max(LEAST_BYTES.min(self.ceiling));
    }

    fn increase(&mut self) {
        // The limit of the server or proxy may have been raised meanwhile.
        self.below_ceiling += 1;
        if self.ceiling < self.most_bytes && self.below_ceiling >= ANSWERS_TO_LIFT {
            self.below_ceiling = 0;
            self.ceiling = self.ceiling.saturating_add(self.ceiling.div_ceil(4)).min(self.most_bytes);
        }
        self.bytes = self.bytes.saturating_add(self.most_bytes.div_ceil(STEPS_TO_FULL)).min(self.ceiling);
        self.quiet += 1;
        if self.quiet >= self.concurrency {
            self.quiet = 0;
            self.concurrency = (self.concurrency + 1).min(self.most_concurrency);
        }
    }

    /// A slow answer moves the usual time too, so that a cluster which stays slower becomes the new normal and the
    /// limits recover by themselves.
    fn is_slow(&mut self, bytes: usize, took: Duration) -> bool {
        let latency = &mut self.latency[(usize::BITS - bytes.leading_zeros()) as usize];
        let seconds = took.as_secs_f64();
        if latency.answers == 0 {
            latency.seconds = seconds;
        }
        let slow =
            latency.answers >= LEAST_ANSWERS && took > NEVER_SLOW && seconds > latency.seconds * SLOW_FACTOR;
        latency.answers = latency.answers.saturating_add(1);
        latency.seconds += (seconds - latency.seconds) * SMOOTHING;
        slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST_BYTES: usize = 4 << 20;

    fn answered(milliseconds: u64) -> Signal {
        Signal::Answered { bytes: MOST_BYTES, took: Duration::from_millis(milliseconds) }
    }

    /// Runs attempts one after the other and returns the limits at the end.
    fn run(limits: &mut AdaptiveLimit, signal: Signal, times: usize) -> (usize, usize) {
        for _ in 0..times {
            let epoch = limits.epoch();
            limits.learn(epoch, signal);
        }
        (limits.concurrency(), limits.bytes())
    }

    #[test]
    fn it_begins_at_what_is_configured_and_never_goes_beyond() {
        let mut limits = AdaptiveLimit::new(4, MOST_BYTES);
        assert_eq!(run(&mut limits, answered(100), 1_000), (4, MOST_BYTES));
    }

    #[test]
    fn push_back_halves_both_limits_down_to_their_floors() {
        let mut limits = AdaptiveLimit::new(8, MOST_BYTES);
        assert_eq!(run(&mut limits, Signal::PushedBack, 1), (4, MOST_BYTES / 2));
        assert_eq!(run(&mut limits, Signal::PushedBack, 1), (2, MOST_BYTES / 4));
        assert_eq!(run(&mut limits, Signal::PushedBack, 100), (1, LEAST_BYTES));
    }

    #[test]
    fn a_configured_size_below_the_floor_is_kept() {
        let mut limits = AdaptiveLimit::new(1, 1_000);
        assert_eq!(run(&mut limits, Signal::PushedBack, 10), (1, 1_000));
    }

    #[test]
    fn a_size_that_was_too_large_once_is_not_tried_for_hundreds_of_bulks_and_then_again() {
        let mut limits = AdaptiveLimit::new(2, MOST_BYTES);
        let epoch = limits.epoch();
        let too_large = Signal::TooLarge { bytes: MOST_BYTES };
        assert_eq!(limits.learn(epoch, too_large), Some(MOST_BYTES / 2));
        assert_eq!(limits.learn(epoch, too_large), None, "one that was in flight beside it");
        assert_eq!(run(&mut limits, answered(100), 400).1, MOST_BYTES / 2);
        let (_, lifted) = run(&mut limits, answered(100), 200);
        assert_eq!(lifted, MOST_BYTES / 8 * 5);
        assert_eq!(
            limits.learn(epoch, Signal::TooLarge { bytes: lifted }),
            Some(lifted / 2),
            "a lower one is news"
        );
        let (_, lifted) = run(&mut limits, answered(100), 501);
        assert_eq!(limits.learn(epoch, Signal::TooLarge { bytes: lifted }), Some(lifted / 2));
        assert_eq!(run(&mut limits, answered(100), 20_000).1, MOST_BYTES, "what nobody refuses any more");
    }

    #[test]
    fn bulks_that_fail_together_count_once() {
        let mut limits = AdaptiveLimit::new(8, MOST_BYTES);
        let epoch = limits.epoch();
        for _ in 0..8 {
            limits.learn(epoch, Signal::PushedBack);
        }
        assert_eq!((limits.concurrency(), limits.bytes()), (4, MOST_BYTES / 2));
    }

    #[test]
    fn it_recovers_by_itself_step_by_step() {
        let mut limits = AdaptiveLimit::new(4, MOST_BYTES);
        run(&mut limits, Signal::PushedBack, 100);
        assert_eq!(run(&mut limits, answered(100), 1).0, 2, "one quiet answer in flight earns a second");
        assert_eq!(run(&mut limits, answered(100), 1).0, 2, "two in flight need two");
        assert_eq!(run(&mut limits, answered(100), 1).0, 3);
        assert_eq!(run(&mut limits, answered(100), STEPS_TO_FULL), (4, MOST_BYTES));
    }

    #[test]
    fn an_answer_far_slower_than_usual_is_push_back_and_one_a_little_slower_is_not() {
        let mut limits = AdaptiveLimit::new(4, MOST_BYTES);
        run(&mut limits, answered(400), 20);
        assert_eq!(run(&mut limits, answered(900), 1), (4, MOST_BYTES));
        assert_eq!(run(&mut limits, answered(4_000), 1), (3, MOST_BYTES / 4 * 3));
    }

    #[test]
    fn quick_answers_are_never_slow_however_much_they_vary() {
        let mut limits = AdaptiveLimit::new(4, MOST_BYTES);
        run(&mut limits, answered(5), 20);
        assert_eq!(run(&mut limits, answered(499), 1), (4, MOST_BYTES));
    }

    #[test]
    fn a_cluster_that_stays_slower_becomes_the_new_normal() {
        let mut limits = AdaptiveLimit::new(4, MOST_BYTES);
        run(&mut limits, answered(300), 50);
        assert_ne!(run(&mut limits, answered(3_000), 3), (4, MOST_BYTES));
        assert_eq!(run(&mut limits, answered(3_000), 100), (4, MOST_BYTES));
    }

    #[test]
    fn a_large_bulk_is_not_slow_because_small_ones_were_quick() {
        let mut limits = AdaptiveLimit::new(4, MOST_BYTES);
        run(&mut limits, Signal::Answered { bytes: 2_000, took: Duration::from_millis(5) }, 100);
        assert_eq!(run(&mut limits, answered(2_000), 1), (4, MOST_BYTES));
    }

    /// A cluster that takes so many bytes at once and pushes back above that: the limits must stay near it.
    #[test]
    fn it_settles_around_what_the_cluster_can_take() {
        const CAPACITY: usize = 5 << 20;
        let mut limits = AdaptiveLimit::new(8, MOST_BYTES);
        let (mut pushed_back, mut sent) = (0, 0);
        for _ in 0..1_000 {
            let epoch = limits.epoch();
            let (concurrency, bytes) = (limits.concurrency(), limits.bytes());
            let over = concurrency * bytes > CAPACITY;
            for _ in 0..concurrency {
                let took = Duration::from_millis(200);
                limits.learn(epoch, if over { Signal::PushedBack } else { Signal::Answered { bytes, took } });
            }
            if over {
                pushed_back += 1;
            } else {
                sent += concurrency * bytes;
            }
        }
        assert!(pushed_back < 500, "{pushed_back} of 1,000 rounds were pushed back");
        assert!(sent > 1_000 * CAPACITY / 4, "sent {sent} bytes");
    }
}
