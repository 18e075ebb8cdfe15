//! The assertion by which a certificate's key signs in: a JWT, signed with RSA. A pure function:
//! time and randomness are arguments, so that it also runs in a component.
//!
//! Microsoft's rules: "Microsoft identity platform application authentication certificate
//! credentials".

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20::ChaCha20Rng;
use rsa::rand_core::{Rng, SeedableRng};
use serde_json::Value;

use crate::base::secret::Secret;
use crate::base::time::Utc;
use crate::identity::certificate::Certificate;
use crate::identity::signing::{Algorithm, Entropy};

/// Microsoft recommends a life of 5 to 10 minutes. It begins a little in the past, for a local
/// clock that is ahead.
const VALID_BEFORE: Duration = Duration::from_secs(60);
const VALID_AFTER: Duration = Duration::from_secs(9 * 60);

/// An assertion that `client_id` presents to `audience`, the token endpoint's address.
pub(crate) fn assertion(
    certificate: &Certificate,
    algorithm: Algorithm,
    client_id: &str,
    audience: &str,
    now: Utc,
    entropy: &Entropy,
) -> Secret<String> {
    let mut random = ChaCha20Rng::from_seed(*entropy.expose());
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
        guid(&mut random)
    );
    let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = certificate.sign(algorithm, signed.as_bytes(), &mut random);
    Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// A random GUID (RFC 9562, version 4).
fn guid(random: &mut impl Rng) -> String {
    let mut bytes = [0; 16];
    random.fill_bytes(&mut bytes);
    bytes[6] = bytes[6] & 0xf | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let parts = [&bytes[..4], &bytes[4..6], &bytes[6..8], &bytes[8..10], &bytes[10..]];
    parts.map(digits).join("-")
}
