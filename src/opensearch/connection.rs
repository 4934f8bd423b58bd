//! Holds the transport to a server, and replaces it when a file that its section names has new content.
//!
//! A request keeps the transport that it began with, so an exchange breaks none. A file that cannot be read or used is
//! left alone and logged once, because its writer may be half-way.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use reqwest::Certificate;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::error::OpenSearchError;
use super::transport::{Credentials, Signature, Transport, Trust};
use crate::advice::{self, Place};
use crate::causes::chain;
use crate::config::{AuthKind, Sigv4Service, SinkConfig};

pub(super) struct Connection {
    place: Place,
    /// The section of the configuration that names the server.
    section: Arc<str>,
    config: SinkConfig,
    aws: Option<SdkConfig>,
    current: Mutex<Current>,
    /// One renewal at a time, so that an older reading never replaces a newer one.
    renewing: Mutex<()>,
}

struct Current {
    transport: Arc<Transport>,
    /// Of the files that it was made from.
    fingerprint: [u8; 32],
    /// Why newer files are not in use, as it was logged.
    problem: Option<String>,
}

impl Connection {
    pub(super) fn open(
        section: &str,
        config: &SinkConfig,
        aws: Option<&SdkConfig>,
    ) -> Result<Self, OpenSearchError> {
        let place = Place::of(section, &config.url);
        let named = |error: OpenSearchError| error.within(section);
        let files = Files::read(config).map_err(named)?;
        let transport = Arc::new(transport(config, aws, &files, &place).map_err(named)?);
        let current = Current { transport, fingerprint: files.fingerprint(), problem: None };
        Ok(Self {
            place,
            section: section.into(),
            config: config.clone(),
            aws: aws.cloned(),
            current: Mutex::new(current),
            renewing: Mutex::new(()),
        })
    }

    /// The transport for the next request.
    pub(super) fn transport(&self) -> Arc<Transport> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner).transport)
    }

    pub(super) fn refuses_files(&self) -> bool {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).problem.is_some()
    }

    /// Reads the files again, and makes a new transport of them where they have changed. It blocks.
    pub(super) fn renew(&self) {
        let _turn = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let made = Files::read(&self.config).and_then(|files| {
            let fingerprint = files.fingerprint();
            if self.current.lock().unwrap_or_else(PoisonError::into_inner).fingerprint == fingerprint {
                return Ok(None);
            }
            Ok(Some((transport(&self.config, self.aws.as_ref(), &files, &self.place)?, fingerprint)))
        });
        let (section, mut current) =
            (&self.section, self.current.lock().unwrap_or_else(PoisonError::into_inner));
        match made {
            Ok(made) => {
                let had_problem = current.problem.take().is_some();
                if let Some((transport, fingerprint)) = made {
                    current.transport = Arc::new(transport);
                    current.fingerprint = fingerprint;
                    info!(%section, "a file that this section names has changed; its new content is in use");
                } else if had_problem {
                    info!(%section, "the files that this section names can be used again, with the same content");
                }
            }
            Err(error) => {
                let problem = error.within(section).to_string();
                if current.problem.as_ref() != Some(&problem) {
                    warn!(
                        %section,
                        problem,
                        "a file that this section names cannot be used; its old content stays in use"
                    );
                    current.problem = Some(problem);
                }
            }
        }
    }
}

/// What the files hold that the section names.
struct Files {
    password: Option<SecretString>,
    /// The certificate and its key, in PEM.
    identity: Option<Vec<u8>>,
    authorities: Option<Vec<u8>>,
}

impl Files {
    fn read(config: &SinkConfig) -> Result<Self, OpenSearchError> {
        let password = match (config.auth, &config.password, &config.password_file) {
            (AuthKind::Basic, None, Some(path)) => Some(SecretString::from(password_of(path)?)),
            _ => None,
        };
        let identity = match config.auth {
            AuthKind::Certificate => {
                let (certificate_key, key_key) = ("client_certificate_file", "client_key_file");
                let named = |key, path: &Option<_>| path.clone().ok_or_else(|| missing(key));
                let mut pem =
                    read(certificate_key, &named(certificate_key, &config.client_certificate_file)?)?;
                pem.push(b'\n');
                pem.extend(key_of(key_key, &named(key_key, &config.client_key_file)?)?);
                Some(pem)
            }
            AuthKind::None | AuthKind::Basic | AuthKind::Sigv4 => None,
        };
        let authorities = match &config.ca_file {
            Some(path) if !config.danger_accept_invalid_certificates => Some(read("ca_file", path)?),
            _ => None,
        };
        Ok(Self { password, identity, authorities })
    }

    fn fingerprint(&self) -> [u8; 32] {
        let password = self.password.as_ref().map(|password| password.expose_secret().as_bytes());
        let mut hash = Sha256::new();
        for part in [password, self.identity.as_deref(), self.authorities.as_deref()] {
            let part = part.unwrap_or_default();
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }
}

fn transport(
    config: &SinkConfig,
    aws: Option<&SdkConfig>,
    files: &Files,
    place: &Place,
) -> Result<Transport, OpenSearchError> {
    Transport::new(
        config.url.clone(),
        config.request_timeout,
        concat!("sagetrail/", env!("CARGO_PKG_VERSION")),
        credentials(config, aws, files)?,
        trust(config, files)?,
    )
    .map_err(|error| {
        let mut problem = chain(&error);
        if let Some(advice) = advice::of_connection(&problem, place) {
            problem = format!("{problem}; {advice}");
        }
        OpenSearchError::configure("", problem)
    })
}

fn credentials(
    config: &SinkConfig,
    aws: Option<&SdkConfig>,
    files: &Files,
) -> Result<Option<Credentials>, OpenSearchError> {
    match config.auth {
        AuthKind::None => Ok(None),
        AuthKind::Basic => {
            let username = config.username.clone().ok_or_else(|| missing("username"))?;
            let password = config.password.as_ref().or(files.password.as_ref());
            let password = password.ok_or_else(|| missing("password_file"))?.clone();
            Ok(Some(Credentials::Basic { username, password }))
        }
        AuthKind::Sigv4 => {
            let unsigned = |lack| {
                let problem = format!("requests cannot be signed without {lack}");
                OpenSearchError::configure("auth", problem)
            };
            let aws = aws.ok_or_else(|| unsigned("an AWS configuration"))?;
            let service = match config.sigv4_service {
                Sigv4Service::Es => "es",
                Sigv4Service::Aoss => "aoss",
            };
            let signature = Signature::new(aws, service);
            let signature = signature.ok_or_else(|| unsigned("credentials and a region"))?;
            Ok(Some(Credentials::Signature(signature)))
        }
        AuthKind::Certificate => Ok(files.identity.clone().map(Credentials::Certificate)),
    }
}

fn trust(config: &SinkConfig, files: &Files) -> Result<Trust, OpenSearchError> {
    // Without TLS there are no certificates to check, so a host without any authorities is no error.
    if config.danger_accept_invalid_certificates || config.url.scheme() == "http" {
        return Ok(Trust::Anybody);
    }
    let Some(pem) = &files.authorities else { return Ok(Trust::System) };
    let key = "ca_file";
    let authorities = Certificate::from_pem_bundle(pem);
    let authorities = authorities.map_err(|error| OpenSearchError::configure(key, chain(&error)))?;
    if authorities.is_empty() {
        return Err(OpenSearchError::configure(key, "holds no certificate in PEM"));
    }
    Ok(Trust::Also(authorities))
}

/// An editor or `echo` ends a file with a newline that is not part of the password.
fn password_of(path: &Path) -> Result<String, OpenSearchError> {
    let key = "password_file";
    let configure = |problem: &str| OpenSearchError::configure(key, problem);
    let text = String::from_utf8(read(key, path)?).map_err(|_| configure("is not UTF-8"))?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() { Err(configure("is empty")) } else { Ok(password.to_owned()) }
}

/// Names the setting of a key that cannot be used, which the library's error would not.
fn key_of(setting: &'static str, path: &Path) -> Result<Vec<u8>, OpenSearchError> {
    let pem = read(setting, path)?;
    let has = |words: &[u8]| memchr::memmem::find(&pem, words).is_some();
    let problem = match (has(b"ENCRYPTED"), has(b"PRIVATE KEY-----")) {
        (true, _) => "is encrypted; give the key without a passphrase, in a file that nobody else may read",
        (false, true) => return Ok(pem),
        (false, false) => "holds no key in PEM",
    };
    Err(OpenSearchError::configure(setting, problem))
}

fn missing(key: &'static str) -> OpenSearchError {
    OpenSearchError::configure(key, "is not set")
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, OpenSearchError> {
    std::fs::read(path).map_err(|source| OpenSearchError::ReadFile {
        key: key.into(),
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_told_until_it_can_be_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "first").unwrap();
        let config = SinkConfig {
            auth: AuthKind::Basic,
            username: Some("sagetrail".to_owned()),
            password_file: Some(file.path().to_owned()),
            ..SinkConfig::default()
        };
        let connection = Connection::open("sink", &config, None).unwrap();
        for (password, is_refused) in
            [("first", false), ("", true), ("", true), ("second", false), ("", true)]
        {
            std::fs::write(file.path(), password).unwrap();
            connection.renew();
            assert_eq!(connection.refuses_files(), is_refused, "{password:?}");
        }
    }
}
