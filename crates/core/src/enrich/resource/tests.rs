//! Resources of records, and the forms of ARNs in both directions.

use std::sync::LazyLock;

use serde_json::{Value as Json, json};

use super::*;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);

fn resource_of(record: &Json) -> Json {
    let raw = record.to_string();
    let record = Record::parse(raw.as_bytes()).unwrap();
    serde_json::to_value(resource(&record, &CATALOGUE)).unwrap()
}

fn call(name: &str, parameters: &Json, response: &Json) -> Json {
    json!({
        "eventSource": "sagemaker.amazonaws.com", "eventName": name, "awsRegion": "eu-west-1",
        "recipientAccountId": "111122223333", "requestParameters": parameters, "responseElements": response,
    })
}

#[test]
fn the_resource_is_what_the_catalogue_says_where_the_record_has_it() {
    let arn = |rest: &str| format!("arn:aws:sagemaker:eu-west-1:111122223333:{rest}");
    for (name, parameters, response, expected) in [
        (
            "CreateEndpoint",
            json!({"endpointName": "Churn", "endpointConfigName": "churn-2"}),
            json!({"endpointArn": arn("endpoint/churn")}),
            json!({"type": "endpoint", "name": "Churn", "arn": arn("endpoint/churn"), "parent":
                {"type": "endpoint-config", "name": "churn-2", "arn": arn("endpoint-config/churn-2")}}),
        ),
        (
            "StopNotebookInstance",
            json!({"notebookInstanceName": "nb"}),
            Json::Null,
            json!({"type": "notebook-instance", "name": "nb", "arn": arn("notebook-instance/nb")}),
        ),
        (
            "DescribeDomain",
            json!({"domainId": "d-1"}),
            Json::Null,
            json!({"type": "domain", "name": "d-1", "arn": arn("domain/d-1"), "id": "d-1"}),
        ),
        (
            "CreateDomain",
            json!({"domainName": "Data Science"}),
            json!({"domainArn": arn("domain/d-1")}),
            json!({"type": "domain", "name": "Data Science", "arn": arn("domain/d-1"), "id": "d-1"}),
        ),
        (
            "CreateUserProfile",
            json!({"domainId": "d-1", "userProfileName": "ann"}),
            Json::Null,
            json!({"type": "user-profile", "name": "ann", "arn": arn("user-profile/d-1/ann"),
                "parent": {"type": "domain", "name": "d-1", "arn": arn("domain/d-1")}}),
        ),
        (
            "CreateApp",
            json!({"domainId": "d-1", "spaceName": "lab", "appType": "JupyterLab", "appName": "default"}),
            Json::Null,
            json!({"type": "app", "name": "default", "arn": arn("app/d-1/lab/JupyterLab/default"),
                "parent": {"type": "space", "name": "lab", "arn": arn("space/d-1/lab")}}),
        ),
        (
            "DescribeHubContent",
            json!({"hubName": "SageMakerPublicHub", "hubContentType": "Model", "hubContentName": "bert"}),
            Json::Null,
            json!({"type": "hub-content", "name": "bert",
                "arn": "arn:aws:sagemaker:eu-west-1:aws:hub-content/SageMakerPublicHub/Model/bert",
                "parent": {"type": "hub", "name": "SageMakerPublicHub",
                    "arn": "arn:aws:sagemaker:eu-west-1:aws:hub/SageMakerPublicHub"}}),
        ),
        (
            "DescribeModelCard",
            json!({"modelCardName": arn("model-card/risk")}),
            Json::Null,
            json!({"type": "model-card", "name": "risk", "arn": arn("model-card/risk")}),
        ),
        (
            "DeregisterDevices",
            json!({"deviceFleetName": "cams", "deviceNames": ["c1", "c2"]}),
            Json::Null,
            json!({"type": "device", "name": "c1", "arn": arn("device-fleet/cams/device/c1"),
                "parent": {"type": "device-fleet", "name": "cams", "arn": arn("device-fleet/cams")}}),
        ),
        (
            "DescribeImageVersion",
            json!({"imageName": "base", "version": 3}),
            Json::Null,
            json!({"type": "image-version", "name": "3", "arn": arn("image-version/base/3"),
                "parent": {"type": "image", "name": "base", "arn": arn("image/base")}}),
        ),
        (
            "AddTags",
            json!({"resourceArn": arn("pipeline/train/execution/x1")}),
            Json::Null,
            json!({"type": "pipeline-execution", "name": "x1", "arn": arn("pipeline/train/execution/x1"), "id": "x1",
                "parent": {"type": "pipeline", "name": "train", "arn": arn("pipeline/train")}}),
        ),
        ("DeleteEndpoint", Json::Null, Json::Null, json!({"type": "endpoint"})),
        ("ListModels", json!({"maxResults": 10}), Json::Null, Json::Null),
        ("AddTags", json!({"resourceArn": null}), Json::Null, Json::Null),
    ] {
        let record = call(name, &parameters, &response);
        assert_eq!(resource_of(&record), expected, "{record}");
    }
}

#[test]
fn no_arn_is_made_up_where_the_record_lacks_a_part_of_it() {
    for (name, parameters) in [
        ("CreateCluster", json!({"clusterName": "hyper"})),
        ("CreateMlflowApp", json!({"name": "ml"})),
        ("CreateWorkteam", json!({"workteamName": "team", "workforceName": "crowd"})),
        ("StartPipelineExecution", json!({"pipelineName": "p", "pipelineExecutionDisplayName": "run"})),
        ("DescribeImageVersion", json!({"imageName": "base", "alias": "latest"})),
        ("DeleteUserProfile", json!({"userProfileName": "ann"})),
        ("DeleteEndpoint", json!({"endpointName": "a/b"})),
        ("DeleteEndpoint", json!({"endpointName": {"not": "a text"}})),
    ] {
        let record = call(name, &parameters, &Json::Null);
        assert_eq!(resource_of(&record)["arn"], Json::Null, "{record}");
    }
    for (member, value) in
        [("awsRegion", json!("")), ("recipientAccountId", json!(null)), ("recipientAccountId", json!("12"))]
    {
        let mut record = call("DeleteEndpoint", &json!({"endpointName": "churn"}), &Json::Null);
        record[member] = value;
        assert_eq!(resource_of(&record), json!({"type": "endpoint", "name": "churn"}), "{record}");
    }
}

#[test]
fn an_arn_is_built_in_the_partition_of_its_region() {
    for (region, expected) in [
        ("us-east-1", "arn:aws:"),
        ("cn-north-1", "arn:aws-cn:"),
        ("us-gov-west-1", "arn:aws-us-gov:"),
        ("us-iso-east-1", "arn:aws-iso:"),
        ("us-isob-east-1", "arn:aws-iso-b:"),
        ("eu-isoe-west-1", "arn:aws-iso-e:"),
    ] {
        let mut record = call("DeleteModel", &json!({"modelName": "m"}), &Json::Null);
        record["awsRegion"] = json!(region);
        let expected = format!("{expected}sagemaker:{region}:111122223333:model/m");
        assert_eq!(resource_of(&record)["arn"], json!(expected));
    }
}

#[test]
fn a_data_event_is_about_what_its_own_list_names() {
    let arn = "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn";
    let mut record = call("InvokeEndpoint", &Json::Null, &Json::Null);
    record["resources"] = json!([
        {"ARN": "arn:aws:sagemaker:eu-west-1:111122223333:model/m"}, {"ARN": arn, "type": "AWS::SageMaker::Endpoint"}]);
    assert_eq!(resource_of(&record), json!({"type": "endpoint", "name": "churn", "arn": arn}));
}

#[test]
fn the_noun_of_an_unknown_operation_says_what_it_is_about() {
    let arn = "arn:aws:sagemaker-geospatial:us-west-2:111122223333:moon-base/b1";
    for (parameters, response, expected) in [
        (json!({"moonBaseName": "b1"}), Json::Null, json!({"type": "moon-base", "name": "b1"})),
        (json!({}), json!({"moonBaseArn": arn}), json!({"type": "moon-base", "name": "b1", "arn": arn})),
        (json!({"somethingElse": "b1"}), Json::Null, Json::Null),
        (json!("text"), Json::Null, Json::Null),
    ] {
        let record = call("CreateMoonBase", &parameters, &response);
        assert_eq!(resource_of(&record), expected, "{record}");
    }
    let record = call("LaunchEndpoint", &json!({"endpointName": "churn"}), &Json::Null);
    let arn = "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn";
    assert_eq!(resource_of(&record), json!({"type": "endpoint", "name": "churn", "arn": arn}));
}

#[test]
fn a_record_of_another_service_has_the_sagemaker_resource_that_it_names() {
    let arn = "arn:aws:sagemaker:eu-west-1:111122223333:notebook-instance/nb";
    let record = |parameters: Json| json!({"eventSource": "config.amazonaws.com", "eventName": "X", "requestParameters": parameters});
    assert_eq!(
        resource_of(&record(json!({"a": [{"resource": arn}]}))),
        json!({"type": "notebook-instance", "name": "nb", "arn": arn})
    );
    assert_eq!(resource_of(&record(json!({"roleArn": "arn:aws:iam::111122223333:role/x"}))), Json::Null);
}

#[test]
fn every_form_is_read_as_it_is_built() {
    let place = Place { region: "eu-west-1", account: "111122223333" };
    for kind in CATALOGUE.kinds.all() {
        let value = |parameter: &str| Some(Cow::Owned(parameter.to_owned()));
        let built = CATALOGUE.kinds.arn(kind, place, value).unwrap();
        let arn = Arn::parse(&built).unwrap();
        let parsed = CATALOGUE.kinds.read(&arn).unwrap();
        assert_eq!(
            (parsed.kind, parsed.name),
            (kind.name.as_str(), kind.own_parameters()[0].as_str()),
            "{built}"
        );
    }
}
