//! Says what to change when no connection comes about, from the words of the error (pure).
//!
//! The libraries' errors have no types for most of these causes, so this module compares their words, and tests against
//! real servers pin the words. The text of such an error includes the advice, so the daemon and the doctor say the
//! same.

use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use url::Url;

/// The target of a connection, by the settings that decide it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// `[sink]`, `[dashboards]` or one of `[channels]`, over TLS or without.
    Section { name: Arc<str>, uses_tls: bool },
    /// A service of AWS, which is configured the AWS way.
    Aws,
}

impl Place {
    /// The server at this address, which a section of the configuration names.
    pub fn of(section: &str, url: &Url) -> Self {
        Self::Section { name: section.into(), uses_tls: url.scheme() == "https" }
    }
}

/// What to change when a request brought no answer.
pub fn of_connection(problem: &str, place: &Place) -> Option<String> {
    let trouble =
        TROUBLES.iter().find(|trouble| trouble.words.iter().any(|words| problem.contains(words)))?;
    match place {
        // A server that speaks TLS closes such a connection, too.
        Place::Section { uses_tls: true, .. } if !trouble.answers.is_empty() => None,
        Place::Section { name, .. } => Some(trouble.of_section(name)),
        Place::Aws => trouble.aws.clone(),
    }
}

/// What to change when a server that speaks TLS has answered a request without it.
pub fn of_plain_request(body: &[u8], place: &Place) -> Option<String> {
    /// Characters that are looked at; such an answer is short.
    const LOOKED_AT: usize = 2_000;
    let Place::Section { name, uses_tls: false } = place else { return None };
    let body = String::from_utf8_lossy(&body[..body.len().min(LOOKED_AT)]);
    let told = TROUBLES.iter().find(|trouble| trouble.answers.iter().any(|words| body.contains(words)));
    told.map(|trouble| trouble.of_section(name))
}

static TROUBLES: LazyLock<Vec<Trouble>> = LazyLock::new(|| {
    let File { trouble } =
        toml::from_str(include_str!("../config/connection-troubles.toml")).expect("a test reads the file");
    trouble
});

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    trouble: Vec<Trouble>,
}

/// Why no connection comes about, as the file explains.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trouble {
    words: Vec<String>,
    section: String,
    /// In place of `section` for `[sink]`.
    sink: Option<String>,
    aws: Option<String>,
    /// What servers answer that await TLS, where none was begun.
    #[serde(default)]
    answers: Vec<String>,
}

impl Trouble {
    fn of_section(&self, name: &str) -> String {
        self.sink.clone().filter(|_| name == "sink").unwrap_or_else(|| self.section.replace("{}", name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_neither_tls_nor_names_gets_no_advice() {
        let place = Place::Section { name: "sink".into(), uses_tls: true };
        for problem in [
            "Connection refused (os error 111)",
            "Connection reset by peer (os error 104)",
            "operation timed out",
        ] {
            assert_eq!(of_connection(problem, &place), None, "{problem}");
        }
        assert_eq!(of_plain_request(b"The plain HTTP request was sent to HTTPS port", &place), None);
    }

    #[test]
    fn whoever_asks_without_tls_where_it_is_spoken_is_told_by_the_answers_of_common_servers() {
        let plain = Place::Section { name: "dashboards".into(), uses_tls: false };
        for body in [
            "<center>The plain HTTP request was sent to HTTPS port</center>",
            "Client sent an HTTP request to an HTTPS server.\n",
            "You're speaking plain HTTP to an SSL-enabled server port.",
        ] {
            assert!(
                of_plain_request(body.as_bytes(), &plain)
                    .unwrap()
                    .contains("begin dashboards.url with https://")
            );
        }
        assert_eq!(of_plain_request(b"{}", &plain), None);
    }
}
