//! Lists the least permissions that a configuration needs in AWS and OpenSearch (pure).

use serde_json::{Value, json};
use url::Url;

use crate::config::{AuthKind, Config, Sigv4Service};
use crate::names::Names;

/// Stands for what the configuration does not tell.
const UNKNOWN: &str = "*";

/// How commands ask OpenSearch, as AWS grants it where requests are signed.
const STORES: &[&str] = &["es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut"];
const READS: &[&str] = &["es:ESHttpGet", "es:ESHttpPost"];
const REMOVES: &[&str] = &["es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut", "es:ESHttpDelete"];

/// The policies and roles, by the command that needs them. `buckets` are those of the trail; where none is known, all.
///
/// `enrich`, `rules` and the other commands need no permissions.
pub fn permissions(config: &Config, buckets: &[String]) -> Value {
    let source = Source { config, buckets, queue: Queue::of(config.source.queue_url.as_ref()) };
    let names = Names::new(&config.sink.index_prefix);
    let signed = |actions| policy(&signed(config, actions));
    let mut granted = json!({
        "run": {"iam": policy(&run(&source)), "opensearch": run_role(&names)},
        "replay": {"iam": policy(&replay(&source)), "opensearch": replay_role(&names)},
        "replay --retag": {"iam": signed(REMOVES), "opensearch": retag_role(&names)},
        "verify": {"iam": policy(&verify(&source)), "opensearch": verify_role(&names)},
        "setup": {"iam": signed(REMOVES), "opensearch": setup_role(&names)},
        "rehearse": {"iam": signed(READS), "opensearch": rehearse_role(&names)},
        "check --online": {"iam": policy(&check(&source)), "opensearch": check_role(&names)},
    });
    if let Some(role) = &config.source.assume_role_arn {
        let mut statements = source.read_objects(ANNOUNCED);
        statements.push(allow(&["s3:GetBucketNotification"], &source.bucket_arns("")));
        granted["the role in source.assume_role_arn"] = json!({"arn": role, "iam": policy(&statements)});
    }
    granted
}

/// Where files come from.
struct Source<'c> {
    config: &'c Config,
    buckets: &'c [String],
    queue: Queue,
}

/// The parts of a queue's URL.
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
        let partition = partition_of(region);
        Self { partition, region: region.to_owned(), account: account.to_owned(), name: name.to_owned() }
    }

    fn arn(&self) -> String {
        let Self { partition, region, account, name } = self;
        format!("arn:{partition}:sqs:{region}:{account}:{name}")
    }

    /// The queues of its account and region, its dead-letter queue among them.
    fn neighbours(&self) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:sqs:{region}:{account}:*")
    }
}

fn partition_of(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

fn run(source: &Source) -> Vec<Value> {
    let mut statements = vec![
        allow(
            &[
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:ChangeMessageVisibility",
                "sqs:GetQueueAttributes",
            ],
            &[source.queue.arn()],
        ),
        // How many messages wait in the dead-letter queue, whose name only the queue tells.
        allow(&["sqs:GetQueueAttributes"], &[source.queue.neighbours()]),
        // A queue that is encrypted with a KMS key is read with it.
        decrypt(&format!("sqs.{}.*", source.queue.region)),
    ];
    statements.extend(source.read_objects_as_configured(ANNOUNCED));
    statements.extend(signed(source.config, STORES));
    statements
}

/// It needs no queue.
fn replay(source: &Source) -> Vec<Value> {
    let mut statements = source.read_objects_as_configured(CURRENT);
    statements.extend(signed(source.config, STORES));
    statements
}

fn verify(source: &Source) -> Vec<Value> {
    let mut statements = replay(source);
    // Not needed with a file of keys.
    statements.push(allow(&["cloudtrail:ListPublicKeys"], &[UNKNOWN.to_owned()]));
    statements
}

fn check(source: &Source) -> Vec<Value> {
    let mut statements = vec![
        allow(&["sqs:GetQueueAttributes"], &[source.queue.arn()]),
        // The dead-letter queue, whose name only the queue tells.
        allow(&["sqs:GetQueueUrl", "sqs:GetQueueAttributes"], &[source.queue.neighbours()]),
        allow(
            &["cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"],
            &[UNKNOWN.to_owned()],
        ),
    ];
    if source.config.source.assume_role_arn.is_none() {
        statements.push(allow(&["s3:GetBucketNotification"], &source.bucket_arns("")));
    }
    statements.extend(source.read_objects_as_configured(CURRENT));
    statements.extend(signed(source.config, READS));
    statements
}

/// What reads an object as it is now, and beside that the version which a notification names.
const CURRENT: &[&str] = &["s3:GetObject"];
const ANNOUNCED: &[&str] = &["s3:GetObject", "s3:GetObjectVersion"];

impl Source<'_> {
    /// The statements for reading objects, or for assuming the role that does.
    fn read_objects_as_configured(&self, actions: &[&str]) -> Vec<Value> {
        match &self.config.source.assume_role_arn {
            Some(role) => vec![allow(&["sts:AssumeRole"], std::slice::from_ref(role))],
            None => self.read_objects(actions),
        }
    }

    fn read_objects(&self, actions: &[&str]) -> Vec<Value> {
        vec![
            allow(actions, &self.bucket_arns("/*")),
            // Without it a missing object shows as denied.
            allow(&["s3:ListBucket"], &self.bucket_arns("")),
            decrypt(&format!("s3.{}.*", self.queue.region)),
        ]
    }

    fn bucket_arns(&self, suffix: &str) -> Vec<String> {
        let partition = self.queue.partition;
        if self.buckets.is_empty() {
            return vec![format!("arn:{partition}:s3:::{UNKNOWN}")];
        }
        self.buckets.iter().map(|bucket| format!("arn:{partition}:s3:::{bucket}{suffix}")).collect()
    }
}

/// The statements for signed requests to OpenSearch; none without signatures.
fn signed(config: &Config, actions: &[&str]) -> Vec<Value> {
    match (config.sink.auth, config.sink.sigv4_service) {
        (AuthKind::Sigv4, Sigv4Service::Es) => vec![allow(actions, &[domain_arn(config)])],
        (AuthKind::Sigv4, Sigv4Service::Aoss) => {
            vec![allow(&["aoss:APIAccessAll"], &[UNKNOWN.to_owned()])]
        }
        (AuthKind::None | AuthKind::Basic | AuthKind::Certificate, _) => Vec::new(),
    }
}

/// The domain, as far as its own address tells it: `search-NAME-ID.REGION.es.amazonaws.com`, or `vpc-` before the name.
fn domain_arn(config: &Config) -> String {
    let host = config.sink.url.host_str().unwrap_or_default();
    let mut labels = host.split('.');
    let (first, region, service) = (labels.next(), labels.next(), labels.next());
    let name = first
        .and_then(|first| first.strip_prefix("search-").or_else(|| first.strip_prefix("vpc-")))
        .and_then(|first| first.rsplit_once('-'));
    match (name, region, service) {
        (Some((name, _)), Some(region), Some("es")) if crate::source::key::is_region(region) => {
            format!("arn:{}:es:{region}:{UNKNOWN}:domain/{name}/*", partition_of(region))
        }
        _ => UNKNOWN.to_owned(),
    }
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

/// Where documents of the pipeline are stored. A pattern such as `sagetrail-*` would let in a tenant to the indices of
/// one whose prefix begins alike.
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
    let found = json!({
        "index_patterns": [names.verified()],
        "allowed_actions": ["indices:data/read/search*"]
    });
    role["index_permissions"].as_array_mut().expect("it is a list").extend([ledger, found]);
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

fn rehearse_role(names: &Names) -> Value {
    json!({
        "cluster_permissions": ["cluster:monitor/main"],
        "index_permissions": [
            {"index_patterns": names.patterns(), "allowed_actions": ["indices:data/read/search*"]}
        ]
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

    /// The actions and the resources that a command is granted.
    fn granted(text: &str, command: &str) -> (Vec<String>, Vec<String>) {
        let config = config(text);
        let granted = permissions(&config, &config.source.allowed_buckets);
        let statements = granted[command]["iam"]["Statement"].as_array().unwrap();
        let all = |key: &str| {
            let several = statements.iter().flat_map(|statement| statement[key].as_array().unwrap());
            several.map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        (all("Action"), all("Resource"))
    }

    #[test]
    fn the_policy_names_the_queue_and_the_buckets_of_the_configuration() {
        let (actions, resources) = granted(
            "[source]\nqueue_url = 'https://sqs.cn-north-1.amazonaws.com.cn/111122223333/trail'\nallowed_buckets = ['logs']",
            "run",
        );
        for named in
            ["arn:aws-cn:sqs:cn-north-1:111122223333:trail", "arn:aws-cn:s3:::logs/*", "arn:aws-cn:s3:::logs"]
        {
            assert!(resources.iter().any(|resource| resource == named), "{named} is none of {resources:?}");
        }
        assert!(!resources.iter().any(|resource| resource.ends_with(":::*")), "{resources:?}");
        assert!(!actions.iter().any(|action| action.starts_with("cloudtrail:") || action.starts_with("es:")));
    }

    #[test]
    fn a_signed_command_may_send_what_it_sends_and_to_its_domain_alone() {
        let signed = |url: &str| format!("[sink]\nauth = 'sigv4'\nurl = '{url}'");
        let domain = signed("https://vpc-my-logs-abc123.us-gov-west-1.es.amazonaws.com");
        let of = |command| {
            let (actions, resources) = granted(&domain, command);
            let named = "arn:aws-us-gov:es:us-gov-west-1:*:domain/my-logs/*";
            assert!(resources.iter().any(|resource| resource == named), "{resources:?}");
            actions.into_iter().filter(|action| action.starts_with("es:")).collect::<Vec<_>>()
        };
        for command in ["run", "replay", "verify"] {
            assert_eq!(of(command), STORES, "{command}");
        }
        for command in ["rehearse", "check --online"] {
            assert_eq!(of(command), READS, "{command}");
        }
        for command in ["setup", "replay --retag"] {
            assert_eq!(of(command), REMOVES, "{command}");
        }
        // An address of one's own tells no domain.
        for url in [
            "https://search.example.com",
            "https://search-logs.example.com",
            "https://vpc-a.b.es.example.com",
        ] {
            assert!(granted(&signed(url), "setup").1.contains(&UNKNOWN.to_owned()), "{url}");
        }
    }

    #[test]
    fn with_a_role_to_assume_the_daemon_may_assume_it_and_only_the_role_reads_objects() {
        let config = config(
            "[source]\nassume_role_arn = 'arn:aws:iam::444455556666:role/reader'\n[sink]\nauth = 'sigv4'",
        );
        let granted = permissions(&config, &["logs".to_owned()]);
        for command in ["run", "replay", "verify", "check --online"] {
            let text = granted[command].to_string();
            assert!(text.contains("sts:AssumeRole") && text.contains("es:ESHttpPost"), "{text}");
            assert!(!text.contains("s3:"), "{text}");
        }
        let reader = granted["the role in source.assume_role_arn"].to_string();
        assert!(reader.contains("s3:GetObject") && reader.contains("arn:aws:s3:::logs/*"), "{reader}");
    }
}
