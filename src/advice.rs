//! The advice: what to change when no connection comes about, read off the words of the error; pure.
//!
//! The libraries' errors have no types for most of these causes, so this module compares their words, and tests against
//! real servers pin the words. The text of such an error includes the advice, so the daemon and the doctor say the
//! same.

use url::Url;

/// The target of a connection, by the settings that decide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// `[sink]` or `[dashboards]`, over TLS or without.
    Section { name: &'static str, uses_tls: bool },
    /// A service of AWS, which is configured the AWS way.
    Aws,
}

impl Place {
    /// The cluster at this address.
    pub fn of(url: &Url) -> Self {
        Self::Section { name: "sink", uses_tls: url.scheme() == "https" }
    }

    /// The Dashboards at this address.
    pub fn of_dashboards(url: &Url) -> Self {
        Self::Section { name: "dashboards", uses_tls: url.scheme() == "https" }
    }
}

/// What to change when a request brought no answer.
pub fn of_connection(problem: &str, place: &Place) -> Option<String> {
    let has = |words: &str| problem.contains(words);
    let trouble = if has("No CA certificates were loaded from the system") {
        Trouble::NoAuthorities
    } else if has("UnknownIssuer") {
        Trouble::UnknownIssuer
    } else if has("CaUsedAsEndEntity") {
        Trouble::AuthorityAsServer
    } else if has("certificate not valid for name") || has("NotValidForName") {
        Trouble::OtherName
    } else if has("certificate expired") || has("Expired") {
        Trouble::Expired
    } else if has("certificate not valid yet") || has("NotValidYet") {
        Trouble::NotYetValid
    } else if has("invalid peer certificate") {
        Trouble::OtherCertificate
    } else if has("CertificateRequired")
        || has("alert: BadCertificate")
        || has("alert: UnknownCA")
        || has("alert: CertificateUnknown")
    {
        Trouble::ClientCertificate
    } else if has("ProtocolVersion") || has("HandshakeFailure") || has("peer is incompatible") {
        Trouble::Incompatible
    } else if has("InvalidContentType") {
        Trouble::NoTls
    } else if speaks_no_plain_http(problem) {
        Trouble::Tls
    } else if has("dns error") || has("failed to lookup address") {
        Trouble::NoSuchHost
    } else {
        return None;
    };
    match place {
        Place::Section { name, uses_tls } => of_section(trouble, name, *uses_tls),
        Place::Aws => of_aws(trouble).map(str::to_owned),
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
    is_told.then(|| of_section(Trouble::Tls, name, false)).flatten()
}

/// Why a connection fails.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    NoAuthorities,
    UnknownIssuer,
    AuthorityAsServer,
    OtherName,
    Expired,
    NotYetValid,
    OtherCertificate,
    ClientCertificate,
    /// The two sides have no TLS version or cipher in common.
    Incompatible,
    /// The client began TLS, and the server speaks plain HTTP.
    NoTls,
    /// The client spoke plain HTTP, and the server expects TLS.
    Tls,
    NoSuchHost,
}

/// A server that awaits TLS closes the connection, or answers with an alert, which is no HTTP.
fn speaks_no_plain_http(problem: &str) -> bool {
    [
        "connection closed before message completed",
        "invalid HTTP version parsed",
        "Connection reset by peer",
        "invalid HTTP header parsed",
    ]
    .iter()
    .any(|words| problem.contains(words))
}

fn of_section(trouble: Trouble, section: &str, uses_tls: bool) -> Option<String> {
    Some(match trouble {
        Trouble::NoAuthorities => format!(
            "this host has no authorities to trust: install the package ca-certificates, or set {section}.ca_file to the authority of the server's certificate"
        ),
        Trouble::UnknownIssuer => format!(
            "set {section}.ca_file to a PEM file with the authority that signed the server's certificate, and configure the server to send its intermediate certificates; if a proxy intercepts TLS, name the proxy's authority"
        ),
        Trouble::AuthorityAsServer => format!(
            "the server uses the certificate of an authority as its own; give it one that an authority has signed, and put the authority into {section}.ca_file"
        ),
        Trouble::OtherName => format!(
            "use a name in {section}.url that is in the server's certificate, or give the server a certificate for the name in {section}.url"
        ),
        Trouble::Expired => "renew the server's certificate; if it has not expired, correct this host's clock".to_owned(),
        Trouble::NotYetValid => "correct this host's clock; if it is correct, wait until the server's certificate becomes valid".to_owned(),
        Trouble::OtherCertificate => "give the server a certificate of X.509 version 3 with its name as a subject alternative name".to_owned(),
        Trouble::ClientCertificate if section == "sink" => "the server asks for a client certificate that it trusts; set sink.auth to \"certificate\", and check that client_certificate_file is valid and signed by an authority that the server trusts".to_owned(),
        Trouble::ClientCertificate => format!("the server asks for a client certificate, which [{section}] does not support"),
        Trouble::Incompatible => "enable TLS 1.2 or 1.3 with current ciphers on the server".to_owned(),
        Trouble::NoTls => format!("the server speaks no TLS on this port; begin {section}.url with http://, or name the port with TLS"),
        Trouble::Tls if !uses_tls => format!("if the server speaks TLS on this port, begin {section}.url with https://"),
        Trouble::Tls => return None,
        Trouble::NoSuchHost => format!("check the spelling of the host in {section}.url, and whether this host can resolve it"),
    })
}

fn of_aws(trouble: Trouble) -> Option<&'static str> {
    match trouble {
        Trouble::NoAuthorities | Trouble::UnknownIssuer => Some(
            "install the package ca-certificates; if a proxy intercepts TLS, add its authority to the system's, or name a file with all authorities in SSL_CERT_FILE",
        ),
        Trouble::OtherName | Trouble::AuthorityAsServer | Trouble::OtherCertificate => Some(
            "another server answers there; check AWS_ENDPOINT_URL, the proxy and the private endpoint, whose name must be in its certificate",
        ),
        Trouble::Expired | Trouble::NotYetValid => {
            Some("correct this host's clock; AWS's certificates are valid")
        }
        Trouble::NoTls => {
            Some("the server there speaks no TLS; begin AWS_ENDPOINT_URL with http://, or check the proxy")
        }
        Trouble::Tls => Some("if the endpoint in AWS_ENDPOINT_URL speaks TLS, begin the URL with https://"),
        Trouble::NoSuchHost => Some(
            "check the spelling of the region (AWS_REGION, or the profile's), and whether this host can resolve AWS's names",
        ),
        Trouble::ClientCertificate | Trouble::Incompatible => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_neither_tls_nor_names_gets_no_advice() {
        let place = Place::Section { name: "sink", uses_tls: true };
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
        let plain = Place::Section { name: "dashboards", uses_tls: false };
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
