//! The places: where in a record a caller's text can stand.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// A place by its name, and the record that has the text there.
pub struct Place {
    pub name: &'static str,
    pub record: fn(&str) -> Value,
}

pub const PLACES: [Place; 18] = [
    Place { name: "environment", record: |text| job(&json!({"environment": {"SETTING": text}})) },
    Place { name: "hyperparameter", record: |text| job(&json!({"hyperParameters": {"setting": text}})) },
    Place {
        name: "quoted hyperparameter",
        record: |text| job(&json!({"hyperParameters": {"setting": json!(text).to_string()}})),
    },
    Place {
        name: "hyperparameter of JSON",
        record: |text| job(&json!({"hyperParameters": {"settings": json!({"setting": text}).to_string()}})),
    },
    Place {
        name: "arguments in one",
        record: |text| job(&json!({"algorithmSpecification": {"containerArguments": [text]}})),
    },
    Place {
        name: "shell's argument",
        record: |text| job(&json!({"algorithmSpecification": {"containerEntrypoint": ["sh", "-c", text]}})),
    },
    Place {
        name: "arguments",
        record: |text| {
            job(
                &json!({"algorithmSpecification": {"containerArguments": text.split(' ').collect::<Vec<_>>()}}),
            )
        },
    },
    Place { name: "command", record: |text| job(&json!({"command": text})) },
    Place { name: "script", record: |text| notebook(&STANDARD.encode(script(text))) },
    Place { name: "script in gzip", record: |text| notebook(&STANDARD.encode(gzip(&script(text)))) },
    Place {
        name: "script in a script",
        record: |text| {
            notebook(&STANDARD.encode(format!("echo {} | base64 -d | sh\n", STANDARD.encode(script(text)))))
        },
    },
    Place {
        name: "packed argument",
        record: |text| {
            job(
                &json!({"containerEntrypoint": ["sh", "-c", format!("echo {} | base64 -d | sh", STANDARD.encode(script(text)))]}),
            )
        },
    },
    Place { name: "tag", record: |text| job(&json!({"tags": [{"key": "note", "value": text}]})) },
    Place { name: "description", record: |text| job(&json!({"modelPackageDescription": text})) },
    Place {
        name: "JSON in a text",
        record: |text| job(&json!({"policyText": json!({"note": text}).to_string()})),
    },
    Place { name: "user agent", record: |text| with(&json!({}), "userAgent", &format!("Boto3/1.2 {text}")) },
    Place {
        name: "error",
        record: |text| {
            with(&json!({}), "errorMessage", &format!("Value '{text}' at 'x' failed to satisfy constraint"))
        },
    },
    Place {
        name: "response",
        record: |text| {
            let mut record = job(&json!({}));
            record["responseElements"] = json!({"failureReason": text, "detail": {"message": text}});
            record
        },
    },
];

fn script(text: &str) -> String {
    format!("#!/bin/sh\nset -e\n{text}\nexit 0\n")
}

fn job(parameters: &Value) -> Value {
    let mut record = json!({
        "eventVersion": "1.11", "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateTrainingJob",
        "userIdentity": {"type": "IAMUser", "userName": "alice", "arn": "arn:aws:iam::111122223333:user/alice"},
        "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2", "requestParameters": {"trainingJobName": "t1"},
    });
    for (name, value) in parameters.as_object().unwrap() {
        record["requestParameters"][name] = value.clone();
    }
    record
}

fn notebook(content: &str) -> Value {
    let mut record = job(&json!({"onStart": [{"content": content}]}));
    record["eventName"] = json!("CreateNotebookInstanceLifecycleConfig");
    record
}

fn with(parameters: &Value, member: &str, text: &str) -> Value {
    let mut record = job(parameters);
    record[member] = json!(text);
    record
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
