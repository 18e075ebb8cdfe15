//! The assertion by which a certificate's key signs in: a JWT, signed with RSA. A pure function:
//! time and randomness are arguments, so that it also runs in a component.
//!
//! Microsoft's rules: "Microsoft identity platform application authentication certificate
//! credentials".

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::certificate::{Pair, PrivateKey};
use crate::credential::{Algorithm, Entropy};
use crate::encoding::{Base64, hex};
use crate::secret::Secret;
use crate::time::Utc;
use std::time::Duration;

/// Microsoft recommends a life of 5 to 10 minutes. It begins a little in the past, for a local
/// clock that is ahead.
const VALID_BEFORE: Duration = Duration::from_secs(60);
const VALID_AFTER: Duration = Duration::from_secs(9 * 60);

/// An assertion that `client_id` presents to `audience`, the token endpoint's address.
pub(crate) fn assertion<K: PrivateKey>(
    certificate: &Pair<K>,
    algorithm: Algorithm,
    client_id: &str,
    audience: &str,
    now: Utc,
    entropy: &Entropy,
) -> Secret<String> {
    let mut random = HashRandom::new(entropy);
    let (alg, name, thumbprint) = match algorithm {
        Algorithm::Ps256 => ("PS256", "x5t#S256", certificate.x5t_s256()),
        Algorithm::Rs256 => ("RS256", "x5t", certificate.x5t()),
    };
    let header = format!("{{\"alg\":\"{alg}\",\"typ\":\"JWT\",\"{name}\":\"{thumbprint}\"}}");
    let [audience, client_id] = [audience, client_id].map(|text| Value::from(text).to_string());
    let seconds = |moment: Utc| moment.as_millis().div_euclid(1_000);
    let (iat, nbf, exp) = (seconds(now), seconds(now - VALID_BEFORE), seconds(now + VALID_AFTER));
    let claims = format!(
        "{{\"aud\":{audience},\"exp\":{exp},\"iat\":{iat},\"iss\":{client_id},\"jti\":\"{}\",\
         \"nbf\":{nbf},\"sub\":{client_id}}}",
        random.guid()
    );
    let encode = |text: String| Base64::Url.encode(text.as_bytes());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = certificate.key().expose().sign(algorithm, signed.as_bytes(), &mut random);
    Secret::new(format!("{signed}.{}", Base64::Url.encode(&signature)))
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

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.byte());
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
        self.fill(&mut bytes);
        bytes[6] = bytes[6] & 0xf | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let mut text = String::new();
        for (at, byte) in bytes.into_iter().enumerate() {
            if let 4 | 6 | 8 | 10 = at {
                text.push('-');
            }
            text.extend(hex(byte));
        }
        text
    }
}
