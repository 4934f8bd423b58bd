//! A server of a test's own, which it may stop, kill and start again, by the scripts of `deploy/local`.

use std::process::Command;

pub struct Server {
    script: &'static str,
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
}

impl Server {
    /// Starts an instance, by its script and a name of the test's own.
    pub fn start(script: &'static str, name: &'static str) -> Self {
        Self::start_with(script, name, &[])
    }

    /// Starts it with variables that the script's head explains.
    pub fn start_with(
        script: &'static str,
        name: &'static str,
        environment: &'static [(&'static str, &'static str)],
    ) -> Self {
        let server = Self { script, name, environment };
        server.run("start");
        server
    }

    pub fn url(&self) -> String {
        self.status("url=")
    }

    pub fn run(&self, command: &str) -> String {
        let folder = std::env::var("SAGETRAIL_TEST_LOCAL").expect("it is set beside the servers");
        let output = Command::new(format!("{folder}/{}", self.script))
            .args([command, "--instance", self.name])
            .envs(self.environment.iter().copied())
            .output()
            .expect("the script runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(super) fn status(&self, name: &str) -> String {
        let status = self.run("status");
        let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("a running server has it");
        value.to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.run("stop");
    }
}
