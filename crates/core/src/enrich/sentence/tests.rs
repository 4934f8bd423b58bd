//! Sentences, whole, as analysts would read them.

use serde_json::{Value as Json, json};

use super::*;
use crate::enrich::analysis::tests::{read, rule};
use crate::enrich::rule::Rule;

fn alice() -> Json {
    json!({"type": "AssumedRole", "principalId": "AROAEXAMPLE:alice", "accountId": "111122223333",
        "arn": "arn:aws:sts::111122223333:assumed-role/DataScience/alice",
        "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "DataScience"},
            "attributes": {"mfaAuthenticated": "false"}}})
}

fn bob() -> Json {
    json!({"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0a1b2c/bob@example.com",
        "sessionContext": {"attributes": {"mfaAuthenticated": "false"}}})
}

fn execution_role() -> Json {
    json!({"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/SageMaker-ExecutionRole/SageMaker",
        "sessionContext": {"sessionIssuer": {"type": "Role", "userName": "SageMaker-ExecutionRole"},
            "attributes": {"mfaAuthenticated": "false"}}})
}

fn call(identity: &Json, service: &str, name: &str, parameters: &Json) -> Json {
    json!({"userIdentity": identity, "eventSource": format!("{service}.amazonaws.com"), "eventName": name,
        "sourceIPAddress": "203.0.113.5", "requestParameters": parameters, "recipientAccountId": "111122223333"})
}

fn with(mut record: Json, more: &Json) -> Json {
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

fn assert_reads(cases: &[(Json, Vec<Rule>, &str)]) {
    for (record, rules, expected) in cases {
        assert_eq!(read(record, rules, sentence), *expected, "{record}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is a list of cases")]
fn calls_of_sagemaker_read_well() {
    let notebook = json!({"notebookInstanceName": "x", "rootAccess": "Enabled", "directInternetAccess": "Enabled",
        "instanceType": "ml.t3.medium", "roleArn": "arn:aws:iam::111122223333:role/service-role/Exec"});
    let training = json!({"trainingJobName": "llm", "roleArn": "arn:aws:iam::111122223333:role/Exec",
        "resourceConfig": {"instanceType": "ml.p4d.24xlarge", "instanceCount": 8},
        "outputDataConfig": {"s3OutputPath": "s3://elsewhere/out"}});
    let denied = json!({"errorCode": "AccessDeniedException", "requestParameters": null});
    let limit = json!({"errorCode": "ResourceLimitExceeded"});
    let endpoint = json!({"resources": [{"ARN": "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn"}]});
    let many = json!({"instanceGroups": [{"instanceType": "ml.g5.xlarge"}, {"instanceType": "ml.m5.large"},
        {"instanceType": "ml.c5.large"}], "clusterName": "pod"});
    let service = json!({"type": "AWSService", "invokedBy": "sagemaker.amazonaws.com"});
    let pipeline = with(
        call(&execution_role(), "sagemaker", "CreateModelPackage", &json!({"modelPackageName": "fraud"})),
        &json!({"sourceIPAddress": "pipelines.sagemaker.amazonaws.com"}),
    );
    assert_reads(&[
        (
            call(&alice(), "sagemaker", "CreateNotebookInstance", &notebook),
            vec![rule("Script Opens A Reverse Shell", "high", &[]), rule("Root Access", "low", &[])],
            "alice (role DataScience, MFA off) created notebook instance x on ml.t3.medium with root access and direct internet access, passing role Exec, from 203.0.113.5; matches High: Script Opens A Reverse Shell and 1 more.",
        ),
        (
            with(
                call(&execution_role(), "sagemaker", "ListModels", &json!({})),
                &json!({"sourceIPAddress": "18.196.14.200"}),
            ),
            vec![],
            "Role SageMaker-ExecutionRole listed models, from 18.196.14.200 (AWS eu-central-1).",
        ),
        (
            with(call(&alice(), "sagemaker", "CreateNotebookInstance", &Json::Null), &denied),
            vec![],
            "alice (role DataScience, MFA off) tried to create a notebook instance and was denied (AccessDeniedException), from 203.0.113.5.",
        ),
        (
            with(call(&bob(), "sagemaker", "CreateTrainingJob", &training), &limit),
            vec![rule("Many Accelerators", "medium", &[])],
            "bob@example.com (permission set Admin) tried to create training job llm on 8 × ml.p4d.24xlarge, passing role Exec, writing to bucket elsewhere, and failed (ResourceLimitExceeded), from 203.0.113.5; as an attempt matches Medium: Many Accelerators.",
        ),
        (
            call(&bob(), "sagemaker", "CreateTrainingJob", &training),
            vec![rule(
                "A",
                "informational",
                &["sagetrail.cryptojacking", "sagetrail.data-poisoning", "sagetrail.denial-of-service"],
            )],
            "bob@example.com (permission set Admin) created training job llm on 8 × ml.p4d.24xlarge, passing role Exec, writing to bucket elsewhere, from 203.0.113.5; may be part of cryptojacking, data poisoning or denial of service.",
        ),
        (
            call(&execution_role(), "sagemaker", "ListNotebookInstances", &Json::Null),
            vec![],
            "Role SageMaker-ExecutionRole listed notebook instances, from 203.0.113.5.",
        ),
        (
            pipeline,
            vec![],
            "Role SageMaker-ExecutionRole created model package fraud, from pipelines.sagemaker.amazonaws.com.",
        ),
        (
            with(
                call(&service, "sagemaker", "DeleteApp", &json!({"appName": "default"})),
                &json!({"sourceIPAddress": "sagemaker.amazonaws.com"}),
            ),
            vec![],
            "The service sagemaker.amazonaws.com deleted app default.",
        ),
        (
            with(call(&alice(), "sagemaker", "InvokeEndpoint", &Json::Null), &endpoint),
            vec![],
            "alice (role DataScience, MFA off) invoked endpoint churn, from 203.0.113.5.",
        ),
        (
            call(
                &bob(),
                "sagemaker",
                "CreatePresignedDomainUrl",
                &json!({"domainId": "d-1", "userProfileName": "carol"}),
            ),
            vec![],
            "bob@example.com (permission set Admin) created a presigned URL of domain d-1 for user profile carol, from 203.0.113.5.",
        ),
        (
            call(&alice(), "sagemaker", "CreateCluster", &many),
            vec![],
            "alice (role DataScience, MFA off) created cluster pod on ml.g5.xlarge, ml.m5.large and 1 more, from 203.0.113.5.",
        ),
        (
            call(
                &alice(),
                "sagemaker",
                "CreateHyperParameterTuningJob",
                &json!({"hyperParameterTuningJobName": "t"}),
            ),
            vec![],
            "alice (role DataScience, MFA off) created hyperparameter tuning job t, from 203.0.113.5.",
        ),
        (
            call(&alice(), "sagemaker-unified-studio-mcp", "ReticulateSplines", &Json::Null),
            vec![],
            "alice (role DataScience, MFA off) called ReticulateSplines of SageMaker, from 203.0.113.5.",
        ),
        (
            call(&alice(), "sagemaker", "Search", &json!({"resource": "TrainingJob"})),
            vec![],
            "alice (role DataScience, MFA off) searched SageMaker for TrainingJob, from 203.0.113.5.",
        ),
    ]);
}

#[test]
fn defaults_policies_and_calls_with_words_of_their_own_read_well() {
    let policy =
        json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}}});
    let cases = [
        (
            "CreateNotebookInstance",
            json!({"notebookInstanceName": "x"}),
            "created notebook instance x with root access and direct internet access",
        ),
        (
            "PutModelPackageGroupPolicy",
            json!({"modelPackageGroupName": "fraud", "resourcePolicy": policy.to_string()}),
            "set the resource policy of model package group fraud, letting in account 444455556666",
        ),
        (
            "CreateApp",
            json!({"appName": "default", "userProfileName": "carol"}),
            "created app default of user profile carol",
        ),
        (
            "CreateCodeRepository",
            json!({"codeRepositoryName": "r", "gitConfig": {"repositoryUrl": "https://git.example/r"}}),
            "created code repository r of https://git.example/r",
        ),
        (
            "CreateImageVersion",
            json!({"imageName": "tools", "baseImage": "docker.io/x:1"}),
            "created a version of image tools from docker.io/x:1",
        ),
        (
            "CreateSpace",
            json!({"spaceName": "lab", "spaceSettings": {"remoteAccess": "ENABLED"}}),
            "created space lab with remote access",
        ),
        (
            "AddTags",
            json!({"resourceArn": "arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/x",
                "tags": [{"key": "owner", "value": "mallory"}]}),
            "tagged x, setting owner=mallory",
        ),
        (
            "CreateModel",
            json!({"modelName": "m", "executionRoleArn": "arn:aws:iam::444455556666:role/R",
                "primaryContainer": {"image": "docker.io/x:1"}}),
            "created model m, passing role R of account 444455556666, with image docker.io/x:1",
        ),
        (
            "CreateHyperParameterTuningJob",
            json!({"hyperParameterTuningJobName": "t",
                "hyperParameterTuningJobConfig": {"resourceLimits": {"maxParallelTrainingJobs": 10}},
                "trainingJobDefinition": {"resourceConfig": {"instanceType": "ml.p4d.24xlarge", "instanceCount": 4}}}),
            "created hyperparameter tuning job t on 40 × ml.p4d.24xlarge",
        ),
        (
            "UpdateEndpoint",
            json!({"endpointName": "churn", "endpointConfigName": "v2"}),
            "updated endpoint churn to configuration v2",
        ),
        (
            "UpdateModelPackage",
            json!({"modelPackageArn": "arn:aws:sagemaker:eu-west-1:111122223333:model-package/fraud/43",
                "modelApprovalStatus": "Approved"}),
            "updated model package fraud/43 to Approved",
        ),
        ("UpdateClusterSoftware", json!({"clusterName": "pod"}), "updated the software of cluster pod"),
        ("BatchAddClusterNodes", json!({"clusterName": "pod"}), "added nodes to cluster pod"),
    ];
    for (name, parameters, expected) in cases {
        let sentence = format!("alice (role DataScience, MFA off) {expected}, from 203.0.113.5.");
        assert_reads(&[(call(&alice(), "sagemaker", name, &parameters), vec![], &sentence)]);
    }
}

#[test]
fn sign_ins_and_calls_of_iam_and_sts_read_well() {
    let user = json!({"type": "IAMUser", "userName": "carol"});
    let kali = json!({"userAgent": "aws-cli/2.31.22 os/linux#6.12.38+kali-amd64"});
    let role = json!({"roleName": "Exec", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"});
    let assume = json!({"roleArn": "arn:aws:iam::111122223333:role/Exec", "roleSessionName": "s-1"});
    let stranger =
        json!({"type": "AWSAccount", "principalId": "AROAEXAMPLE:session", "accountId": "777788889999"});
    let trust = json!({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS":
        ["*", "arn:aws:iam::444455556666:root", "111122223333", "arn:aws:iam::111122223333:user/x"]}}]})
    .to_string();
    let denied = json!({"errorCode": "AccessDenied", "requestParameters": null});
    let failed =
        json!({"responseElements": {"ConsoleLogin": "Failure"}, "additionalEventData": {"MFAUsed": "No"}});
    let root = json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root"});
    let web = json!({"type": "WebIdentityUser", "userName": "build-7", "identityProvider": "token.actions.example.com"});
    assert_reads(&[
        (
            call(&bob(), "iam", "AttachRolePolicy", &role),
            vec![],
            "bob@example.com (permission set Admin) attached policy AdministratorAccess to role Exec, from 203.0.113.5.",
        ),
        (
            with(call(&execution_role(), "iam", "AttachRolePolicy", &Json::Null), &denied),
            vec![],
            "Role SageMaker-ExecutionRole tried to attach a policy to a role and was denied (AccessDenied), from 203.0.113.5.",
        ),
        (
            call(
                &user,
                "iam",
                "UpdateAssumeRolePolicy",
                &json!({"roleName": "Exec", "policyDocument": trust}),
            ),
            vec![],
            "carol changed who may assume role Exec, letting in everyone, account 444455556666 and 2 more, from 203.0.113.5.",
        ),
        (
            call(&user, "iam", "CreateRole", &json!({"roleName": "Exec"})),
            vec![],
            "carol created role Exec in IAM, from 203.0.113.5.",
        ),
        (
            call(&user, "iam", "ListUsers", &Json::Null),
            vec![],
            "carol listed users in IAM, from 203.0.113.5.",
        ),
        (
            with(call(&execution_role(), "sts", "GetCallerIdentity", &Json::Null), &kali),
            vec![rule("Role Used By An Attack Tool", "critical", &[])],
            "Role SageMaker-ExecutionRole asked STS who it is, from 203.0.113.5 with an attack tool; matches Critical: Role Used By An Attack Tool.",
        ),
        (
            call(&stranger, "sts", "AssumeRole", &assume),
            vec![],
            "session (of account 777788889999) assumed role Exec as session s-1, from 203.0.113.5.",
        ),
        (
            call(&web, "sts", "AssumeRoleWithWebIdentity", &assume),
            vec![],
            "build-7 (known to token.actions.example.com) assumed role Exec with a web identity as session s-1, from 203.0.113.5.",
        ),
        (
            with(call(&user, "signin", "ConsoleLogin", &Json::Null), &failed),
            vec![],
            "carol (MFA off) tried to sign in to the console and failed, from 203.0.113.5.",
        ),
        (
            with(
                call(&root, "signin", "ConsoleLogin", &Json::Null),
                &json!({"additionalEventData": {"MFAUsed": "Yes"}}),
            ),
            vec![],
            "The root user (MFA on) signed in to the console, from 203.0.113.5.",
        ),
    ]);
}

#[test]
fn calls_on_data_logs_images_and_trails_read_well() {
    let user = json!({"type": "IAMUser", "userName": "carol"});
    let federated = json!({"type": "FederatedUser", "arn": "arn:aws:sts::1:federated-user/dora",
        "sessionContext": {"sessionIssuer": {"type": "IAMUser", "userName": "carol"}}});
    let through =
        json!({"type": "IAMUser", "userName": "carol", "invokedBy": "cloudformation.amazonaws.com"});
    assert_reads(&[
        (
            call(&federated, "s3", "GetObject", &json!({"bucketName": "models", "key": "a/model.tar.gz"})),
            vec![],
            "dora (federated by carol) read object a/model.tar.gz of bucket models, from 203.0.113.5.",
        ),
        (
            call(
                &bob(),
                "cloudtrail",
                "StopLogging",
                &json!({"name": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/main"}),
            ),
            vec![],
            "bob@example.com (permission set Admin) stopped the logging of trail main, from 203.0.113.5.",
        ),
        (
            call(&user, "logs", "DeleteLogGroup", &json!({"logGroupName": "/aws/sagemaker/TrainingJobs"})),
            vec![],
            "carol deleted log group /aws/sagemaker/TrainingJobs, from 203.0.113.5.",
        ),
        (
            call(&user, "ecr", "PutImage", &json!({"repositoryName": "inference", "imageTag": "3.2.0"})),
            vec![],
            "carol pushed an image tagged 3.2.0 to ECR repository inference, from 203.0.113.5.",
        ),
        (
            call(&user, "ssm", "CreateActivation", &json!({"iamRole": "ml-exec", "registrationLimit": 5})),
            vec![],
            "carol created an activation of up to 5 machines with role ml-exec in Systems Manager, from 203.0.113.5.",
        ),
        (
            call(&through, "kms", "Decrypt", &Json::Null),
            vec![],
            "carol (through cloudformation.amazonaws.com) called Decrypt of KMS, from 203.0.113.5.",
        ),
    ]);
}

#[test]
fn what_is_missing_or_hostile_in_a_record_does_not_disturb_the_sentence() {
    let hostile = json!({"type": "IAMUser", "userName": "x\nCRITICAL: \"all\u{202e} is well"});
    assert_reads(&[
        (
            json!({}),
            vec![],
            "Someone whom the record does not name called an operation without a name of an unnamed service.",
        ),
        (
            json!({"eventName": "a b\u{0}c", "eventSource": "x y.example.com", "sourceIPAddress": "203.0.113.999"}),
            vec![],
            "Someone whom the record does not name called \"a bc\" of \"x y\", from 203.0.113.999.",
        ),
        (
            call(&hostile, "sagemaker", "CreateModel", &json!({"modelName": "<script>alert(1)</script>"})),
            vec![],
            "\"xCRITICAL: 'all is well\" created model \"‹script›alert(1)‹/script›\", from 203.0.113.5.",
        ),
    ]);
}

#[test]
fn a_sentence_is_cut_and_stays_one_line_whatever_the_record_holds() {
    let long = "\u{1}\n名".repeat(5_000);
    let record = with(
        call(
            &json!({"type": long, "userName": long, "invokedBy": long}),
            "sagemaker",
            "CreateModel",
            &json!({
                "modelName": long, "roleArn": format!("arn:aws:iam::1:role/{long}"), "instanceType": [long, long],
                "s3OutputPath": format!("s3://{long}"), "lifecycleConfigName": long
            }),
        ),
        &json!({"errorCode": long, "sourceIPAddress": long}),
    );
    let sentence = read(&record, &[rule(&"Title ".repeat(100), "high", &[])], sentence);
    assert_eq!(sentence.chars().count(), MAX_CHARACTERS);
    assert!(!sentence.contains(char::is_control), "{sentence:?}");
}
