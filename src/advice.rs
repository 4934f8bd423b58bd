//! The advice: what to change when no connection comes about, read off the words of the error; pure.
//!
//! The libraries' errors have no types for most of these causes, so this module compares their words, and tests against
//! real servers pin the words. The text of such an error includes the advice, so the daemon and the doctor say the
//! same.

use std::sync::Arc;

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
        Place::Section { uses_tls: true, .. } if trouble.words == NO_TLS_BEGUN.words => None,
        Place::Section { name, .. } => Some(trouble.of_section(name)),
        Place::Aws => (!trouble.aws.is_empty()).then(|| trouble.aws.to_owned()),
    }
}

/// What to change when a server that speaks TLS has answered a request without it.
pub fn of_plain_request(body: &[u8], place: &Place) -> Option<String> {
    /// Characters that are looked at; such an answer is short.
    const LOOKED_AT: usize = 2_000;
    let Place::Section { name, uses_tls: false } = place else { return None };
    let body = String::from_utf8_lossy(&body[..body.len().min(LOOKED_AT)]);
    // nginx and AWS's load balancers, Go's servers, Apache.
    let is_told = [
        "HTTP request was sent to HTTPS port",
        "HTTP request to an HTTPS server",
        "plain HTTP to an SSL-enabled",
    ]
    .iter()
    .any(|words| body.contains(words));
    is_told.then(|| NO_TLS_BEGUN.of_section(name))
}

/// Why no connection comes about, by the words that tell it.
struct Trouble {
    words: &'static [&'static str],
    /// What to change in a section of the configuration, whose name stands for `{}`.
    section: &'static str,
    /// What to change for a service of AWS; empty where nobody here can.
    aws: &'static str,
}

impl Trouble {
    fn of_section(&self, name: &str) -> String {
        if self.section == CLIENT_CERTIFICATE && name == "sink" {
            return CLIENT_CERTIFICATE_OF_SINK.to_owned();
        }
        self.section.replace("{}", name)
    }
}

const CLIENT_CERTIFICATE: &str = "the server asks for a client certificate, which [{}] does not support";
const CLIENT_CERTIFICATE_OF_SINK: &str = "the server asks for a client certificate that it trusts; set sink.auth to \"certificate\", and check that client_certificate_file is valid and signed by an authority that the server trusts";
const AUTHORITIES_OF_AWS: &str = "install the package ca-certificates; if a proxy intercepts TLS, add its authority to the system's, or name a file with all authorities in SSL_CERT_FILE";
const OTHER_THAN_AWS: &str = "another server answers there; check AWS_ENDPOINT_URL, the proxy and the private endpoint, whose name must be in its certificate";
const CLOCK: &str = "correct this host's clock; AWS's certificates are valid";

/// A server that awaits TLS closes the connection, or answers with an alert, which is no HTTP.
const NO_TLS_BEGUN: Trouble = Trouble {
    words: &[
        "connection closed before message completed",
        "invalid HTTP version parsed",
        "Connection reset by peer",
        "invalid HTTP header parsed",
    ],
    section: "if the server speaks TLS on this port, begin {}.url with https://",
    aws: "if the endpoint in AWS_ENDPOINT_URL speaks TLS, begin the URL with https://",
};

/// The first whose words are found decides.
const TROUBLES: &[Trouble] = &[
    Trouble {
        words: &["No CA certificates were loaded from the system"],
        section: "this host has no authorities to trust: install the package ca-certificates, or set {}.ca_file to the authority of the server's certificate",
        aws: AUTHORITIES_OF_AWS,
    },
    Trouble {
        words: &["UnknownIssuer"],
        section: "set {}.ca_file to a PEM file with the authority that signed the server's certificate, and configure the server to send its intermediate certificates; if a proxy intercepts TLS, name the proxy's authority",
        aws: AUTHORITIES_OF_AWS,
    },
    Trouble {
        words: &["CaUsedAsEndEntity"],
        section: "the server uses the certificate of an authority as its own; give it one that an authority has signed, and put the authority into {}.ca_file",
        aws: OTHER_THAN_AWS,
    },
    Trouble {
        words: &["certificate not valid for name", "NotValidForName"],
        section: "use a name in {}.url that is in the server's certificate, or give the server a certificate for the name in {}.url",
        aws: OTHER_THAN_AWS,
    },
    Trouble {
        words: &["certificate expired", "Expired"],
        section: "renew the server's certificate; if it has not expired, correct this host's clock",
        aws: CLOCK,
    },
    Trouble {
        words: &["certificate not valid yet", "NotValidYet"],
        section: "correct this host's clock; if it is correct, wait until the server's certificate becomes valid",
        aws: CLOCK,
    },
    Trouble {
        words: &["invalid peer certificate"],
        section: "give the server a certificate of X.509 version 3 with its name as a subject alternative name",
        aws: OTHER_THAN_AWS,
    },
    Trouble {
        words: &[
            "CertificateRequired",
            "alert: BadCertificate",
            "alert: UnknownCA",
            "alert: CertificateUnknown",
        ],
        section: CLIENT_CERTIFICATE,
        aws: "",
    },
    // Both speak TLS, and no version or cipher that the other speaks.
    Trouble {
        words: &["ProtocolVersion", "HandshakeFailure", "peer is incompatible"],
        section: "enable TLS 1.2 or 1.3 with current ciphers on the server",
        aws: "",
    },
    // TLS was begun, and the server speaks none.
    Trouble {
        words: &["InvalidContentType"],
        section: "the server speaks no TLS on this port; begin {}.url with http://, or name the port with TLS",
        aws: "the server there speaks no TLS; begin AWS_ENDPOINT_URL with http://, or check the proxy",
    },
    NO_TLS_BEGUN,
    Trouble {
        words: &["dns error", "failed to lookup address"],
        section: "check the spelling of the host in {}.url, and whether this host can resolve it",
        aws: "check the spelling of the region (AWS_REGION, or the profile's), and whether this host can resolve AWS's names",
    },
];

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
