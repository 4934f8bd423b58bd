//! `sagetrail contain` against moto: after its script all is contained, and after the script that undoes it all is as
//! before.
//!
//! moto knows a part of the calls; what the others are is held against botocore's shapes in a unit test.

mod intruders;

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use intruders::{records, set_up};
use serde_json::{Value, json};

use crate::memory_daemon::install_script;
use crate::support::search::Search;
use crate::support::{Stack, trail};

const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-central-1";

/// moto with the AWS CLI.
struct Cloud {
    url: String,
    cli: PathBuf,
    asking: RefCell<Asking>,
}

/// The AWS CLI in one process for all that the test asks by itself.
struct Asking {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Cloud {
    fn running() -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let cli = variable("SAGETRAIL_TEST_AWS_CLI").map(PathBuf::from);
        let found = variable("SAGETRAIL_TEST_AWS_URL").zip(cli);
        if found.is_none() {
            println!("skipped: no moto and AWS CLI in the environment; run it with `make test`");
        }
        let (url, cli) = found?;
        let mut process = command(&url, &cli, &cli.with_file_name("python3"))
            .args(["-B", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/support/aws.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (questions, answers) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let asking = RefCell::new(Asking { process, questions, answers: BufReader::new(answers) });
        Some(Self { url, cli, asking })
    }

    fn command(&self, program: &Path) -> Command {
        command(&self.url, &self.cli, program)
    }

    fn ask(&self, words: &[&str]) -> Result<Value, String> {
        let mut asking = self.asking.borrow_mut();
        writeln!(asking.questions, "{}", json!(words)).unwrap();
        let mut answer = String::new();
        asking.answers.read_line(&mut answer).unwrap();
        let (code, said, problem): (i32, String, String) = serde_json::from_str(&answer).unwrap();
        if code != 0 {
            return Err(problem.trim().to_owned());
        }
        Ok(serde_json::from_str(&said).unwrap_or(Value::Null))
    }

    fn must(&self, words: &[&str]) -> Value {
        self.ask(words).unwrap_or_else(|problem| panic!("{words:?}: {problem}"))
    }

    /// What can be seen of it all, without the times at which it came about.
    fn state(&self, key: &str) -> Value {
        let questions: &[&[&str]] = &[
            &[
                "sagemaker",
                "describe-notebook-instance",
                "--notebook-instance-name=nb",
                "--query=NotebookInstanceStatus",
            ],
            &["sagemaker", "describe-endpoint", "--endpoint-name=made", "--query=EndpointConfigName"],
            &["sagemaker", "list-models", "--query=Models[].ModelName"],
            &["iam", "list-role-policies", "--role-name=Admin", "--query=PolicyNames"],
            &["iam", "list-role-policies", "--role-name=Exec", "--query=PolicyNames"],
            &["iam", "list-attached-role-policies", "--role-name=Exec", "--query=AttachedPolicies"],
            &["ecr", "get-repository-policy", "--repository-name=images", "--query=policyText"],
            &["cloudtrail", "get-trail-status", "--name=trail", "--query=IsLogging"],
            &["kms", "describe-key", &format!("--key-id={key}"), "--query=KeyMetadata.KeyState"],
            &["s3api", "get-public-access-block", "--bucket=contained"],
            &["iam", "list-user-policies", "--user-name=eve", "--query=PolicyNames"],
            &["iam", "list-access-keys", "--user-name=eve", "--query=AccessKeyMetadata[].Status"],
            &["iam", "get-role", "--role-name=Exec", "--query=Role.AssumeRolePolicyDocument.Statement"],
            &[
                "sagemaker",
                "describe-model-package",
                &format!("--model-package-name={}", of_sagemaker("model-package/group/1")),
                "--query=ModelApprovalStatus",
            ],
            &[
                "sagemaker",
                "describe-notebook-instance-lifecycle-config",
                "--notebook-instance-lifecycle-config-name=script",
                "--query=NotebookInstanceLifecycleConfigName",
            ],
            &[
                "sagemaker",
                "describe-endpoint-config",
                "--endpoint-config-name=made",
                "--query=EndpointConfigName",
            ],
            &["sagemaker", "list-domains", "--query=Domains[].DomainName"],
            &["s3api", "get-bucket-policy", "--bucket=contained", "--query=Policy"],
        ];
        questions
            .iter()
            .map(|words| self.ask(words).unwrap_or_else(|_| json!("not there")))
            .map(trimmed)
            .collect()
    }
}

fn of_sagemaker(resource: &str) -> String {
    format!("arn:aws:sagemaker:{REGION}:{ACCOUNT}:{resource}")
}

/// A program that finds this AWS CLI, and with that this moto.
fn command(url: &str, cli: &Path, program: &Path) -> Command {
    let mut command = Command::new(program);
    let folder = cli.parent().unwrap().display();
    command
        .env("PATH", format!("{folder}:{}", std::env::var("PATH").unwrap()))
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_DEFAULT_OUTPUT", "json")
        .env("AWS_PAGER", "");
    command
}

/// A kept policy ends with a line break, which means nothing in JSON.
fn trimmed(value: Value) -> Value {
    match value {
        Value::String(text) => json!(text.trim_end()),
        other => other,
    }
}

fn contain(file: &Path, principal: &str, more: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sagetrail"))
        .args(["contain", principal, "--since", "2031-12-01", "--from-files"])
        .arg(file)
        .args(more)
        .env("SAGETRAIL__SELECT__SCOPE", "all")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn after_the_script_all_is_contained_and_after_its_undo_all_is_as_before() {
    let Some(cloud) = Cloud::running() else { return };
    let made = set_up(&cloud);
    let key = made.key.clone();
    let mut file = tempfile::Builder::new().suffix(".json.gz").tempfile().unwrap();
    file.write_all(&trail::file(&records(&made))).unwrap();
    let work = tempfile::tempdir().unwrap();
    let before = cloud.state(&key);
    let run = |script: &str, remove: &str| {
        let path = work.path().join("script");
        std::fs::write(&path, script).unwrap();
        let mut command = cloud.command(Path::new("bash"));
        // moto keeps one account, which has no profile.
        let output = command
            .arg(&path)
            .current_dir(work.path())
            .env("EVIDENCE", work.path().join("evidence"))
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("REMOVE", remove)
            // What no record tells, and the responder finds out.
            .envs(script.lines().filter_map(|line| Some((line.split_once("=${TRUST_POLICY")?.0, CLOSED))))
            .envs(
                script
                    .lines()
                    .filter_map(|line| Some((line.split_once("=${APPROVAL_STATUS")?.0, "Approved"))),
            )
            .output()
            .unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{said}\n{script}");
    };
    let principals =
        [format!("arn:aws:iam::{ACCOUNT}:role/Admin"), format!("arn:aws:iam::{ACCOUNT}:user/eve")];
    for principal in &principals {
        let script = contain(file.path(), principal, &[]);
        assert_eq!(script, contain(file.path(), principal, &[]), "the same input is the same script");
        run(&script, "");
    }
    let contained = cloud.state(&key);
    let expected = json!([
        "Stopped", "made", ["made"], ["sagetrail-contain"], [], [], "not there", true, "Enabled",
        {"PublicAccessBlockConfiguration": {"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true}},
        ["sagetrail-contain"], ["Inactive"],
        [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}], "Rejected", "script", "made", ["made"],
        "not there"
    ]);
    assert_eq!(contained, expected, "{before:#}");
    let kept = std::fs::read_dir(work.path().join("evidence")).unwrap().count();
    assert!(kept >= 10, "{kept} files were kept");

    for principal in &principals {
        run(&contain(file.path(), principal, &["--undo"]), "");
    }
    let mut as_before = before;
    // The logging stays on, which the script says.
    as_before[7] = true.into();
    assert_eq!(cloud.state(&key), as_before);

    // What was made for it goes only when somebody says so, and stays gone.
    run(&contain(file.path(), &principals[0], &[]), "yes");
    let removed = cloud.state(&key);
    for (place, expected) in [
        (1, json!("not there")),
        (2, json!([])),
        (14, json!("not there")),
        (15, json!("not there")),
        (16, json!([])),
    ] {
        assert_eq!(removed[place], expected, "{removed:#}");
    }
}

/// A trust policy that lets only SageMaker in.
const CLOSED: &str = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]}"#;

const PREFIX: &str = "contain";
const FILES: [&str; 2] = ["tests/fixtures/quiet-day.json.gz", "tests/fixtures/attack-story.json.gz"];

fn sagetrail(stack: &Stack, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_sagetrail"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("SAGETRAIL__SINK__URL", &stack.opensearch)
        .env("SAGETRAIL__SINK__INDEX_PREFIX", PREFIX)
        // From files everything of somebody is read.
        .env("SAGETRAIL__SELECT__SCOPE", "all")
        .output()
        .unwrap();
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_makes_the_same_script_and_the_same_simulation_as_the_files_that_it_came_from() {
    let Some(stack) = Stack::running() else { return };
    install_script(&stack, PREFIX).await;
    for file in FILES {
        let (code, said) = sagetrail(&stack, &["replay", file]);
        assert_eq!(code, Some(0), "{said}");
    }
    let told: Value =
        serde_json::from_str(&sagetrail(&stack, &[&["backtest", "--json"], &FILES[..]].concat()).1).unwrap();
    let search = Search::new(&stack.opensearch);
    let incident = &told["incidents"][0];
    let id = incident["incident"]["id"].as_str().unwrap();
    let mapping: Value =
        serde_json::from_str(include_str!("../../mappings/template-incidents.json")).unwrap();
    let mapping = json!({"mappings": mapping["template"]["mappings"]});
    search.request("PUT", &format!("{PREFIX}-incidents"), Some(mapping)).await;
    search.request("PUT", &format!("{PREFIX}-incidents/_doc/{id}"), Some(incident.clone())).await;
    search.request("POST", &format!("{PREFIX}-*/_refresh"), None).await;

    let role = "arn:aws:iam::111122223333:role/MLOps-SageMakerAdministrator";
    let since = ["--since", "2026-01-01"];
    for asked in [id, role, "fraud-detection"] {
        let stored = sagetrail(&stack, &[&["contain", asked], &since[..]].concat());
        let files =
            sagetrail(&stack, &[&["contain", asked], &since[..], &["--from-files"], &FILES[..]].concat());
        assert_eq!(stored, files, "{asked}");
        assert_eq!(stored.0, Some(0), "{}", stored.1);
    }
    let (code, said) = sagetrail(&stack, &["contain", "nobody"]);
    assert!(code == Some(1) && said.contains("nothing is known of nobody"), "{said}");

    let simulate = ["guard", "simulate", "--days", "400", "--json"];
    let policies = |said: &str| serde_json::from_str::<Value>(said).unwrap()["policies"].clone();
    let stored = sagetrail(&stack, &simulate);
    let files = sagetrail(&stack, &[&simulate[..], &["--from-files"], &FILES[..]].concat());
    assert_eq!((stored.0, files.0), (Some(3), Some(3)), "{}", stored.1);
    assert_eq!(policies(&stored.1), policies(&files.1));
}
