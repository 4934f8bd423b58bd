//! The inventory that memory keeps, against an emulator of SageMaker's API whose calls are fed to it as records:
//! whatever stands there at the end stands in memory, with its configuration, and nothing else.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;

use fastrand::Rng;
use serde_json::{Map, Value, json};
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::memory_daemon::install_script;
use crate::support::search::Search;
use crate::support::{Stack, trail};

const PREFIX: &str = "inventory";
/// The account that the emulator is of.
const ACCOUNT: &str = "123456789012";
const REGION: &str = "eu-north-1";
const CALLS: usize = 300;
/// Names of each kind, so that things are removed and made again.
const NAMES: usize = 5;
const BEGAN: OffsetDateTime = datetime!(2031-12-05 08:00 UTC);

/// The API, and the records of what was asked of it.
struct Cloud {
    url: String,
    http: reqwest::Client,
    /// What its names begin with, because the emulator outlives a run.
    run: String,
    records: Vec<Value>,
}

impl Cloud {
    async fn ask(&self, name: &str, parameters: &Value) -> (u16, Value) {
        let scope = format!("AKIA/20311205/{REGION}/sagemaker/aws4_request");
        let request = self
            .http
            .post(format!("{}/", self.url.trim_end_matches('/')))
            .header("x-amz-target", format!("SageMaker.{name}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
            )
            .body(parameters.to_string());
        let answer = request.send().await.expect("the emulator answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("the emulator answers whole");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Makes a call, and keeps the record that CloudTrail would write of it.
    async fn call(&mut self, name: &str, parameters: Value) {
        let (status, answer) = self.ask(name, &parameters).await;
        assert!(status < 500, "{name} {parameters}: {status}");
        let number = self.records.len();
        let at = BEGAN + Duration::minutes(i64::try_from(number).unwrap());
        let mut record = json!({
            "eventVersion": "1.11", "eventID": format!("95000000-0000-4000-8000-{number:012}"),
            "eventTime": at.format(&Rfc3339).unwrap(), "eventSource": "sagemaker.amazonaws.com", "eventName": name,
            "awsRegion": REGION, "sourceIPAddress": "203.0.113.5", "recipientAccountId": ACCOUNT,
            "requestParameters": camel(&parameters), "responseElements": camel(&answer),
            "userIdentity": {"type": "IAMUser", "principalId": "AIDA1", "accountId": ACCOUNT, "userName": "ann",
                "arn": format!("arn:aws:iam::{ACCOUNT}:user/ann")}
        });
        if status >= 400 {
            record["errorCode"] = answer["__type"].clone();
            record["responseElements"] = Value::Null;
        }
        self.records.push(record);
    }

    /// What stands there, by ARN, with what memory keeps of its configuration.
    async fn standing(&self) -> BTreeMap<String, BTreeMap<&'static str, String>> {
        let mut standing = BTreeMap::new();
        for Kind { name, list, told } in KINDS {
            let (_, listed) = self.ask(&format!("List{name}s"), &json!({"MaxResults": 100})).await;
            for one in listed[list].as_array().unwrap_or_else(|| panic!("{listed}")) {
                let called = &one[format!("{name}Name")];
                if !called.as_str().unwrap().starts_with(&self.run) {
                    continue;
                }
                let (_, described) =
                    self.ask(&format!("Describe{name}"), &json!({ format!("{name}Name"): called })).await;
                let fields = told.iter().map(|(field, path)| {
                    let value = described.pointer(path).unwrap_or_else(|| panic!("{path} in {described}"));
                    (*field, value.as_str().unwrap().to_owned())
                });
                let arn = one[format!("{name}Arn")].as_str().unwrap().to_lowercase();
                standing.insert(arn, fields.collect());
            }
        }
        standing
    }
}

/// A kind of resource, what a list of it is called, and where a description has what memory keeps.
struct Kind {
    name: &'static str,
    list: &'static str,
    told: &'static [(&'static str, &'static str)],
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "Model",
        list: "Models",
        told: &[
            ("configuration.image", "/PrimaryContainer/Image"),
            ("configuration.role", "/ExecutionRoleArn"),
        ],
    },
    Kind {
        name: "EndpointConfig",
        list: "EndpointConfigs",
        told: &[
            ("configuration.model", "/ProductionVariants/0/ModelName"),
            ("configuration.instance_type", "/ProductionVariants/0/InstanceType"),
        ],
    },
    Kind {
        name: "Endpoint",
        list: "Endpoints",
        told: &[("configuration.endpoint_config", "/EndpointConfigName")],
    },
    Kind {
        name: "NotebookInstance",
        list: "NotebookInstances",
        told: &[("configuration.instance_type", "/InstanceType"), ("configuration.role", "/RoleArn")],
    },
];

/// The parameters as CloudTrail writes them.
fn camel(value: &Value) -> Value {
    match value {
        Value::Object(object) => object
            .iter()
            .map(|(name, value)| (format!("{}{}", name[..1].to_lowercase(), &name[1..]), camel(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(values) => values.iter().map(camel).collect(),
        other => other.clone(),
    }
}

/// A call that makes, removes, starts or stops something of few names.
fn next(random: &mut Rng, run: &str) -> (String, Value) {
    let Kind { name, .. } = &KINDS[random.usize(..KINDS.len())];
    let mut called = || format!("{run}{}", random.usize(..NAMES));
    let (own, other) = (called(), called());
    let mut parameters = json!({ format!("{name}Name"): own });
    let verb = match (random.u8(..10), *name) {
        (0..4, _) => "Delete",
        (4, "NotebookInstance") => "Start",
        (5..7, "NotebookInstance") => "Stop",
        _ => "Create",
    };
    if verb == "Create" {
        let role = format!("arn:aws:iam::{ACCOUNT}:role/exec-{}", random.u8(..3));
        let instance = ["ml.m5.large", "ml.t3.medium", "ml.g5.xlarge"][random.usize(..3)];
        let more = match *name {
            "Model" => json!({"ExecutionRoleArn": role, "PrimaryContainer":
                {"Image": format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/serve:{}", random.u8(..9))}}),
            "EndpointConfig" => json!({"ProductionVariants": [
                {"VariantName": "a", "ModelName": other, "InstanceType": instance, "InitialInstanceCount": 1}]}),
            "Endpoint" => json!({ "EndpointConfigName": other }),
            _ => json!({"InstanceType": instance, "RoleArn": role}),
        };
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    }
    (format!("{verb}{name}"), parameters)
}

/// What stands by memory: made, and not removed since.
fn known(source: &Value) -> Option<(String, BTreeMap<&'static str, String>)> {
    let text = |field: &str| source[field].as_str();
    let (arn, made) = (text("key")?, text("created.at")?);
    if text("gone.at").is_some_and(|gone| gone > made) {
        return None;
    }
    let fields: BTreeMap<_, _> = KINDS
        .iter()
        .filter(|kind| text("created.call").is_some_and(|call| call == format!("Create{}", kind.name)))
        .flat_map(|kind| kind.told)
        .filter_map(|(field, _)| Some((*field, text(field)?.to_owned())))
        .collect();
    Some((arn.to_owned(), fields))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_at_the_end_of_an_emulated_cloud_is_what_memory_says_that_stands() {
    let Some(stack) = Stack::running() else { return };
    install_script(&stack, PREFIX).await;
    let seed = std::env::var("SAGETRAIL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SAGETRAIL_TEST_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let run = format!("r{:08x}-", fastrand::u32(..));
    let mut cloud = Cloud { url: stack.aws.clone(), http: reqwest::Client::new(), run, records: Vec::new() };
    for _ in 0..CALLS {
        let (name, parameters) = next(&mut random, &cloud.run);
        cloud.call(&name, parameters).await;
    }
    let expected = cloud.standing().await;

    // In any order, in several files, of which one comes twice.
    let mut records = cloud.records.clone();
    random.shuffle(&mut records);
    let folder = tempfile::tempdir().unwrap();
    let mut files: Vec<_> = records.chunks(CALLS / 6).map(trail::file).collect();
    files.push(files[0].clone());
    for (number, bytes) in files.iter().enumerate() {
        let path = folder.path().join(format!("{number}.json.gz"));
        std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_sagetrail"))
        .args(["replay", folder.path().to_str().unwrap()])
        .env("SAGETRAIL__SINK__URL", &stack.opensearch)
        .env("SAGETRAIL__SINK__INDEX_PREFIX", PREFIX)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let search = Search::new(&stack.opensearch);
    let found = search
        .find(&format!("{PREFIX}-resources"), json!({"term": {"cloud.account.id": ACCOUNT}}), &["*"])
        .await;
    let standing: BTreeMap<_, _> = found.values().flatten().filter_map(|hit| known(&hit.source)).collect();
    assert!(expected.len() >= 4, "{expected:?}");
    let failed = cloud.records.iter().filter(|record| record["errorCode"].is_string()).count();
    assert!(failed > 10 && failed < CALLS * 3 / 4, "{failed} calls failed");
    assert_eq!(standing, expected);
}
