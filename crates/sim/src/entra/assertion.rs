//! Assertions: what an application sends in place of a secret. Checks those that a certificate's
//! key has signed, and tokens of another issuer that the application trusts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
};
use serde_json::Value;
use x509_parser::pem::Pem;

use crate::config::{AppConfig, Credential};
use crate::draw;

/// How far apart Entra's clock and that of whoever made an assertion may be.
const SKEW_S: i64 = 300;

/// The longest life that Microsoft recommends. A longer one is taken, and recorded.
pub(crate) const LIFE_MAX_S: i64 = 600;

/// An assertion, taken apart.
pub(crate) struct Assertion {
    header: Value,
    claims: Value,
    signed: String,
    signature: Vec<u8>,
}

/// Why an assertion is refused: an AADSTS code, and what goes into its text.
pub(crate) type Refused = (u32, String);

/// What else there is to say of an assertion that was taken.
pub(crate) struct Taken {
    /// Its name, to be used once.
    pub(crate) name: Option<String>,
    /// How long it lives, in seconds.
    pub(crate) life_s: i64,
}

impl Assertion {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let json = |part: &str| -> Option<Value> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
        };
        Some(Self {
            header: json(header)?,
            claims: json(claims)?,
            signed: format!("{header}.{claims}"),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// Checks it against the application's credentials. `audience` is the address it was sent to.
    pub(crate) fn check(
        &self,
        app: &AppConfig,
        audience: &str,
        now_ms: i64,
    ) -> Result<Taken, Refused> {
        let named = self.header.get("x5t#S256").or_else(|| self.header.get("x5t"));
        if named.is_some() {
            self.check_signed(app, audience, now_ms)
        } else {
            self.check_foreign(app, now_ms)
        }
    }

    fn claim(&self, name: &str) -> &str {
        self.claims.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// A certificate of the application signs.
    fn check_signed(&self, app: &AppConfig, audience: &str, now_ms: i64) -> Result<Taken, Refused> {
        let malformed = |why: &str| Err((50_027, why.to_owned()));
        let header = |name: &str| self.header.get(name).and_then(Value::as_str);
        let (parameters, thumbprint, hash): (&RsaParameters, _, _) = match header("alg") {
            Some("PS256") => (&RSA_PSS_2048_8192_SHA256, header("x5t#S256"), &digest::SHA256),
            Some("RS256") => {
                (&RSA_PKCS1_2048_8192_SHA256, header("x5t"), &digest::SHA1_FOR_LEGACY_USE_ONLY)
            }
            _ => return malformed("The algorithm is neither PS256 nor RS256."),
        };
        if header("typ") != Some("JWT") {
            return malformed("The type is not JWT.");
        }
        let Some(thumbprint) = thumbprint else {
            return malformed("The header names no certificate for its algorithm.");
        };
        let certificate = app.credentials.iter().find_map(|credential| match credential {
            Credential::Certificate { pem } => {
                let pem = Pem::iter_from_buffer(pem.as_bytes()).next()?.ok()?;
                let hash = digest::digest(hash, &pem.contents);
                (URL_SAFE_NO_PAD.encode(hash) == thumbprint).then_some(pem)
            }
            Credential::Secret { .. } | Credential::Federated { .. } => None,
        });
        let Some(pem) = certificate else {
            let why = "The certificate with identifier used to sign the client assertion is not \
                       registered on application. [Reason - The key was not found.]";
            return Err((700_027, why.to_owned()));
        };
        let Ok(certificate) = pem.parse_x509() else {
            return malformed("The registered certificate is damaged.");
        };
        let validity = certificate.validity();
        let (start, end) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let now_s = now_ms.div_euclid(1_000);
        if end <= now_s {
            let why = format!(
                "Client assertion contains an invalid signature. [Reason - The key used is \
                 expired., Thumbprint of key used by client: '{thumbprint}', Found key \
                 'Start={start}, End={end}']"
            );
            return Err((700_027, why));
        }
        let key = &certificate.public_key().subject_public_key.data;
        let key = UnparsedPublicKey::new(parameters, key.as_ref());
        if key.verify(self.signed.as_bytes(), &self.signature).is_err() {
            let why = "Client assertion contains an invalid signature. [Reason - The provided \
                       signature value did not match the expected signature value.]";
            return Err((700_027, why.to_owned()));
        }
        let id = app.client_id.to_string();
        if self.claim("iss") != id || self.claim("sub") != id {
            return Err((700_021, String::new()));
        }
        if self.claim("aud") != audience {
            return malformed("The audience is not the address of the token endpoint.");
        }
        self.check_times(now_s)
    }

    /// Another issuer signs, for a subject that the application trusts.
    fn check_foreign(&self, app: &AppConfig, now_ms: i64) -> Result<Taken, Refused> {
        let federated = app.credentials.iter().filter_map(|credential| match credential {
            Credential::Federated { issuer, subject, audience, key } => {
                Some((issuer, subject, audience, *key))
            }
            Credential::Secret { .. } | Credential::Certificate { .. } => None,
        });
        let (iss, sub, aud) = (self.claim("iss"), self.claim("sub"), self.claim("aud"));
        let of_issuer: Vec<_> = federated.filter(|(issuer, ..)| **issuer == iss).collect();
        if of_issuer.is_empty() {
            return Err((700_211, iss.to_owned()));
        }
        let of_subject: Vec<_> =
            of_issuer.into_iter().filter(|(_, subject, ..)| **subject == sub).collect();
        if of_subject.is_empty() {
            return Err((700_213, sub.to_owned()));
        }
        let Some((.., key)) = of_subject.into_iter().find(|(_, _, audience, _)| **audience == aud)
        else {
            return Err((700_212, aud.to_owned()));
        };
        if self.signature != seal(key, &self.signed) {
            return Err((50_027, "The signature is not the issuer's.".to_owned()));
        }
        let taken = self.check_times(now_ms.div_euclid(1_000))?;
        // Whoever mints it decides how long it lives and how often it is used.
        Ok(Taken { name: None, life_s: taken.life_s.min(LIFE_MAX_S) })
    }

    fn check_times(&self, now_s: i64) -> Result<Taken, Refused> {
        let number = |name: &str| self.claims.get(name).and_then(Value::as_i64);
        let (Some(from), Some(until)) = (number("nbf").or_else(|| number("iat")), number("exp"))
        else {
            return Err((50_027, "A time is missing.".to_owned()));
        };
        if now_s + SKEW_S < from || until <= now_s - SKEW_S {
            let why = format!(
                "Current time: {now_s}, assertion valid from {from}, expiry time of assertion \
                 {until}."
            );
            return Err((700_024, why));
        }
        let name = self.claims.get("jti").and_then(Value::as_str).map(str::to_owned);
        Ok(Taken { name, life_s: until - from })
    }
}

/// A token as the issuer of a federated credential hands it out; `None` for other credentials.
pub(crate) fn mint(credential: &Credential, now_ms: i64, life_s: u32) -> Option<String> {
    let Credential::Federated { issuer, subject, audience, key } = credential else { return None };
    let now_s = now_ms.div_euclid(1_000);
    let claims = serde_json::json!({
        "iss": issuer,
        "sub": subject,
        "aud": audience,
        "iat": now_s,
        "nbf": now_s,
        "exp": now_s + i64::from(life_s),
    });
    let header = r#"{"alg":"RS256","kid":"c2ltdWxhdGVk","typ":"JWT"}"#;
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", encode(header), encode(&claims.to_string()));
    let signature = URL_SAFE_NO_PAD.encode(seal(*key, &signed));
    Some(format!("{signed}.{signature}"))
}

/// Stands for the signature of an issuer, whom this simulator plays itself.
fn seal(key: u64, signed: &str) -> Vec<u8> {
    let hash = xxhash_rust::xxh3::xxh3_64_with_seed(signed.as_bytes(), key);
    (0..4).flat_map(|part| draw::mix(hash, part).to_be_bytes()).collect()
}
