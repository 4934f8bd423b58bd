//! Records that a forger would try first, each as the text in a file.

use serde_json::{Value, json};

/// Each record with what it tries, its text, and whether it is JSON that can be read. Each has another eventID, where
/// it has one, so that none hides another.
#[expect(clippy::too_many_lines, reason = "it is one list")]
pub fn hostile_records(account: &str) -> Vec<(&'static str, String, bool)> {
    let mut all = Vec::new();
    let mut number = 0;
    let mut add = |name: &'static str, is_json: bool, change: &dyn Fn(&mut Value) -> Option<String>| {
        number += 1;
        let mut record = record(account, number);
        let text = change(&mut record).unwrap_or_else(|| record.to_string());
        all.push((name, text, is_json));
    };
    let with = |path: &'static str, value: Value| {
        move |record: &mut Value| {
            *record.pointer_mut(path).expect("the path is in each record") = value.clone();
            None
        }
    };
    let raw = |members: &'static str| {
        move |record: &mut Value| {
            let text = record.to_string();
            Some(format!("{{{members},{}", &text[1..]))
        }
    };
    let parameters = "/requestParameters";

    add(
        "an action line",
        true,
        &with(parameters, json!({"a": "\n{\"delete\":{\"_index\":\"sagetrail-events\",\"_id\":\"1\"}}\n"})),
    );
    add("an action line between the members", true, &|record| {
        Some(record.to_string().replacen(',', ",\n", 1).replacen('{', "{\n", 1))
    });
    add(
        "names of ours",
        true,
        &raw(
            r#""@timestamp":"1999-01-01","event":{"id":"x"},"sagemaker":{"severity":"none"},"_id":"x","_index":"y""#,
        ),
    );
    add(
        "dotted names",
        true,
        &with(
            parameters,
            json!({"a.b": 1, "a": {"b": {"c": 2}}, "a.b.c": 3, ".": 4, "..": 5, "a.": 6, "": 7, "x": {"": 8}}),
        ),
    );
    add("the same parameter twice", true, &|record| {
        Some(record.to_string().replacen(
            r#""endpointName":"#,
            r#""endpointName":"other","endpointName":"#,
            1,
        ))
    });
    add(
        "the same member twice",
        true,
        &raw(r#""eventName":"ListModels","eventID":"x","eventTime":"0000-01-01T00:00:00Z""#),
    );
    add("a lone surrogate", true, &raw(r#""a":"\ud800","\udfff":1"#));
    add("control characters as they are", true, &raw("\"a\":\"x\ty\n\u{0}\""));
    add("a NUL", true, &with(parameters, json!({"a\u{0}": "\u{0}", "b": "x\u{0}y"})));
    add(
        "control characters and directions",
        true,
        &with("/userAgent", json!("a\u{1b}[31m\r\nlevel=ERROR \u{202e}\u{2028}")),
    );
    add("a number beyond all", false, &raw(r#""a":1e400"#));
    add("numbers at the edge", true, &|record| {
        let numbers = r#"{"a":18446744073709551616,"b":-9223372036854775809,"c":1e308,"d":1e-400,"e":-0.0,"f":123456789012345678901234567890}"#;
        record["requestParameters"] = Value::Null;
        Some(record.to_string().replacen(
            r#""requestParameters":null"#,
            &format!(r#""requestParameters":{numbers}"#),
            1,
        ))
    });
    add(
        "a key of 64 KB",
        true,
        &with(parameters, json!({"k".repeat(64 << 10): "v", "v": "v".repeat(64 << 10)})),
    );
    add("a hundred thousand keys", true, &|record| {
        let keys = (0..100_000).map(|number| (format!("k{number}"), json!(number))).collect();
        record["requestParameters"] = Value::Object(keys);
        None
    });
    add("nesting to the limit", true, &|record| {
        record["requestParameters"] = (0..100).fold(json!(1), |inner, _| json!({ "a": inner }));
        None
    });
    add("nesting beyond the limit", false, &|record| {
        let text = record.to_string();
        Some(format!(r#"{{"deep":{}{},{}"#, "[".repeat(1_000), "]".repeat(1_000), &text[1..]))
    });
    add("an eventID of a megabyte", true, &with("/eventID", json!("e".repeat(1 << 20))));
    add("an eventID that is a path", true, &with("/eventID", json!("../../_all/_settings?x#y")));
    add("an eventID that is no text", true, &with("/eventID", json!({"a": [1]})));
    add("times in the year nought", true, &with("/eventTime", json!("0000-01-01T00:00:00Z")));
    add("times in the year 9999", true, &with("/eventTime", json!("9999-12-31T23:59:59Z")));
    add("a malformed time", true, &with("/eventTime", json!("2026-13-41T25:61:61Z")));
    add("members of other types", true, &|record| {
        for name in [
            "userIdentity",
            "awsRegion",
            "sourceIPAddress",
            "userAgent",
            "errorCode",
            "resources",
            "requestID",
        ] {
            record[name] = json!([{"a": [1, "x", null]}]);
        }
        for name in
            ["readOnly", "managementEvent", "responseElements", "eventCategory", "eventVersion", "tlsDetails"]
        {
            record[name] = json!("\u{1F980}".repeat(20_000));
        }
        None
    });
    add("an address that is none", true, &with("/sourceIPAddress", json!("203.0.113.5/../_cluster")));
    all
}

/// An honest record of SageMaker.
pub fn record(account: &str, number: usize) -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole", "principalId": "AROAEXAMPLE:alice", "accountId": account,
            "arn": format!("arn:aws:sts::{account}:assumed-role/DataScience/alice")
        },
        "eventTime": "2026-11-01T12:00:00Z", "eventSource": "sagemaker.amazonaws.com", "eventName": "DescribeEndpoint",
        "awsRegion": "eu-central-1", "sourceIPAddress": "203.0.113.5", "userAgent": "Boto3/1.40.0",
        "requestParameters": {"endpointName": "churn"}, "responseElements": null,
        "requestID": format!("00000000-0000-4000-8000-{number:012}"),
        "eventID": format!("20000000-0000-4000-8000-{number:012}"),
        "readOnly": true, "managementEvent": true, "eventType": "AwsApiCall", "recipientAccountId": account,
        "eventCategory": "Management"
    })
}
