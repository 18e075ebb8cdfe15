//! Credentials in files: read when the settings are, and again whenever they have changed, so that
//! whoever rotates a secret need not restart anything. Sends nothing.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use m365_audit_core::config::Reader;
use m365_audit_core::credential::Choice;
use m365_audit_core::{
    Certificate, CertificateError, ConfigError, Credential, CredentialKind, Presented, RawOptions,
    Secret,
};
use rustls::crypto::ring;

/// The largest file of a secret or a token that is read. Entra's secrets have 40 characters, tokens
/// some thousands.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// The largest file of a certificate that is read; with its chain it has some kilobytes.
const CERTIFICATE_BYTES_MAX: u64 = 1024 * 1024;

/// How often a file is looked at, to see whether it has changed. One `stat` call each.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A credential that lies in a file.
#[derive(Clone, Debug)]
pub struct CredentialFile {
    kind: CredentialKind,
    /// The option that names the file.
    option: &'static str,
    path: PathBuf,
    password: Option<Secret<String>>,
}

/// What a file holds.
pub(crate) struct Content {
    pub(crate) credential: Credential,
    /// As text, for a core that runs elsewhere: of a certificate, PEM.
    pub(crate) text: Secret<String>,
}

impl CredentialFile {
    /// The file that `raw` names for the credential of `choice`; `None` if it names none.
    pub(crate) fn of(raw: &RawOptions, choice: Choice) -> Option<Self> {
        let option = choice.kind.file_option()?;
        let reader = Reader::new(raw);
        Some(Self {
            kind: choice.kind,
            option,
            path: reader.optional(option)?.into(),
            password: reader.optional("certificate_password").map(Secret::new),
        })
    }

    /// The option that holds such a credential itself.
    pub(crate) const fn value_option(&self) -> &'static str {
        self.kind.options()[0]
    }

    pub(crate) const fn option(&self) -> &'static str {
        self.option
    }

    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with it, as a mistake of its option.
    pub(crate) fn read(&self) -> Result<Content, ConfigError> {
        let mistake = |problem: &str, remedy: &str| {
            let path = self.path.display().to_string();
            ConfigError::new(self.option, Some(&path), problem, remedy)
        };
        if self.kind == CredentialKind::Certificate {
            let bytes = read_bounded(&self.path, CERTIFICATE_BYTES_MAX).map_err(|problem| {
                mistake(&problem, "name a readable PEM or PKCS#12 file with certificate and key")
            })?;
            let (certificate, text) = self
                .certificate(&bytes)
                .map_err(|error| mistake(&error.to_string(), error.remedy()))?;
            return Ok(Content {
                credential: Credential::Certificate(Arc::new(certificate)),
                text,
            });
        }
        let what = match self.kind {
            CredentialKind::WorkloadIdentity => "token",
            CredentialKind::ClientSecret
            | CredentialKind::Certificate
            | CredentialKind::ManagedIdentity => "secret's value",
        };
        let text = read_secret(&self.path).map_err(|problem| {
            let remedy = format!("name a readable file that holds the {what} and nothing else");
            mistake(&problem, &remedy)
        })?;
        let text = Secret::new(text);
        let credential = match self.kind {
            CredentialKind::WorkloadIdentity => Credential::FederatedToken(text.clone()),
            CredentialKind::ClientSecret
            | CredentialKind::Certificate
            | CredentialKind::ManagedIdentity => Credential::ClientSecret(text.clone()),
        };
        Ok(Content { credential, text })
    }

    /// Reads PEM, or PKCS#12, which it turns into PEM.
    fn certificate(&self, bytes: &[u8]) -> Result<(Certificate, Secret<String>), CertificateError> {
        let password = self.password.as_ref().map(|password| password.expose().as_str());
        let pem = match std::str::from_utf8(bytes) {
            Ok(text) if text.contains("-----BEGIN ") => Secret::new(text.to_owned()),
            _ => pkcs12::to_pem(bytes, password)?,
        };
        let certificate = Certificate::from_pem(pem.expose(), password)?;
        Ok((certificate, pem))
    }

    /// What changes when the file does. Follows links, as those that Kubernetes turns over.
    fn stamp(&self) -> Option<Stamp> {
        let metadata = fs::metadata(&self.path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }
}

type Stamp = (SystemTime, u64);

/// Presents one run's credential.
#[derive(Debug)]
pub(crate) struct Presenter {
    file: Option<CredentialFile>,
    /// Of the file as it was read last.
    stamp: Option<Stamp>,
    look_at: Instant,
}

impl Presenter {
    pub(crate) fn new(file: Option<CredentialFile>) -> Self {
        Self { file, stamp: None, look_at: Instant::now() }
    }

    /// The credential as it is now.
    pub(crate) fn present(&mut self) -> Presented {
        let mut presented = Presented::unchanged(entropy());
        if let Some(file) = &self.file {
            self.stamp = file.stamp();
            match file.read() {
                Ok(content) => presented.credential = Some(content.credential),
                Err(error) => presented.trouble = Some(error.to_string()),
            }
        }
        presented
    }

    /// The credential as it is now, if it lies in a file.
    pub(crate) fn read_again(&mut self) -> Option<Presented> {
        self.file.is_some().then(|| self.present())
    }

    /// The credential, if its file has changed since it was read. Looks only now and then.
    pub(crate) fn changed(&mut self, now: Instant) -> Option<Presented> {
        let file = self.file.as_ref()?;
        let before = self.stamp?;
        if now < self.look_at {
            return None;
        }
        self.look_at = now + LOOK_EVERY;
        // A file that is just being replaced may be missing for a moment.
        let news = file.stamp().is_some_and(|stamp| stamp != before);
        news.then(|| self.present())
    }
}

/// Random bytes of the system.
pub(crate) fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .expect("the system's random source never fails once TLS works");
    bytes
}

/// Reads a file of one line; says what is wrong otherwise.
pub(crate) fn read_secret(path: &Path) -> Result<String, String> {
    let bytes = read_bounded(path, SECRET_BYTES_MAX)?;
    let text = String::from_utf8(bytes).map_err(|_| "not UTF-8 text".to_owned())?;
    // Editors of one platform put a byte order mark in front.
    let secret = text.trim_start_matches('\u{feff}').trim();
    if secret.is_empty() {
        return Err("the file is empty".into());
    }
    if secret.contains(['\n', '\r']) {
        return Err("the file has several lines".into());
    }
    Ok(secret.to_owned())
}

/// Reads a file of at most so many bytes; says what is wrong otherwise.
pub(crate) fn read_bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = |bytes: &mut Vec<u8>| -> io::Result<usize> {
        File::open(path)?.take(bytes_max + 1).read_to_end(bytes)
    };
    read(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes_max < bytes.len() as u64 {
        return Err(format!("larger than {bytes_max} bytes"));
    }
    Ok(bytes)
}

mod pkcs12;
