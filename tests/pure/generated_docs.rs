//! The tables in `docs/` that the program can say itself: commands, exit codes, permissions and metrics.
//!
//! Each stands between two markers. `UPDATE_GOLDEN=1` renews them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use regex::Regex;
use serde_json::Value;

const EXAMPLE: &str = "[source]\nqueue_url = 'https://sqs.eu-central-1.amazonaws.com/111122223333/sagetrail'\n\
                       allowed_buckets = ['my-trail']\n";
const SIGNED: &str = "[sink]\nurl = 'https://search.example.com'\nauth = 'sigv4'\n";

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// Holds the part of a page between the markers of `name` against what it should be.
fn holds(file: &str, name: &str, fresh: &str) {
    let page = read(file);
    let (begin, end) = (format!("<!-- begin {name}: "), format!("<!-- end {name} -->"));
    let opening = page.find(&begin).unwrap_or_else(|| panic!("{file} has no part {name}"));
    let start = opening + page[opening..].find("-->\n").unwrap() + "-->\n".len();
    let stop = page.find(&end).unwrap_or_else(|| panic!("{file}: {name} does not end"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let renewed = format!("{}{fresh}{}", &page[..start], &page[stop..]);
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(file), renewed).unwrap();
        return;
    }
    assert!(page[start..stop] == *fresh, "{file}: {name} is stale, and should be:\n{fresh}");
}

fn sagetrail(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    command.args(arguments).env_remove("SAGETRAIL_CONFIG").env_remove("COLUMNS").stdin(Stdio::null());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// One line of a list in `--help`: an option or a command, and what is said of it.
#[derive(Clone, PartialEq)]
struct Entry {
    name: String,
    text: String,
}

impl Entry {
    /// A row of a table. A pipe would end the cell.
    fn row(&self) -> String {
        let text = self
            .text
            .replace('|', "\\|")
            .replace("[env: SAGETRAIL_CONFIG=]", "[variable: `SAGETRAIL_CONFIG`]");
        format!("| `{}` | {} |\n", self.name.replace('|', "\\|"), text)
    }
}

/// The entries of a section of `--help`, whether their texts stand beside them or below.
fn entries(help: &str, section: &str) -> Vec<Entry> {
    let lines = help.lines().skip_while(|line| *line != format!("{section}:")).skip(1);
    let mut entries: Vec<Entry> = Vec::new();
    for line in lines.take_while(|line| line.is_empty() || line.starts_with(' ')) {
        let text = line.trim();
        if !text.is_empty() && line.len() - line.trim_start().len() <= 6 {
            let (name, beside) = text.split_once("  ").unwrap_or((text, ""));
            entries.push(Entry { name: name.to_owned(), text: beside.trim().to_owned() });
        } else if let (Some(entry), false) = (entries.last_mut(), text.is_empty()) {
            // The values that an option takes are a list of their own.
            let joint = if text.starts_with("- ") && !entry.text.ends_with(':') { "; " } else { " " };
            write!(entry.text, "{joint}{}", text.trim_start_matches("- ")).unwrap();
        }
    }
    for entry in &mut entries {
        entry.text = entry.text.split_whitespace().collect::<Vec<_>>().join(" ");
        entry.text = entry.text.replace(" Possible values:", ". Possible values:");
    }
    entries
        .retain(|entry| entry.name != "-h, --help" && entry.name != "-V, --version" && entry.name != "help");
    entries
}

/// What `--help` says of a command before its usage, one paragraph a line.
fn about(help: &str) -> String {
    let before = help.split("\nUsage:").next().unwrap().trim();
    let paragraphs = before.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
    paragraphs.map(|it| if it.ends_with('.') { it } else { it + "." }).collect::<Vec<_>>().join("\n\n")
}

fn usage(help: &str) -> &str {
    let usage = help.split("\nUsage: ").nth(1).unwrap();
    usage.split("\n\n").next().unwrap().trim()
}

#[test]
fn the_page_of_commands_says_what_their_help_says_and_has_every_exit_code() {
    let commands = entries(&sagetrail(&["--help"]), "Commands");
    let helps: Vec<String> = commands.iter().map(|command| sagetrail(&[&command.name, "--help"])).collect();
    let options: Vec<Vec<Entry>> = helps.iter().map(|help| entries(help, "Options")).collect();
    // What most commands take is said once.
    let common = |entry: &Entry| options.iter().filter(|of| of.contains(entry)).count() > 2;
    let mut page = String::from("\n| command | does |\n|---|---|\n");
    page.extend(
        commands
            .iter()
            .map(|command| format!("| [`{0}`](#sagetrail-{0}) | {1} |\n", command.name, command.text)),
    );
    page += "\nMost commands take:\n\n| option | meaning |\n|---|---|\n";
    let mut said: Vec<&Entry> = Vec::new();
    for entry in options.iter().flatten().filter(|entry| common(entry)) {
        if !said.contains(&entry) {
            said.push(entry);
            page += &entry.row();
        }
    }
    for ((command, help), options) in commands.iter().zip(&helps).zip(&options) {
        let name = &command.name;
        write!(page, "\n## sagetrail {name}\n\n{}\n\n```\n{}\n```\n", about(help), usage(help)).unwrap();
        let own = options.iter().filter(|entry| !common(entry)).cloned();
        let rows: String =
            entries(help, "Arguments").into_iter().chain(own).map(|entry| entry.row()).collect();
        if !rows.is_empty() {
            write!(page, "\n| argument or option | meaning |\n|---|---|\n{rows}").unwrap();
        }
    }
    holds("docs/commands.md", "commands", &(page + "\n"));
    let mut table = String::from("\n| exit code | meaning |\n|---|---|\n");
    let codes = entries(&sagetrail(&["--help"]), "Exit codes");
    table.extend(codes.iter().map(|entry| format!("| {} | {} |\n", entry.name, entry.text)));
    holds("docs/commands.md", "exit codes", &(table + "\n"));
}

fn permissions(config: &str) -> Value {
    let file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    std::fs::write(file.path(), config).unwrap();
    let path = file.path().to_str().unwrap();
    serde_json::from_str(&sagetrail(&["check", "--permissions", "--config", path])).unwrap()
}

/// A list of names as code, each once.
fn names<'v>(values: impl Iterator<Item = &'v Value>) -> String {
    let mut names: Vec<String> = Vec::new();
    for value in values.flat_map(|value| value.as_array().unwrap()) {
        let name = format!("`{}`", value.as_str().unwrap());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

#[test]
fn the_page_about_installing_grants_each_command_what_is_printed_for_it() {
    let run = &permissions(EXAMPLE)["run"];
    for (name, granted) in [("policy of run", &run["iam"]), ("role of run", &run["opensearch"])] {
        holds("docs/install.md", name, &format!("\n```json\n{granted:#}\n```\n\n"));
    }
    let mut table = String::from("\n| command | in AWS | in OpenSearch |\n|---|---|---|\n");
    for (command, needed) in permissions(&format!("{EXAMPLE}{SIGNED}")).as_object().unwrap() {
        let actions = names(needed["iam"]["Statement"].as_array().unwrap().iter().map(|it| &it["Action"]));
        let role = &needed["opensearch"];
        let mut parts = vec![names(std::iter::once(&role["cluster_permissions"]))];
        parts.extend(role["index_permissions"].as_array().unwrap().iter().map(|index| {
            let patterns = names(std::iter::once(&index["index_patterns"]));
            format!("on {patterns}: {}", names(std::iter::once(&index["allowed_actions"])))
        }));
        parts.retain(|part| !part.is_empty());
        writeln!(table, "| `{command}` | {actions} | {} |", parts.join("; ")).unwrap();
    }
    holds("docs/install.md", "permissions", &(table + "\n"));
}

#[test]
fn the_page_of_metrics_has_each_series_with_its_labels_and_the_alerts_that_ask_for_it() {
    let exposition = read("tests/golden/metrics.txt");
    let alerts = read("deploy/prometheus/alerts.yml");
    let alert = Regex::new(r"- alert: (\w+)\n +expr: (.*)").unwrap();
    let label = Regex::new(r#"(\w+)="([^"]*)""#).unwrap();
    let mut table = String::from("\n| metric | type | meaning | alerts |\n|---|---|---|---|\n");
    for part in exposition.split("# HELP ").skip(1) {
        let (name, rest) = part.split_once(' ').unwrap();
        let (help, rest) = rest.split_once('\n').unwrap();
        let kind = rest.lines().next().unwrap().rsplit(' ').next().unwrap();
        let mut labels: Vec<(&str, Vec<&str>)> = Vec::new();
        for (_, [key, value]) in label.captures_iter(rest).map(|found| found.extract()) {
            match labels.iter_mut().find(|(known, _)| *known == key) {
                Some((_, values)) if !values.contains(&value) => values.push(value),
                Some(_) => {}
                None => labels.push((key, vec![value])),
            }
        }
        labels.retain(|(key, _)| *key != "le" && *key != "version");
        let values = labels.iter().map(|(key, values)| format!(" `{key}`: {}.", values.join(", ")));
        let whole = Regex::new(&format!(r"\b{name}(_bucket|_sum|_count)?\b")).unwrap();
        let asking = alert.captures_iter(&alerts).filter(|found| whole.is_match(&found[2]));
        let asking: Vec<String> = asking
            .map(|found| format!("[{}](operations.md#{})", &found[1], found[1].to_lowercase()))
            .collect();
        let values: String = values.collect();
        writeln!(table, "| `{name}` | {kind} | {help}{values} | {} |", asking.join(", ")).unwrap();
    }
    holds("docs/metrics.md", "metrics", &(table + "\n"));
}
