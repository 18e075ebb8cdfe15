//! RSA keys and what certificates say of them, by the crates `rsa`, `pkcs8` and `x509-cert`: no
//! cryptography of our own, in no packaging.

use pkcs8::{EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef, pkcs5};
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPublicKey};
use rsa::rand_core::CryptoRng;
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use rsa::traits::PublicKeyParts;
use rsa::{PrivateKey, pkcs1v15, pss};
use sha2::Sha256;
use x509_cert::der::Decode;
use x509_cert::name::Name;

use super::error::CertificateError;
use crate::base::time::Utc;
use crate::identity::signing::Algorithm;

/// The OID of RSA keys in PKCS#8.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// A private RSA key. The crate overwrites it when it is dropped, and never prints it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(PrivateKey);

/// What a certificate says.
pub(super) struct Facts {
    pub subject: Box<str>,
    pub not_before: Utc,
    pub not_after: Utc,
}

impl Key {
    /// Reads a PEM block of this label.
    pub(super) fn read(
        label: &str,
        der: &[u8],
        password: Option<&str>,
    ) -> Result<Self, CertificateError> {
        match label {
            "PRIVATE KEY" => Self::of_pkcs8(der),
            "RSA PRIVATE KEY" => {
                let key = PrivateKey::from_pkcs1_der(der).map_err(|_| CertificateError::Damaged)?;
                Ok(Self(key))
            }
            "ENCRYPTED PRIVATE KEY" => {
                let password = password.ok_or(CertificateError::PasswordMissing)?;
                let encrypted = EncryptedPrivateKeyInfoRef::try_from(der)
                    .map_err(|_| CertificateError::Damaged)?;
                if encrypted.encryption_algorithm.pbes2().is_none() {
                    return Err(CertificateError::UnknownEncryption);
                }
                let decrypted =
                    encrypted.decrypt(password).map_err(|error| not_decrypted(&error))?;
                Self::of_pkcs8(decrypted.as_bytes())
            }
            _ => Err(CertificateError::NotRsa),
        }
    }

    fn of_pkcs8(der: &[u8]) -> Result<Self, CertificateError> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| CertificateError::Damaged)?;
        if info.algorithm.oid != RSA {
            return Err(CertificateError::NotRsa);
        }
        PrivateKey::try_from(info).map(Self).map_err(|_| CertificateError::Damaged)
    }

    /// The length of its modulus.
    pub(super) fn bits(&self) -> u32 {
        self.0.n().bit_width()
    }

    /// What a certificate says; `None` for one of another key.
    pub(super) fn certified(&self, der: &[u8]) -> Result<Option<Facts>, CertificateError> {
        let parsed =
            x509_cert::Certificate::from_der(der).map_err(|_| CertificateError::Damaged)?;
        let parsed = parsed.tbs_certificate();
        let info = parsed.subject_public_key_info();
        let own = self.0.as_public_key().to_pkcs1_der().map_err(|_| CertificateError::Damaged)?;
        // There is one way to write a key in DER, so that those of one key are the same bytes.
        let certified =
            info.algorithm.oid == RSA && info.subject_public_key.raw_bytes() == own.as_bytes();
        let moment = |time: x509_cert::time::Time| {
            let millis = time.to_unix_duration().as_millis();
            Utc::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
        };
        let validity = parsed.validity();
        Ok(certified.then(|| Facts {
            subject: subject(parsed.subject()),
            not_before: moment(validity.not_before),
            not_after: moment(validity.not_after),
        }))
    }

    /// A signature of the message, blinded in both forms. Empty if the machine has miscalculated:
    /// the key was checked when it was read, and Entra ID refuses what nobody has signed.
    pub(super) fn sign(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        random: &mut impl CryptoRng,
    ) -> Vec<u8> {
        let key = self.0.clone();
        let signature = match algorithm {
            Algorithm::Ps256 => pss::SigningKey::<Sha256>::new(key)
                .try_sign_with_rng(random, message)
                .map(|signature| signature.to_vec()),
            Algorithm::Rs256 => pkcs1v15::SigningKey::<Sha256>::new(key)
                .try_sign_with_rng(random, message)
                .map(|signature| signature.to_vec()),
        };
        signature.unwrap_or_default()
    }
}

/// What an operator knows it by. The common name alone: to spell out whole names brings along a
/// table of all object identifiers there are.
fn subject(name: &Name) -> Box<str> {
    match name.common_name() {
        Ok(Some(name)) => format!("CN={}", name.value()).into(),
        Ok(None) | Err(_) => "without a common name".into(),
    }
}

/// Only a wrong password fails at the decryption itself.
fn not_decrypted(error: &pkcs8::Error) -> CertificateError {
    if matches!(error, pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::DecryptFailed)) {
        CertificateError::PasswordWrong
    } else {
        CertificateError::UnknownEncryption
    }
}
