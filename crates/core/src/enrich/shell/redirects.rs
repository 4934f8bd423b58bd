//! Applies redirections: what a command reads, and where its output goes.

use std::fmt::Write as _;

use super::facts::Behavior;
use super::machine::{Call, Machine};
use super::value::{Value, render};
use super::words::Redirect;

impl Machine {
    pub(super) fn take_input(&mut self, redirect: &Redirect, call: &mut Call) {
        let target = self.text(&redirect.target);
        let is_socket = self.is_socket(&target.text);
        let is_exec = matches!(call.fields.as_slice(), [field] if field.text == "exec");
        match redirect.operator.as_str() {
            "<<" | "<<<" => call.stdin = target.clone(),
            "<" if !is_socket => {
                call.stdin = self.files.read(&target.text);
                call.stdin.origin.join(&target.origin);
                if is_exec && !redirect.descriptor.is_empty() {
                    self.keep_stream(&format!("/dev/fd/{}", redirect.descriptor), call.stdin.clone());
                }
            }
            "<&" if !is_socket => {
                let content = self.files.read(&format!("/dev/fd/{}", target.text));
                let is_known = !content.origin.sources.is_empty() || content.origin.is_of_shell;
                if is_known || !content.text.is_empty() {
                    call.stdin = content;
                }
            }
            "<" | "<>" | "<&" if is_socket => call.stdin.origin.is_socket = true,
            _ => {}
        }
        if is_socket && !redirect.operator.starts_with("<<") {
            call.has_socket = true;
            if is_exec {
                let named = format!("${}", redirect.descriptor.trim_matches(['{', '}']));
                self.sockets.insert(redirect.descriptor.clone(), target.text.to_string());
                self.sockets.insert(named, target.text.to_string());
            }
        }
    }

    /// What a loop or another group reads by a redirection behind it, when its commands are gone through already.
    pub(super) fn take_input_of_group(&mut self, redirects: &[Redirect]) {
        if !std::mem::take(&mut self.runs_line) {
            return;
        }
        let mut call =
            Call { fields: Vec::new(), stdin: Value::default(), has_socket: false, is_pieced: false };
        for redirect in redirects {
            self.take_input(redirect, &mut call);
        }
        let mut origin = call.stdin.origin;
        origin.is_socket |= call.has_socket;
        self.is_run(&origin);
    }

    /// What is left of an output after its redirections, which fill files.
    pub(super) fn redirected(
        &mut self,
        mut output: Value,
        redirects: &[Redirect],
        line: &mut String,
    ) -> Value {
        for redirect in redirects {
            let target = self.text(&redirect.target);
            let shown = if self.has_run && redirect.operator == "<<" {
                "…".to_owned()
            } else if matches!(redirect.operator.as_str(), "<<" | "<<<") {
                render(&target.text)
            } else {
                target.text.to_string()
            };
            let _ = write!(line, " {}{} {shown}", redirect.descriptor, redirect.operator);
            let address = self.sockets.get(target.text.as_str()).filter(|_| redirect.operator == ">&");
            let address = address.map_or_else(|| target.text.to_string(), Clone::clone);
            let is_output = matches!(redirect.operator.as_str(), ">" | ">>" | "&>" | "&>>")
                || redirect.operator == ">&" && self.is_socket(&target.text);
            if is_output && redirect.descriptor != "2" && target.text != "/dev/null" {
                let content = std::mem::take(&mut output);
                if self.is_socket(&target.text) && content.origin.is_of_shell {
                    self.facts.behaviors.insert(Behavior::RemoteShell);
                }
                if self.is_socket(&target.text) && (content.origin.is_local || content.origin.is_secret) {
                    let address = address.trim_start_matches("/dev/").replacen('/', "://", 1);
                    self.facts.take_upload(&address);
                }
                self.work(content.text.len());
                self.write(&target.text, content, redirect.operator.contains(">>"));
            } else if is_output && redirect.descriptor != "2" {
                output = Value::default();
            }
        }
        output
    }
}
