//! What the intruders found and did: moto has it, and records say so.

use serde_json::{Value, json};

use super::{ACCOUNT, Cloud, REGION, of_sagemaker};

/// What the intruders found: moto makes each thing as the records then say that it was done.
pub fn set_up(cloud: &Cloud) -> Made {
    let trust = json!({"Version": "2012-10-17", "Statement": []}).to_string();
    for role in ["Admin", "Exec"] {
        cloud.must(&[
            "iam",
            "create-role",
            &format!("--role-name={role}"),
            &format!("--assume-role-policy-document={trust}"),
        ]);
    }
    let open =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let document = format!("--policy-document={open}");
    cloud.must(&["iam", "put-role-policy", "--role-name=Exec", "--policy-name=wide open", &document]);
    cloud.must(&["iam", "create-policy", "--policy-name=all", &document]);
    let policy = format!("--policy-arn=arn:aws:iam::{ACCOUNT}:policy/all");
    cloud.must(&["iam", "attach-role-policy", "--role-name=Exec", &policy]);
    let opened = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]});
    let opened = format!("--policy-document={opened}");
    cloud.must(&["iam", "update-assume-role-policy", "--role-name=Exec", &opened]);
    let exec = format!("arn:aws:iam::{ACCOUNT}:role/Exec");
    let role = format!("--role-arn={exec}");
    cloud.must(&[
        "sagemaker",
        "create-notebook-instance",
        "--notebook-instance-name=nb",
        "--instance-type=ml.t3.medium",
        &role,
    ]);
    cloud.must(&[
        "sagemaker",
        "create-model",
        "--model-name=made",
        &format!("--execution-role-arn={exec}"),
        "--primary-container=Image=x",
    ]);
    let variants =
        "--production-variants=VariantName=a,ModelName=made,InitialInstanceCount=1,InstanceType=ml.m5.large";
    cloud.must(&["sagemaker", "create-endpoint-config", "--endpoint-config-name=made", variants]);
    cloud.must(&["sagemaker", "create-endpoint", "--endpoint-name=made", "--endpoint-config-name=made"]);
    let script = "--notebook-instance-lifecycle-config-name=script";
    cloud.must(&["sagemaker", "create-notebook-instance-lifecycle-config", script]);
    let group = "--model-package-group-name=group";
    cloud.must(&["sagemaker", "create-model-package-group", group]);
    let approved = "--model-approval-status=Approved";
    cloud.must(&["sagemaker", "create-model-package", group, approved]);
    let settings = format!("--default-user-settings=ExecutionRole={exec}");
    let domain = cloud.must(&[
        "sagemaker",
        "create-domain",
        "--domain-name=made",
        "--auth-mode=IAM",
        &settings,
        "--subnet-ids=subnet-1",
        "--vpc-id=vpc-1",
    ]);
    for group in ["NotebookInstances", "Endpoints/made"] {
        cloud.must(&["logs", "create-log-group", &format!("--log-group-name=/aws/sagemaker/{group}")]);
    }
    let location = format!("--create-bucket-configuration=LocationConstraint={REGION}");
    cloud.must(&["s3api", "create-bucket", "--bucket=contained", &location]);
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
        "Action": "s3:*", "Resource": "arn:aws:s3:::contained/*"}]});
    cloud.must(&["s3api", "put-bucket-policy", "--bucket=contained", &format!("--policy={policy}")]);
    cloud.must(&["ecr", "create-repository", "--repository-name=images"]);
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Sid": "All", "Effect": "Allow", "Principal": "*", "Action": "ecr:*"}]});
    cloud.must(&[
        "ecr",
        "set-repository-policy",
        "--repository-name=images",
        &format!("--policy-text={policy}"),
    ]);
    cloud.must(&["cloudtrail", "create-trail", "--name=trail", "--s3-bucket-name=contained"]);
    let key = cloud.must(&["kms", "create-key"])["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    cloud.must(&["kms", "disable-key", &format!("--key-id={key}")]);
    cloud.must(&["iam", "create-user", "--user-name=eve"]);
    cloud.must(&["iam", "put-user-policy", "--user-name=eve", "--policy-name=more", &document]);
    let made = cloud.must(&["iam", "create-access-key", "--user-name=eve"]);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Made { key, access_key: text(&made["AccessKey"]["AccessKeyId"]), domain: text(&domain["DomainArn"]) }
}

/// What moto named by itself.
pub struct Made {
    pub key: String,
    pub access_key: String,
    pub domain: String,
}

fn admin() -> Value {
    let role = format!("arn:aws:iam::{ACCOUNT}:role/Admin");
    json!({"type": "AssumedRole", "principalId": "AROAADMIN:x", "accountId": ACCOUNT, "accessKeyId": "ASIA1230000000000001",
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/Admin/x"),
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": role, "accountId": ACCOUNT, "userName": "Admin", "principalId": "AROAADMIN"}}})
}

pub fn records(Made { key, access_key, domain }: &Made) -> Vec<Value> {
    let eve = json!({"type": "IAMUser", "principalId": "AIDAEVE", "accountId": ACCOUNT, "userName": "eve", "accessKeyId": access_key,
        "arn": format!("arn:aws:iam::{ACCOUNT}:user/eve")});
    let arn = of_sagemaker;
    let calls = [
        ("sagemaker", "CreatePresignedNotebookInstanceUrl", json!({"notebookInstanceName": "nb"}), json!({})),
        (
            "sagemaker",
            "CreateModel",
            json!({"modelName": "made", "executionRoleArn": format!("arn:aws:iam::{ACCOUNT}:role/Exec")}),
            json!({"modelArn": arn("model/made")}),
        ),
        (
            "sagemaker",
            "CreateEndpointConfig",
            json!({"endpointConfigName": "made", "productionVariants": [{"variantName": "a", "modelName": "made"}]}),
            json!({"endpointConfigArn": arn("endpoint-config/made")}),
        ),
        (
            "sagemaker",
            "CreateEndpoint",
            json!({"endpointName": "made", "endpointConfigName": "made"}),
            json!({"endpointArn": arn("endpoint/made")}),
        ),
        (
            "iam",
            "PutRolePolicy",
            json!({"roleName": "Exec", "policyName": "wide open", "policyDocument": "{}"}),
            Value::Null,
        ),
        (
            "iam",
            "AttachRolePolicy",
            json!({"roleName": "Exec", "policyArn": format!("arn:aws:iam::{ACCOUNT}:policy/all")}),
            Value::Null,
        ),
        ("iam", "UpdateAssumeRolePolicy", json!({"roleName": "Exec", "policyDocument": "{}"}), Value::Null),
        (
            "iam",
            "PutUserPolicy",
            json!({"userName": "eve", "policyName": "more", "policyDocument": "{}"}),
            Value::Null,
        ),
        (
            "sagemaker",
            "UpdateModelPackage",
            json!({"modelPackageArn": arn("model-package/group/1"), "modelApprovalStatus": "Approved"}),
            json!({"modelPackageArn": arn("model-package/group/1")}),
        ),
        (
            "sagemaker",
            "CreateNotebookInstanceLifecycleConfig",
            json!({"notebookInstanceLifecycleConfigName": "script"}),
            json!({"notebookInstanceLifecycleConfigArn": arn("notebook-instance-lifecycle-config/script")}),
        ),
        ("sagemaker", "CreateDomain", json!({"domainName": "made"}), json!({"domainArn": domain})),
        ("ecr", "SetRepositoryPolicy", json!({"repositoryName": "images", "policyText": "{}"}), json!({})),
        ("cloudtrail", "StopLogging", json!({"name": "trail"}), Value::Null),
        ("kms", "DisableKey", json!({"keyId": key}), Value::Null),
        ("s3", "PutBucketPolicy", json!({"bucketName": "contained"}), Value::Null),
    ];
    let mut records: Vec<Value> = calls
        .into_iter()
        .enumerate()
        .map(|(minute, (service, call, request, response))| {
            json!({"eventVersion": "1.11", "eventID": format!("12300000-0000-4000-8000-{minute:012}"), "eventTime": format!("2031-12-02T12:{minute:02}:00Z"),
                "eventSource": format!("{service}.amazonaws.com"), "eventName": call, "awsRegion": REGION, "sourceIPAddress": "203.0.113.5",
                "recipientAccountId": ACCOUNT, "readOnly": false, "managementEvent": true, "eventCategory": "Management",
                "userIdentity": admin(), "requestParameters": request, "responseElements": response})
        })
        .collect();
    let mut of_eve = records[0].clone();
    of_eve["userIdentity"] = eve;
    of_eve["eventID"] = "12300000-0000-4000-8000-000000000099".into();
    of_eve["eventName"] = "ListModels".into();
    of_eve["readOnly"] = true.into();
    of_eve["requestParameters"] = Value::Null;
    records.push(of_eve);
    records
}
