//! The assertion by which a certificate's key signs in: a JWT, signed with RSA. A pure function:
//! time and randomness are arguments, so that it also runs in a component.
//!
//! Microsoft's rules: "Microsoft identity platform application authentication certificate
//! credentials".

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::signature::{RandomizedSigner, SignatureEncoding};
use rsa::{RsaPrivateKey, pkcs1v15, pss, rand_core};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::certificate::Certificate;
use crate::credential::{Algorithm, Entropy};
use crate::secret::Secret;
use crate::time::Utc;
use std::time::Duration;

/// Microsoft recommends a life of 5 to 10 minutes. It begins a little in the past, for a local
/// clock that is ahead.
const VALID_BEFORE: Duration = Duration::from_secs(60);
const VALID_AFTER: Duration = Duration::from_secs(9 * 60);

impl Certificate {
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

/// An assertion that `client_id` presents to `audience`, the token endpoint's address.
pub(crate) fn assertion(
    certificate: &Certificate,
    algorithm: Algorithm,
    client_id: &str,
    audience: &str,
    now: Utc,
    entropy: &Entropy,
) -> Secret<String> {
    let mut random = HashRandom::new(entropy);
    let header = match algorithm {
        Algorithm::Ps256 => {
            json!({"alg": "PS256", "typ": "JWT", "x5t#S256": certificate.x5t_s256()})
        }
        Algorithm::Rs256 => json!({"alg": "RS256", "typ": "JWT", "x5t": certificate.x5t()}),
    };
    let seconds = |moment: Utc| moment.as_millis().div_euclid(1_000);
    let claims = json!({
        "aud": audience,
        "iss": client_id,
        "sub": client_id,
        "jti": random.guid(),
        "iat": seconds(now),
        "nbf": seconds(now - VALID_BEFORE),
        "exp": seconds(now + VALID_AFTER),
    });
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let signature = sign(certificate.key().expose(), algorithm, signed.as_bytes(), &mut random);
    Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// Blinded in both forms, against who measures how long it takes (RUSTSEC-2023-0071).
fn sign(
    key: &RsaPrivateKey,
    algorithm: Algorithm,
    message: &[u8],
    random: &mut HashRandom,
) -> Vec<u8> {
    match algorithm {
        Algorithm::Ps256 => pss::BlindedSigningKey::<Sha256>::new(key.clone())
            .sign_with_rng(random, message)
            .to_vec(),
        Algorithm::Rs256 => {
            pkcs1v15::SigningKey::<Sha256>::new(key.clone()).sign_with_rng(random, message).to_vec()
        }
    }
}

/// Random bytes stretched from the driver's: SHA-256 of them and a counter, block by block.
pub(crate) struct HashRandom {
    entropy: Entropy,
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl HashRandom {
    pub(crate) fn new(entropy: &Entropy) -> Self {
        Self { entropy: entropy.clone(), counter: 0, block: [0; 32], used: 32 }
    }

    fn byte(&mut self) -> u8 {
        if self.used == self.block.len() {
            let mut hash = Sha256::new();
            hash.update(self.entropy.expose());
            hash.update(self.counter.to_le_bytes());
            self.block = hash.finalize().into();
            self.counter += 1;
            self.used = 0;
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// A random GUID (RFC 9562, version 4).
    fn guid(&mut self) -> String {
        let mut bytes = [0; 16];
        rand_core::RngCore::fill_bytes(self, &mut bytes);
        let number = u128::from_be_bytes(bytes);
        let number = (number & !(0xF << 76)) | (0x4 << 76);
        let number = (number & !(0x3 << 62)) | (0x2 << 62);
        let hex = format!("{number:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl rand_core::RngCore for HashRandom {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.byte());
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl rand_core::CryptoRng for HashRandom {}
