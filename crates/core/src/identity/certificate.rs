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

use crate::base::time::Utc;
use crate::identity::signing::Algorithm;

mod error;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod key;
#[cfg(test)]
mod tests;

pub use error::CertificateError;
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
