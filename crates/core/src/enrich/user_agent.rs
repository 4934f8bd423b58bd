//! Tells which kind of program a call came from, by words in what it says of itself.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use serde::Deserialize;

/// The class of the console's back ends.
pub const CONSOLE: &str = "console";
/// The class of tools that attackers use.
pub const ATTACK_TOOL: &str = "attack-tool";
/// A user agent of no known class.
const OTHER: &str = "other";
/// No user agent, or one without a letter in it.
const UNKNOWN: &str = "unknown";

/// The class of a user agent: the first of `config/user-agents.toml` that has a word in it.
pub fn class(user_agent: Option<&str>) -> &'static str {
    match user_agent {
        Some(text) if text.contains(char::is_alphabetic) => CLASSES.first_in(text).unwrap_or(OTHER),
        _ => UNKNOWN,
    }
}

static CLASSES: LazyLock<Classes> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("../../../../config/user-agents.toml"))
        .expect("the classes of user agents are checked in as valid TOML");
    Classes::of(file)
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    class: Vec<Class>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Class {
    name: String,
    contains: Vec<String>,
}

/// All words in one automaton, so that a user agent is read once, however many words there are.
struct Classes {
    words: AhoCorasick,
    /// The class of each word; words of an earlier class come first.
    names: Vec<String>,
}

impl Classes {
    fn of(file: File) -> Self {
        let mut words = Vec::new();
        let mut names = Vec::new();
        for class in file.class {
            for word in class.contains {
                words.push(word);
                names.push(class.name.clone());
            }
        }
        let words = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(words)
            .expect("the words are few and short");
        Self { words, names }
    }

    fn first_in(&self, text: &str) -> Option<&str> {
        let first = self.words.find_overlapping_iter(text).map(|found| found.pattern().as_usize()).min()?;
        Some(&self.names[first])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// User agents as they stand in records, with the class that a person gave them.
    const CASES: &[(&str, &str)] = &[
        ("aws-cli/2.31.22 md/awscrt#0.28.1 ua/2.1 os/linux#6.12.38+kali-amd64 md/arch#x86_64", ATTACK_TOOL),
        ("Boto3/1.9.201 Python/3.7.3 Linux/4.19.0-parrot4-28t-amd64 Botocore/1.12.201", ATTACK_TOOL),
        ("stratus-red-team_4e3f2a10-1111-2222-3333-444455556666", ATTACK_TOOL),
        (
            "aws-cli/2.17.9 md/awscrt#0.20.11 exec-env/grimoire_4e3f2a10-1111 cfg/retry-mode#standard",
            ATTACK_TOOL,
        ),
        ("TruffleHog", ATTACK_TOOL),
        ("AWS-Toolkit-For-VSCode/3.60.0 Visual-Studio-Code/1.104.0 ClientId/4e3f2a10-1111", "ide"),
        ("AWS-Toolkit-For-JetBrains/3.40 IntelliJ-IDEA/2026.1 aws-sdk-java/2.25.1", "ide"),
        ("sagemaker.amazonaws.com", "sagemaker"),
        ("sagemaker-unified-studio-mcp/1.0", "sagemaker"),
        (
            "Boto3/1.34.1 md/Botocore#1.34.1 ua/2.0 AWS-SageMaker-Python-SDK/2.199.0 Python/3.10",
            "sagemaker-python-sdk",
        ),
        (
            "APN/1.0 HashiCorp/1.0 Terraform/1.13.4 (+https://www.terraform.io) terraform-provider-aws/6.18.0 aws-sdk-go-v2/1.39",
            "terraform",
        ),
        ("cloudformation.amazonaws.com", "cloudformation"),
        ("aws-sdk-js/3.900.0 ua/2.1 os/linux lang/js md/nodejs#22.1.0 aws-cdk/2.1.0", "cloudformation"),
        (
            "aws-cli/2.31.22 md/awscrt#0.28.1 ua/2.1 os/macos#25.1.0 md/command#sagemaker.create-app",
            "aws-cli",
        ),
        ("[aws-cli/1.16.225 Python/3.6.5 Darwin/18.7.0 botocore/1.12.215]", "aws-cli"),
        ("console.ec2.amazonaws.com", CONSOLE),
        (
            "[S3Console/0.4, aws-internal/3 aws-sdk-java/1.11.783 Linux/4.9.217 OpenJDK_64-Bit_Server_VM]",
            CONSOLE,
        ),
        ("AWS Signin, aws-internal/3 aws-sdk-java/1.12.1 Linux/5.10 kotlin/1.3.72", CONSOLE),
        ("signin.amazonaws.com", CONSOLE),
        ("AWSConsole", CONSOLE),
        ("lambda.amazonaws.com", "aws-service"),
        ("AWS Internal", "aws-service"),
        ("aws-internal/3 aws-sdk-java/1.12.500 Linux/5.10 OpenJDK_64-Bit_Server_VM", "aws-service"),
        ("amazon-ssm-agent/3.1.1767.0", "aws-service"),
        ("Boto3/1.42.3 md/Botocore#1.42.3 ua/2.1 os/linux#6.1.158", "boto3"),
        ("aws-sdk-go-v2/1.39.2 ua/2.1 os/linux lang/go#1.24.8", "aws-sdk-go"),
        ("aws-sdk-java/2.25.1 Linux/5.10 Java/17", "aws-sdk-java"),
        ("aws-sdk-nodejs/2.1400.0 linux/v18.0 exec-env/AWS_Lambda_nodejs18.x", "aws-sdk-js"),
        ("aws-sdk-dotnet/3.7.1 .NET Runtime/6.0", "aws-sdk-dotnet"),
        ("awslambda-worker/0.1.0 rusoto/0.45.0 rust/1.47.0 linux", "aws-sdk-rust"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", "browser"),
        ("python-requests/2.32.5", "http-client"),
        ("docker/28.5.1 go/go1.24.8 kernel/6.8.0 os/linux arch/amd64", "docker"),
        ("Datadog", OTHER),
        ("-", UNKNOWN),
        ("...", UNKNOWN),
    ];

    #[test]
    fn each_user_agent_has_the_class_that_a_person_gives_it() {
        for (user_agent, expected) in CASES {
            assert_eq!(class(Some(user_agent)), *expected, "{user_agent}");
        }
        assert_eq!(class(None), UNKNOWN);
    }

    #[test]
    fn the_classes_that_code_asks_for_are_in_the_file() {
        for name in [CONSOLE, ATTACK_TOOL] {
            assert!(CLASSES.names.iter().any(|known| known == name), "{name}");
        }
    }
}
