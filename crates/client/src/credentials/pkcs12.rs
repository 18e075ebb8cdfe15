//! PKCS#12 files (.pfx, .p12), as Windows and Azure Key Vault export them, turned into PEM.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use m365_audit_core::{CertificateError, Secret};
use p12_keystore::Pkcs12Archive;
use p12_keystore::error::Error;

/// Certificates and key as PEM text; the key is not encrypted in it.
pub(super) fn to_pem(
    bytes: &[u8],
    password: Option<&str>,
) -> Result<Secret<String>, CertificateError> {
    let archive = Pkcs12Archive::from_pkcs12(bytes, password.unwrap_or_default())
        .map_err(|error| problem(&error, password.is_some()))?;
    let keys = archive.keys.iter().map(|bag| block("PRIVATE KEY", bag.key.as_der()));
    let certificates = archive.certs.iter().map(|bag| block("CERTIFICATE", bag.cert.as_der()));
    Ok(Secret::new(keys.chain(certificates).collect()))
}

fn block(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
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
