//! The forms: how people write secrets down, each with the part that is the secret. None is taken from the file that
//! redaction reads: they are written down from the documentation of the tools and providers.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// One way to write a secret: a text with `{}` where the secret stands, and of what the secret is made.
pub struct Form {
    pub line: &'static str,
    pub secret: &'static str,
}

const PASSWORD: &str = "[A-Za-z][A-Za-z0-9!^~_-]{8,18}[0-9][A-Za-z]";
const RANDOM: &str = "[a-z][0-9][A-Z][A-Za-z0-9]{20,28}";

/// Tokens that show by themselves, as their providers make them.
const SHAPES: [&str; 92] = [
    "ABSK[A-Za-z0-9+/]{110}==",
    "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t[A-Za-z0-9+/]{60}",
    "k8s-aws-v1\\.[A-Za-z0-9_-]{120}",
    "eyJ2ZXIiOjEsImlzdSI6MTU[A-Za-z0-9_-]{40}\\.[A-Za-z0-9_-]{40}\\.[A-Za-z0-9_-]{16}\\.[A-Za-z0-9_-]{60}\\.[A-Za-z0-9_-]{22}",
    "dop_v1_[0-9a-f]{64}",
    "doo_v1_[0-9a-f]{64}",
    "dor_v1_[0-9a-f]{64}",
    "gsk_[A-Za-z0-9]{52}",
    "r8_[A-Za-z0-9]{37}",
    "xai-[A-Za-z0-9]{80}",
    "nvapi-[A-Za-z0-9_-]{64}",
    "pplx-[A-Za-z0-9]{48}",
    "lsv2_pt_[0-9a-f]{32}_[0-9a-f]{10}",
    "lsv2_sk_[0-9a-f]{32}_[0-9a-f]{10}",
    "pcsk_[A-Za-z0-9]{5}_[A-Za-z0-9]{63}",
    "ntn_[0-9]{11}[A-Za-z0-9]{35}",
    "secret_[A-Za-z0-9]{43}",
    "ATATT3xFfGF0[A-Za-z0-9_=-]{180}",
    "ATCTT3xFfGN0[A-Za-z0-9_=-]{180}",
    "ATBB[A-Za-z0-9]{32}",
    "shpat_[0-9a-f]{32}",
    "shpss_[0-9a-f]{32}",
    "shpca_[0-9a-f]{32}",
    "shppa_[0-9a-f]{32}",
    "NRAK-[A-Z0-9]{27}",
    "NRII-[A-Za-z0-9_-]{32}",
    "NRJS-[0-9a-f]{19}",
    "whsec_[A-Za-z0-9]{32}",
    "sk_live_[A-Za-z0-9]{24}",
    "rk_live_[A-Za-z0-9]{24}",
    "sk-admin-[A-Za-z0-9_-]{58}T3BlbkFJ[A-Za-z0-9_-]{58}",
    "sk-proj-[A-Za-z0-9_-]{74}T3BlbkFJ[A-Za-z0-9_-]{74}",
    "sk-svcacct-[A-Za-z0-9]{60}",
    "sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}",
    "sk-ant-api03-[A-Za-z0-9_-]{93}AA",
    "sk-ant-admin01-[A-Za-z0-9_-]{93}AA",
    "sk-or-v1-[0-9a-f]{64}",
    "glpat-[A-Za-z0-9_-]{20}",
    "gldt-[A-Za-z0-9_-]{20}",
    "glrt-[A-Za-z0-9_-]{20}",
    "glptt-[0-9a-f]{40}",
    "glcbt-64_[A-Za-z0-9_-]{20}",
    "glft-[A-Za-z0-9_-]{20}",
    "glsoat-[A-Za-z0-9_-]{20}",
    "gloas-[0-9a-f]{64}",
    "glagent-[A-Za-z0-9_-]{50}",
    "glimt-[A-Za-z0-9]{25}",
    "GR1348941[A-Za-z0-9_-]{20}",
    "ghp_[A-Za-z0-9]{36}",
    "gho_[A-Za-z0-9]{36}",
    "ghs_[A-Za-z0-9]{36}",
    "ghu_[A-Za-z0-9]{36}",
    "ghr_[A-Za-z0-9]{36}",
    "github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    "xoxb-[0-9]{12}-[0-9]{12}-[A-Za-z0-9]{24}",
    "xoxp-[0-9]{12}-[0-9]{12}-[0-9]{12}-[0-9a-f]{32}",
    "xoxe\\.xoxp-1-[A-Z0-9]{163}",
    "xoxe-1-[A-Z0-9]{146}",
    "xapp-1-A[A-Z0-9]{10}-[0-9]{13}-[0-9a-f]{64}",
    "xoxc-[0-9]{12}-[0-9]{12}-[0-9a-f]{64}",
    "xoxd-[A-Za-z0-9%]{60}",
    "xoxs-[0-9]{10}-[0-9]{10}-[0-9]{10}-[0-9a-f]{10}",
    "hvs\\.[A-Za-z0-9_-]{90}",
    "hvb\\.[A-Za-z0-9_-]{140}",
    "hvr\\.[A-Za-z0-9_-]{90}",
    "hf_[A-Za-z]{34}",
    "api_org_[A-Za-z]{34}",
    "AIza[A-Za-z0-9_-]{35}",
    "GOCSPX-[A-Za-z0-9_-]{28}",
    "ya29\\.[A-Za-z0-9_-]{100}",
    "1//0[A-Za-z0-9_-]{60}",
    "[a-zA-Z0-9]{3}8Q~[A-Za-z0-9_~]{33}[A-Za-z0-9]",
    "dapi[0-9a-f]{32}",
    "dapi[0-9a-f]{32}-2",
    "[0-9]{10}:AA[A-Za-z0-9_-]{33}",
    "SK[0-9a-f]{32}",
    "AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
    "npm_[A-Za-z0-9]{36}",
    "pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{80}",
    "dckr_pat_[A-Za-z0-9_-]{27}",
    "SG\\.[A-Za-z0-9_-]{22}\\.[A-Za-z0-9_-]{43}",
    "PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
    "rubygems_[0-9a-f]{48}",
    "glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}",
    "sntryu_[0-9a-f]{64}",
    "dp\\.pt\\.[A-Za-z0-9]{43}",
    "pul-[0-9a-f]{40}",
    "lin_api_[A-Za-z0-9]{40}",
    "tskey-auth-[A-Za-z0-9]{12}-[A-Za-z0-9]{32}",
    "FwoGZXIvYXdz[A-Za-z0-9/+]{200}",
    "IQoJb3JpZ2lu[A-Za-z0-9/+]{200}",
    "eyJ[A-Za-z0-9_-]{20}\\.eyJ[A-Za-z0-9_-]{40}\\.[A-Za-z0-9_-]{43}",
];

/// What only its name or its place makes a secret.
const LINES: [Form; 78] = [
    Form { line: "AWS_BEARER_TOKEN_BEDROCK={}", secret: RANDOM },
    Form { line: "export WANDB_KEY={}", secret: RANDOM },
    Form { line: "DB_PW={}", secret: PASSWORD },
    Form { line: "MYSQLPASS={}", secret: PASSWORD },
    Form { line: "NPM_AUTH={}", secret: RANDOM },
    Form { line: "HASH_SALT={}", secret: RANDOM },
    Form { line: "SMTP_CREDS={}", secret: PASSWORD },
    Form { line: "PGPASSWORD={} psql -h db", secret: PASSWORD },
    Form { line: "DB_PASSWORD := \"{}\"", secret: PASSWORD },
    Form { line: "'api_key' => '{}'", secret: RANDOM },
    Form { line: "setx API_TOKEN {}", secret: RANDOM },
    Form { line: "setx API_TOKEN \"{}\" /M", secret: RANDOM },
    Form { line: "$env:API_TOKEN = \"{}\"", secret: RANDOM },
    Form { line: "set DB_PASSWORD={}", secret: PASSWORD },
    Form { line: "setenv DB_PASSWORD {}", secret: PASSWORD },
    Form { line: "set -x DB_PASSWORD {}", secret: PASSWORD },
    Form { line: "ENV DB_PASSWORD {}", secret: PASSWORD },
    Form { line: "os.environ[\"HF_TOKEN\"] = \"{}\"", secret: RANDOM },
    Form { line: "os.environ.setdefault('HF_TOKEN', '{}')", secret: RANDOM },
    Form { line: "connect(user='me', password='{}')", secret: PASSWORD },
    Form { line: "define('DB_PASSWORD', '{}');", secret: PASSWORD },
    Form { line: "password: {}", secret: PASSWORD },
    Form { line: "- name: DB_PASSWORD\n  value: {}", secret: PASSWORD },
    Form { line: "{{\"password\": \"{}\"}}", secret: PASSWORD },
    Form { line: "{{\\\"password\\\": \\\"{}\\\"}}", secret: PASSWORD },
    Form { line: "%7B%22password%22%3A%22{}%22%7D", secret: "[a-z]{4}[0-9]{4}[A-Z]{4}" },
    Form { line: "<password>{}</password>", secret: PASSWORD },
    Form { line: "<add key=\"DbPassword\" value=\"{}\"/>", secret: PASSWORD },
    Form { line: "<user name=\"me\" password=\"{}\"/>", secret: PASSWORD },
    Form { line: "${{DB_PASSWORD:-{}}}", secret: "[a-z]{4}[0-9]{4}[A-Z]{4}" },
    Form { line: "run --password {}", secret: PASSWORD },
    Form { line: "run --pass {}", secret: PASSWORD },
    Form { line: "run --password={}", secret: PASSWORD },
    Form { line: "run --api-key '{}'", secret: RANDOM },
    Form { line: "run -token {}", secret: RANDOM },
    Form { line: "run \\\n  --password \\\n  {}", secret: PASSWORD },
    Form { line: "export DB_PASSWORD=\\\n{}", secret: PASSWORD },
    Form { line: "cmdkey /add:h /user:me /pass:{}", secret: PASSWORD },
    Form { line: "sqlcmd -S h -U sa -P {}", secret: PASSWORD },
    Form { line: "mysql -h db -u root -p{}", secret: PASSWORD },
    Form { line: "mongosh -u me -p {}", secret: PASSWORD },
    Form { line: "az login -u me@x.example -p {}", secret: PASSWORD },
    Form { line: "az login --service-principal -u 1 -p {} --tenant t", secret: PASSWORD },
    Form { line: "docker login -u me -p {} r.example", secret: PASSWORD },
    Form { line: "echo {} | docker login -u me --password-stdin r.example", secret: PASSWORD },
    Form { line: "echo 'root:{}' | chpasswd", secret: PASSWORD },
    Form { line: "echo {} | sudo -S id", secret: PASSWORD },
    Form { line: "echo \"{}\" | passwd --stdin me", secret: PASSWORD },
    Form { line: "sshpass -p '{}' ssh h", secret: PASSWORD },
    Form { line: "curl -u me:{} https://x.example", secret: PASSWORD },
    Form { line: "wget --user=me --password={} https://x.example", secret: PASSWORD },
    Form { line: "curl -H 'Authorization: Bearer {}' https://x.example", secret: RANDOM },
    Form { line: "curl -H 'X-Api-Key: {}' https://x.example", secret: RANDOM },
    Form { line: "curl -H \"Authorization: Basic {}\" https://x.example", secret: "[A-Za-z0-9]{22}==" },
    Form { line: "postgres://app:{}@db.example:5432/x", secret: PASSWORD },
    Form { line: "postgres://app:{}@db.example:5432/x", secret: "[a-z0-9]{6}@[a-z0-9]{6}" },
    Form { line: "postgres://app:{}@db.example:5432/x", secret: "[a-z][a-z0-9]{5}/[a-z0-9]{6}" },
    Form { line: "redis://:{}@cache:6379", secret: PASSWORD },
    Form { line: "mongodb+srv://me:{}@c.example/x?w=1", secret: PASSWORD },
    Form { line: "https://{}@o1.ingest.example/12", secret: "[0-9a-f]{32}" },
    Form { line: "app:{}@tcp(db.example:3306)/x", secret: PASSWORD },
    Form { line: "Server=db;Uid=app;Pwd={};", secret: PASSWORD },
    Form { line: "AccountName=a;AccountKey={};EndpointSuffix=x", secret: "[A-Za-z0-9+/]{86}==" },
    Form { line: "host=db user=app password={} dbname=x", secret: PASSWORD },
    Form { line: "machine git.example login me password {}", secret: PASSWORD },
    Form { line: "db.example:5432:app:me:{}", secret: PASSWORD },
    Form { line: "{{\"auths\":{{\"r.example\":{{\"auth\":\"{}\"}}}}}}", secret: "[A-Za-z0-9]{22}==" },
    Form { line: "{{\"username\":\"me\",\"key\":\"{}\"}}", secret: "[0-9a-f]{32}" },
    Form { line: "//registry.example/:_authToken={}", secret: RANDOM },
    Form { line: "DB_PASSWORD='{}' run", secret: PASSWORD },
    Form { line: "DB_PASSWORD=\"{} x\" run", secret: PASSWORD },
    Form { line: "https://x.example/y?access_token={}&n=1", secret: RANDOM },
    Form { line: "https://b.s3.amazonaws.com/k?X-Amz-Signature={}", secret: "[0-9a-f]{64}" },
    Form { line: "https://x.blob.core.windows.net/c?sv=2024&sig={}&se=1", secret: "[A-Za-z0-9]{40}%3D" },
    Form { line: "https://hooks.slack.com/services/{}", secret: "T[A-Z0-9]{8}/B[A-Z0-9]{8}/[A-Za-z0-9]{24}" },
    Form { line: "aws configure set aws_secret_access_key {}", secret: "[A-Za-z0-9]{40}" },
    Form { line: "wandb login {}", secret: "[0-9a-f]{40}" },
    Form {
        line: "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----",
        secret: "[A-Za-z0-9+/]{64}",
    },
];

/// A text, and the secret in it.
#[derive(Debug, Clone)]
pub struct Written {
    pub text: String,
    pub secret: String,
    /// What tells the form apart in the score.
    pub form: &'static str,
}

/// Every form once, with other secrets at each call.
pub fn forms(runner: &mut TestRunner) -> Vec<Written> {
    let made = |runner: &mut TestRunner, pattern: &str| {
        proptest::string::string_regex(pattern).unwrap().new_tree(runner).unwrap().current()
    };
    let mut forms = Vec::new();
    for shape in SHAPES {
        let secret = made(runner, shape);
        forms.push(Written { text: format!("use {secret} now"), secret: secret.clone(), form: shape });
    }
    for Form { line, secret } in LINES {
        let secret = made(runner, secret);
        let text = line.replace("{}", &secret).replace("{{", "{").replace("}}", "}");
        forms.push(Written { text, secret, form: line });
    }
    forms
}
