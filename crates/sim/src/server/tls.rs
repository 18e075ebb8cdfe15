//! An authority of the server's own, made at its start, and the certificate it signs for
//! loopback. Nothing outside should trust it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempPath;
use tokio_rustls::TlsAcceptor;

/// The authority and where its certificate lies.
#[derive(Debug)]
pub(super) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
    path: CaPath,
}

#[derive(Debug)]
enum CaPath {
    Given(PathBuf),
    /// Removed when dropped.
    Temporary(TempPath),
}

impl Authority {
    pub(super) fn new(path: Option<&Path>) -> io::Result<Self> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "m365-sim authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let pem = params.self_signed(&key).map_err(io::Error::other)?.pem();
        let path = match path {
            Some(path) => {
                std::fs::write(path, &pem)?;
                CaPath::Given(path.to_owned())
            }
            None => {
                let file = tempfile::Builder::new()
                    .prefix("m365-sim-ca-")
                    .suffix(".pem")
                    .tempfile()?
                    .into_temp_path();
                std::fs::write(&file, &pem)?;
                CaPath::Temporary(file)
            }
        };
        Ok(Self { pem, issuer: Issuer::new(params, key), path })
    }

    pub(super) fn path(&self) -> &Path {
        match &self.path {
            CaPath::Given(path) => path,
            CaPath::Temporary(path) => path,
        }
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// An acceptor with a certificate for loopback.
    pub(super) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let params = CertificateParams::new(names).map_err(io::Error::other)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(io::Error::other)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
