//! The daemon as a process of its own, as an operator runs it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;

use crate::support::cloud::Cloud;
use crate::support::{Stack, eventually};

pub struct Daemon {
    process: Child,
    log: PathBuf,
    http: reqwest::Client,
}

impl Daemon {
    /// Starts the daemon on the cloud's queue. `settings` are keys of the configuration, such as `select.scope`.
    pub fn start(stack: &Stack, cloud: &Cloud, settings: &[(&str, &str)]) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_sagetrail")), stack, cloud, settings)
    }

    /// Starts it by a command that becomes the binary, such as one that confines it first.
    pub fn start_by(mut command: Command, stack: &Stack, cloud: &Cloud, settings: &[(&str, &str)]) -> Self {
        command
            .arg("run")
            .env("AWS_ENDPOINT_URL", &stack.aws)
            .env("AWS_ENDPOINT_URL_SQS", stack.sqs.as_ref().unwrap_or(&stack.aws))
            .env("SAGETRAIL__SOURCE__QUEUE_URL", &cloud.queue_url)
            .env("SAGETRAIL__SOURCE__WAIT", "1s")
            .env("SAGETRAIL__SOURCE__FORCE_PATH_STYLE", "true");
        Self::spawn(command, stack, settings)
    }

    /// Spawns a command that serves the admin endpoint.
    pub fn spawn(mut command: Command, stack: &Stack, settings: &[(&str, &str)]) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let log = std::env::temp_dir().join(format!("sagetrail-test-{}-{number}.log", std::process::id()));
        let log_file = File::create(&log).expect("the log can be written");
        command
            .env("SAGETRAIL__SINK__URL", &stack.opensearch)
            .env("SAGETRAIL__ADMIN__LISTEN", "127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(log_file);
        for (key, value) in settings {
            command.env(format!("SAGETRAIL__{}", key.to_uppercase().replace('.', "__")), value);
        }
        let process = command.spawn().expect("the daemon was built");
        Self { process, log, http: reqwest::Client::new() }
    }

    /// Waits until the daemon says that it can work.
    pub async fn until_ready(&mut self) {
        eventually(Duration::from_mins(1), async || {
            if let Some(status) = self.process.try_wait().expect("the process can be asked") {
                panic!("the daemon ended with {status}:\n{}", self.log());
            }
            match self.get("readyz").await {
                Ok((200, _)) => Ok(()),
                Ok((status, body)) => Err(format!("{status} {body}")),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// The count of one series as the exposition writes it, such as `sagetrail_messages_total{outcome="deleted"}`.
    pub async fn count(&self, series: &str) -> u64 {
        let (_, exposition) = self.get("metrics").await.expect("the metrics are served");
        exposition
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or_else(|| panic!("no series {series} in\n{exposition}"))
    }

    /// Asks the admin endpoint. The daemon takes a free port and logs which: one that is chosen for it may be another's
    /// by then.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let address = self.admin().context("the admin endpoint does not listen yet")?;
        let answer = self.http.get(format!("http://{address}/{path}")).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Where its admin endpoint listens, as soon as the log says so.
    pub fn admin(&self) -> Option<String> {
        let log = self.log();
        let (_, rest) = log.split_once("the admin endpoint listens address=")?;
        rest.split_once('\n').map(|(address, _)| address.trim().to_owned())
    }

    /// What Linux says about the process, such as `status` or `mountinfo`.
    pub fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).expect("the process runs")
    }

    /// The largest resident memory of the process so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says it");
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes * 1024
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends the process as a power failure would.
    pub fn kill(&mut self) {
        self.process.kill().expect("the process can be killed");
        self.process.wait().expect("the process has ended");
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.process.id().to_string()).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for the end of the process.
    pub async fn until_ended(&mut self, patience: Duration) -> ExitStatus {
        eventually(patience, async || {
            self.process
                .try_wait()
                .expect("the process can be asked")
                .ok_or_else(|| "it still runs".to_owned())
        })
        .await
    }

    /// Stops the daemon as an orchestrator does, and sees that it ends well.
    pub async fn stop(mut self) {
        self.signal("TERM");
        let status = self.until_ended(Duration::from_secs(40)).await;
        assert!(status.success(), "the daemon ended with {status}:\n{}", self.log());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A test that failed leaves its daemon to us; one that ended well has nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if !std::thread::panicking() {
            let _ = std::fs::remove_file(&self.log);
        }
    }
}
