//! The shipper: a process that brings files from the queue to OpenSearch, and what it costs.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::loopback::Loopback;
use super::trail::{File, Trail};

/// How often the queue and the sink are looked at.
const GLANCE: Duration = Duration::from_millis(5);
/// A shipper that takes longer has failed.
const PATIENCE: Duration = Duration::from_mins(10);
/// What a process does between its start and its first work goes on for a moment after the first request.
const SETTLING: Duration = Duration::from_secs(1);
/// Rounds of the same calls that one shipper ships before it is the other's turn: as few as processor time is measured
/// well for.
pub const ROUNDS_OF_TURN: usize = 5;
/// Linux' unit of processor time in `/proc`, on every platform.
const TICKS_PER_SECOND: f64 = 100.0;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/performance/shipper.py");

/// A running shipper, which is killed when it is dropped.
pub struct Shipper {
    process: Child,
}

/// What shipping a trail took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Processor time of the shippers, without what they spent before the first message.
    pub cpu_seconds: f64,
    pub wall_seconds: f64,
    /// Of the largest of them.
    pub peak_bytes: u64,
}

impl Shipper {
    /// The daemon with its default settings.
    pub fn daemon(loopback: &Loopback) -> Self {
        Self::run_daemon(&mut Command::new(daemon_file()), loopback)
    }

    /// The daemon with its default settings, but for the scope.
    pub fn daemon_with_scope(scope: &str, loopback: &Loopback) -> Self {
        let mut daemon = Command::new(daemon_file());
        Self::run_daemon(daemon.env("SAGETRAIL__SELECT__SCOPE", scope), loopback)
    }

    /// The daemon with its default settings, but that it judges each record alone.
    pub fn daemon_without_memory(loopback: &Loopback) -> Self {
        let mut daemon = Command::new(daemon_file());
        Self::run_daemon(daemon.env("SAGETRAIL__MEMORY__ENABLED", "false"), loopback)
    }

    /// The daemon on one of the processors.
    fn pinned_daemon(processor: usize, loopback: &Loopback) -> Self {
        let mut taskset = Command::new("taskset");
        Self::run_daemon(taskset.args(["--cpu-list", &processor.to_string()]).arg(daemon_file()), loopback)
    }

    /// The script beside this file, with the packages that it names, `json` or `orjson`, and a scope.
    pub fn script(python: &Path, packages: &str, scope: &str, loopback: &Loopback) -> Self {
        Self::start(
            Command::new(python)
                .args([SCRIPT, packages, scope])
                .env("QUEUE_URL", loopback.sqs.queue_url())
                .env("OPENSEARCH_URL", &loopback.opensearch),
            loopback,
        )
    }

    fn run_daemon(command: &mut Command, loopback: &Loopback) -> Self {
        Self::start(
            command
                .arg("run")
                .env("SAGETRAIL__SOURCE__QUEUE_URL", loopback.sqs.queue_url())
                .env("SAGETRAIL__SOURCE__FORCE_PATH_STYLE", "true")
                .env("SAGETRAIL__SINK__URL", &loopback.opensearch)
                .env("SAGETRAIL__ADMIN__LISTEN", "127.0.0.1:0"),
            loopback,
        )
    }

    fn start(command: &mut Command, loopback: &Loopback) -> Self {
        let process = command
            .env("AWS_ENDPOINT_URL_S3", &loopback.s3)
            .env("AWS_ENDPOINT_URL_SQS", &loopback.sqs.url)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the shipper can be started");
        Self { process }
    }

    fn cpu_seconds(&self) -> f64 {
        let stat = self.proc("stat");
        // The name of the process stands in parentheses and may hold anything; user and system time are the twelfth and
        // thirteenth fields after it.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks: f64 =
            fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        ticks / TICKS_PER_SECOND
    }

    fn peak_bytes(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says it");
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).expect("the shipper runs")
    }
}

/// The daemon of this build, or another one that the environment names.
fn daemon_file() -> OsString {
    std::env::var_os("SAGETRAIL_BENCH_DAEMON").unwrap_or_else(|| env!("CARGO_BIN_EXE_sagetrail").into())
}

impl Drop for Shipper {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ships a trail into the OpenSearch that counts, with one shipper.
pub async fn ship(trail: &Trail, start: impl FnOnce(&Loopback) -> Shipper) -> Cost {
    let loopback = Loopback::serve(trail).await;
    let shipper = start(&loopback);
    until(|| loopback.sqs.receives() > 0).await;
    let cost = clear_backlog(&loopback, trail, &[shipper]).await;
    assert_eq!(loopback.records(), trail.selected, "every record in scope is shipped once");
    cost
}

/// Ships rounds of the same calls with two shippers that take turns, so that a machine whose speed drifts treats both
/// alike, and returns the processor time of each. The first turn does not count, so that all that a daemon can know of
/// the others is known.
pub async fn ship_known(rounds: &[Trail], starts: [fn(&Loopback) -> Shipper; 2]) -> [f64; 2] {
    let all = Trail::concat(rounds);
    let mut running = Vec::new();
    for start in starts {
        let loopback = Loopback::serve(&all).await;
        let shipper = [start(&loopback)];
        until(|| loopback.sqs.receives() > 0).await;
        running.push((loopback, shipper));
    }
    sleep(SETTLING).await;
    let mut seconds = [0.0; 2];
    for (number, turn) in rounds.chunks(ROUNDS_OF_TURN).enumerate() {
        let turn = Trail::concat(turn);
        for ((loopback, shipper), seconds) in running.iter().zip(&mut seconds) {
            let cost = clear(loopback, &turn, shipper).await;
            *seconds += if number == 0 { 0.0 } else { cost.cpu_seconds };
        }
    }
    for (loopback, _) in &running {
        assert_eq!(loopback.records(), all.selected, "every record of SageMaker is shipped once");
    }
    seconds
}

/// Ships a trail so with several daemons, each on a processor of its own.
pub async fn ship_side_by_side(trail: &Trail, daemons: usize) -> Cost {
    let loopback = Loopback::serve(trail).await;
    let mut running = Vec::new();
    for processor in 0..daemons {
        let before = loopback.sqs.receives();
        running.push(Shipper::pinned_daemon(processor, &loopback));
        // Those before wait in their long poll, which outlasts the start of the next.
        until(|| loopback.sqs.receives() > before).await;
    }
    let cost = clear_backlog(&loopback, trail, &running).await;
    assert_eq!(loopback.records(), trail.selected, "every record of SageMaker is shipped once");
    cost
}

/// Notifies shippers that have just started of a trail as a whole, and waits until they have shipped it.
pub async fn clear_backlog(loopback: &Loopback, trail: &Trail, running: &[Shipper]) -> Cost {
    sleep(SETTLING).await;
    clear(loopback, trail, running).await
}

/// The same of shippers that run for longer.
async fn clear(loopback: &Loopback, trail: &Trail, running: &[Shipper]) -> Cost {
    let cpu = || running.iter().map(Shipper::cpu_seconds).sum::<f64>();
    let (cpu_before, start) = (cpu(), Instant::now());
    loopback.notify(&trail.files);
    until(|| loopback.sqs.depth() == (0, 0)).await;
    Cost {
        cpu_seconds: cpu() - cpu_before,
        wall_seconds: start.elapsed().as_secs_f64(),
        peak_bytes: running.iter().map(Shipper::peak_bytes).max().unwrap_or_default(),
    }
}

/// How long each file takes from its notification to its bulk when the queue is idle before.
pub async fn latencies(trail: &Trail) -> Vec<f64> {
    let loopback = Loopback::serve(trail).await;
    let daemon = Shipper::daemon(&loopback);
    until(|| loopback.sqs.receives() > 0).await;
    let mut seconds = Vec::new();
    for file in &trail.files {
        sleep(SETTLING).await;
        seconds.push(latency(&loopback, file).await);
    }
    drop(daemon);
    seconds
}

async fn latency(loopback: &Loopback, file: &File) -> f64 {
    let before = loopback.bulks();
    let start = Instant::now();
    loopback.notify([file]);
    until(|| loopback.bulks() > before).await;
    start.elapsed().as_secs_f64()
}

async fn until(reached: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < give_up, "a shipper did not get on");
        sleep(GLANCE).await;
    }
}
