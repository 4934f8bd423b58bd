//! What stands beside the records: what memory knows after them, and an incident.

use sagetrail::config::Scope;
use sagetrail::enrich::{Enriched, Enricher, Origin, enrich_knowing};
use sagetrail::memory::{Kind, Known};
use serde_json::{Value, json};
use time::OffsetDateTime;

/// The documents of the resources that memory knows after these records.
pub fn resources(records: &[Value], now: OffsetDateTime) -> Vec<Value> {
    let enricher = Enricher::built_in(Scope::All);
    let origin = Origin { path: "story", written_at: None, now };
    let mut known = Known::whole();
    for record in records {
        let told = enrich_knowing(record.to_string().as_bytes(), origin, &enricher, &known);
        if let Enriched::Selected { facts, .. } = told {
            known.learn(&facts);
        }
    }
    let resources = known.states().filter(|(key, _)| key.kind == Kind::Resources);
    resources.map(|(_, state)| state.document()).collect()
}

/// Calls that the story lacks: they make an endpoint, a domain that is open to the internet, and a notebook whose
/// credentials somebody uses.
pub fn calls_that_make_things(time: &str) -> Vec<Value> {
    let call = |number: usize, name: &str, parameters: Value, response: Value| {
        json!({
            "eventVersion": "1.11", "eventTime": time, "awsRegion": "eu-central-1",
            "eventSource": "sagemaker.amazonaws.com", "eventName": name, "sourceIPAddress": "203.0.113.5",
            "userAgent": "aws-cli/2.31", "recipientAccountId": "111122223333",
            "userIdentity": {"type": "IAMUser", "principalId": "AIDAEXAMPLE", "accountId": "111122223333",
                "arn": "arn:aws:iam::111122223333:user/ann", "userName": "ann"},
            "requestParameters": parameters, "responseElements": response,
            "eventID": format!("20000000-0000-4000-8000-0000000000{number:02}"),
        })
    };
    let arn = |rest: &str| format!("arn:aws:sagemaker:eu-central-1:111122223333:{rest}");
    let role = "arn:aws:iam::111122223333:role/Exec";
    let mut from_notebook = call(4, "ListModels", json!({}), Value::Null);
    from_notebook["userIdentity"] = json!({
        "type": "AssumedRole", "principalId": "AROAEXEC:SageMaker", "accountId": "111122223333", "accessKeyId": "ASIAEXAMPLENOTEBOOK1",
        "arn": "arn:aws:sts::111122223333:assumed-role/Exec/SageMaker",
        "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROAEXEC", "accountId": "111122223333",
            "arn": role, "userName": "Exec"}},
        "inScopeOf": {"credentialsIssuedTo": arn("notebook-instance/open")},
    });
    vec![
        call(
            1,
            "CreateEndpoint",
            json!({"endpointName": "open", "endpointConfigName": "open"}),
            json!({"endpointArn": arn("endpoint/open")}),
        ),
        call(
            2,
            "CreateDomain",
            json!({"domainName": "open", "appNetworkAccessType": "PublicInternetOnly", "subnetIds": ["subnet-0a1b2c3d"],
                "defaultUserSettings": {"executionRole": role}}),
            json!({"domainArn": arn("domain/d-open")}),
        ),
        call(
            3,
            "CreateNotebookInstance",
            json!({"notebookInstanceName": "open", "instanceType": "ml.t3.medium", "roleArn": role,
                "kmsKeyId": "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                "subnetId": "subnet-0a1b2c3d"}),
            json!({"notebookInstanceArn": arn("notebook-instance/open")}),
        ),
        from_notebook,
    ]
}

/// An incident as the correlator writes it.
pub fn incident(state: &str) -> Value {
    json!({
        "@timestamp": "2026-11-20T11:50:00Z", "message": "Critical: mallory exchanged the script of a notebook",
        "event": {"kind": "alert", "start": "2026-11-20T11:10:00Z", "end": "2026-11-20T11:50:00Z",
            "ingested": "2026-11-20T11:51:00Z", "severity": 5},
        "cloud": {"account": {"id": ["111122223333"]}, "region": ["eu-central-1"]},
        "source": {"address": ["198.51.100.9"]},
        "incident": {
            "id": "00112233445566778899aabbccddeeff", "state": state, "severity": "critical", "score": 140,
            "reason": "One critical finding", "opened": "2026-11-20T11:20:00Z", "escalated": "2026-11-20T11:30:00Z",
            "closed": "2026-11-20T12:00:00Z", "origin": "mallory", "origins": ["mallory"], "principals": ["mallory"],
            "resources": ["arn:aws:sagemaker:eu-central-1:111122223333:notebook-instance/n"],
            "ties": ["arn:aws:iam::111122223333:role/Exec"], "finding": ["A reverse shell"],
            "findings": [{"id": "1", "title": "A reverse shell", "level": "critical", "count": 2,
                "first": "2026-11-20T11:10:00Z", "last": "2026-11-20T11:50:00Z"}],
            "signals": 2, "worst": ["Critical: A reverse shell"], "next": ["Stop the notebook n"],
            "timeline": ["2026-11-20T11:10:00Z mallory stopped the notebook n"],
        }
    })
}
