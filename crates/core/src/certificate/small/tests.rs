//! The small RSA against the library: what one reads and signs, the other reads and confirms.

use std::sync::OnceLock;

use ::rsa::pkcs1::EncodeRsaPrivateKey;
use ::rsa::signature::{SignatureEncoding, Signer, Verifier};
use ::rsa::traits::{PrivateKeyParts, PublicKeyParts};
use ::rsa::{RsaPrivateKey, pkcs1v15, pss};
use pkcs8::{EncodePrivateKey, LineEnding};
use proptest::prelude::*;
use rcgen::KeyPair;
use sha2::Sha256;

use super::*;
use crate::certificate::tests::{certificate_pem, encrypted_pem, key, keys};
use crate::certificate::{Pair, library};
use crate::secret::Secret;
use crate::time::Utc;

fn pkcs1_pem(key: &RsaPrivateKey) -> String {
    key.to_pkcs1_pem(LineEnding::LF).unwrap().to_string()
}

fn pkcs8_pem(key: &RsaPrivateKey) -> String {
    key.to_pkcs8_pem(LineEnding::CRLF).unwrap().to_string()
}

/// Of whole digits, of a bit more than whole bytes, of whole bytes, and the longest.
fn sizes() -> &'static [RsaPrivateKey; 5] {
    static KEYS: OnceLock<[RsaPrivateKey; 5]> = OnceLock::new();
    KEYS.get_or_init(|| [2_048, 2_049, 2_056, 2_063, 4_096].map(|bits| key(21, bits)))
}

fn random(seed: u8) -> HashRandom {
    HashRandom::new(&Secret::new([seed; 32]))
}

#[test]
fn signatures_of_keys_of_all_lengths_are_those_of_the_library() {
    for (library, seed) in sizes().iter().zip(0..) {
        let small = Key::read("RSA PRIVATE KEY", library.to_pkcs1_der().unwrap().as_bytes(), None);
        let small = small.unwrap();
        assert_eq!(small.bits(), library.n().bits());
        let public = library.to_public_key();
        for message in [&b""[..], b"a", &[0xff; 1_000]] {
            let signature = small.sign(Algorithm::Rs256, message, &mut random(seed));
            let expected = pkcs1v15::SigningKey::<Sha256>::new(library.clone()).sign(message);
            assert_eq!(signature, expected.to_vec());
            let signature = small.sign(Algorithm::Ps256, message, &mut random(seed));
            let signature = pss::Signature::try_from(&*signature).unwrap();
            let verifier = pss::VerifyingKey::<Sha256>::new(public.clone());
            verifier.verify(message, &signature).unwrap();
            assert!(verifier.verify(b"another", &signature).is_err());
        }
    }
}

#[test]
fn a_signature_that_the_public_key_does_not_confirm_never_leaves() {
    let library = &keys()[0];
    let mut key = Key::new(
        &library.n().to_bytes_be(),
        &library.e().to_bytes_be(),
        &library.d().to_bytes_be(),
    )
    .ok()
    .unwrap();
    assert_eq!(key.sign(Algorithm::Rs256, b"x", &mut random(1)).len(), 256);
    key.private[0] ^= 4;
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
        assert_eq!(key.sign(algorithm, b"x", &mut random(1)), b"");
    }
}

#[test]
fn the_same_is_read_from_the_same_text() {
    let [first, second] = keys();
    let (certificate, issuer) = (certificate_pem(first), certificate_pem(second));
    for pem in [
        format!("{certificate}{}", pkcs8_pem(first)),
        format!("{}\n{issuer}{certificate}", pkcs1_pem(first)),
        format!("{certificate}{}", pkcs1_pem(first)).replace('\n', " "),
    ] {
        let small = Pair::<Key>::from_pem(&pem, None).unwrap();
        let library = Pair::<library::Key>::from_pem(&pem, None).unwrap();
        assert_eq!(small.thumbprint(), library.thumbprint());
        assert_eq!((small.x5t(), small.x5t_s256()), (library.x5t(), library.x5t_s256()));
        assert_eq!((small.not_before, small.not_after), (library.not_before, library.not_after));
        assert!(library.subject.contains(&*small.subject), "{}", small.subject);
        assert!(small.subject.starts_with("CN="), "{}", small.subject);
    }
}

#[track_caller]
fn assert_refused(pem: &str, words: &str) {
    let error = Pair::<Key>::from_pem(pem, Some("without effect")).err().unwrap();
    assert_eq!(format!("{error}; {}", error.remedy()), words);
}

#[test]
fn what_cannot_be_used_is_said_with_what_to_do() {
    const ENCRYPTED: &str = "the private key is encrypted, and the component cannot decrypt; \
                             write it without encryption: `openssl pkey -in key.pem -out plain.pem`";
    let [first, second] = keys();
    let certificate = certificate_pem(first);
    assert_refused(&format!("{certificate}{}", encrypted_pem(first)), ENCRYPTED);
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA \
               PRIVATE KEY-----\n";
    assert_refused(&format!("{certificate}{old}"), ENCRYPTED);
    assert_refused(
        "MIIJ",
        "is no PEM text with a certificate and its key; give PEM text; from PKCS#12: `openssl \
         pkcs12 -in app.pfx -noenc -out app.pem`",
    );
    let error = |key: &str| Pair::<Key>::from_pem(&format!("{certificate}{key}"), None).err();
    assert_eq!(error(&pkcs8_pem(second)), Some(CertificateError::Mismatch));
    assert_eq!(error(&pkcs8_pem(&key(3, 1_024))), Some(CertificateError::KeyTooShort));
    assert_eq!(error(&pkcs8_pem(&key(21, 4_104))), Some(CertificateError::KeyTooLong));
    let curve = KeyPair::generate().unwrap().serialize_pem();
    assert_eq!(error(&curve), Some(CertificateError::NotRsa));
    assert_eq!(error(""), Some(CertificateError::NoKey));
    // A private exponent that is not that of the public one.
    let mut der = first.to_pkcs1_der().unwrap().as_bytes().to_vec();
    der[300] ^= 1;
    assert_eq!(Key::read("RSA PRIVATE KEY", &der, None).err(), Some(CertificateError::Damaged));
}

#[test]
fn thumbprints_are_those_of_the_library() {
    for len in 0..200_u8 {
        let bytes: Vec<u8> = (0..len).collect();
        assert_eq!(Key::sha1(&bytes), library::Key::sha1(&bytes));
    }
}

#[test]
fn moments_are_read_in_both_forms() {
    let read = |tag: u8, text: &str| {
        let length = u8::try_from(text.len()).unwrap();
        Der(&[&[tag, length], text.as_bytes()].concat()).time()
    };
    for (tag, text, expected) in [
        (der::UTC_TIME, "260715204511Z", "2026-07-15T20:45:11Z"),
        (der::UTC_TIME, "491231235959Z", "2049-12-31T23:59:59Z"),
        (der::UTC_TIME, "700101000000Z", "1970-01-01T00:00:00Z"),
        (der::GENERALIZED_TIME, "20500101000000Z", "2050-01-01T00:00:00Z"),
        (der::GENERALIZED_TIME, "99991231235959Z", "9999-12-31T23:59:59Z"),
    ] {
        assert_eq!(read(tag, text), Some(Utc::parse(expected).unwrap()), "{text}");
    }
    for (tag, text) in [
        (der::UTC_TIME, ""),
        (der::UTC_TIME, "260715204511"),
        (der::UTC_TIME, "2607152045Z"),
        (der::UTC_TIME, "261315204511Z"),
        (der::UTC_TIME, "26071520451\u{e9}Z"),
        (der::UTC_TIME, "20260715204511Z"),
        (der::GENERALIZED_TIME, "260715204511Z"),
        (der::GENERALIZED_TIME, "20260715204511.5Z"),
        (der::INTEGER, "260715204511Z"),
    ] {
        assert_eq!(read(tag, text), None, "{text}");
    }
}

#[test]
fn der_is_read_strictly() {
    let value = |bytes: &[u8]| Der(bytes).value().map(|(tag, contents)| (tag, contents.len()));
    assert_eq!(value(&[4, 1, 7, 9]), Some((4, 1)));
    assert_eq!(value(&[&[4, 0x81, 0x80][..], &[0; 128]].concat()), Some((4, 128)));
    assert_eq!(value(&[&[4, 0x82, 1, 0][..], &[0; 256]].concat()), Some((4, 256)));
    for bad in [
        &[][..],
        &[4],
        &[4, 1],
        &[4, 0x80, 0, 0],
        &[4, 0x81, 1, 7],
        &[4, 0x82, 0, 1, 7],
        &[4, 0x83, 0xff, 0xff, 0xff],
        &[4, 0x84, 0, 0, 0, 1, 7],
        &[0x1f, 1, 7],
    ] {
        assert_eq!(value(bad), None, "{bad:?}");
    }
    let integer = |bytes: &[u8]| Der(bytes).unsigned().map(<[u8]>::to_vec);
    assert_eq!(integer(&[2, 1, 0]), Some(vec![]));
    assert_eq!(integer(&[2, 2, 0, 0x80]), Some(vec![0x80]));
    for bad in [&[2, 0][..], &[2, 1, 0x80], &[2, 2, 0, 0x7f], &[4, 1, 1]] {
        assert_eq!(integer(bad), None, "{bad:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn powers_are_those_of_the_library(
        mut n in prop::collection::vec(any::<u8>(), 1..40),
        base in prop::collection::vec(any::<u8>(), 0..40),
        exponent in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let last = n.len() - 1;
        n[last] |= 1;
        n[0] |= 2;
        let number = ::rsa::BigUint::from_bytes_be;
        let got = Modulus::new(&n).unwrap().power(&base, &digits(&exponent));
        let expected = (number(&base) < number(&n))
            .then(|| number(&base).modpow(&number(&exponent), &number(&n)));
        prop_assert_eq!(got.map(|bytes| number(&bytes)), expected);
    }

    #[test]
    fn damage_is_refused_in_words_and_never_panics(
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
        cut in any::<bool>(),
        which in 0..3_usize,
    ) {
        let key = &keys()[0];
        let mut pem = format!("{}{}", certificate_pem(key), pkcs8_pem(key)).into_bytes();
        let mut pkcs1 = key.to_pkcs1_der().unwrap().as_bytes().to_vec();
        let mut pkcs8 = key.to_pkcs8_der().unwrap().as_bytes().to_vec();
        let damaged = [&mut pem, &mut pkcs1, &mut pkcs8].into_iter().nth(which).unwrap();
        let at = at.index(damaged.len());
        damaged[at] ^= flip;
        if cut {
            damaged.truncate(at);
        }
        let told = |error: CertificateError| !error.to_string().is_empty();
        let read = Pair::<Key>::from_pem(&String::from_utf8_lossy(&pem), None);
        prop_assert!(read.map(drop).err().is_none_or(told));
        for (label, der) in [("RSA PRIVATE KEY", &pkcs1), ("PRIVATE KEY", &pkcs8)] {
            // One that can be read nevertheless, with other primes, signs as before.
            if let Ok(read) = Key::read(label, der, None) {
                let signature = read.sign(Algorithm::Rs256, b"x", &mut random(1));
                prop_assert_eq!(signature.len(), 256);
            }
        }
    }

    #[test]
    fn a_damaged_certificate_never_panics(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let read = ::rcgen::CertificateParams::new(vec!["a.example".into()]).unwrap();
        let pair = KeyPair::generate().unwrap();
        let mut der = read.self_signed(&pair).unwrap().der().to_vec();
        let at = at.index(der.len());
        der[at] ^= flip;
        let _ = certificate(&der);
        der.truncate(at);
        prop_assert!(certificate(&der).is_none());
    }
}
