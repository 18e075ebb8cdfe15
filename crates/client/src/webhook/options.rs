//! What the options say about the webhook, and the certificate that they name.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use m365_audit_core::config::Reader;
use m365_audit_core::{ConfigError, Secret};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::credentials::read_bounded;

/// The largest certificate chain or key that is read.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// What to listen with.
#[derive(Clone, Debug)]
pub struct WebhookOptions {
    /// Where.
    pub listen: SocketAddr,
    /// What every call must bring along.
    pub auth_id: Secret<String>,
    /// The certificate to show; `None`: plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl WebhookOptions {
    /// Reads the options; `None` without `webhook_listen`. Mistakes stay in `reader`.
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Option<Self> {
        let listen = reader.optional("webhook_listen");
        let auth_id = reader.optional("webhook_auth_id");
        let files = ["webhook_cert_file", "webhook_key_file"].map(|name| reader.optional(name));
        let Some(text) = listen else {
            let dependent = [
                ("webhook_auth_id", &auth_id),
                ("webhook_address", &reader.optional("webhook_address")),
                ("webhook_cert_file", &files[0]),
                ("webhook_key_file", &files[1]),
            ];
            for (option, value) in dependent {
                if value.is_some() {
                    let remedy =
                        format!("set webhook_listen to ADDRESS:PORT, or leave {option} out");
                    let problem = "without effect, because webhook_listen is not set";
                    reader.report(ConfigError::new(option, value.as_deref(), problem, &remedy));
                }
            }
            return None;
        };
        if auth_id.is_none() {
            reader.report(ConfigError::new(
                "webhook_auth_id",
                None,
                "required with webhook_listen, and missing",
                "write 16 to 256 random characters, for example from: openssl rand -hex 32",
            ));
        }
        let address = text.parse::<SocketAddr>();
        if address.is_err() {
            reader.report(ConfigError::new(
                "webhook_listen",
                Some(&text),
                "not an address with a port",
                "write it like 127.0.0.1:8080, 0.0.0.0:8443 or [::]:8443",
            ));
        }
        let tls = tls(reader, &files);
        let auth_id = Secret::new(auth_id.unwrap_or_default());
        Some(Self { listen: address.ok()?, auth_id, tls })
    }
}

/// The certificate to show, if one is named.
fn tls(reader: &mut Reader<'_>, files: &[Option<String>; 2]) -> Option<Arc<ServerConfig>> {
    let (chain, key) = match files {
        [None, None] => return None,
        [Some(chain), Some(key)] => (chain, key),
        [chain, _] => {
            let (missing, there) = match chain {
                Some(_) => ("webhook_key_file", "webhook_cert_file"),
                None => ("webhook_cert_file", "webhook_key_file"),
            };
            let problem = format!("required with {there}, and missing");
            let remedy = "name both, or neither to speak http behind a reverse proxy";
            reader.report(ConfigError::new(missing, None, &problem, remedy));
            return None;
        }
    };
    let mut refuse = |option: &str, path: &str, problem: &str, remedy: &str| {
        reader.report(ConfigError::new(option, Some(path), problem, remedy));
        None
    };
    let certificates = match read_chain(Path::new(chain)) {
        Ok(certificates) => certificates,
        Err(problem) => {
            let remedy = "name a PEM file with the certificate and those that signed it";
            return refuse("webhook_cert_file", chain, &problem, remedy);
        }
    };
    let remedy = "name a PEM file with the private key of webhook_cert_file";
    let private = match read_key(Path::new(key)) {
        Ok(private) => private,
        Err(problem) => return refuse("webhook_key_file", key, &problem, remedy),
    };
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, private));
    match config {
        Ok(config) => Some(Arc::new(config)),
        Err(error) => refuse("webhook_key_file", key, &error.to_string(), remedy),
    }
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read_bounded(path, PEM_BYTES_MAX)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| format!("not a PEM file: {error}"))?;
    if chain.is_empty() { Err("no certificate in the file".into()) } else { Ok(chain) }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = read_bounded(path, PEM_BYTES_MAX)?;
    // What is wrong with it is not said in its words: they may quote the key.
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| "no private key in the file".into())
}
