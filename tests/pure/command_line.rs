//! The command line as a person meets it: exit codes, and what is said about mistakes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Arguments, environment, the exit code and a part of what is said.
type Case<'c> = (&'c [&'c str], &'c [(&'c str, &'c str)], i32, &'c str);

fn sagetrail(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
    command.args(arguments).env_remove("SAGETRAIL_CONFIG").env_remove("RUST_LOG").stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SAGETRAIL__")) {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    command.output().expect("the binary runs")
}

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name).display().to_string()
}

fn write(folder: &tempfile::TempDir, name: &str, text: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn every_mistake_has_its_exit_code_and_a_message_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let misspelt = write(&folder, "misspelt.toml", b"[sink]\nurll = 'http://x'");
    let wrong = write(&folder, "wrong.toml", b"[sink]\nurl = 'ftp://x'");
    let right = write(&folder, "right.toml", b"[sink]\nurl = 'http://x'");
    let (wrong, right) = (wrong.to_str().unwrap(), right.to_str().unwrap());
    let broken_rules = folder.path().join("rules");
    std::fs::create_dir(&broken_rules).unwrap();
    std::fs::write(broken_rules.join("broken.yml"), "title: nothing else").unwrap();
    let damaged = write(&folder, "damaged.json", br#"{"Records":[{"a":1},"#);
    let archive = write(&folder, "a.zip", b"PK\x03\x04\x14\0\0\0");
    let archive = archive.to_str().unwrap();
    let (misspelt, damaged) = (misspelt.to_str().unwrap(), damaged.to_str().unwrap());
    let broken_rules = broken_rules.to_str().unwrap();

    let cases: &[Case<'_>] = &[
        (&["check"], &[], 0, ""),
        (&["check", "--config", misspelt], &[], 78, "sink.urll: there is no such key; did you mean `url`?"),
        (
            &["check", "--config", "/no/such/file"],
            &[],
            78,
            "file /no/such/file: No such file or directory (os error 2)\n",
        ),
        (&["check", "--config", wrong], &[], 78, "wrong.toml: sink.url: must begin with http:// or https://"),
        (
            &["check", "--config", right],
            &[("SAGETRAIL__SINK__URL", "ftp://x")],
            78,
            "sagetrail: environment variables: sink.url: must begin with",
        ),
        (&["check"], &[("SAGETRAIL__SINK__URLL", "http://x")], 78, "urll"),
        (
            &["check"],
            &[("SAGETRAIL_SINK__URL", "http://x")],
            78,
            "SAGETRAIL_SINK__URL: there is no such variable; did you mean `SAGETRAIL__SINK__URL`?",
        ),
        (
            &["run"],
            &[("SAGETRAIL_SINK_URL", "http://x")],
            78,
            "SAGETRAIL_SINK_URL: there is no such variable; did you mean `SAGETRAIL__SINK__URL`?",
        ),
        (&["check"], &[("SAGETRAIL_SERVICE_PORT", "9600")], 0, ""),
        (&["check"], &[("SAGETRAIL__SELECT__SCOPE", "some")], 78, "select.scope"),
        (&["check"], &[("SAGETRAIL__RULES__FOLDER", broken_rules)], 78, "broken.yml"),
        (&["check", "--skip-broken-rules"], &[("SAGETRAIL__RULES__FOLDER", broken_rules)], 0, ""),
        (&["rules"], &[("SAGETRAIL__RULES__FOLDER", broken_rules)], 78, "broken.yml:1: "),
        (
            &["rules", "--skip-broken-rules"],
            &[("SAGETRAIL__RULES__FOLDER", broken_rules)],
            0,
            "sagetrail: skipped ",
        ),
        (&["rules", "--format", "yaml"], &[], 2, "yaml"),
        (&["check"], &[("SAGETRAIL__REDACTION__KEY", "12345678")], 78, "redaction.key: the key has 8 bytes"),
        (&["check"], &[("SAGETRAIL__REDACTION__KEY_FILE", "/no/such/key")], 78, "cannot read /no/such/key"),
        (&["run"], &[], 78, "source.queue_url"),
        (&["run", "--fast"], &[], 2, "--fast"),
        (&[], &[], 2, "Usage"),
        (&["enrich"], &[], 2, "FILES"),
        (&["enrich", "/no/such/file"], &[], 66, "/no/such/file"),
        (&["enrich", damaged], &[], 65, "damaged.json is damaged: malformed JSON at byte 20"),
        (
            &["enrich", archive],
            &[],
            65,
            "a.zip is damaged: it is a zip archive, and not a CloudTrail file: unpack it",
        ),
        (&["enrich", damaged, "/no/such/file"], &[], 66, "/no/such/file"),
        (&["enrich", "/no/such/file", damaged], &[], 65, "/no/such/file"),
        (&["enrich", "/"], &[], 66, "cannot read /"),
        (&["health"], &[("SAGETRAIL__ADMIN__LISTEN", "127.0.0.1:9")], 1, "127.0.0.1:9"),
        (&["check"], &[("SAGETRAIL__SOURCE__ALSO_READ", "[\"/\"]")], 78, "source.also_read"),
        (&["replay", "ftp://x"], &[], 2, "only s3:// is understood"),
        (&["replay", "--checkpoint", "/dev/zero", damaged], &[], 1, "/dev/zero is larger than"),
    ];
    for (arguments, environment, code, message) in cases {
        let output = sagetrail(arguments, environment);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(*code), "{arguments:?} {environment:?}: {said}");
        assert!(said.contains(message), "{arguments:?}: {said}");
    }
}

#[test]
fn a_daemon_without_credentials_or_region_says_so_once_and_what_to_give() {
    let queue = ("SAGETRAIL__SOURCE__QUEUE_URL", "http://127.0.0.1:9/111122223333/trail");
    let listen = ("SAGETRAIL__ADMIN__LISTEN", "127.0.0.1:0");
    let forbidding = forbidding_server();
    let metadata = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", forbidding.as_str());
    let nowhere = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9");
    let key = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    for (environment, cause) in [
        (vec![metadata], "IMDS is disabled"),
        (vec![metadata, ("AWS_REGION", "eu-central-1")], "IMDS is disabled"),
        (vec![nowhere], "could not communicate with IMDS"),
        (vec![("AWS_EC2_METADATA_DISABLED", "true")], "no credentials found"),
        (vec![metadata, key[0], key[1]], "Missing Region"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sagetrail"));
        command.arg("run").env_clear().envs(environment.iter().copied()).envs([queue, listen]);
        let output = command.stdin(Stdio::null()).output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{environment:?}: {said}");
        let trouble: Vec<&str> = said.lines().filter(|line| !line.contains(" INFO ")).collect();
        assert_eq!(trouble.len(), 1, "{environment:?}: {said}");
        for part in
            ["sagetrail: GetQueueAttributes on", "could not be signed", cause, "AWS_PROFILE", "AWS_REGION"]
        {
            assert!(trouble[0].contains(part), "{environment:?}: {part}: {said}");
        }
    }
}

/// The metadata of an instance that does not give them away.
fn forbidding_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let _ = connection.read(&mut [0; 4096]);
            let _ = connection
                .write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    url
}

#[test]
fn check_names_broken_rules_and_what_lets_inactive_ones_match() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "broken.yml", b"title: nothing else");
    let rules = folder.path().to_str().unwrap();
    let output = sagetrail(&["check", "--skip-broken-rules"], &[("SAGETRAIL__RULES__FOLDER", rules)]);
    let said = String::from_utf8_lossy(&output.stdout);
    for line in [
        format!("broken: {rules}/broken.yml:1: "),
        "inactive: \"Notebook Instance Type Not Allowed\" needs notebook_instance_types".to_owned(),
        "placeholders.notebook_instance_types = [\"ml.t3.medium\"] # an instance type of SageMaker"
            .to_owned(),
    ] {
        assert!(said.lines().any(|said| said.starts_with(&line)), "{line}\n{said}");
    }
}

#[test]
fn check_online_finds_what_doctor_finds_and_check_alone_asks_nobody() {
    let nowhere = "http://127.0.0.1:9";
    let environment = [
        ("AWS_ENDPOINT_URL", nowhere),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_MAX_ATTEMPTS", "1"),
        ("SAGETRAIL__SINK__URL", nowhere),
    ];
    let broken = |arguments: &[&str]| {
        let output = sagetrail(arguments, &environment);
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let findings = report["findings"].as_array().into_iter().flatten();
        let broken = findings.filter(|finding| finding["state"] == "broken");
        let subjects: Vec<String> = broken.map(|finding| finding["subject"].to_string()).collect();
        (output.status.code(), subjects)
    };
    let found = broken(&["doctor", "--json"]);
    assert_eq!(found, (Some(1), vec![r#""identity""#.to_owned(), r#""opensearch""#.to_owned()]));
    assert_eq!(broken(&["check", "--online", "--json"]), found);
    assert_eq!(broken(&["check"]), (Some(0), Vec::new()));
}

#[test]
fn rehearse_is_a_former_spelling_of_backtest() {
    let file = fixture("attack-story.json.gz");
    let told = |command: &str| sagetrail(&[command, "--json", &file], &[]);
    let (now, before) = (told("backtest"), told("rehearse"));
    assert_eq!(now.status.code(), Some(0));
    assert_eq!((before.status.code(), before.stdout), (Some(0), now.stdout));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure_and_nothing_is_said_about_it() {
    let folder = tempfile::tempdir().unwrap();
    let export = folder.path().to_str().unwrap();
    let file = fixture("quiet-day.json.gz");
    let trail = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").display().to_string();
    for arguments in [
        &["check"][..],
        &["check", "--permissions"],
        &["rules"],
        &["rules", "--format", "json"],
        &["rules", "--format", "markdown"],
        &["rules", "--format", "navigator"],
        &["completions", "bash"],
        &["setup", "--export", export],
        &["replay", "--dry-run", &trail],
        &["replay", "--dry-run", "--format", "json", &trail],
        &["enrich", &file],
        &["enrich", &file, &file],
        &["--help"],
        &["--version"],
    ] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sagetrail"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(process.stdout.take());
        let output = process.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("pipe"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_command_whose_complaints_nobody_reads_ends_as_it_would_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = write(&folder, "damaged.json", br#"{"Records":[{"a":1},"#);
    let damaged = damaged.to_str().unwrap();
    std::fs::write(folder.path().join("broken.yml"), "title: nothing else").unwrap();
    let rules = [("SAGETRAIL__RULES__FOLDER", folder.path().to_str().unwrap())];
    let unreachable = [("SAGETRAIL__SINK__URL", "http://127.0.0.1:9")];
    for (arguments, environment, code) in [
        (&["enrich", damaged][..], &[][..], 65),
        (&["enrich", "/no/such/file"], &[], 66),
        (&["rules", "--skip-broken-rules"], &rules, 0),
        (&["check", "--config", "/no/such/file"], &[], 78),
        (&["setup"], &unreachable, 1),
        (&["replay", damaged], &unreachable, 1),
    ] {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sagetrail"))
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop((process.stdout.take(), process.stderr.take()));
        assert_eq!(process.wait().unwrap().code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_disk_that_is_full_is_a_failure_at_work() {
    for arguments in [&["enrich", &fixture("quiet-day.json.gz")][..], &["rules"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let process =
            Command::new(env!("CARGO_BIN_EXE_sagetrail")).args(arguments).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&process.stderr);
        assert_eq!(process.status.code(), Some(1), "{arguments:?}: {said}");
        assert!(said.contains("cannot write"), "{arguments:?}: {said}");
    }
}

#[test]
fn the_environment_overrides_the_file_and_a_password_of_digits_stays_text() {
    let folder = tempfile::tempdir().unwrap();
    let config = write(
        &folder,
        "config.toml",
        b"[select]\nscope = 'sagemaker'\n[sink]\nauth = 'basic'\nusername = 'me'",
    );
    let config = config.to_str().unwrap();
    let count = |environment: &[(&str, &str)]| {
        let file = fixture("other-services.json.gz");
        let output = sagetrail(&["enrich", "--config", config, &file], environment);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().count()
    };
    assert_eq!(count(&[("SAGETRAIL__SINK__PASSWORD", "0123")]), 0);
    assert!(count(&[("SAGETRAIL__SINK__PASSWORD", "0123"), ("SAGETRAIL__SELECT__SCOPE", "all")]) > 0);
}

#[test]
fn enrich_reads_standard_input_and_a_damaged_file_does_not_keep_the_next_from_being_read() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_sagetrail"))
        .args(["enrich", "/no/such/file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let record = br#"{"Records":[{"eventSource":"sagemaker.amazonaws.com","eventName":"ListModels"}]}"#;
    process.stdin.take().unwrap().write_all(record).unwrap();
    let output = process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(66));
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["_source"]["event"]["action"], "ListModels");
    assert_eq!(line["_index"], "sagetrail-events-undated");
}
