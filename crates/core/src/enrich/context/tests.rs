//! The context of records.

mod members;

use std::sync::LazyLock;

use serde_json::{Value as Json, json};

use super::*;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);

fn context_of(record: &Json) -> Json {
    let raw = record.to_string();
    let record = Record::parse(raw.as_bytes()).unwrap();
    let unpacked = Unpacked::of(&record);
    serde_json::to_value(context(&record, &unpacked, &CATALOGUE)).unwrap()
}

fn call(name: &str, parameters: &Json) -> Json {
    json!({"eventSource": "sagemaker.amazonaws.com", "eventName": name, "requestParameters": parameters})
}

#[test]
fn a_training_job_shows_role_compute_images_data_and_network() {
    let record = json!({
        "eventSource": "sagemaker.amazonaws.com", "eventName": "CreateTrainingJob",
        "requestParameters": {
            "trainingJobName": "t1", "roleArn": "arn:aws:iam::111122223333:role/Exec",
            "algorithmSpecification": {"trainingImage": "444455556666.dkr.ecr.eu-west-1.amazonaws.com/miner:1"},
            "inputDataConfig": [{"dataSource": {"s3DataSource": {"s3Uri": "s3://training/in"}}}],
            "outputDataConfig": {"s3OutputPath": "s3://elsewhere/out", "kmsKeyId": "alias/k"},
            "checkpointConfig": {"s3Uri": "s3://elsewhere/state"},
            "resourceConfig": {"instanceType": "ml.p4d.24xlarge", "instanceCount": 4, "volumeSizeInGB": 50,
                "keepAlivePeriodInSeconds": 3600},
            "vpcConfig": {"subnets": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-1"]},
            "enableNetworkIsolation": false, "enableInterContainerTrafficEncryption": true,
            "stoppingCondition": {"maxRuntimeInSeconds": 86400, "maxWaitTimeInSeconds": null},
            "tags": [{"key": "team", "value": "fraud"}, {"key": "empty"}]
        },
        "responseElements": {"trainingJobArn": "arn:aws:sagemaker:eu-west-1:111122223333:training-job/t1",
            "outputLocation": "s3://answer/x"}
    });
    assert_eq!(
        context_of(&record),
        json!({
            "access_level": "write",
            "resource": {"type": "training-job", "name": "t1",
                "arn": "arn:aws:sagemaker:eu-west-1:111122223333:training-job/t1"},
            "execution_role": {"arn": ["arn:aws:iam::111122223333:role/Exec"], "account_id": ["111122223333"]},
            "instance": {"type": ["ml.p4d.24xlarge"], "count": 4, "total": 4, "accelerated": true, "accelerators": 32,
                "vcpus": 384},
            "volume_gb": 50,
            "image": {"uri": ["444455556666.dkr.ecr.eu-west-1.amazonaws.com/miner:1"],
                "account_id": ["444455556666"], "region": ["eu-west-1"],
                "registry": ["444455556666.dkr.ecr.eu-west-1.amazonaws.com"], "owner": ["444455556666"]},
            "s3": {"inputs": ["s3://training/in"], "outputs": ["s3://elsewhere/out", "s3://elsewhere/state"],
                "input_buckets": ["training"], "output_buckets": ["elsewhere"],
                "buckets": ["training", "elsewhere"]},
            "kms_key": ["alias/k"],
            "network": {"subnets": ["subnet-1", "subnet-2"], "security_groups": ["sg-1"], "isolated": false,
                "encrypted": true},
            "timeouts": {"keep_alive": 3600, "run": 86400},
            "tags": ["team=fraud", "empty="]
        })
    );
}

#[test]
fn a_domain_shows_network_role_and_the_settings_of_its_apps() {
    let role = "arn:aws:iam::111122223333:role/Studio";
    let script = "arn:aws:sagemaker:eu-west-1:111122223333:studio-lifecycle-config/setup";
    let record = call(
        "CreateDomain",
        &json!({
            "domainName": "lab", "vpcId": "vpc-1", "subnetIds": ["subnet-1"], "appNetworkAccessType": "VpcOnly",
            "homeEfsFileSystemKmsKeyId": "alias/home",
            "domainSettings": {"unifiedStudioSettings": {"domainId": "dzd-1"}},
            "defaultUserSettings": {
                "executionRole": role, "securityGroups": ["sg-1"], "canvasAppSettings": {}, "rSessionAppSettings": null,
                "jupyterLabAppSettings": {
                    "lifecycleConfigArns": [script],
                    "codeRepositories": [{"repositoryUrl": "https://git.example.com/x.git"}],
                    "appLifecycleManagement": {"idleSettings": {"idleTimeoutInMinutes": 90}}
                }
            }
        }),
    );
    assert_eq!(
        context_of(&record),
        json!({
            "access_level": "write",
            "resource": {"type": "domain", "name": "lab"},
            "execution_role": {"arn": [role], "account_id": ["111122223333"]},
            "app_type": ["Canvas", "JupyterLab"],
            "kms_key": ["alias/home"],
            "network": {"vpc": "vpc-1", "subnets": ["subnet-1"], "security_groups": ["sg-1"],
                "app_access": "VpcOnly"},
            "lifecycle": {"name": ["setup"], "arn": [script]},
            "code_repository": {"url": ["https://git.example.com/x.git"]},
            "timeouts": {"idle": 5400}
        })
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a list of cases")]
fn a_field_is_what_the_whole_request_says() {
    for (name, parameters, field, expected) in [
        (
            "CreateHyperParameterTuningJob",
            json!({"trainingJobDefinitions": [
                {"enableNetworkIsolation": true, "resourceConfig": {"instanceCount": 2}},
                {"enableNetworkIsolation": false, "resourceConfig": {"instanceCount": null}},
                {"enableNetworkIsolation": null, "resourceConfig": {"instanceCount": 3}}]}),
            "/network/isolated /instance/count",
            json!([false, 5]),
        ),
        (
            "CreateCluster",
            json!({"instanceGroups": [{"instanceType": "ml.p5.48xlarge", "instanceCount": 8, "executionRole":
                "arn:aws:iam::111122223333:role/A"}, {"instanceType": "ml.c5.large", "instanceCount": 1}]}),
            "/instance/count /instance/accelerated /execution_role/arn/0 /instance/accelerators",
            json!([9, true, "arn:aws:iam::111122223333:role/A", 64]),
        ),
        (
            "CreateHyperParameterTuningJob",
            json!({"hyperParameterTuningJobConfig": {"resourceLimits": {"maxParallelTrainingJobs": 10}},
                "trainingJobDefinitions": [
                    {"resourceConfig": {"instanceType": "ml.p4d.24xlarge", "instanceCount": 4}},
                    {"hyperParameterTuningResourceConfig": {"instanceConfigs": [
                        {"instanceType": "ml.g5.xlarge", "instanceCount": 1},
                        {"instanceType": "ml.m5.large", "instanceCount": 2}]}}]}),
            "/instance/count /instance/total /instance/accelerators",
            json!([7, 40, 320]),
        ),
        (
            "CreateEndpointConfig",
            json!({"productionVariants": [
                    {"instanceType": "ml.g5.xlarge", "initialInstanceCount": 1,
                        "managedInstanceScaling": {"minInstanceCount": 1, "maxInstanceCount": 64}}],
                "shadowProductionVariants": [{"instanceType": "ml.g5.12xlarge", "initialInstanceCount": 2}]}),
            "/instance/count /instance/total /instance/accelerators /instance/vcpus",
            json!([3, 66, 72, 352]),
        ),
        (
            "CreatePipeline",
            json!({"pipelineDefinition": json!({"Steps": [{"Arguments": {
                "RoleArn": "arn:aws:iam::111122223333:role/P",
                "AlgorithmSpecification": {"TrainingImage": "ghcr.io/x/y:1"},
                "ResourceConfig": {"InstanceType": "ml.p5.48xlarge", "InstanceCount": 3},
                "OutputDataConfig": {"S3OutputPath": "s3://away/x", "KmsKeyId": "alias/k"},
                "HyperParameters": {"sagemaker_submit_directory": "\"s3://code/s.tar.gz\""}}}]}).to_string()}),
            "/execution_role/arn /image/registry /instance/total /s3/output_buckets /s3/code_buckets /kms_key",
            json!([["arn:aws:iam::111122223333:role/P"], ["ghcr.io"], 3, ["away"], ["code"], ["alias/k"]]),
        ),
        (
            "CreateProcessingJob",
            json!({"processingInputs": [{"datasetDefinition": {
                "redshiftDatasetDefinition": {"clusterRoleArn": "arn:aws:iam::111122223333:role/R", "outputS3Uri": "s3://r/x"},
                "athenaDatasetDefinition": {"outputS3Uri": "s3://a/x"}}}]}),
            "/execution_role/arn /s3/output_buckets",
            json!([["arn:aws:iam::111122223333:role/R"], ["r", "a"]]),
        ),
        (
            "CreateNotebookInstance",
            json!({"rootAccess": "Enabled", "directInternetAccess": "Disabled", "subnetId": "subnet-1",
                "defaultCodeRepository": "known", "additionalCodeRepositories": ["https://git.example.com/y"],
                "instanceMetadataServiceConfiguration": {"minimumInstanceMetadataServiceVersion": "1"}}),
            "/root_access /network/direct_internet /network/subnets/0 /code_repository/url /metadata_service_version",
            json!([true, false, "subnet-1", ["https://git.example.com/y"], "1"]),
        ),
        (
            "CreateEndpointConfig",
            json!({"productionVariants": [{"modelName": "m1"}, {"modelName": "m2"}],
                "dataCaptureConfig": {"destinationS3Uri": "s3://captured/x"}}),
            "/model/name /s3/outputs /s3/inputs",
            json!([["m1", "m2"], ["s3://captured/x"], null]),
        ),
        (
            "CreateModel",
            json!({"containers": [{"image": "ghcr.io/x/y:1",
                "modelDataUrl": "https://models.s3.eu-west-1.amazonaws.com/m.tar.gz"}]}),
            "/image/uri /image/account_id /s3/buckets /s3/outputs /s3/model_buckets /s3/inputs",
            json!([["ghcr.io/x/y:1"], null, ["models"], null, ["models"], null]),
        ),
        (
            "CreateModelBiasJobDefinition",
            json!({"modelBiasJobInput": {"batchTransformInput": {"dataCapturedDestinationS3Uri": "s3://captured/x"}}}),
            "/s3/inputs /s3/outputs",
            json!([["s3://captured/x"], null]),
        ),
        (
            "UpdateModelPackage",
            json!({"modelApprovalStatus": "Approved"}),
            "/approval_status",
            json!(["Approved"]),
        ),
        (
            "CreatePresignedDomainUrl",
            json!({"domainId": "d-1", "userProfileName": "ann", "spaceName": "lab", "expiresInSeconds": 5,
                "sessionExpirationDurationInSeconds": 43200}),
            "/domain/id /user_profile /space /timeouts/url /timeouts/session",
            json!(["d-1", "ann", "lab", 5, 43200]),
        ),
        (
            "AddTags",
            json!({"resourceArn": "arn:aws:sagemaker:eu-west-1:111122223333:user-profile/d-1/ann"}),
            "/domain/id /user_profile",
            json!(["d-1", "ann"]),
        ),
        ("TagResource", json!({"tags": {"team": "fraud"}}), "/tags", json!([["team=fraud"]])),
        (
            "CreatePipeline",
            json!({"pipelineDefinitionS3Location": {"bucket": "defs", "objectKey": "p.json"}}),
            "/s3/buckets /s3/code_buckets",
            json!([["defs"], ["defs"]]),
        ),
    ] {
        let context = context_of(&call(name, &parameters));
        let found: Vec<Json> =
            field.split(' ').map(|path| context.pointer(path).cloned().unwrap_or_default()).collect();
        assert_eq!(json!(found), expected, "{name}: {context}");
    }
}

#[test]
fn a_record_without_end_or_of_odd_types_gives_a_context_with_an_end() {
    let many = |value: fn(usize) -> Json| (0..5_000).map(value).collect::<Vec<Json>>();
    let record = call(
        "CreateDomain",
        &json!({
            "subnetIds": many(|number| json!(format!("subnet-{number}"))),
            "tags": many(|number| json!({"key": number.to_string(), "value": "v"})),
            "containers": many(|number| json!({"image": format!("i{number}"), "modelDataUrl": format!("s3://b{number}/k")})),
            "apps": many(|number| json!({"appType": format!("A{number}")})),
            "instanceCount": u64::MAX, "x": {"instanceCount": u64::MAX}, "vpcId": ["", {"a": 1}],
            "idleTimeoutInMinutes": u64::MAX, "enableNetworkIsolation": "yes", "rootAccess": true
        }),
    );
    let context = context_of(&record);
    for pointer in ["/network/subnets", "/tags", "/image/uri", "/s3/models", "/s3/buckets", "/app_type"] {
        // All of them, because no order may hide one.
        assert_eq!(context.pointer(pointer).unwrap().as_array().unwrap().len(), 5_000, "{pointer}");
    }
    assert_eq!(context.pointer("/instance/count"), Some(&json!(i64::MAX)));
    assert_eq!(context.pointer("/timeouts/idle"), Some(&json!(i64::MAX)));
    assert_eq!(context.pointer("/network/vpc"), None);
    assert_eq!(context.pointer("/network/isolated"), None);
    assert_eq!(context.pointer("/root_access"), None);
}

#[test]
fn settings_that_the_record_leaves_out_are_not_told() {
    let hidden = json!("HIDDEN_DUE_TO_SECURITY_REASONS");
    for (parameters, omitted) in [
        (
            json!({"omitted": true, "reason": "requestParameters too large", "originalSize": 131_072}),
            json!(["requestParameters"]),
        ),
        (hidden.clone(), json!(["requestParameters"])),
        (
            json!({"rootAccess": hidden, "directInternetAccess": {"omitted": true}}),
            json!(["requestParameters.directInternetAccess", "requestParameters.rootAccess"]),
        ),
    ] {
        let context = context_of(&call("CreateNotebookInstance", &parameters));
        assert_eq!(context["omitted"], omitted);
        for pointer in ["/root_access", "/network", "/metadata_service_version", "/kms_key"] {
            assert_eq!(context.pointer(pointer), None, "{pointer} {parameters}");
        }
    }
    let told = context_of(&call("CreateNotebookInstance", &json!({"notebookInstanceName": "x"})));
    assert_eq!((&told["root_access"], told.get("omitted")), (&json!(true), None));
}

#[test]
fn a_record_of_another_service_has_related_resources_and_no_settings() {
    let record = json!({"eventSource": "iam.amazonaws.com", "eventName": "CreateRole",
        "requestParameters": {"roleName": "exec", "instanceType": "ml.m5.large"}});
    assert_eq!(context_of(&record), json!({"related_resource": [{"type": "role", "name": "exec"}]}));
}

#[test]
fn what_other_accounts_own_is_told_from_what_the_own_one_does() {
    let role = "arn:aws:iam::444455556666:role/x-111122223333";
    let key = "arn:aws:kms:eu-west-1:444455556666:key/1";
    let package = "arn:aws:sagemaker:eu-west-1:777788889999:model-package/p/1";
    let mut record = call(
        "CreateModel",
        &json!({"executionRoleArn": role, "x": {"kmsKeyId": key}, "modelPackageName": package,
            "outputDataConfig": {"s3OutputPath": "s3://sagemaker-eu-west-1-444455556666/x"},
            "checkpointConfig": {"s3Uri": "s3://sagemaker-eu-west-1-111122223333/x"},
            "vpcConfig": {"s3Uri": "s3://data-1234567890123"}, "hubs": [{"s3Uri": "s3://777788889999-data"}],
            "own": "arn:aws:sagemaker:eu-west-1:111122223333:hub/h", "aws": "arn:aws:sagemaker:eu-west-1:aws:hub/h",
            "bucket": "arn:aws:s3:::b"}),
    );
    assert_eq!(context_of(&record).get("foreign"), None, "without the own account nothing is another's");
    record["recipientAccountId"] = json!("111122223333");
    assert_eq!(
        context_of(&record)["foreign"],
        json!({"account_id": ["444455556666", "777788889999"], "arn": [role, key, package], "role": [role], "key": [key],
            "bucket": ["sagemaker-eu-west-1-444455556666", "777788889999-data"],
            "output_bucket": ["sagemaker-eu-west-1-444455556666"]})
    );
}

#[test]
fn what_a_request_leaves_out_has_the_default_of_the_api_and_a_refused_one_says_nothing() {
    let definition = |isolated: Json| json!({"enableNetworkIsolation": isolated, "enableInterContainerTrafficEncryption": true});
    let cases = [
        (
            "CreateNotebookInstance",
            json!({"notebookInstanceName": "n"}),
            json!([true, true, null, null, null]),
        ),
        (
            "CreateNotebookInstance",
            json!({"rootAccess": "Disabled", "directInternetAccess": null}),
            json!([false, true, null, null, null]),
        ),
        ("CreateNotebookInstance", Json::Null, json!([null, null, null, null, null])),
        ("CreateNotebookInstance", json!({}), json!([null, null, null, null, null])),
        (
            "UpdateNotebookInstance",
            json!({"notebookInstanceName": "n"}),
            json!([null, null, null, null, null]),
        ),
        ("CreateDomain", json!({"domainName": "d"}), json!([null, null, null, null, "PublicInternetOnly"])),
        ("CreateModel", json!({"modelName": "m"}), json!([null, null, false, null, null])),
        (
            "CreateTrainingJob",
            json!({"trainingJobName": "t", "enableNetworkIsolation": true}),
            json!([null, null, true, false, null]),
        ),
        (
            "CreateHyperParameterTuningJob",
            json!({"trainingJobDefinitions": [definition(json!(true)), definition(Json::Null)]}),
            json!([null, null, false, true, null]),
        ),
        (
            "CreateHyperParameterTuningJob",
            json!({"trainingJobDefinition": definition(json!(true))}),
            json!([null, null, true, true, null]),
        ),
    ];
    for (name, parameters, expected) in cases {
        let context = context_of(&call(name, &parameters));
        let network = &context["network"];
        let found = json!([
            context["root_access"],
            network["direct_internet"],
            network["isolated"],
            network["encrypted"],
            network["app_access"]
        ]);
        assert_eq!(found, expected, "{name} {parameters}");
    }
}
