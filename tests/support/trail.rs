//! Synthetic CloudTrail files: records in the service's shapes, different in every one, under real key names.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// The key of a trail's file, as CloudTrail would name it.
pub fn key(account: &str, number: usize) -> String {
    format!(
        "AWSLogs/{account}/CloudTrail/eu-central-1/2026/11/01/{account}_CloudTrail_eu-central-1_20261101T1200Z_{number:016}.json.gz"
    )
}

/// A record of SageMaker or of another service, in turn. The number makes it different from every other.
pub fn record(account: &str, number: usize) -> Value {
    let (source, name, parameters) = match number % 4 {
        0 => (
            "sagemaker.amazonaws.com",
            "CreateTrainingJob",
            json!({
                "trainingJobName": format!("job-{number}"),
                "roleArn": format!("arn:aws:iam::{account}:role/AmazonSageMaker-ExecutionRole"),
                "resourceConfig": {"instanceType": "ml.m5.xlarge", "instanceCount": 1, "volumeSizeInGB": 30},
                "outputDataConfig": {"s3OutputPath": "s3://models/out", "kmsKeyId": ""}
            }),
        ),
        1 => (
            "s3.amazonaws.com",
            "GetObject",
            json!({"bucketName": "sagemaker-data", "key": format!("part-{number}")}),
        ),
        2 => ("sagemaker.amazonaws.com", "DescribeEndpoint", json!({"endpointName": "churn"})),
        _ => ("ec2.amazonaws.com", "DescribeInstances", json!({"instancesSet": {}, "filterSet": {}})),
    };
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole", "principalId": "AROAEXAMPLE:alice", "accountId": account,
            "arn": format!("arn:aws:sts::{account}:assumed-role/DataScience/alice"),
            "sessionContext": {
                "sessionIssuer": {"type": "Role", "userName": "DataScience", "accountId": account},
                "attributes": {"creationDate": "2026-11-01T09:00:00Z", "mfaAuthenticated": "true"}
            }
        },
        "eventTime": format!("2026-11-01T{:02}:{:02}:{:02}Z", number / 3_600 % 24, number / 60 % 60, number % 60),
        "eventSource": source, "eventName": name, "awsRegion": "eu-central-1",
        "sourceIPAddress": "203.0.113.5", "userAgent": "Boto3/1.40.0",
        "requestParameters": parameters, "responseElements": null,
        "requestID": format!("00000000-0000-4000-8000-{number:012}"),
        "eventID": format!("10000000-0000-4000-8000-{number:012}"),
        "readOnly": false, "eventType": "AwsApiCall", "managementEvent": true,
        "recipientAccountId": account, "eventCategory": "Management"
    })
}

/// A file of records, as CloudTrail writes it.
pub fn file(records: &[Value]) -> Vec<u8> {
    gzip(json!({ "Records": records }).to_string().as_bytes())
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}
