//! Certificates for tests: what an operator would register with an application. Keys follow from a
//! number and protect nothing.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256};
use rsa::PrivateKey;
use rsa::pkcs8::pkcs5::pbes2::Parameters;
use rsa::pkcs8::{EncodePrivateKey, LineEnding, PrivateKeyInfoRef, SecretDocument};
use rsa::rand_core::{TryCryptoRng, TryRng};

use crate::draw;

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate, as PEM text: for [`Credential::Certificate`](crate::Credential).
    pub certificate_pem: String,
    /// Its private key in PKCS#8, as PEM text.
    pub key_pem: String,
}

/// A self-signed certificate with an RSA key of 2048 bits that follows from `seed`, valid between
/// two moments in ms since the epoch. Making the key takes a second or so.
///
/// # Panics
/// When the moments cannot be expressed: a mistake of the test.
pub fn issue_certificate(seed: u64, subject: &str, from_ms: i64, until_ms: i64) -> Issued {
    const BITS: usize = 2_048;
    let mut numbers = Numbers { seed, counter: 0 };
    let key = PrivateKey::new(&mut numbers, BITS).expect("there are primes enough");
    let key_pem = key.to_pkcs8_pem(LineEnding::LF).expect("a key can be written").to_string();
    let pair = KeyPair::from_pkcs8_pem_and_sign_algo(&key_pem, &PKCS_RSA_SHA256)
        .expect("ring takes keys of 2048 bits");
    let moment = |ms: i64| {
        let since = Duration::from_millis(u64::try_from(ms).expect("after 1970"));
        SystemTime::UNIX_EPOCH + since
    };
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.not_before = moment(from_ms).into();
    params.not_after = moment(until_ms).into();
    let certificate = params.self_signed(&pair).expect("a certificate can be signed");
    Issued { certificate_pem: certificate.pem(), key_pem }
}

impl Issued {
    /// The key as `openssl pkcs8 -topk8 -v2 aes-256-cbc` writes it, as PEM text.
    ///
    /// # Panics
    /// Never: the key was written here.
    pub fn encrypted_key_pem(&self, password: &str) -> String {
        const ROUNDS: u32 = 2_048;
        let (_, key) = SecretDocument::from_pem(&self.key_pem).expect("it was written here");
        let key = PrivateKeyInfoRef::try_from(key.as_bytes()).expect("it was written here");
        let parameters = Parameters::generate_pbkdf2_sha256_aes256cbc(ROUNDS, &[7; 16], [9; 16]);
        let encrypted = key.encrypt_with_params(parameters.expect("valid ones"), password);
        let encrypted = encrypted.expect("a key can be encrypted");
        let pem = encrypted.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF);
        pem.expect("a key can be written").to_string()
    }
}

/// Numbers that follow from a seed. Not for secrets.
struct Numbers {
    seed: u64,
    counter: u64,
}

impl TryRng for Numbers {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let Ok(number) = self.try_next_u64();
        Ok(u32::try_from(number >> 32).expect("the upper half of 64 bits has 32"))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.counter += 1;
        Ok(draw::mix(self.seed, self.counter))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for part in bytes.chunks_mut(8) {
            let Ok(number) = self.try_next_u64();
            part.copy_from_slice(&number.to_le_bytes()[..part.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for Numbers {}
