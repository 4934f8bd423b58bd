//! Who tries a command: a user with a role, in indices of its own or of all who try.

use std::fs::File;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;
use serde_json::Value;
use tokio::time::Instant;

use crate::support::secured::Secured;
use crate::support::{Stack, eventually};

pub(super) const PASSWORD: &str = "a-Password-0f-the-test";
/// How long a command may take, and how long one that was refused something.
pub(super) const PATIENCE: Duration = Duration::from_mins(3);
pub(super) const PATIENCE_AFTER_REFUSAL: Duration = Duration::from_secs(10);
/// What a log line says where the cluster refused something, and no time with such a number.
pub(super) static REFUSED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(^|[ =])403\b|may not write into the indices of memory|security_exception").unwrap()
});

/// Who tries a command: a user, and the prefix of the indices where it is tried.
pub(super) struct Tenant<'c> {
    pub(super) cluster: &'c Secured,
    pub(super) stack: Stack,
    pub(super) user: String,
    pub(super) prefix: String,
}

/// Whom a command runs as.
#[derive(Clone, Copy)]
pub(super) enum Who {
    Admin,
    /// The user with the role that is tried.
    Tried,
}

impl<'c> Tenant<'c> {
    /// The number has two digits always, so that no output differs by its width.
    pub(super) fn new((stack, cluster): &'c (Stack, Secured), command: &str, number: usize) -> Self {
        let stack = Stack { opensearch: cluster.url.clone(), ..stack.clone() };
        let user = format!("{}-{number:02}", command.replace(" --", "-").replace(' ', "-"));
        Self { cluster, stack, prefix: user.clone(), user }
    }

    /// Another user in the same indices.
    pub(super) fn beside(&self, user: String) -> Self {
        Self { cluster: self.cluster, stack: self.stack.clone(), user, prefix: self.prefix.clone() }
    }

    /// An index of this tenant, or a pattern of several.
    pub(super) fn index(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Lets searches find what is stored.
    pub(super) async fn refresh(&self) {
        assert_eq!(self.cluster.ask("POST", &self.index("*/_refresh"), None).await.0, 200);
    }

    pub(super) async fn remove(&self) {
        let pattern = self.index("*?expand_wildcards=all");
        let (_, indices) =
            self.cluster.ask("GET", &format!("_cat/indices/{pattern}&format=json"), None).await;
        for index in indices.as_array().into_iter().flatten() {
            self.cluster.ask("DELETE", index["index"].as_str().unwrap(), None).await;
        }
        self.cluster.ask("DELETE", &format!("_scripts/{}", self.index("join-1")), None).await;
        for template in ["_index_template", "_component_template"] {
            self.cluster.ask("DELETE", &format!("{template}/{}", self.index("*")), None).await;
        }
    }

    /// The settings of somebody's way to the cluster.
    pub(super) fn settings(&self, who: Who) -> Vec<(&'static str, &str)> {
        let (user, password) = match who {
            Who::Admin => (self.cluster.user.as_str(), self.cluster.password.as_str()),
            Who::Tried => (self.user.as_str(), PASSWORD),
        };
        vec![
            ("sink.auth", "basic"),
            ("sink.ca_file", &self.cluster.ca),
            ("sink.username", user),
            ("sink.password", password),
            ("sink.index_prefix", &self.prefix),
            ("select.scope", "all"),
        ]
    }

    /// Runs a command, for a while: what is refused may be repeated for ever.
    pub(super) async fn run(
        &self,
        who: Who,
        arguments: &[&str],
        settings: &[(&str, &str)],
    ) -> (Option<i32>, String) {
        self.run_on(who, arguments, settings, PATIENCE_AFTER_REFUSAL).await
    }

    /// Whether a command ends well, says this and is refused nothing; once it is, nobody waits for what it does about
    /// it.
    pub(super) async fn completes(
        &self,
        who: Who,
        arguments: &[&str],
        settings: &[(&str, &str)],
        with: &str,
    ) -> Result<(), String> {
        let (code, text) = self.run_on(who, arguments, settings, Duration::ZERO).await;
        let is_refused = text.lines().any(|line| REFUSED.is_match(line));
        if code == Some(0) && text.contains(with) && !is_refused {
            Ok(())
        } else {
            Err(format!("{code:?}: {text}"))
        }
    }

    /// Runs a command, no longer than this after it was refused something.
    pub(super) async fn run_on(
        &self,
        who: Who,
        arguments: &[&str],
        settings: &[(&str, &str)],
        after_refusal: Duration,
    ) -> (Option<i32>, String) {
        let said = tempfile::NamedTempFile::new().unwrap();
        let append = || File::options().append(true).open(said.path()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
        command
            .args(arguments)
            .env("AWS_ENDPOINT_URL", &self.stack.aws)
            .env("SAGETRAIL__SOURCE__FORCE_PATH_STYLE", "true")
            .env("SAGETRAIL__SINK__URL", &self.stack.opensearch)
            .stdin(Stdio::null())
            .stdout(append())
            .stderr(append());
        for (key, value) in self.settings(who).iter().chain(settings) {
            command.env(format!("SAGETRAIL__{}", key.to_uppercase().replace('.', "__")), value);
        }
        let mut process = command.spawn().expect("the binary runs");
        let text = || String::from_utf8_lossy(&std::fs::read(said.path()).unwrap()).into_owned();
        let began = Instant::now();
        let mut refused_at = None;
        let status = eventually(PATIENCE * 2, async || {
            if let Some(status) = process.try_wait().unwrap() {
                return Ok(Some(status));
            }
            if refused_at.is_none() && text().lines().any(|line| REFUSED.is_match(line)) {
                refused_at = Some(Instant::now());
            }
            // What was refused one thing may do the rest all the same.
            let is_over =
                began.elapsed() >= PATIENCE || refused_at.is_some_and(|at| at.elapsed() >= after_refusal);
            if is_over { Ok(None) } else { Err("the command goes on".to_owned()) }
        })
        .await;
        if status.is_none() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
        (status.and_then(|status| status.code()), text())
    }

    /// The role that is printed for a command.
    pub(super) async fn printed(&self, command: &str) -> Value {
        let buckets = [("source.allowed_buckets", "[\"trail\"]")];
        let (code, printed) = self.run(Who::Admin, &["check", "--permissions"], &buckets).await;
        assert_eq!(code, Some(0), "{printed}");
        let printed: Value = serde_json::from_str(&printed).unwrap();
        printed[command]["opensearch"].clone()
    }
}
