//! A server with TLS on loopback that answers as OpenSearch's root does, with certificates made for the test.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use tokio_util::task::AbortOnDropHandle;

/// Who signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

/// A certificate with its key, in PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The years in which a certificate is valid.
pub(crate) const NOW: (i32, i32) = (2000, 4000);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn identity(&self, name: &str, years: (i32, i32)) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

/// Who may ask.
#[derive(Clone, Default)]
pub(crate) struct Doors {
    /// Whoever signs the certificates of clients, where they need one.
    pub(crate) clients: Option<String>,
    pub(crate) password: Arc<Mutex<Option<String>>>,
    /// What everybody is answered: a status with its lines of headers, and a body.
    pub(crate) answer: Option<(&'static str, &'static str)>,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    /// The serial numbers of the certificates that clients have shown.
    pub(crate) shown: Arc<Mutex<Vec<Vec<u8>>>>,
    _task: AbortOnDropHandle<()>,
}

impl Server {
    /// With an identity it speaks TLS, and otherwise plain HTTP.
    pub(crate) async fn start(identity: Option<&Identity>, doors: Doors) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = identity.map(|identity| acceptor(identity, doors.clients.as_deref()));
        let shown = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&shown);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, doors, seen) = (acceptor.clone(), doors.clone(), Arc::clone(&seen));
                tokio::spawn(serve(stream, acceptor, doors, seen));
            }
        });
        Self { port, shown, _task: AbortOnDropHandle::new(task) }
    }
}

fn acceptor(identity: &Identity, clients: Option<&str>) -> TlsAcceptor {
    let builder = ServerConfig::builder();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
            builder.with_client_cert_verifier(WebPkiClientVerifier::builder(roots.into()).build().unwrap())
        }
    };
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate], key).unwrap()))
}

async fn serve(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    doors: Doors,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
) {
    match acceptor {
        None => answer(stream, &doors).await,
        Some(acceptor) => {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            if let Some(certificates) = stream.get_ref().1.peer_certificates() {
                seen.lock().unwrap().push(certificates[0].to_vec());
            }
            answer(stream, &doors).await;
        }
    }
}

/// Answers one request and closes, so that the next one makes a connection of its own.
async fn answer(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin, doors: &Doors) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).await.is_err() {
            return;
        }
        head.push(byte[0]);
        // As servers do that meet something else than HTTP, such as the beginning of TLS.
        if !head[0].is_ascii_uppercase() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
            return;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let wanted = doors.password.lock().unwrap().clone();
    let wanted = wanted.map(|password| BASE64_STANDARD.encode(format!("me:{password}")));
    let (status, body) = match wanted {
        _ if doors.answer.is_some() => doors.answer.map(|(status, body)| (status, body.to_owned())).unwrap(),
        Some(wanted) if !head.contains(&wanted) => ("401 Unauthorized", "Unauthorized".to_owned()),
        _ => (
            "200 OK",
            r#"{"version":{"distribution":"opensearch","number":"3.0.0"},"saved_objects":[]}"#.to_owned(),
        ),
    };
    let text =
        format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}
