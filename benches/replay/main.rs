//! How fast `sagetrail replay` ships a million records: the command as a process, into a real OpenSearch.
//!
//! Run it by `make bench-replay`. All parts share one machine, so the rates are those of the whole and not of the
//! replay alone; its own share is the processor time. The emulator of S3 is slower than S3, so a folder is read as
//! well.

#![expect(clippy::cast_precision_loss, reason = "figures of a table have a few digits")]

#[allow(dead_code, reason = "the other benchmark looks at its files more closely")]
#[path = "../performance/trail.rs"]
mod trail;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_s3::primitives::ByteStream;
use serde_json::Value;
use tokio::time::Instant;

use trail::{Shape, Trail};

/// A million records, of which one in a hundred is SageMaker's.
const SHAPE: Shape = Shape { files: 1_000, records: 1_000, share: 1 };
const BUCKET: &str = "replay-bench-trail";
/// How often the process is looked at. Its peak memory is kept by Linux, so nothing is missed between.
const LOOK: Duration = Duration::from_millis(200);

fn main() {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some((opensearch, aws)) =
        variable("SAGETRAIL_TEST_OPENSEARCH_URL").zip(variable("SAGETRAIL_TEST_AWS_URL"))
    else {
        println!("skipped: no OpenSearch and moto in the environment; run it with `make bench-replay`");
        return;
    };
    let binary =
        variable("SAGETRAIL_BENCH_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_sagetrail").to_owned());
    let trail = Trail::generate(SHAPE);
    println!(
        "{} files, {} records, {:.0} MB raw, {:.0} MB stored; {binary}",
        SHAPE.files,
        SHAPE.files * SHAPE.records,
        trail.raw_bytes() as f64 / 1e6,
        trail.gzip_bytes() as f64 / 1e6
    );
    let folder = tempfile::tempdir().expect("there is room for the files");
    for file in &trail.files {
        let path = folder.path().join(&file.key);
        std::fs::create_dir_all(path.parent().expect("a key has folders")).expect("the folder can be made");
        std::fs::write(path, &file.gzip).expect("the file can be written");
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(upload(&aws, trail));
    let folder = folder.path().to_str().expect("a path of ours is a text");
    let bucket = format!("s3://{BUCKET}/");
    let only = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    for (place, scope) in [(bucket.as_str(), "related"), (folder, "related"), (folder, "all")] {
        if only.as_deref().is_some_and(|only| only != scope) {
            continue;
        }
        // What the last run has stored would be met as duplicates.
        for indices in ["sagetrail-events-*", "sagetrail-objects-*"] {
            let url = format!("{opensearch}/{indices}?ignore_unavailable=true");
            let _ = runtime.block_on(reqwest::Client::new().delete(url).send());
        }
        let kind = if place == folder { "a folder" } else { "the emulator's bucket" };
        println!("\nscope {scope}, from {kind}");
        Run::of(&binary, &opensearch, &aws, (place, scope)).print();
    }
}

async fn upload(aws: &str, trail: Trail) {
    let settings = aws_config::defaults(aws_config::BehaviorVersion::latest()).endpoint_url(aws).load().await;
    let s3 = aws_sdk_s3::config::Builder::from(&settings).force_path_style(true).build();
    let s3 = aws_sdk_s3::Client::from_conf(s3);
    s3.create_bucket().bucket(BUCKET).send().await.expect("moto makes the bucket");
    for file in trail.files {
        let put = s3.put_object().bucket(BUCKET).key(file.key).body(ByteStream::from(file.gzip));
        put.send().await.expect("moto stores the file");
    }
}

/// What one replay came to.
struct Run {
    summary: Value,
    seconds: f64,
    processor_seconds: f64,
    peak_bytes: u64,
}

impl Run {
    #[expect(clippy::disallowed_methods, reason = "nothing else runs on this thread")]
    fn of(binary: &str, opensearch: &str, aws: &str, (place, scope): (&str, &str)) -> Self {
        let began = Instant::now();
        let mut replay = Command::new(binary)
            .args(["replay", place, "--format", "json"])
            .env("AWS_ENDPOINT_URL", aws)
            .env("SAGETRAIL__SOURCE__FORCE_PATH_STYLE", "true")
            .env("SAGETRAIL__SINK__URL", opensearch)
            .env("SAGETRAIL__SELECT__SCOPE", scope)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary runs");
        let (mut processor_seconds, mut peak_bytes) = (0.0, 0);
        while replay.try_wait().expect("the process can be asked").is_none() {
            if let Some((seconds, bytes)) = looked_at(&replay) {
                (processor_seconds, peak_bytes) = (seconds, bytes);
            }
            std::thread::sleep(LOOK);
        }
        let seconds = began.elapsed().as_secs_f64();
        let output = replay.wait_with_output().expect("the process has ended");
        assert!(output.status.success(), "the replay ended with {}", output.status);
        let summary = serde_json::from_slice(&output.stdout).expect("the summary is JSON");
        Self { summary, seconds, processor_seconds, peak_bytes }
    }

    fn print(&self) {
        let number = |name: &str| self.summary[name].as_f64().expect("the summary has the number");
        let records = number("records");
        let expected = (SHAPE.files * SHAPE.records) as u64;
        assert_eq!(self.summary["records"].as_u64(), Some(expected), "every record was read");
        assert_eq!(self.summary["created"], self.summary["selected"], "every document is new");
        for (name, value, unit) in [
            ("time", self.seconds, "s"),
            ("records", records / self.seconds, "records/s"),
            ("unfolded", number("raw_bytes") / 1e6 / self.seconds, "MB/s"),
            ("documents", number("created"), ""),
            ("documents", number("created") / self.seconds, "documents/s"),
            ("its own processor time", self.processor_seconds, "s"),
            ("its own processor time, a record", self.processor_seconds * 1e6 / records, "µs"),
            ("its peak memory", self.peak_bytes as f64 / f64::from(1 << 20), "MiB"),
        ] {
            println!("{name:<36} {value:>12.1} {unit}");
        }
    }
}

/// The processor time and the peak memory of a process so far, as Linux tells them.
fn looked_at(process: &Child) -> Option<(f64, u64)> {
    /// Clock ticks in a second, which Linux has fixed for what it shows.
    const TICKS: f64 = 100.0;
    let folder = Path::new("/proc").join(process.id().to_string());
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    // The name of the command, in parentheses, may hold blanks.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let status = std::fs::read_to_string(folder.join("status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    Some((ticks / TICKS, kibibytes * 1024))
}
