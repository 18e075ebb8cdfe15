//! A key that reads certificates, for their fuzz target.

use chacha20::ChaCha20Rng;
use pkcs8::EncodePrivateKey;
use rsa::PrivateKey;
use rsa::rand_core::SeedableRng;
use rsa::traits::PublicKeyParts;

use super::{CertificateError, KEY_BITS_MIN, Key};
use crate::base::time::Utc;

/// One key.
pub struct Keys {
    key: Key,
    /// In PKCS#8.
    pub pkcs8: Vec<u8>,
    /// Its modulus, which its certificate has as well.
    pub modulus: Vec<u8>,
}

impl Keys {
    /// Makes the key, the same each time.
    ///
    /// # Panics
    /// If it is not read.
    #[must_use]
    pub fn new() -> Self {
        let mut random = ChaCha20Rng::from_seed([7; 32]);
        let bits = usize::try_from(KEY_BITS_MIN).expect("a few thousand");
        let made = PrivateKey::new(&mut random, bits).expect("a key of 2048 bits");
        let pkcs8 = made.to_pkcs8_der().expect("it can be written").as_bytes().to_vec();
        let modulus = made.n().to_be_bytes().to_vec();
        let key = Key::read("PRIVATE KEY", &pkcs8, None).expect("it is read");
        Self { key, pkcs8, modulus }
    }

    /// What a certificate says: beginning and end, if it is that of the key.
    ///
    /// # Errors
    /// See [`CertificateError`].
    pub fn certified(&self, der: &[u8]) -> Result<Option<(Utc, Utc)>, CertificateError> {
        let facts = self.key.certified(der)?;
        Ok(facts.map(|facts| (facts.not_before, facts.not_after)))
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}
