//! The trail: CloudTrail files in the shapes of a busy organisation, the same ones for the same seed.
//!
//! Identifiers, times and names differ in every record, which is what keeps gzip at about 12 to 1. None of the records
//! of other services is selected, though some name SageMaker in their parameters or make a call that a rule asks for.

use std::io::Write;

use bytes::Bytes;
use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// What a trail is made of.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub files: usize,
    /// Records in each file.
    pub records: usize,
    /// How many of a hundred records are SageMaker's.
    pub share: usize,
}

/// One file as CloudTrail writes it.
#[derive(Debug, Clone)]
pub struct File {
    pub key: String,
    pub gzip: Bytes,
    pub raw_bytes: usize,
}

/// The files of a trail.
#[derive(Debug)]
pub struct Trail {
    pub files: Vec<File>,
    /// Records of SageMaker.
    pub selected: usize,
}

impl Trail {
    pub fn generate(shape: Shape) -> Self {
        Self::generate_round(shape, 0)
    }

    /// The same calls so many times, each time ten minutes later.
    pub fn generate_rounds(shape: Shape, rounds: usize) -> Vec<Self> {
        (0..rounds).map(|round| Self::generate_round(shape, round)).collect()
    }

    fn generate_round(shape: Shape, round: usize) -> Self {
        let mut rng = Rng::with_seed(SEED);
        let mut selected = 0;
        let files = (0..shape.files).map(|number| {
            let account = ACCOUNTS[rng.usize(..ACCOUNTS.len())];
            let records: Vec<Value> = (0..shape.records)
                .map(|record| {
                    // Spread evenly over the file rather than drawn, so that every file has the same share.
                    let is_ours = (record + 1) * shape.share / 100 > record * shape.share / 100;
                    selected += usize::from(is_ours);
                    later(round, record_of(&mut rng, account, is_ours))
                })
                .collect();
            let raw = json!({ "Records": records }).to_string();
            File {
                key: key(account, number + round * shape.files),
                gzip: gzip(raw.as_bytes()),
                raw_bytes: raw.len(),
            }
        });
        let files = files.collect();
        Self { files, selected }
    }

    /// The same files over and over.
    pub fn repeated(&self, times: usize) -> Self {
        let files = (0..times).flat_map(|_| self.files.iter().cloned()).collect();
        Self { files, selected: self.selected * times }
    }

    /// All of them as one.
    pub fn concat(trails: &[Self]) -> Self {
        let files = trails.iter().flat_map(|trail| trail.files.iter().cloned()).collect();
        Self { files, selected: trails.iter().map(|trail| trail.selected).sum() }
    }

    pub fn raw_bytes(&self) -> usize {
        self.files.iter().map(|file| file.raw_bytes).sum()
    }

    pub fn gzip_bytes(&self) -> usize {
        self.files.iter().map(|file| file.gzip.len()).sum()
    }
}

const SEED: u64 = 20_261_101;
const ACCOUNTS: [&str; 4] = ["111122223333", "123456789012", "210987654321", "444455556666"];
const ROLES: [&str; 6] =
    ["DataScience", "PlatformAdmin", "ci-deploy", "batch-runner", "glue-etl", "ReadOnly"];
/// Sessions that a role has within the hour of a trail.
const SESSIONS_OF_ROLE: usize = 400;
const USER_AGENTS: [&str; 5] = [
    "Boto3/1.40.55 md/Botocore#1.40.55 ua/2.1 os/linux#6.1.0 md/arch#x86_64 lang/python#3.12.3 cfg/retry-mode#legacy",
    "aws-sdk-go-v2/1.36.3 os/linux lang/go#1.24.1 md/GOOS#linux md/GOARCH#amd64 api/s3#1.79.0 m/E,g",
    "APN/1.0 HashiCorp/1.0 Terraform/1.9.5 (+https://www.terraform.io) terraform-provider-aws/5.63.0 aws-sdk-go-v2/1.30.4",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
    "aws-cli/2.31.4 md/awscrt#0.27.6 ua/2.1 os/linux#6.8.0 lang/python#3.13.7 md/installer#exe md/prompt#off",
];

fn key(account: &str, number: usize) -> String {
    format!(
        "AWSLogs/{account}/CloudTrail/eu-central-1/2026/11/01/{account}_CloudTrail_eu-central-1_20261101T1200Z_{number:016}.json.gz"
    )
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory can be written");
    Bytes::from(encoder.finish().expect("memory can be written"))
}

fn record_of(rng: &mut Rng, account: &str, is_ours: bool) -> Value {
    let call = if is_ours { sagemaker(rng, account) } else { other(rng, account) };
    let by_service = call.source == "kms.amazonaws.com" && rng.bool();
    let session = Session::draw(rng);
    let mut record = json!({
        "eventVersion": "1.11",
        "userIdentity": if by_service { service_identity() } else { session.identity(account) },
        "eventTime": format!("2026-11-01T{:02}:{:02}:{:02}Z", rng.u8(11..12), rng.u8(..60), rng.u8(..60)),
        "eventSource": call.source,
        "eventName": call.name,
        "awsRegion": "eu-central-1",
        "sourceIPAddress": if by_service {
            "cloudtrail.amazonaws.com".to_owned()
        } else {
            session.address(rng)
        },
        "userAgent": USER_AGENTS[session.number % USER_AGENTS.len()],
        "requestParameters": call.parameters,
        "responseElements": call.response,
        "requestID": uuid(rng),
        "eventID": uuid(rng),
        "readOnly": call.read_only,
        "eventType": "AwsApiCall",
        "managementEvent": !call.is_data,
        "recipientAccountId": account,
        "eventCategory": if call.is_data { "Data" } else { "Management" },
    });
    if !call.resources.is_null() {
        record["resources"] = call.resources;
    }
    if !by_service {
        record["tlsDetails"] = json!({
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": call.source.replace(".amazonaws", ".eu-central-1.amazonaws"),
        });
    }
    record
}

/// The same call in another round, with an id of its own.
fn later(round: usize, mut record: Value) -> Value {
    if round > 0 {
        let text = |member: &str| record[member].as_str().expect("every record has it").to_owned();
        let (time, id) = (text("eventTime"), text("eventID"));
        let (hour, minute) = (12 + round / 6, round % 6);
        // Of an hour's minutes the last digit is left.
        record["eventTime"] =
            format!("2026-11-01T{hour:02}:{minute}{}", &time["2026-11-01T11:0".len()..]).into();
        record["eventID"] = format!("{round:08x}{}", &id["01234567".len()..]).into();
    }
    record
}

/// What one call did.
struct Call {
    source: &'static str,
    name: &'static str,
    read_only: bool,
    is_data: bool,
    parameters: Value,
    response: Value,
    resources: Value,
}

impl Call {
    fn read(source: &'static str, name: &'static str, parameters: Value) -> Self {
        let (response, resources) = (Value::Null, Value::Null);
        Self { source, name, read_only: true, is_data: false, parameters, response, resources }
    }

    fn write(source: &'static str, name: &'static str, parameters: Value, response: Value) -> Self {
        Self { read_only: false, response, ..Self::read(source, name, parameters) }
    }
}

/// What SageMaker's users do all day: mostly looking, some training, a few endpoints.
fn sagemaker(rng: &mut Rng, account: &str) -> Call {
    const SOURCE: &str = "sagemaker.amazonaws.com";
    let number = rng.u32(..100_000);
    let arn = |kind: &str, name: &str| format!("arn:aws:sagemaker:eu-central-1:{account}:{kind}/{name}");
    let role = format!("arn:aws:iam::{account}:role/service-role/AmazonSageMaker-ExecutionRole");
    match rng.u8(..100) {
        0..25 => {
            Call::read(SOURCE, "DescribeTrainingJob", json!({"trainingJobName": format!("churn-{number}")}))
        }
        25..45 => Call::read(SOURCE, "DescribeEndpoint", json!({"endpointName": format!("churn-{number}")})),
        45..60 => Call::read(
            SOURCE,
            "ListTrainingJobs",
            json!({"maxResults": 100, "sortBy": "CreationTime", "sortOrder": "Descending", "statusEquals": "InProgress"}),
        ),
        60..70 => Call::read(
            SOURCE,
            "ListTags",
            json!({"resourceArn": arn("endpoint", &format!("churn-{number}"))}),
        ),
        70..80 => Call::read(
            SOURCE,
            "DescribeUserProfile",
            json!({"domainId": "d-a1b2c3d4e5f6", "userProfileName": format!("analyst-{}", number % 50)}),
        ),
        80..92 => {
            let name = format!("churn-{number}-2026-11-01");
            let response = json!({"trainingJobArn": arn("training-job", &name)});
            Call::write(
                SOURCE,
                "CreateTrainingJob",
                json!({
                    "trainingJobName": name,
                    "hyperParameters": {"epochs": "20", "learning_rate": "0.001", "batch_size": "64"},
                    "algorithmSpecification": {
                        "trainingImage": "763104351884.dkr.ecr.eu-central-1.amazonaws.com/pytorch-training:2.5-gpu-py311",
                        "trainingInputMode": "File", "enableSageMakerMetricsTimeSeries": true
                    },
                    "roleArn": role,
                    "inputDataConfig": [{
                        "channelName": "train",
                        "dataSource": {"s3DataSource": {
                            "s3DataType": "S3Prefix", "s3DataDistributionType": "FullyReplicated",
                            "s3Uri": format!("s3://ml-data-{account}/features/{number}/")
                        }}
                    }],
                    "outputDataConfig": {
                        "s3OutputPath": format!("s3://ml-models-{account}/churn/"),
                        "kmsKeyId": format!("arn:aws:kms:eu-central-1:{account}:key/1234abcd-12ab-34cd-56ef-1234567890ab")
                    },
                    "resourceConfig": {"instanceType": "ml.g5.2xlarge", "instanceCount": 1, "volumeSizeInGB": 100},
                    "vpcConfig": {"securityGroupIds": ["sg-0a1b2c3d4e5f60718"], "subnets": ["subnet-0a1b2c3d4e5f60718"]},
                    "stoppingCondition": {"maxRuntimeInSeconds": 86400},
                    "enableNetworkIsolation": false,
                    "enableInterContainerTrafficEncryption": true
                }),
                response,
            )
        }
        92..96 => {
            let name = format!("churn-{number}");
            let response = json!({"endpointArn": arn("endpoint", &name)});
            let parameters =
                json!({"endpointName": name, "endpointConfigName": format!("churn-config-{number}")});
            Call::write(SOURCE, "CreateEndpoint", parameters, response)
        }
        96..98 => Call::write(
            SOURCE,
            "CreatePresignedDomainUrl",
            json!({"domainId": "d-a1b2c3d4e5f6", "userProfileName": format!("analyst-{}", number % 50), "sessionExpirationDurationInSeconds": 43200}),
            json!({"authorizedUrl": "HIDDEN_DUE_TO_SECURITY_REASONS"}),
        ),
        _ => {
            let parameters = json!({"trainingJobName": format!("churn-{number}")});
            Call::write(SOURCE, "StopTrainingJob", parameters, Value::Null)
        }
    }
}

/// What everybody else does: data events of S3 and keys of KMS above all.
fn other(rng: &mut Rng, account: &str) -> Call {
    let number = rng.u32(..1_000_000);
    match rng.u8(..100) {
        0..38 => {
            let bucket = ["data-lake", "sagemaker-eu-central-1", "web-assets", "backup"][rng.usize(..4)];
            let bucket = format!("{bucket}-{account}");
            let key = format!("events/2026/11/01/part-{number:06}.snappy.parquet");
            let arn = format!("arn:aws:s3:::{bucket}");
            Call {
                is_data: true,
                resources: json!([
                    {"type": "AWS::S3::Object", "ARN": format!("{arn}/{key}")},
                    {"accountId": account, "type": "AWS::S3::Bucket", "ARN": arn}
                ]),
                ..Call::read(
                    "s3.amazonaws.com",
                    if rng.bool() { "GetObject" } else { "HeadObject" },
                    json!({"bucketName": bucket, "Host": format!("{bucket}.s3.eu-central-1.amazonaws.com"), "key": key}),
                )
            }
        }
        38..58 => {
            let arn = format!("arn:aws:kms:eu-central-1:{account}:key/1234abcd-12ab-34cd-56ef-1234567890ab");
            Call {
                resources: json!([{"accountId": account, "type": "AWS::KMS::Key", "ARN": arn}]),
                ..Call::read(
                    "kms.amazonaws.com",
                    "Decrypt",
                    json!({"encryptionAlgorithm": "SYMMETRIC_DEFAULT", "keyId": arn, "encryptionContext": {
                        "aws:s3:arn": format!("arn:aws:s3:::data-lake-{account}/events/part-{number:06}")
                    }}),
                )
            }
        }
        58..66 => Call::write(
            "sts.amazonaws.com",
            "AssumeRole",
            json!({"roleArn": format!("arn:aws:iam::{account}:role/service-{}", number % 40),
                "roleSessionName": format!("session-{number}"), "durationSeconds": 3600}),
            json!({
                "credentials": {"accessKeyId": access_key(rng), "expiration": "Nov 1, 2026, 1:11:26 PM"},
                "assumedRoleUser": {"assumedRoleId": format!("AROAEXAMPLEROLEID:session-{number}"),
                    "arn": format!("arn:aws:sts::{account}:assumed-role/DataScience/session-{number}")}
            }),
        ),
        66..76 => Call::read(
            "ec2.amazonaws.com",
            "DescribeInstances",
            json!({"instancesSet": {"items": [{"instanceId": format!("i-{:017x}", rng.u64(..1 << 60))}]}, "filterSet": {}}),
        ),
        76..82 => Call::read(
            "ssm.amazonaws.com",
            "GetParameter",
            json!({"name": format!("/prod/service-{}/endpoint", number % 80), "withDecryption": true}),
        ),
        82..87 => Call::read(
            "secretsmanager.amazonaws.com",
            "DescribeSecret",
            json!({"secretId": format!("arn:aws:secretsmanager:eu-central-1:{account}:secret:prod/db-{}", number % 30)}),
        ),
        87..92 => Call::write(
            "logs.amazonaws.com",
            "CreateLogStream",
            json!({"logGroupName": "/aws/sagemaker/TrainingJobs", "logStreamName": format!("churn-{number}/algo-1")}),
            Value::Null,
        ),
        92..96 => Call {
            is_data: true,
            ..Call::write(
                "lambda.amazonaws.com",
                "Invoke",
                json!({"functionName": format!("arn:aws:lambda:eu-central-1:{account}:function:enrich"), "invocationType": "Event"}),
                Value::Null,
            )
        },
        96..99 => {
            Call::read("iam.amazonaws.com", "GetRole", json!({"roleName": ROLES[rng.usize(..ROLES.len())]}))
        }
        // A call that rules ask for, on a role that is none of SageMaker's: it has to be parsed to be rejected.
        _ => Call::write(
            "iam.amazonaws.com",
            "CreateRole",
            json!({"roleName": format!("lambda-basic-{number}"), "description": "", "maxSessionDuration": 3600}),
            json!({"role": {"path": "/", "roleName": format!("lambda-basic-{number}"), "roleId": "AROAEXAMPLEROLEID"}}),
        ),
    }
}

/// A session of a role. It has credentials, a client and a beginning of its own, and one or two addresses.
struct Session {
    role: &'static str,
    number: usize,
}

impl Session {
    fn draw(rng: &mut Rng) -> Self {
        Self { role: ROLES[rng.usize(..ROLES.len())], number: rng.usize(..SESSIONS_OF_ROLE) }
    }

    fn identity(&self, account: &str) -> Value {
        let Self { role, number } = self;
        let id = format!("AROA{role:X<17.17}").to_uppercase();
        json!({
            "type": "AssumedRole",
            "principalId": format!("{id}:user-{number}"),
            "arn": format!("arn:aws:sts::{account}:assumed-role/{role}/user-{number}"),
            "accountId": account,
            "accessKeyId": format!("ASIA{role:X<6.6}{}{number:04}", &account[..6]).replace('-', "X").to_uppercase(),
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": id,
                    "arn": format!("arn:aws:iam::{account}:role/{role}"),
                    "accountId": account,
                    "userName": role
                },
                "attributes": {
                    "creationDate": format!("2026-11-01T{:02}:{:02}:00Z", 8 + number % 3, number % 60),
                    "mfaAuthenticated": if number % 2 == 0 { "true" } else { "false" }
                }
            }
        })
    }

    fn address(&self, rng: &mut Rng) -> String {
        format!("10.{}.{}.{}", self.number % 4, self.role.len() % 8 + rng.usize(..2), 1 + self.number % 249)
    }
}

fn service_identity() -> Value {
    json!({"type": "AWSService", "invokedBy": "cloudtrail.amazonaws.com"})
}

fn access_key(rng: &mut Rng) -> String {
    format!("ASIAEXAMPLE{:09}", rng.u32(..1_000_000_000))
}

fn uuid(rng: &mut Rng) -> String {
    let number = rng.u128(..);
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        number >> 96,
        number >> 80 & 0xffff,
        number >> 68 & 0xfff,
        number >> 56 & 0xfff,
        number & 0xffff_ffff_ffff
    )
}
