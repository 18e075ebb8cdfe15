//! RSA keys for the component, in place of `library`: the crates that it stands on take 233 KB
//! there, `rsa` alone 89 KB, and the component is kept below 600 KB. Reads plain keys and the few
//! fields of a certificate that count, and signs.
//!
//! Not constant in time, as the library is not (RUSTSEC-2023-0071, see `deny.toml`), and not
//! blinded as the library's signatures are: the key signs once an hour, a text of our own making,
//! and nobody sees how long that took. Tests hold it to the library. A signature leaves only if the
//! public key confirms it.

mod der;
mod rsa;
mod sha1;

use self::der::{BIT_STRING, Der, INTEGER, OCTET_STRING, OID, SEQUENCE, SET};
use self::rsa::{Digits, Modulus, digits};
use super::{CertificateError, Facts, PrivateKey};
use crate::assertion::HashRandom;
use crate::credential::Algorithm;

/// 1.2.840.113549.1.1.1, RSA.
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// 2.5.4.3, a common name.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// UTF8String, PrintableString, IA5String: those whose bytes are UTF-8.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];

/// As the library has it.
const EXPONENT_BYTES_MAX: usize = 4;

/// More bytes are not computed with: setting up a modulus takes the square of its length.
const MODULUS_BYTES_MAX: usize = super::KEY_BITS_MAX / 8;

/// An RSA key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key {
    n: Modulus,
    public: Digits,
    private: Digits,
}

impl PrivateKey for Key {
    const NOT_PEM: CertificateError = CertificateError::NotText;
    const OLD_ENCRYPTION: CertificateError = CertificateError::Encrypted;

    fn read(label: &str, der: &[u8], _password: Option<&str>) -> Result<Self, CertificateError> {
        match label {
            "PRIVATE KEY" => pkcs1(pkcs8(der)?),
            "RSA PRIVATE KEY" => pkcs1(der),
            "ENCRYPTED PRIVATE KEY" => Err(CertificateError::Encrypted),
            _ => Err(CertificateError::NotRsa),
        }
    }

    fn bits(&self) -> usize {
        self.n.bits()
    }

    fn certified(&self, der: &[u8]) -> Result<Option<Facts>, CertificateError> {
        let (public, facts) = certificate(der).ok_or(CertificateError::Damaged)?;
        let own =
            public.is_some_and(|(n, e)| self.n.digits() == digits(n) && self.public == digits(e));
        Ok(own.then_some(facts))
    }

    fn sha1(certificate: &[u8]) -> [u8; 20] {
        sha1::sha1(certificate)
    }

    /// Empty, which Entra ID refuses, should the public key not confirm it twice.
    fn sign(&self, algorithm: Algorithm, message: &[u8], random: &mut HashRandom) -> Vec<u8> {
        let encoded = match algorithm {
            Algorithm::Ps256 => rsa::pss(message, self.bits(), random),
            Algorithm::Rs256 => rsa::pkcs1(message, self.bits()),
        };
        let signature = self.signed(&encoded).or_else(|| self.signed(&encoded));
        signature.unwrap_or_default()
    }
}

impl Key {
    fn new(n: &[u8], public: &[u8], private: &[u8]) -> Result<Self, CertificateError> {
        if MODULUS_BYTES_MAX < n.len() {
            return Err(CertificateError::KeyTooLong);
        }
        let short = public.len() <= EXPONENT_BYTES_MAX && private.len() <= n.len();
        let odd = public.last().is_some_and(|last| last & 1 == 1) && public != [1];
        let n = Modulus::new(n).filter(|_| odd && short).ok_or(CertificateError::Damaged)?;
        let key = Self { n, public: digits(public), private: digits(private) };
        // Its parts must fit each other; this is cheaper than to prove why.
        key.signed(&[2]).is_some().then_some(key).ok_or(CertificateError::Damaged)
    }

    /// What the private key makes of it, if the public key makes the same of that.
    fn signed(&self, encoded: &[u8]) -> Option<Vec<u8>> {
        let signature = self.n.power(encoded, &self.private)?;
        let back = self.n.power(&signature, &self.public)?;
        let zeros = back.len().checked_sub(encoded.len())?;
        let same = back[..zeros].iter().all(|byte| *byte == 0) && back[zeros..] == *encoded;
        same.then_some(signature)
    }
}

/// The key within PKCS#8 (RFC 5958).
fn pkcs8(der: &[u8]) -> Result<&[u8], CertificateError> {
    let parts = || {
        let mut outer = Der(der);
        let mut key = outer.enter(SEQUENCE).filter(|_| outer.is_end())?;
        let version = key.unsigned()?;
        let algorithm = key.enter(SEQUENCE)?.take(OID)?;
        let key = key.take(OCTET_STRING)?;
        matches!(version, [] | [1]).then_some((algorithm, key))
    };
    let (algorithm, key) = parts().ok_or(CertificateError::Damaged)?;
    if algorithm == RSA { Ok(key) } else { Err(CertificateError::NotRsa) }
}

/// A key of PKCS#1 (RFC 8017). Its primes are not needed: a fraction of a second an hour is not
/// worth their code.
fn pkcs1(der: &[u8]) -> Result<Key, CertificateError> {
    let parts = || {
        let mut outer = Der(der);
        let mut key = outer.enter(SEQUENCE).filter(|_| outer.is_end())?;
        let version = key.unsigned()?;
        let [n, public, private] = [key.unsigned()?, key.unsigned()?, key.unsigned()?];
        for _prime_or_of_it in 0..5 {
            key.unsigned()?;
        }
        (version.is_empty() && key.is_end()).then_some((n, public, private))
    };
    let (n, public, private) = parts().ok_or(CertificateError::Damaged)?;
    Key::new(n, public, private)
}

/// Modulus and exponent.
type Public<'a> = (&'a [u8], &'a [u8]);

/// What a certificate says (RFC 5280), and its key if that is an RSA key.
fn certificate(der: &[u8]) -> Option<(Option<Public<'_>>, Facts)> {
    const VERSION: u8 = 0xa0;
    let mut outer = Der(der);
    let mut signed = outer.enter(SEQUENCE).filter(|_| outer.is_end())?;
    let mut body = signed.enter(SEQUENCE)?;
    signed.take(SEQUENCE)?;
    signed.take(BIT_STRING).filter(|_| signed.is_end())?;
    if body.tag() == Some(VERSION) {
        body.take(VERSION)?;
    }
    body.take(INTEGER)?;
    let (_algorithm, _issuer) = (body.take(SEQUENCE)?, body.take(SEQUENCE)?);
    let mut validity = body.enter(SEQUENCE)?;
    let [not_before, not_after] = [validity.time()?, validity.time()?];
    let subject = subject(body.enter(SEQUENCE)?)?;
    let facts = Facts { subject, not_before, not_after };
    let mut key = body.enter(SEQUENCE)?;
    if key.enter(SEQUENCE)?.take(OID)? != RSA {
        return Some((None, facts));
    }
    // Its first byte counts bits that are left over.
    let mut key = Der(key.take(BIT_STRING)?.strip_prefix(&[0])?).enter(SEQUENCE)?;
    let public = (key.unsigned()?, key.unsigned()?);
    Some((Some(public), facts))
}

/// The common names in a name, which is all that is shown.
fn subject(mut names: Der<'_>) -> Option<Box<str>> {
    let mut shown = String::new();
    while !names.is_end() {
        let mut set = names.enter(SET)?;
        while !set.is_end() {
            let mut attribute = set.enter(SEQUENCE)?;
            let kind = attribute.take(OID)?;
            let (tag, text) = attribute.value()?;
            let text = std::str::from_utf8(text).ok().filter(|_| TEXTS.contains(&tag));
            if let Some(text) = text.filter(|_| kind == COMMON_NAME) {
                shown.push_str(if shown.is_empty() { "CN=" } else { ",CN=" });
                shown.extend(text.chars().filter(|c| !c.is_control()));
            }
        }
    }
    Some(if shown.is_empty() { "without a common name".into() } else { shown.into() })
}

#[cfg(feature = "certificate")]
#[cfg(test)]
mod tests;
