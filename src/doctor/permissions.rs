//! The permissions: the least that AWS and OpenSearch have to grant for a configuration; pure.

use serde_json::{Value, json};
use url::Url;

use crate::config::{AuthKind, Config, Sigv4Service};
use crate::names::Names;

/// Stands for what the configuration does not tell.
const UNKNOWN: &str = "*";

/// The policies and roles, by who needs them.
pub fn permissions(config: &Config) -> Value {
    let queue = Queue::of(config.source.queue_url.as_ref());
    let names = Names::of(&config.sink);
    let mut granted = json!({
        "run": {"iam": policy(&run(config, &queue)), "opensearch": run_role(&names)},
        "replay": {"iam": policy(&replay(config, &queue)), "opensearch": replay_role(&names)},
        "replay --retag": {"iam": policy(&signed(config)), "opensearch": retag_role(&names)},
        "verify": {"iam": policy(&verify(config, &queue)), "opensearch": verify_role(&names)},
        "setup": {"opensearch": setup_role(&names), "iam": policy(&signed(config))},
        "check --online": {"iam": policy(&check(config, &queue)), "opensearch": check_role(&names)},
    });
    if let Some(role) = &config.source.assume_role_arn {
        let mut statements = read_objects(config, &queue);
        statements.push(allow(&["s3:GetBucketNotification"], &bucket_arns(config, "")));
        granted["the role in source.assume_role_arn"] = json!({"arn": role, "iam": policy(&statements)});
    }
    granted
}

/// What the URL of a queue tells about it.
struct Queue {
    partition: &'static str,
    region: String,
    account: String,
    name: String,
}

impl Queue {
    fn of(url: Option<&Url>) -> Self {
        let host = url.and_then(Url::host_str).unwrap_or_default();
        let region = host.split('.').find(|label| crate::source::key::is_region(label)).unwrap_or(UNKNOWN);
        let mut segments = url.and_then(Url::path_segments).into_iter().flatten();
        let account = segments.next().filter(|account| !account.is_empty()).unwrap_or(UNKNOWN);
        let name = segments.next().unwrap_or(UNKNOWN);
        let partition = match region {
            _ if region.starts_with("cn-") => "aws-cn",
            _ if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        Self { partition, region: region.to_owned(), account: account.to_owned(), name: name.to_owned() }
    }

    fn arn(&self) -> String {
        let Self { partition, region, account, name } = self;
        format!("arn:{partition}:sqs:{region}:{account}:{name}")
    }
}

fn run(config: &Config, queue: &Queue) -> Vec<Value> {
    let mut statements = vec![
        allow(
            &[
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:ChangeMessageVisibility",
                "sqs:GetQueueAttributes",
            ],
            &[queue.arn()],
        ),
        // A queue that is encrypted with a KMS key is read with it.
        decrypt(&format!("sqs.{}.*", queue.region)),
    ];
    match &config.source.assume_role_arn {
        Some(role) => statements.push(allow(&["sts:AssumeRole"], std::slice::from_ref(role))),
        None => statements.extend(read_objects(config, queue)),
    }
    statements.extend(signed(config));
    statements
}

/// It needs no queue.
fn replay(config: &Config, queue: &Queue) -> Vec<Value> {
    let mut statements = match &config.source.assume_role_arn {
        Some(role) => vec![allow(&["sts:AssumeRole"], std::slice::from_ref(role))],
        None => read_objects(config, queue),
    };
    statements.extend(signed(config));
    statements
}

fn verify(config: &Config, queue: &Queue) -> Vec<Value> {
    let mut statements = replay(config, queue);
    // Not needed with a file of keys.
    statements.push(allow(&["cloudtrail:ListPublicKeys"], &[UNKNOWN.to_owned()]));
    statements
}

fn read_objects(config: &Config, queue: &Queue) -> Vec<Value> {
    vec![
        allow(&["s3:GetObject"], &bucket_arns(config, "/*")),
        // Without it a missing object shows as denied.
        allow(&["s3:ListBucket"], &bucket_arns(config, "")),
        decrypt(&format!("s3.{}.*", queue.region)),
    ]
}

fn check(config: &Config, queue: &Queue) -> Vec<Value> {
    let mut statements = vec![
        allow(&["sqs:GetQueueAttributes"], &[queue.arn()]),
        // The dead-letter queue, whose name only the queue tells.
        allow(
            &["sqs:GetQueueUrl", "sqs:GetQueueAttributes"],
            &[format!("arn:{}:sqs:{}:{}:*", queue.partition, queue.region, queue.account)],
        ),
        allow(
            &["cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"],
            &[UNKNOWN.to_owned()],
        ),
    ];
    match &config.source.assume_role_arn {
        Some(role) => statements.push(allow(&["sts:AssumeRole"], std::slice::from_ref(role))),
        None => {
            statements.push(allow(&["s3:GetBucketNotification"], &bucket_arns(config, "")));
            statements.extend(read_objects(config, queue));
        }
    }
    statements.extend(signed(config));
    statements
}

/// Where requests to OpenSearch are signed, AWS grants them as well.
fn signed(config: &Config) -> Vec<Value> {
    match (config.sink.auth, config.sink.sigv4_service) {
        (AuthKind::Sigv4, Sigv4Service::Es) => {
            let actions =
                &["es:ESHttpGet", "es:ESHttpHead", "es:ESHttpPost", "es:ESHttpPut", "es:ESHttpDelete"];
            vec![allow(actions, &[UNKNOWN.to_owned()])]
        }
        (AuthKind::Sigv4, Sigv4Service::Aoss) => {
            vec![allow(&["aoss:APIAccessAll"], &[UNKNOWN.to_owned()])]
        }
        (AuthKind::None | AuthKind::Basic | AuthKind::Certificate, _) => Vec::new(),
    }
}

fn bucket_arns(config: &Config, suffix: &str) -> Vec<String> {
    let partition = Queue::of(config.source.queue_url.as_ref()).partition;
    let named = &config.source.allowed_buckets;
    if named.is_empty() {
        return vec![format!("arn:{partition}:s3:::{UNKNOWN}")];
    }
    named.iter().map(|bucket| format!("arn:{partition}:s3:::{bucket}{suffix}")).collect()
}

fn allow(actions: &[&str], resources: &[String]) -> Value {
    json!({"Effect": "Allow", "Action": actions, "Resource": resources})
}

/// Keys are not in the configuration; the condition keeps the grant to what the service decrypts for us.
fn decrypt(service: &str) -> Value {
    json!({
        "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": [UNKNOWN],
        "Condition": {"StringLike": {"kms:ViaService": service}}
    })
}

fn policy(statements: &[Value]) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// What every command needs that stores documents: who answers, the templates, and writing without any deletion.
const STORING: [&str; 3] =
    ["cluster:monitor/main", "cluster_manage_index_templates", "indices:data/write/bulk"];
const WRITING: [&str; 3] = ["create_index", "indices:data/write/index*", "indices:data/write/bulk*"];

/// Where documents of the pipeline are stored. A pattern such as `sagetrail-*` would let in a tenant to the indices of one
/// whose prefix begins alike.
fn stored(names: &Names) -> [String; 3] {
    [format!("{}*", names.events()), format!("{}*", names.objects()), names.rejected()]
}

fn run_role(names: &Names) -> Value {
    json!({
        "cluster_permissions": STORING,
        "index_permissions": [
            {"index_patterns": stored(names), "allowed_actions": WRITING},
            // The daemon tells what verifications have found.
            {"index_patterns": [names.verified()], "allowed_actions": ["indices:data/read/search*"]}
        ]
    })
}

fn replay_role(names: &Names) -> Value {
    json!({
        "cluster_permissions": STORING,
        "index_permissions": [{"index_patterns": stored(names), "allowed_actions": WRITING}]
    })
}

fn verify_role(names: &Names) -> Value {
    let mut role = replay_role(names);
    let written = role["index_permissions"][0]["index_patterns"].as_array_mut().expect("it is a list");
    written.extend([json!(names.verification()), json!(names.verified())]);
    role["cluster_permissions"].as_array_mut().expect("it is a list").push(json!("indices:data/read/mget"));
    let ledger = json!({
        "index_patterns": [format!("{}*", names.objects())],
        "allowed_actions": ["indices:data/read/mget*", "indices:data/read/search*"]
    });
    role["index_permissions"].as_array_mut().expect("it is a list").push(ledger);
    role
}

fn retag_role(names: &Names) -> Value {
    json!({
        "cluster_permissions": STORING,
        "index_permissions": [{
            "index_patterns": [format!("{}-*", names.events())],
            "allowed_actions": [
                "indices:admin/mapping/put", "indices:data/read/point_in_time/create",
                "indices:data/read/point_in_time/delete", "indices:data/read/search*",
                "indices:data/write/index*", "indices:data/write/bulk*"
            ]
        }]
    })
}

fn setup_role(names: &Names) -> Value {
    json!({
        "cluster_permissions": [
            "cluster:monitor/main", "cluster:monitor/nodes/info", "cluster:monitor/state",
            "cluster_manage_index_templates", "indices:data/write/bulk",
            "cluster:admin/opendistro/ism/*", "cluster:admin/opendistro/alerting/*",
            "cluster:admin/opensearch/notifications/*"
        ],
        "index_permissions": [{
            "index_patterns": names.patterns(),
            "allowed_actions": ["create_index", "read", "write", "indices:admin/delete", "indices:monitor/settings/get",
                "indices:admin/opensearch/ism/*"]
        }]
    })
}

fn check_role(names: &Names) -> Value {
    json!({
        "cluster_permissions": [
            "cluster:monitor/main", "cluster:monitor/stats", "cluster:monitor/nodes/info", "cluster:monitor/state",
            "cluster_manage_index_templates", "indices:data/write/bulk",
            "cluster:admin/opendistro/ism/policy/get", "cluster:admin/opendistro/alerting/monitor/get",
            "cluster:admin/opendistro/alerting/monitor/search", "cluster:admin/opensearch/notifications/configs/get"
        ],
        "index_permissions": [{
            "index_patterns": names.patterns(),
            "allowed_actions": ["read", "write", "indices:monitor/settings/get"]
        }]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn the_policy_names_the_queue_and_the_buckets_of_the_configuration() {
        let granted = permissions(&config(
            "[source]\nqueue_url = 'https://sqs.cn-north-1.amazonaws.com.cn/111122223333/trail'\nallowed_buckets = ['logs']",
        ));
        let statements = &granted["run"]["iam"]["Statement"];
        assert_eq!(statements[0]["Resource"][0], "arn:aws-cn:sqs:cn-north-1:111122223333:trail");
        assert_eq!(statements[2]["Resource"][0], "arn:aws-cn:s3:::logs/*");
        let text = granted["run"].to_string();
        assert!(!text.contains("cloudtrail:") && !text.contains("es:ES"), "{text}");
    }

    #[test]
    fn with_a_role_to_assume_the_daemon_may_assume_it_and_only_the_role_reads_objects() {
        let granted = permissions(&config(
            "[source]\nassume_role_arn = 'arn:aws:iam::444455556666:role/reader'\n[sink]\nauth = 'sigv4'",
        ));
        let run = granted["run"].to_string();
        assert!(run.contains("sts:AssumeRole") && run.contains("es:ESHttpPost"), "{run}");
        assert!(!run.contains("s3:GetObject"), "{run}");
        assert!(granted["the role in source.assume_role_arn"].to_string().contains("s3:GetObject"));
    }
}
