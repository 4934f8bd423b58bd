//! Every member of the API that belongs into the context of a record.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{call, context_of};

/// Members of the API by their last name, the value that such a member has, and where it must be found.
const BELONGING: [(&str, &str, &str); 13] = [
    (
        r"(?i)roleArn$|executionRole$|Role$|RoleArns$",
        "arn:aws:iam::111122223333:role/Exec",
        "/execution_role/arn/0",
    ),
    (r"(?i)kmsKey(Id|Arn)?$", "alias/k", "/kms_key/0"),
    (r"(?i)(^|training|evaluator|base)image$|imageUri$", "ghcr.io/x/y:1", "/image/uri/0"),
    (
        r"(?i)s3Uri$|s3Path$|s3ArtifactPath$|SourceUri$|modelDataUrl$|artifactStoreUri$|payloadUrl$",
        "s3://b/k",
        "/s3/buckets/0",
    ),
    (
        r"(?i)s3Output(Path|Location|Uri)$|s3FailurePath$|^destinationS3Uri$|outputS3Uri$",
        "s3://b/k",
        "/s3/outputs/0",
    ),
    (r"(?i)^subnet(s|Ids?)$", "subnet-1", "/network/subnets/0"),
    (r"(?i)^securityGroup(s|Ids)$", "sg-1", "/network/security_groups/0"),
    (r"(?i)^vpcId$", "vpc-1", "/network/vpc"),
    (r"^([a-z]\w*I|i)nstanceType$|^instanceTypes$", "ml.m5.large", "/instance/type/0"),
    (r"(?i)lifecycleConfig(Name|Arns?)$", "setup", "/lifecycle/name/0"),
    (r"(?i)^repositoryUrl$", "https://git.example.com/x", "/code_repository/url/0"),
    (r"(?i)account(Id)?s?$", "444455556666", "/foreign/account_id/0"),
    (r"^appNetworkAccessType$", "VpcOnly", "/network/app_access"),
];

#[derive(Deserialize)]
struct Shape {
    input: Vec<String>,
}

#[test]
fn no_member_of_the_api_that_belongs_into_the_context_is_missed() {
    let shapes: BTreeMap<String, Shape> =
        serde_json::from_str(include_str!("../../../../../../tests/api/sagemaker-shapes.json")).unwrap();
    let mut missed = BTreeSet::new();
    for (pattern, value, pointer) in BELONGING {
        let pattern = regex::Regex::new(pattern).unwrap();
        let mut members = 0;
        for (name, shape) in &shapes {
            for path in &shape.input {
                let last = path.rsplit('.').next().unwrap();
                if !pattern.is_match(last) {
                    continue;
                }
                members += 1;
                let parameters = path.rsplit('.').fold(json!(value), |inner, member| match member {
                    // The keys of a map are the caller's.
                    "*" => json!({ "key": inner }),
                    member => json!({ member: [inner] }),
                });
                let mut record = call(name, &parameters);
                record["recipientAccountId"] = "111122223333".into();
                if context_of(&record).pointer(pointer).is_none() {
                    missed.insert(format!("{name} {path}"));
                }
            }
        }
        assert!(members > 0, "{pattern}");
    }
    assert_eq!(missed, BTreeSet::new());
}

/// Members of the API whose names speak of a role, a location, an image, a key, instances or a script, the value that
/// such a member has, and the facts of which one must show it.
fn speaking() -> Vec<(&'static str, Json, Vec<&'static str>)> {
    vec![
        (r"(?i)role", json!(["arn:aws:iam::111122223333:role/Exec"]), vec!["/execution_role/arn/0"]),
        (r"(?i)s3|bucket|uri$|url$|location$|path$", json!(["s3://b/k", "b"]), vec!["/s3/buckets/0"]),
        (r"(?i)image|(?-i:^ecr|Ecr)", json!(["ghcr.io/x/y:1"]), vec!["/image/uri/0", "/image/name/0"]),
        (r"(?i)kms|encryptionKey", json!(["alias/k"]), vec!["/kms_key/0"]),
        (
            r"(?i)instance",
            json!(["ml.m5.large", 3]),
            vec!["/instance/type/0", "/instance/total", "/lifecycle/name/0"],
        ),
        (
            r"(?i)script$|entryPoint|arguments$|command|lifecycleConfig|(^|[a-z])(content|document|definition)$",
            json!(["bWFpbg==", ["sleep", "1"], "[\"s3://b/k\"]"]),
            vec!["/lifecycle/name/0", "/lifecycle/script/0", "/s3/buckets/0"],
        ),
    ]
}

/// Those of them that no fact shows, by their names, and why.
const WITHOUT_FACT: [(&str, &str); 10] = [
    (r"(?i)kmsKey", "a key that belongs to a location, and is shown as a key"),
    (
        r"(?i)image.*(Digest|ReleaseVersion|VersionNumber|VersionAlias)$",
        "the version of an image that has a name",
    ),
    (
        r"(?i)imageConfig(Name)?$|^appImageConfigName|NameContains$",
        "the resource that the call is about, or a search",
    ),
    (r"^exportSourceImages$|^imageAssets$|^imageMask$", "pictures of the earth"),
    (r"^supported|^hidden", "where a model would also run, or what a portal hides"),
    (
        r"(?i)instance(Group)?(Name|Names|Id|Ids)$|instanceGroup(Name|sToDelete)|^instanceArn$",
        "the name of what is there already",
    ),
    (
        r"PerInstance$|MemoryAllocationPercentage$|ProvisionTimeoutInSeconds$|PerUltraServer$",
        "a limit for each instance",
    ),
    (r"^minInstanceCount$", "the least of a group, of which the most counts"),
    (r"^selectedInstanceCount$", "what SageMaker chose among those that were asked for"),
    (r"^minimumInstanceMetadataServiceVersion$", "a fact of its own"),
];

#[test]
fn each_member_that_speaks_of_what_a_defender_asks_for_is_read_or_has_a_reason() {
    let shapes: BTreeMap<String, Shape> =
        serde_json::from_str(include_str!("../../../../../../tests/api/sagemaker-shapes.json")).unwrap();
    let reasons = WITHOUT_FACT.map(|(pattern, _)| regex::Regex::new(pattern).unwrap());
    let (mut missed, mut used) = (BTreeSet::new(), BTreeSet::new());
    for (pattern, values, pointers) in speaking() {
        let pattern = regex::Regex::new(pattern).unwrap();
        for (name, shape) in &shapes {
            for path in &shape.input {
                let last = path.rsplit('.').next().unwrap();
                if !pattern.is_match(last) {
                    continue;
                }
                let is_read = values.as_array().unwrap().iter().any(|value| {
                    let parameters = path.rsplit('.').fold(value.clone(), |inner, member| {
                        let member = if member == "*" { "key" } else { member };
                        json!({ member: inner })
                    });
                    let context = context_of(&call(name, &parameters));
                    pointers.iter().any(|pointer| context.pointer(pointer).is_some())
                });
                if is_read {
                    continue;
                }
                match reasons.iter().position(|reason| reason.is_match(last)) {
                    Some(reason) => drop(used.insert(reason)),
                    None => drop(missed.insert(format!("{pattern}: {last} ({name} {path})"))),
                }
            }
        }
    }
    assert_eq!(missed, BTreeSet::new());
    let unused: Vec<_> = (0..reasons.len())
        .filter(|reason| !used.contains(reason))
        .map(|reason| WITHOUT_FACT[reason])
        .collect();
    assert_eq!(unused, [], "reasons that no member needs");
}
