//! The mapping: each alias in it leads to what a record has under that very name, and no field in it stays empty for
//! ever. That documents hold no field that it lacks is shown in `documents.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sagetrail::config::{EnrichConfig, Override, RedactionConfig, RulesConfig, Scope};
use sagetrail::decode::Limits;
use sagetrail::enrich::Enricher;
use sagetrail::enrich::drill;
use sagetrail::enrich::networks::Networks;
use sagetrail::enrich::redact::FingerprintKey;
use sagetrail::enrich::rules::{BrokenRules, RuleSet};
use sagetrail::names::Names;
use sagetrail::networks;
use sagetrail::offline::enrich_files;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::support::examples;

const LIMITS: Limits = Limits { uncompressed_bytes: 64 << 20, record_bytes: 8 << 20 };

/// Written by the daemon alone: it knows when an object was written, and a local file's time says nothing.
const OF_THE_DAEMON: &str = "event.created";
/// What only a document that was enriched anew has.
const OF_A_RETAG: [&str; 2] = ["sagemaker.rules.retagged", "sagemaker.rules.carried"];

/// A record with every member that has an alias, no two of them alike, and with parameters that no other example has.
/// No call takes all of them.
fn whole_record() -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole", "principalId": "AROAEXAMPLE:build", "accountId": "111122223333",
            "arn": "arn:aws:sts::111122223333:assumed-role/Build/build", "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "userName": "build", "invokedBy": "cloudformation.amazonaws.com", "identityProvider": "arn:aws:iam::1:saml-provider/sso",
            "inScopeOf": {
                "sourceArn": "arn:aws:lambda:us-east-1:111122223333:function:f", "sourceAccount": "111122223333",
                "issuerType": "AWS::Lambda::Function", "credentialsIssuedTo": "arn:aws:iam::111122223333:role/r",
            },
            "onBehalfOf": {"userId": "544894e8-80c1-707f-60e3-3ba6510dfac1", "identityStoreArn": "arn:aws:identitystore::111122223333:identitystore/d-1"},
            "sessionContext": {
                "sourceIdentity": "alice",
                "sessionIssuer": {
                    "type": "Role", "principalId": "AROAEXAMPLE", "arn": "arn:aws:iam::444455556666:role/Build",
                    "accountId": "444455556666", "userName": "Build"
                },
                "webIdFederationData": {"federatedProvider": "arn:aws:iam::111122223333:oidc-provider/ci.example.com", "attributes": {}},
                "attributes": {"creationDate": "2026-11-01T09:00:00Z", "mfaAuthenticated": "true"}
            }
        },
        "eventTime": "2026-11-01T12:00:01Z", "eventSource": "sagemaker.amazonaws.com", "eventName": "DescribeEndpoint",
        "awsRegion": "eu-central-1", "sourceIPAddress": "203.0.113.5", "userAgent": "Boto3/1.40.0",
        "errorCode": "AccessDenied", "errorMessage": "User is not authorized", "apiVersion": "2017-07-24",
        "requestParameters": {
            "endpointName": "churn", "idleTimeoutInMinutes": 60,
            "stoppingCondition": {"maxWaitTimeInSeconds": 7_200, "maxPendingTimeInSeconds": 10_800},
            "onCreate": [{"content": BASE64_STANDARD.encode(gzip(&"# a long script\n".repeat(10_000)))}],
            "name": {"omitted": true, "originalSize": 131_072}
        },
        "responseElements": {"endpointStatus": "InService"},
        "additionalEventData": {"MFAUsed": "Yes"}, "serviceEventDetails": {"snapshotId": "s-1"},
        "requestID": "00000000-0000-4000-8000-000000000001", "eventID": "10000000-0000-4000-8000-000000000001",
        "sharedEventID": "20000000-0000-4000-8000-000000000001", "vpcEndpointId": "vpce-1",
        "readOnly": true, "managementEvent": false, "sessionCredentialFromConsole": "true",
        "resources": [
            {"ARN": "arn:aws:sagemaker:eu-central-1:111122223333:endpoint/churn", "accountId": "111122223333", "type": "AWS::SageMaker::Endpoint"},
            {"ARN": "arn:aws:sagemaker:eu-central-1:111122223333:model/churn", "accountId": "111122223333", "type": "AWS::SageMaker::Model"}
        ],
        "eventType": "AwsApiCall", "recipientAccountId": "999900001111", "eventCategory": "Management",
        "tlsDetails": {"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": "api.example.com"},
        "addendum": {
            "reason": "UPDATED_DATA", "updatedFields": "responseElements",
            "originalRequestID": "30000000-0000-4000-8000-000000000001", "originalEventID": "40000000-0000-4000-8000-000000000001"
        }
    })
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn each_alias_leads_to_what_the_record_has_under_that_name() {
    let mapping: Value =
        serde_json::from_str(include_str!("../../mappings/component-events-mappings.json")).unwrap();
    let mut aliases = BTreeMap::new();
    collect_aliases(&mapping["template"]["mappings"]["properties"], "", &mut aliases);

    let mut met = BTreeSet::new();
    let mut problems = Vec::new();
    for document in documents() {
        let source = &document["_source"];
        let original: Value = serde_json::from_str(source["event"]["original"].as_str().unwrap()).unwrap();
        for (alias, field) in &aliases {
            let expected = found(&original, alias);
            if expected.is_empty() {
                continue;
            }
            met.insert(alias);
            let written = match found(source, field) {
                // What is no object is wrapped, so that a flat object takes it.
                wrapped if wrapped == ["value"] => found(source, &format!("{field}.value")),
                written => written,
            };
            if expected != written {
                problems.push(format!("{alias} is {expected:?}, but {field} is {written:?}"));
            }
        }
    }
    assert_eq!(problems, Vec::<String>::new());
    let never: Vec<_> = aliases.keys().filter(|alias| !met.contains(alias)).collect();
    assert!(never.is_empty(), "no record has {never:?}, so nothing was shown of them");
}

#[test]
fn each_field_is_written_for_some_record() {
    let mapping: Value =
        serde_json::from_str(include_str!("../../mappings/component-events-mappings.json")).unwrap();
    let mut fields = BTreeSet::new();
    collect_fields(&mapping["template"]["mappings"]["properties"], "", &mut fields);
    for document in documents().into_iter().chain(tuned_documents()) {
        fields.retain(|field| found(&document["_source"], field).is_empty());
    }
    let of_a_retag = OF_A_RETAG.into_iter().chain([OF_THE_DAEMON]).map(str::to_owned);
    assert_eq!(fields, of_a_retag.collect());
}

fn collect_fields(properties: &Value, path: &str, fields: &mut BTreeSet<String>) {
    for (name, field) in properties.as_object().into_iter().flatten() {
        let path = format!("{path}{name}");
        match field["type"].as_str() {
            Some("alias") => {}
            Some(_) => drop(fields.insert(path)),
            None => collect_fields(&field["properties"], &format!("{path}."), fields),
        }
    }
}

fn collect_aliases(properties: &Value, path: &str, aliases: &mut BTreeMap<String, String>) {
    for (name, field) in properties.as_object().into_iter().flatten() {
        let path = format!("{path}{name}");
        match field["type"].as_str() {
            Some("alias") => drop(aliases.insert(path, field["path"].as_str().unwrap().to_owned())),
            Some(_) => {}
            None => collect_aliases(&field["properties"], &format!("{path}."), aliases),
        }
    }
}

/// What a search would find at a path, as texts: through arrays, and without what counts as absent.
fn found(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Array(elements) => elements.iter().flat_map(|element| found(element, path)).collect(),
        _ if path.is_empty() => term(value).into_iter().collect(),
        _ => {
            let (first, rest) = path.split_once('.').unwrap_or((path, ""));
            value.get(first).map_or_else(Vec::new, |inner| found(inner, rest))
        }
    }
}

/// Truth values and times have several spellings. Of an object, the names of its members stand for the whole.
fn term(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => match OffsetDateTime::parse(text, &Rfc3339) {
            Ok(time) => Some(time.unix_timestamp().to_string()),
            Err(_) => Some(text.clone()),
        },
        Value::Object(members) => Some(members.keys().map(String::as_str).collect::<Vec<_>>().join(" ")),
        other => Some(other.to_string()),
    }
}

/// Of every example, at a site that mutes the matches on some calls and changes the level of each rule.
fn tuned_documents() -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let filter = "title: Deployments\nlogsource:\n  product: aws\nfilter:\n  rules: any\n  calls:\n    \
        eventName|startswith: Create\n  condition: not calls\n";
    std::fs::write(folder.path().join("filter.yml"), filter).unwrap();
    let rules = RuleSet::load(&RulesConfig::default()).unwrap();
    let change = Override {
        level: Some("low".to_owned()),
        reason: Some("for the test".to_owned()),
        until: Some("2030-01-01".to_owned()),
        ..Override::default()
    };
    let overrides = rules.rules().iter().map(|rule| (rule.id.clone(), change.clone())).collect();
    let config = RulesConfig { folder: Some(folder.path().to_owned()), overrides, ..RulesConfig::default() };
    let key = FingerprintKey::load(&RedactionConfig::default()).unwrap();
    let enricher = Enricher::load(&config, BrokenRules::Refuse, Scope::All, key, Names::default()).unwrap();
    documents_with(&enricher)
}

/// With databases that know the addresses of the examples.
fn networks() -> Networks {
    let config = EnrichConfig {
        geoip_city_file: Some("tests/fixtures/geoip/city.mmdb".into()),
        geoip_asn_file: Some("tests/fixtures/geoip/asn.mmdb".into()),
        ..EnrichConfig::default()
    };
    let (networks, problems) = networks::load(&config, &Networks::built_in());
    assert!(problems.is_empty(), "{problems:?}");
    networks
}

/// Of every example, and of the whole record.
fn documents() -> Vec<Value> {
    documents_with(&Enricher { networks: networks(), ..Enricher::built_in(Scope::All) })
}

/// Resources that are made and then changed, so that memory knows what they were.
fn lives() -> Vec<Value> {
    let space = |access: &str| json!({"domainId": "d-0123456789ab", "spaceName": "s", "spaceSettings": {"remoteAccess": access}});
    let domain = |access: &str| json!({"domainId": "d-0123456789ab", "defaultUserSettings": {}, "domainSettings": {"dockerSettings": {"enableDockerAccess": access}}});
    let model = |name: &str, bucket: &str| json!({"modelName": name, "primaryContainer": {"modelDataUrl": format!("s3://{bucket}/m")}});
    let configuration =
        |name: &str| json!({"endpointConfigName": name, "productionVariants": [{"modelName": name}]});
    let endpoint = |name: &str| json!({"endpointName": "moved", "endpointConfigName": name});
    let calls = [
        ("CreateModel", model("one", "ours"), "model/one"),
        ("CreateModel", model("two", "theirs"), "model/two"),
        ("CreateEndpointConfig", configuration("one"), "endpoint-config/one"),
        ("CreateEndpointConfig", configuration("two"), "endpoint-config/two"),
        ("CreateEndpoint", endpoint("one"), "endpoint/moved"),
        ("UpdateEndpoint", endpoint("two"), "endpoint/moved"),
        ("CreateSpace", space("ENABLED"), "space/d-0123456789ab/s"),
        ("UpdateSpace", space("DISABLED"), "space/d-0123456789ab/s"),
        ("CreateDomain", domain("ENABLED"), "domain/d-0123456789ab"),
        ("UpdateDomain", domain("DISABLED"), "domain/d-0123456789ab"),
    ];
    let records = calls.into_iter().enumerate().map(|(number, (name, parameters, resource))| {
        let kind = name.trim_start_matches("Create").trim_start_matches("Update");
        let member = format!("{}{}Arn", kind[..1].to_lowercase(), &kind[1..]);
        let arn = format!("arn:aws:sagemaker:eu-central-1:111122223333:{resource}");
        let mut record = whole_record();
        for member in ["errorCode", "errorMessage", "resources"] {
            record.as_object_mut().unwrap().remove(member);
        }
        record["eventName"] = name.into();
        record["eventTime"] = format!("2026-11-{:02}T12:00:00Z", number + 1).into();
        record["eventID"] = format!("30000000-0000-4000-8000-00000000000{number}").into();
        record["requestParameters"] = parameters;
        record["responseElements"] = json!({ (member): arn });
        record["recipientAccountId"] = "111122223333".into();
        record
    });
    records.collect()
}

fn documents_with(enricher: &Enricher) -> Vec<Value> {
    let mut records: Vec<Value> = examples::all().into_iter().map(|example| example.record).collect();
    records.push(whole_record());
    records.extend(lives());
    let mut drill =
        json!({"eventSource": "sagemaker.amazonaws.com", "eventName": "ListApps", "eventID": "5"});
    drill["userAgent"] = drill::user_agent("20261129-120000-0a1b2c3d", "5", &enricher.fingerprint_key).into();
    records.push(drill);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), json!({ "Records": records }).to_string()).unwrap();
    let mut output = Vec::new();
    let files = [file.path().to_owned()];
    enrich_files(&files, &LIMITS, enricher, &mut output, |error| panic!("{error}")).unwrap();
    String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
