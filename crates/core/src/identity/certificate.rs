//! A certificate and its private key, from PEM. Knows what an operator must be told about them, and
//! nothing of files and of PKCS#12, which packagings turn into PEM first. `key` reads keys and
//! signs with them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::rand_core::CryptoRng;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::base::secret::Secret;
use crate::base::time::Utc;
use crate::identity::assertion::assertion;
use crate::identity::credential::{Algorithm, Entropy};

mod key;
#[cfg(test)]
mod tests;

use key::{Facts, Key};

/// Entra ID takes no shorter keys, and nothing here computes with longer ones.
const KEY_BITS_MIN: u32 = 2_048;
const KEY_BITS_MAX: u32 = 4_096;

/// A certificate with its key.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    key: Key,
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
    /// The same, of an option that takes text.
    #[error("is no PEM text with a certificate and its key")]
    NotText,
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
    /// Longer than Entra ID's.
    #[error("the private key has more than 4096 bits")]
    KeyTooLong,
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
            Self::NotText => {
                "give PEM text; from PKCS#12: `openssl pkcs12 -in app.pfx -noenc -out app.pem`"
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
            Self::KeyTooLong => "make a certificate with an RSA key of 4096 bits or less",
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
        let is_certificate = |block: &&Block| block.label.ends_with("CERTIFICATE");
        let has_certificate = blocks.iter().any(|block| is_certificate(&block));
        let key = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY"));
        match (has_certificate, key) {
            (false, None) => Err(CertificateError::NotText),
            (false, Some(_)) => Err(CertificateError::NoCertificate),
            (true, None) => Err(CertificateError::NoKey),
            (true, Some(key)) => {
                let certificates = blocks.iter().filter(is_certificate);
                Self::from_der(certificates.map(|block| &**block.der), key.key(password)?)
            }
        }
    }

    fn from_der<'a>(
        certificates: impl Iterator<Item = &'a [u8]>,
        key: Key,
    ) -> Result<Self, CertificateError> {
        match key.bits() {
            ..KEY_BITS_MIN => return Err(CertificateError::KeyTooShort),
            KEY_BITS_MIN..=KEY_BITS_MAX => {}
            _ => return Err(CertificateError::KeyTooLong),
        }
        for der in certificates {
            if let Some(Facts { subject, not_before, not_after }) = key.certified(der)? {
                let (sha1, sha256) = (Sha1::digest(der).into(), Sha256::digest(der).into());
                return Ok(Self { key, sha1, sha256, subject, not_before, not_after });
            }
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

    /// The key's signature of a message.
    pub(crate) fn sign(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        random: &mut impl CryptoRng,
    ) -> Vec<u8> {
        self.key.sign(algorithm, message, random)
    }

    /// The assertion by which its key signs in.
    pub(crate) fn assertion(
        &self,
        algorithm: Algorithm,
        client_id: &str,
        audience: &str,
        now: Utc,
        entropy: &Entropy,
    ) -> Secret<String> {
        assertion(self, algorithm, client_id, audience, now, entropy)
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
    der: Zeroizing<Vec<u8>>,
}

impl Block {
    fn key(&self, password: Option<&str>) -> Result<Key, CertificateError> {
        if self.old_encryption {
            return Err(CertificateError::UnknownEncryption);
        }
        Key::read(&self.label, &self.der, password)
    }
}

/// Cuts PEM blocks out of text; what stands between them is left alone, as OpenSSL writes
/// attributes there.
fn blocks(pem: &str) -> Result<Vec<Block>, CertificateError> {
    let mut blocks = Vec::new();
    let mut parts = pem.split("-----");
    while let Some(part) = parts.next() {
        let Some(label) = part.strip_prefix("BEGIN ") else { continue };
        let body = parts.next().unwrap_or_default();
        let end = parts.next().and_then(|part| part.strip_prefix("END "));
        let text = body.bytes().filter(|c| !c.is_ascii_whitespace());
        let text: Zeroizing<Vec<u8>> = Zeroizing::new(text.collect());
        let old_encryption = text.contains(&b':');
        let der = if old_encryption { Some(Vec::new()) } else { STANDARD.decode(&*text).ok() };
        let der = der.filter(|_| end == Some(label)).ok_or(CertificateError::Damaged)?;
        blocks.push(Block { label: label.into(), old_encryption, der: der.into() });
    }
    Ok(blocks)
}
