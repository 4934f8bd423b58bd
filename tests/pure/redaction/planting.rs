//! The planting: one secret, put into a record in one of the ways in which records come to hold secrets.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// A secret that shows by its shape, wherever it stands.
fn shaped() -> impl Strategy<Value = String> {
    prop_oneof![
        "ghp_[A-Za-z0-9]{36}",
        "glpat-[A-Za-z0-9]{20}",
        "xoxb-[0-9]{10}-[A-Za-z0-9]{24}",
        "hf_[A-Za-z0-9]{34}",
        "sk-ant-api03-[A-Za-z0-9]{40}",
        "AIza[A-Za-z0-9]{35}",
        "sk_test_[A-Za-z0-9]{24}",
        "npm_[A-Za-z0-9]{36}",
        "dapi[0-9a-f]{32}",
        "FwoGZXIvYXdz[A-Za-z0-9]{60}",
        "IQoJb3JpZ2lu[A-Za-z0-9]{60}",
        r"eyJ[A-Za-z0-9]{20}\.eyJ[A-Za-z0-9]{30}\.[A-Za-z0-9]{40}",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n([A-Za-z0-9+/]{64}\n){2}-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n[A-Za-z0-9+/]{64}\n=[A-Za-z0-9]{4}\n-----END PGP PRIVATE KEY BLOCK-----",
    ]
}

/// A secret that only its name gives away.
fn nameless() -> impl Strategy<Value = String> {
    "[A-Za-z0-9][A-Za-z0-9!%*+./:@^~_-]{10,30}[A-Za-z0-9]"
}

/// How a secret is planted.
#[derive(Debug, Clone)]
pub enum Planting {
    /// Inside a text that stands in the record, between blanks.
    InText(String),
    /// As the value of a member.
    Member(&'static str, String),
    /// As a variable, in one of the forms in which APIs take them.
    Variable(&'static str, &'static str, String),
    /// In a line of code.
    Code(&'static str, String),
    /// In an error message that quotes the variables that it refuses.
    Refusal(&'static str, String),
}

pub fn planting() -> impl Strategy<Value = Planting> {
    let members = select(vec![
        "sessionToken",
        "secretAccessKey",
        "clientSecret",
        "tokenValue",
        "password",
        "secretString",
        "token",
        "cookie",
    ]);
    let holders = select(vec![
        "environment",
        "hyperParameters",
        "containerEnvironmentVariables",
        "staticHyperParameters",
        "pipelineParameters",
        "headers",
    ]);
    let names = || {
        select(vec![
            "DB_PASSWORD",
            "api_key",
            "HF_TOKEN",
            "aws_secret_access_key",
            "MyCredential",
            "MYSQL_PASS",
            "GITHUB_PAT",
            "SIGNING_KEY",
            "X-Api-Key",
        ])
    };
    let lines = select(vec![
        "export DB_PASSWORD={}\n",
        "run --api-key {} --verbose\n",
        "run --token={}\n",
        "aws_secret_access_key = {}\n",
        "PASSWORD='{}' python x.py\n",
        "curl -H \"X-Auth-Token: {}\" https://api.example/x\n",
        "aws configure set aws_secret_access_key {}\n",
        "data {\"password\": \"{}\"}\n",
        "docker login -u me -p {} registry.example\n",
        "echo {} | docker login --password-stdin registry.example\n",
        "redis-cli -h cache -a {} ping\n",
        "openssl enc -d -aes256 -pass pass:{} -in x\n",
        "machine git.example login me password {}\n",
    ]);
    prop_oneof![
        3 => shaped().prop_map(Planting::InText),
        2 => (members, nameless()).prop_map(|(member, secret)| Planting::Member(member, secret)),
        2 => (holders, names(), nameless()).prop_map(|(holder, name, secret)| Planting::Variable(holder, name, secret)),
        4 => (lines, nameless()).prop_map(|(line, secret)| Planting::Code(line, secret)),
        1 => shaped().prop_map(|secret| Planting::Code("echo {}\n", secret)),
        1 => (names(), nameless()).prop_map(|(name, secret)| Planting::Refusal(name, secret)),
    ]
}

/// What is put around a planted value.
#[derive(Debug, Clone, Copy)]
pub enum Wrapping {
    Plain,
    JsonText,
    JsonTextInJsonText,
}

/// How code stands in a record.
#[derive(Debug, Clone, Copy)]
pub enum CodeForm {
    Base64,
    Gzip,
    Base64InBase64,
    Entrypoint,
    Words,
}

pub fn plant(
    record: &mut Value,
    planting: &Planting,
    form: CodeForm,
    wrapping: Wrapping,
    at: Index,
) -> String {
    let secret = match planting {
        Planting::InText(secret) => {
            let mut texts = Vec::new();
            collect_texts(record, &mut texts);
            let text = texts.swap_remove(at.index(texts.len()));
            *text = format!("{text} {secret} end");
            return secret.clone();
        }
        Planting::Refusal(name, secret) => {
            let quoted =
                format!("Value '{{MODE=x, {name}={secret}}}' at 'environment' failed to satisfy constraint");
            record["errorMessage"] = quoted.into();
            return secret.clone();
        }
        Planting::Member(_, secret) | Planting::Variable(_, _, secret) | Planting::Code(_, secret) => secret,
    };
    let planted = match planting {
        Planting::InText(_) | Planting::Refusal(..) => unreachable!("it is planted above"),
        Planting::Member(member, secret) => json!({ *member: secret }),
        Planting::Variable(holder, name, secret) if at.index(3) == 0 => json!({ *holder: { *name: secret } }),
        Planting::Variable("headers", name, secret) if at.index(3) == 1 => {
            json!({ "headers": [format!("{name}: {secret}")] })
        }
        Planting::Variable(holder, name, secret) => json!({ *holder: [{"name": name, "value": secret}] }),
        Planting::Code(line, secret) => {
            code(&format!("#!/bin/sh\n{}exit\n", line.replace("{}", secret)), form)
        }
    };
    let planted = match wrapping {
        Wrapping::Plain => planted,
        Wrapping::JsonText => json!(planted.to_string()),
        Wrapping::JsonTextInJsonText => json!(json!({"inner": planted.to_string()}).to_string()),
    };
    let holder =
        if record["requestParameters"].is_object() { &mut record["requestParameters"] } else { record };
    holder["planted"] = planted;
    secret.clone()
}

fn code(code: &str, form: CodeForm) -> Value {
    match form {
        CodeForm::Base64 => json!({"onStart": [{"content": STANDARD.encode(code)}]}),
        CodeForm::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(code.as_bytes()).unwrap();
            json!({"studioLifecycleConfigContent": STANDARD.encode(encoder.finish().unwrap())})
        }
        CodeForm::Base64InBase64 => {
            let outer = format!("echo {} | base64 -d | sh\n", STANDARD.encode(code));
            json!({"content": STANDARD.encode(outer)})
        }
        CodeForm::Entrypoint => json!({"containerEntrypoint": ["sh", "-c", code]}),
        CodeForm::Words => {
            let words: Vec<&str> = code.lines().flat_map(|line| line.split(' ')).collect();
            json!({ "containerArguments": words })
        }
    }
}

fn collect_texts<'v>(value: &'v mut Value, texts: &mut Vec<&'v mut String>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(elements) => elements.iter_mut().for_each(|element| collect_texts(element, texts)),
        Value::Object(members) => members.values_mut().for_each(|value| collect_texts(value, texts)),
        _ => {}
    }
}
