//! Keys by the crates `rsa`, `pkcs8` and `x509-cert`, encrypted ones too: in all packagings but the
//! component.

use pkcs8::{DecodePrivateKey, EncryptedPrivateKeyInfo, ObjectIdentifier, PrivateKeyInfo};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey, pkcs1v15, pss, rand_core};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::DecodePublicKey;

use super::{CertificateError, Facts, PrivateKey};
use crate::assertion::HashRandom;
use crate::credential::Algorithm;
use crate::time::Utc;

/// The key of this build's certificates.
pub(super) type Key = RsaPrivateKey;

/// The OID of RSA keys in PKCS#8.
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

impl PrivateKey for RsaPrivateKey {
    const NOT_PEM: CertificateError = CertificateError::NotPem;
    const OLD_ENCRYPTION: CertificateError = CertificateError::UnknownEncryption;

    fn read(label: &str, der: &[u8], password: Option<&str>) -> Result<Self, CertificateError> {
        match label {
            "PRIVATE KEY" => pkcs8(der),
            "RSA PRIVATE KEY" => Self::from_pkcs1_der(der).map_err(|_| CertificateError::Damaged),
            "ENCRYPTED PRIVATE KEY" => {
                let password = password.ok_or(CertificateError::PasswordMissing)?;
                let encrypted = EncryptedPrivateKeyInfo::try_from(der)
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

    fn bits(&self) -> usize {
        self.n().bits()
    }

    fn certified(&self, der: &[u8]) -> Result<Option<Facts>, CertificateError> {
        let parsed = x509_cert::Certificate::from_der(der)
            .map_err(|_| CertificateError::Damaged)?
            .tbs_certificate;
        let public = parsed.subject_public_key_info.to_der();
        let public = public.ok().and_then(|der| RsaPublicKey::from_public_key_der(&der).ok());
        let moment = |time: x509_cert::time::Time| {
            let millis = time.to_unix_duration().as_millis();
            Utc::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
        };
        Ok((public == Some(self.to_public_key())).then(|| Facts {
            subject: parsed.subject.to_string().into(),
            not_before: moment(parsed.validity.not_before),
            not_after: moment(parsed.validity.not_after),
        }))
    }

    fn sha1(certificate: &[u8]) -> [u8; 20] {
        Sha1::digest(certificate).into()
    }

    /// Blinded in both forms, against who measures how long it takes (RUSTSEC-2023-0071).
    fn sign(&self, algorithm: Algorithm, message: &[u8], random: &mut HashRandom) -> Vec<u8> {
        match algorithm {
            Algorithm::Ps256 => pss::BlindedSigningKey::<Sha256>::new(self.clone())
                .sign_with_rng(random, message)
                .to_vec(),
            Algorithm::Rs256 => pkcs1v15::SigningKey::<Sha256>::new(self.clone())
                .sign_with_rng(random, message)
                .to_vec(),
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

impl rand_core::RngCore for HashRandom {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.fill(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill(bytes);
        Ok(())
    }
}

impl rand_core::CryptoRng for HashRandom {}
