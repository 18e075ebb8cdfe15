//! PKCS#12 files (.pfx, .p12), as Windows and Azure Key Vault export them, turned into PEM.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use m365_audit_core::CertificateError;
use p12_keystore::error::Error;
use p12_keystore::{KeyStore, KeyStoreEntry};

/// Certificates and key as PEM text; the key is not encrypted in it.
pub(super) fn to_pem(bytes: &[u8], password: Option<&str>) -> Result<String, CertificateError> {
    let store = KeyStore::from_pkcs12(bytes, password.unwrap_or_default())
        .map_err(|error| problem(&error, password.is_some()))?;
    let mut pem = String::new();
    let mut push = |label: &str, der: &[u8]| {
        pem.push_str(&format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            STANDARD.encode(der)
        ));
    };
    for (_, entry) in store.entries() {
        match entry {
            KeyStoreEntry::PrivateKeyChain(chain) => {
                push("PRIVATE KEY", chain.key());
                for certificate in chain.chain() {
                    push("CERTIFICATE", certificate.as_der());
                }
            }
            KeyStoreEntry::Certificate(certificate) => push("CERTIFICATE", certificate.as_der()),
        }
    }
    Ok(pem)
}

fn problem(error: &Error, has_password: bool) -> CertificateError {
    match error {
        // The password is the key of this check sum.
        Error::MacError(_) if has_password => CertificateError::PasswordWrong,
        Error::MacError(_) => CertificateError::PasswordMissing,
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => {
            CertificateError::UnknownEncryption
        }
        // Without a check sum, a wrong password leaves padding that makes no sense.
        Error::UnpadError | Error::Pkcs5Error(_) if has_password => CertificateError::PasswordWrong,
        Error::UnpadError | Error::Pkcs5Error(_) => CertificateError::PasswordMissing,
        _ => CertificateError::NotPem,
    }
}
