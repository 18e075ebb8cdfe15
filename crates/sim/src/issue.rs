//! Certificates for tests: what an operator would register with an application. Keys follow from a
//! number and protect nothing.

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{EncodePrivateKey, LineEnding};
use rsa::rand_core::{CryptoRng, Error, RngCore};
use std::time::{Duration, SystemTime};

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
    let key = RsaPrivateKey::new(&mut numbers, BITS).expect("there are primes enough");
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

/// Numbers that follow from a seed. Not for secrets.
struct Numbers {
    seed: u64,
    counter: u64,
}

impl RngCore for Numbers {
    fn next_u32(&mut self) -> u32 {
        u32::try_from(self.next_u64() >> 32).expect("the upper half of 64 bits has 32")
    }

    fn next_u64(&mut self) -> u64 {
        self.counter += 1;
        draw::mix(self.seed, self.counter)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            let number = self.next_u64().to_le_bytes();
            part.copy_from_slice(&number[..part.len()]);
        }
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Numbers {}
