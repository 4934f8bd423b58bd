//! Knows what the system runs by itself once a script has put it there.

use super::machine::Machine;
use super::value::Value;

impl Machine {
    /// A table of `cron`: what stands behind the times is run.
    pub fn schedule(&mut self, table: &Value) {
        let mut scripts = Vec::new();
        for line in table.text.lines().map(str::trim) {
            let skipped = if line.starts_with('@') { 1 } else { 5 };
            let mut rest = line;
            for _ in 0..skipped {
                rest = rest.trim_start().split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
            }
            let rest = rest.trim_start();
            scripts.push(rest.strip_prefix("root ").unwrap_or(rest).to_owned());
        }
        for script in scripts {
            self.once(&script, &Value::default());
        }
        if table.origin.is_decoded || table.origin.is_socket || !table.origin.sources.is_empty() {
            self.is_run(&table.origin.clone());
        }
    }

    /// What is written to a file that the system runs by itself.
    pub fn started(&mut self, path: &str, content: &Value) {
        let is_of_packages =
            ["pip.conf", ".npmrc", ".condarc", ".yarnrc", "uv.toml"].iter().any(|end| path.ends_with(end))
                || path.contains("/sources.list")
                || path.contains("/yum.repos.d/");
        if is_of_packages {
            let addresses =
                content.text.split([' ', '=', '\n', '"', '\'', ',']).filter(|word| word.contains("://"));
            addresses.for_each(|address| self.facts.take_package_source(address));
        } else if path.contains("/cron") {
            self.schedule(content);
        } else if [".service", ".timer"].iter().any(|end| path.ends_with(end)) || path.contains(".desktop") {
            let starts = content
                .text
                .lines()
                .filter_map(|line| line.trim().split_once("Exec"))
                .filter_map(|(_, rest)| rest.split_once('='));
            let scripts: Vec<String> =
                starts.map(|(_, script)| script.trim_start_matches(['-', '@', '+']).to_owned()).collect();
            for script in scripts {
                self.once(&script, &Value::default());
            }
        } else if [".bashrc", "profile", ".zshrc", ".bash_login", "rc.local", ".bash_logout"]
            .iter()
            .any(|end| path.ends_with(end))
            || path.contains("/profile.d/")
            || path.contains("/init.d/")
            || path.contains("/kernels/") && path.rsplit('.').next() == Some("sh")
        {
            self.once(&content.text, &Value::default());
        }
    }
}
