//! A certificate and its private key, from PEM. Knows what an operator must be told about them, and
//! nothing of files and of PKCS#12, which packagings turn into PEM first.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use pkcs8::{DecodePrivateKey, EncryptedPrivateKeyInfo, ObjectIdentifier, PrivateKeyInfo};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::DecodePublicKey;

use crate::secret::Secret;
use crate::time::Utc;

/// Entra ID takes no shorter keys.
const KEY_BITS_MIN: usize = 2_048;

/// The OID of RSA keys in PKCS#8.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A certificate with its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    key: Secret<RsaPrivateKey>,
    sha1: [u8; 20],
    sha256: [u8; 32],
    subject: Box<str>,
    not_before: Utc,
    not_after: Utc,
}

/// What is wrong with a certificate's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Neither a certificate nor a key.
    #[error("is neither PEM text nor a PKCS#12 file with a certificate and its key")]
    NotPem,
    /// A key at the most.
    #[error("holds no certificate")]
    NoCertificate,
    /// Certificates only.
    #[error("holds no private key")]
    NoKey,
    /// An encrypted key and no password.
    #[error("the private key is encrypted, and certificate_password is missing")]
    PasswordMissing,
    /// The password does not open the key.
    #[error("certificate_password is wrong")]
    PasswordWrong,
    /// A block is damaged.
    #[error("a PEM block cannot be read")]
    Damaged,
    /// Encrypted in a way of the last century, or one that is too new.
    #[error("the private key is encrypted in a way that is not supported")]
    UnknownEncryption,
    /// An elliptic curve, say.
    #[error("the private key is no RSA key")]
    NotRsa,
    /// Too short for Entra ID.
    #[error("the private key has less than 2048 bits")]
    KeyTooShort,
    /// The key is that of another certificate.
    #[error("the private key does not belong to a certificate in it")]
    Mismatch,
}

impl CertificateError {
    /// What to do about it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NotPem | Self::Damaged => {
                "give a PEM text (or a PKCS#12 file) with the certificate and its private key"
            }
            Self::NoCertificate => "add the certificate that is registered with the app",
            Self::NoKey => {
                "add the private key to it; a certificate alone proves nothing (export it with \
                 its key)"
            }
            Self::PasswordMissing => "set certificate_password",
            Self::PasswordWrong => "set certificate_password to the password it was exported with",
            Self::UnknownEncryption => {
                "export it again with AES-256, or as PEM with `openssl pkcs8 -topk8 -v2 aes-256-cbc`"
            }
            Self::NotRsa | Self::KeyTooShort => {
                "make a certificate with an RSA key of 2048 bits or more"
            }
            Self::Mismatch => "put the certificate beside the key that it was made for",
        }
    }
}

impl Certificate {
    /// Reads PEM text: certificates and one private key, in any order. The certificate is the one
    /// that belongs to the key; others (its issuers) are left alone.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn from_pem(pem: &str, password: Option<&str>) -> Result<Self, CertificateError> {
        let blocks = blocks(pem)?;
        let labelled = |wanted: &str| -> Vec<&Block> {
            blocks.iter().filter(|block| block.label.ends_with(wanted)).collect()
        };
        let certificates = labelled("CERTIFICATE");
        let keys = labelled("PRIVATE KEY");
        match (certificates.is_empty(), keys.first()) {
            (true, None) => Err(CertificateError::NotPem),
            (true, Some(_)) => Err(CertificateError::NoCertificate),
            (false, None) => Err(CertificateError::NoKey),
            (false, Some(key)) => {
                let certificates = certificates.iter().map(|block| block.der.as_slice());
                Self::from_der(certificates, key.key(password)?)
            }
        }
    }

    fn from_der<'a>(
        certificates: impl Iterator<Item = &'a [u8]>,
        key: RsaPrivateKey,
    ) -> Result<Self, CertificateError> {
        if key.n().bits() < KEY_BITS_MIN {
            return Err(CertificateError::KeyTooShort);
        }
        for der in certificates {
            let parsed = x509_cert::Certificate::from_der(der)
                .map_err(|_| CertificateError::Damaged)?
                .tbs_certificate;
            let public = parsed.subject_public_key_info.to_der();
            let public = public.ok().and_then(|der| RsaPublicKey::from_public_key_der(&der).ok());
            if public != Some(key.to_public_key()) {
                continue;
            }
            let moment = |time: x509_cert::time::Time| {
                let millis = time.to_unix_duration().as_millis();
                Utc::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
            };
            return Ok(Self {
                key: Secret::new(key),
                sha1: Sha1::digest(der).into(),
                sha256: Sha256::digest(der).into(),
                subject: parsed.subject.to_string().into(),
                not_before: moment(parsed.validity.not_before),
                not_after: moment(parsed.validity.not_after),
            });
        }
        Err(CertificateError::Mismatch)
    }

    /// When it ends; Entra ID refuses it afterwards.
    #[must_use]
    pub const fn not_after(&self) -> Utc {
        self.not_after
    }

    /// When it begins.
    #[must_use]
    pub const fn not_before(&self) -> Utc {
        self.not_before
    }

    /// SHA-1 of it in hexadecimal digits, by which Azure's portal names it.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        self.sha1.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// The thumbprint as `x5t` has it.
    pub(crate) fn x5t(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.sha1)
    }

    /// The thumbprint as `x5t#S256` has it.
    pub(crate) fn x5t_s256(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.sha256)
    }

    pub(crate) const fn key(&self) -> &Secret<RsaPrivateKey> {
        &self.key
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (subject, until) = (&self.subject, self.not_after);
        write!(
            f,
            "the certificate {subject} (thumbprint {}, valid until {until})",
            self.thumbprint()
        )
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.thumbprint())
    }
}

/// One PEM block.
struct Block {
    label: Box<str>,
    /// `Proc-Type` and the like: OpenSSL's encryption of its youth.
    old_encryption: bool,
    der: Vec<u8>,
}

impl Block {
    fn key(&self, password: Option<&str>) -> Result<RsaPrivateKey, CertificateError> {
        if self.old_encryption {
            return Err(CertificateError::UnknownEncryption);
        }
        match &*self.label {
            "PRIVATE KEY" => pkcs8(&self.der),
            "RSA PRIVATE KEY" => {
                RsaPrivateKey::from_pkcs1_der(&self.der).map_err(|_| CertificateError::Damaged)
            }
            "ENCRYPTED PRIVATE KEY" => {
                let password = password.ok_or(CertificateError::PasswordMissing)?;
                let encrypted = EncryptedPrivateKeyInfo::try_from(&*self.der)
                    .map_err(|_| CertificateError::Damaged)?;
                if encrypted.encryption_algorithm.pbes2().is_none() {
                    return Err(CertificateError::UnknownEncryption);
                }
                let decrypted =
                    encrypted.decrypt(password).map_err(|_| CertificateError::PasswordWrong)?;
                pkcs8(decrypted.as_bytes())
            }
            _ => Err(CertificateError::NotRsa),
        }
    }
}

fn pkcs8(der: &[u8]) -> Result<RsaPrivateKey, CertificateError> {
    let info = PrivateKeyInfo::try_from(der).map_err(|_| CertificateError::Damaged)?;
    if info.algorithm.oid != RSA {
        return Err(CertificateError::NotRsa);
    }
    RsaPrivateKey::from_pkcs8_der(der).map_err(|_| CertificateError::Damaged)
}

/// Cuts PEM blocks out of text; what stands between them is left alone, as OpenSSL writes
/// attributes there.
fn blocks(pem: &str) -> Result<Vec<Block>, CertificateError> {
    const BEGIN: &str = "-----BEGIN ";
    let mut blocks = Vec::new();
    let mut rest = pem;
    while let Some(at) = rest.find(BEGIN) {
        rest = &rest[at + BEGIN.len()..];
        let (label, after) = rest.split_once("-----").ok_or(CertificateError::Damaged)?;
        let end = format!("-----END {label}-----");
        let (body, after) = after.split_once(&end).ok_or(CertificateError::Damaged)?;
        let old_encryption = body.contains(':');
        let text: String = body.chars().filter(|c| !c.is_whitespace()).collect();
        let der = if old_encryption { Ok(Vec::new()) } else { STANDARD.decode(text) };
        let der = der.map_err(|_| CertificateError::Damaged)?;
        blocks.push(Block { label: label.into(), old_encryption, der });
        rest = after;
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests;
