//! The scene of one test: a cluster with nothing of sagetrail in it, and the command that is run against it.

use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::setup::fake::Cluster;
use crate::setup::saved_objects::Dashboards;
use crate::support::cleared::Cleared;
use crate::support::search::Search;

/// Two channels, so that secrets of both kinds are at hand.
pub(crate) const CHANNELS: &str = "[channels]\n\
    soc = { kind = 'slack', url = 'https://hooks.example.com/services/s3cret-url' }\n\
    night = { kind = 'pagerduty', routing_key = 's3cret-key', severities = ['critical'] }\n\
    soar = { kind = 'webhook', url = 'https://soar.example.com/s3cret-url', headers = { Api-Key = 's3cret-header' } }\n";

pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) dashboards: Dashboards,
    /// The real node, without the fake in front of it.
    pub(crate) node: Search,
    /// The cluster as the command sees it.
    pub(crate) search: Search,
    pub(crate) folder: TempDir,
    _turn: Cleared,
}

/// What a run of the command said.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) said: String,
}

impl Run {
    /// The lines about objects of a kind, such as `monitor`.
    pub(crate) fn lines(&self, kind: &str) -> Vec<&str> {
        self.said.lines().filter(|line| line.starts_with(&format!("{kind} "))).collect()
    }

    #[track_caller]
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.said);
        self
    }

    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.said.contains(text), "\"{text}\" is not in:\n{}", self.said);
        self
    }
}

impl Scene {
    pub(crate) async fn set() -> Option<Self> {
        let turn = Cleared::running().await?;
        let node = Search::new(&turn.url);
        clear(&node).await;
        let cluster = Cluster::start(&turn.url).await;
        let scene = Self {
            search: Search::new(&cluster.url),
            cluster,
            dashboards: Dashboards::start().await,
            node,
            folder: tempfile::tempdir().unwrap(),
            _turn: turn,
        };
        scene.configure(CHANNELS);
        Some(scene)
    }

    /// Writes a configuration with both addresses.
    pub(crate) fn configure(&self, rest: &str) {
        self.configure_with(&format!("[dashboards]\nurl = \"{}\"\n{rest}", self.dashboards.url));
    }

    pub(crate) fn configure_with(&self, rest: &str) {
        let text = format!("[sink]\nurl = \"{}\"\n{rest}", self.cluster.url);
        std::fs::write(self.folder.path().join("sagetrail.toml"), text).unwrap();
    }

    /// Runs `sagetrail setup` and waits for its end.
    pub(crate) async fn setup(&self, arguments: &[&str]) -> Run {
        self.run("setup", arguments).await
    }

    pub(crate) async fn run(&self, name: &str, arguments: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
        command.arg(name).arg("--config").arg(self.folder.path().join("sagetrail.toml")).args(arguments);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SAGETRAIL__")) {
            command.env_remove(name);
        }
        command.env("RUST_LOG", "warn").stdin(Stdio::null());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let run = Run {
            code: output.status.code().unwrap(),
            said: format!("{}{}", text(&output.stdout), text(&output.stderr)),
        };
        assert!(!run.said.contains("s3cret"), "a secret was printed:\n{}", run.said);
        run
    }

    /// Everything that changed something since this was asked before.
    pub(crate) fn take_writes(&self) -> Vec<String> {
        let mut writes = self.cluster.take_writes();
        writes.extend(self.dashboards.take_writes());
        writes
    }

    /// The id that the plugin gave to one of our monitors, by its name.
    pub(crate) fn monitor(&self, name: &str) -> (String, Value) {
        let plugins = self.cluster.lock();
        let found = plugins.monitors.iter().find(|(_, stored)| stored.body["name"] == *name);
        let (id, stored) = found.unwrap_or_else(|| panic!("there is no monitor \"{name}\""));
        (id.clone(), stored.body.clone())
    }

    /// How many policies, channels, monitors and saved objects there are.
    pub(crate) fn count(&self) -> [usize; 4] {
        let plugins = self.cluster.lock();
        let objects = self.dashboards.lock().objects.len();
        [plugins.policies.len(), plugins.channels.len(), plugins.monitors.len(), objects]
    }

    /// Fails on what the servers would have taken in silence.
    pub(crate) async fn end(self) {
        self.cluster.assert_no_complaint();
        self.dashboards.assert_no_complaint();
        clear(&self.node).await;
    }
}

/// Removes everything of sagetrail, and its data.
async fn clear(node: &Search) {
    for index in [
        "sagetrail-events-*",
        "sagetrail-objects-*",
        "sagetrail-rejected*",
        "sagetrail-resources",
        "sagetrail-identities",
        "sagetrail-sessions-*",
        "sagetrail-verif*",
        "sagetrail-incidents",
        "sagetrail-correlat*",
        "sagetrail-setup",
    ] {
        node.request("DELETE", &format!("{index}?ignore_unavailable=true"), None).await;
    }
    node.request("DELETE", "_scripts/sagetrail-join-1", None).await;
    for template in ["_index_template", "_component_template"] {
        node.request("DELETE", &format!("{template}/sagetrail-*"), None).await;
    }
}
