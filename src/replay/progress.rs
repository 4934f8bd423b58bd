//! Shows the progress of a replay: a bar on a terminal, and a line every ten seconds elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use super::summary::Summary;
use crate::telemetry::complain;

/// The parts into which a job is divided. The progress comes from the days and the bytes that are done, because the
/// number of objects is unknown until they are listed.
pub const PARTS: u64 = 1_000_000;

/// Lines in a log are for looking back, and need not be many.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// How far a replay is, and how fast it goes.
pub struct Progress {
    face: Face,
    began: Instant,
    /// Where this run began, and where it is.
    first: Option<u64>,
    part: u64,
}

enum Face {
    Bar(ProgressBar),
    Lines { shown: Instant },
}

impl Progress {
    /// Begins the measurement, and shows a bar where standard error is a terminal.
    pub fn new() -> Self {
        let face = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}")
                .expect("the template is a constant that is well-formed");
            Face::Bar(ProgressBar::new(PARTS).with_style(style))
        } else {
            Face::Lines { shown: Instant::now() }
        };
        Self { face, began: Instant::now(), first: None, part: 0 }
    }

    /// Counts an item that is done, and the share of the job up to it.
    pub fn reach(&mut self, part: u64, summary: &Summary) {
        self.first.get_or_insert(part);
        // Items are done in any order.
        self.part = self.part.max(part);
        if let Face::Bar(bar) = &self.face {
            bar.set_position(self.part);
            bar.set_message(self.line(summary, self.began.elapsed()));
        }
    }

    /// Shows the progress, unless it was shown a moment ago.
    pub fn show(&mut self, summary: &Summary, took: Duration) {
        let line = self.line(summary, took);
        match &mut self.face {
            Face::Bar(bar) => bar.set_message(line),
            Face::Lines { shown } if shown.elapsed() >= LINE_INTERVAL => {
                *shown = Instant::now();
                complain(&format!("{:>3}%  {line}", self.part * 100 / PARTS));
            }
            Face::Lines { .. } => {}
        }
    }

    /// Prints an error without disturbing the bar.
    pub fn complain(&self, text: &str) {
        match &self.face {
            Face::Bar(bar) => bar.println(format!("failed: {text}")),
            Face::Lines { .. } => complain(&format!("failed: {text}")),
        }
    }

    /// Removes the bar, so that the summary begins on a clean line; lines in a log stay.
    pub fn end(&self) {
        if let Face::Bar(bar) = &self.face {
            bar.finish_and_clear();
        }
    }

    fn line(&self, summary: &Summary, took: Duration) -> String {
        let Summary { objects, records, .. } = summary;
        let rate = summary.rate(took);
        let left = self.left(took).map_or_else(String::new, |left| format!(", {} left", clock(left)));
        format!("{objects} objects, {records} records, {rate:.0} records/s{left}")
    }

    /// The time left at the rate of this run so far.
    fn left(&self, took: Duration) -> Option<Duration> {
        let behind = self.part.checked_sub(self.first?).filter(|behind| *behind > 0)?;
        #[expect(clippy::cast_precision_loss, reason = "a million parts fit")]
        let ratio = PARTS.saturating_sub(self.part) as f64 / behind as f64;
        Duration::try_from_secs_f64(took.as_secs_f64() * ratio).ok()
    }
}

/// Hours, minutes and seconds, as far as there are any.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress { face: Face::Lines { shown: Instant::now() }, began: Instant::now(), first: None, part: 0 }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_told_from_this_runs_own_pace() {
        let mut progress = progress();
        let summary = Summary { objects: 3, records: 5_000, ..Summary::default() };
        assert_eq!(progress.left(Duration::from_secs(10)), None);
        progress.reach(500_000, &summary);
        progress.reach(600_000, &summary);
        progress.reach(550_000, &summary);
        assert_eq!(progress.left(Duration::from_secs(10)), Some(Duration::from_secs(40)));
        let line = progress.line(&summary, Duration::from_secs(10));
        assert_eq!(line, "3 objects, 5000 records, 500 records/s, 40s left");
    }

    #[test]
    fn a_time_is_shown_in_its_largest_units() {
        for (seconds, text) in [(7, "7s"), (67, "1m 07s"), (3_600, "1h 00m"), (90_061, "25h 01m")] {
            assert_eq!(clock(Duration::from_secs(seconds)), text);
        }
    }
}
