//! Certificates are made here, with keys of fixed seeds.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20::ChaCha20Rng;
use expect_test::{Expect, expect};
use pkcs8::pkcs5::pbes2;
use pkcs8::{EncodePrivateKey, LineEnding, PrivateKeyInfoRef};
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::rand_core::SeedableRng;
use rsa::signature::Verifier;
use rsa::traits::PublicKeyParts;
use rsa::{PrivateKey, pkcs1v15, pss};
use serde_json::Value;

use super::*;
use crate::access::expiry::ExpiryWatch;
use crate::base::secret::Secret;
use crate::contract::event::Event;
use crate::contract::level::Level;
use crate::identity::assertion::assertion;
use crate::identity::credential::Credential;
use crate::identity::signing::Algorithm;

const PASSWORD: &str = "correct horse";

/// A key of a seed. Making one takes a while.
fn key(seed: u8, bits: usize) -> PrivateKey {
    PrivateKey::new(&mut ChaCha20Rng::from_seed([seed; 32]), bits).unwrap()
}

/// Two keys for all tests.
fn keys() -> &'static [PrivateKey; 2] {
    static KEYS: OnceLock<[PrivateKey; 2]> = OnceLock::new();
    KEYS.get_or_init(|| [key(1, 2_048), key(2, 2_048)])
}

fn certificate_pem(key: &PrivateKey) -> String {
    let pkcs8 = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    let pair = KeyPair::from_pkcs8_pem_and_sign_algo(&pkcs8, &PKCS_RSA_SHA256).unwrap();
    let mut params = CertificateParams::new(vec!["collector.example".into()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
    params.self_signed(&pair).unwrap().pem()
}

/// Encrypted as OpenSSL does it, and the way that is harder to try passwords on.
fn encrypted_pems(key: &PrivateKey) -> [String; 2] {
    let der = key.to_pkcs8_der().unwrap();
    let info = PrivateKeyInfoRef::try_from(der.as_bytes()).unwrap();
    let openssl = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(2_048, &[7; 16], [9; 16]);
    let scrypt = pkcs8::pkcs5::scrypt::Params::new(10, 8, 1).unwrap();
    let scrypt = pbes2::Parameters::generate_scrypt_aes256cbc(scrypt, &[7; 16], [9; 16]);
    [openssl, scrypt].map(|parameters| {
        let encrypted = info.encrypt_with_params(parameters.unwrap(), PASSWORD).unwrap();
        encrypted.to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF).unwrap().to_string()
    })
}

#[track_caller]
fn check(pem: &str, password: Option<&str>, expect: Expect) {
    expect.assert_eq(&match Certificate::from_pem(pem, password) {
        Ok(certificate) => format!("valid until {}", certificate.not_after()),
        Err(error) => format!("{error}; {}", error.remedy()),
    });
}

#[test]
fn every_usual_form_of_a_private_key_is_read() {
    let key = &keys()[0];
    let certificate = certificate_pem(key);
    let pkcs8 = key.to_pkcs8_pem(LineEnding::CRLF).unwrap();
    let pkcs1 = key.to_pkcs1_pem(LineEnding::LF).unwrap();
    let valid = || expect!["valid until 2027-01-01T00:00:00.000Z"];
    check(&format!("{certificate}{}", *pkcs8), None, valid());
    check(&format!("{}{certificate}", *pkcs8), Some("without effect"), valid());
    check(&format!("Bag Attributes\n    x: y\n{}\n{certificate}", *pkcs1), None, valid());
    for encrypted in encrypted_pems(key) {
        check(&format!("{certificate}{encrypted}"), Some(PASSWORD), valid());
    }
    // Its issuers may stand before it.
    let issuer = certificate_pem(&keys()[1]);
    check(&format!("{issuer}{certificate}{}", *pkcs8), None, valid());
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let [first, second] = keys();
    let certificate = certificate_pem(first);
    let pkcs8 = first.to_pkcs8_pem(LineEnding::LF).unwrap();
    let foreign = second.to_pkcs8_pem(LineEnding::LF).unwrap();
    let [encrypted, _] = encrypted_pems(first);
    let curve = KeyPair::generate().unwrap().serialize_pem();
    let short = key(3, 1_024).to_pkcs8_pem(LineEnding::LF).unwrap();
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA \
               PRIVATE KEY-----\n";
    check(
        "s3cret",
        None,
        expect![
            "is no PEM text with a certificate and its key; give PEM text; from PKCS#12: `openssl pkcs12 -in app.pfx -noenc -out app.pem`"
        ],
    );
    check(
        &certificate,
        None,
        expect![
            "holds no private key; add the private key to it; a certificate alone proves nothing (export it with its key)"
        ],
    );
    check(
        &pkcs8,
        None,
        expect!["holds no certificate; add the certificate that is registered with the app"],
    );
    check(
        &format!("{certificate}{}", *foreign),
        None,
        expect![
            "the private key does not belong to a certificate in it; put the certificate beside the key that it was made for"
        ],
    );
    check(
        &format!("{certificate}{encrypted}"),
        None,
        expect![
            "the private key is encrypted, and certificate_password is missing; set certificate_password"
        ],
    );
    check(
        &format!("{certificate}{encrypted}"),
        Some("wrong"),
        expect![
            "certificate_password is wrong; set certificate_password to the password it was exported with"
        ],
    );
    check(
        &format!("{certificate}{curve}"),
        None,
        expect![
            "the private key is no RSA key; make a certificate with an RSA key of 2048 bits or more"
        ],
    );
    check(
        &format!("{certificate}{}", *short),
        None,
        expect![
            "the private key has less than 2048 bits; make a certificate with an RSA key of 2048 bits or more"
        ],
    );
    check(
        &format!("{certificate}{old}"),
        None,
        expect![
            "the private key is encrypted in a way that is not supported; export it again with AES-256, or as PEM with `openssl pkcs8 -topk8 -v2 aes-256-cbc`"
        ],
    );
    check(
        &certificate.replace("MII", "M*I"),
        None,
        expect![
            "a PEM block cannot be read; give a PEM text (or a PKCS#12 file) with the certificate and its private key"
        ],
    );
    check(
        "-----BEGIN CERTIFICATE-----",
        None,
        expect![
            "a PEM block cannot be read; give a PEM text (or a PKCS#12 file) with the certificate and its private key"
        ],
    );
}

#[test]
fn a_certificate_shows_its_name_and_nothing_of_its_key() {
    let key = &keys()[0];
    let pkcs8 = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    let pem = format!("{}{}", certificate_pem(key), *pkcs8);
    let certificate = Certificate::from_pem(&pem, None).unwrap();
    let thumbprint = certificate.thumbprint();
    assert_eq!(format!("{certificate:?}"), format!("Certificate({thumbprint})"));
    assert!(certificate.to_string().starts_with("the certificate CN="), "{certificate}");
    assert!(certificate.to_string().contains(&thumbprint));
}

/// An assertion's header, claims, signed text and signature.
fn take_apart(jwt: &str) -> (Value, Value, String, Vec<u8>) {
    let parts: Vec<&str> = jwt.split('.').collect();
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let json = |part: &str| serde_json::from_slice(&decode(part)).unwrap();
    let signed = format!("{}.{}", parts[0], parts[1]);
    (json(parts[0]), json(parts[1]), signed, decode(parts[2]))
}

#[test]
fn an_assertion_says_what_microsoft_asks_for_and_its_signature_holds() {
    let key = &keys()[0];
    let pkcs8 = key.to_pkcs8_pem(LineEnding::LF).unwrap();
    let pem = format!("{}{}", certificate_pem(key), *pkcs8);
    let certificate = Certificate::from_pem(&pem, None).unwrap();
    let now = Utc::parse("2026-03-01T00:00:00Z").unwrap();
    let audience = "https://login.microsoftonline.com/t/oauth2/v2.0/token";
    let make = |algorithm, seed| {
        let entropy = Secret::new([seed; 32]);
        let jwt = assertion(&certificate, algorithm, "app", audience, now, &entropy);
        take_apart(jwt.expose())
    };
    let (header, claims, signed, signature) = make(Algorithm::Ps256, 7);
    assert_eq!(header["alg"], "PS256");
    assert_eq!(header["x5t#S256"], certificate.x5t_s256());
    assert_eq!(header.get("x5t"), None);
    assert_eq!(claims["aud"], audience);
    assert_eq!((&claims["iss"], &claims["sub"]), (&"app".into(), &"app".into()));
    let seconds = |name: &str| claims[name].as_i64().unwrap() - now.as_millis() / 1_000;
    assert_eq!((seconds("nbf"), seconds("iat"), seconds("exp")), (-60, 0, 540));
    let public = key.to_public_key();
    let verifier = pss::VerifyingKey::<Sha256>::new(public.clone());
    let signature = pss::Signature::try_from(&signature[..]).unwrap();
    verifier.verify(signed.as_bytes(), &signature).unwrap();

    let (header, _, signed, signature) = make(Algorithm::Rs256, 7);
    assert_eq!((&header["alg"], &header["x5t"]), (&"RS256".into(), &certificate.x5t().into()));
    let verifier = pkcs1v15::VerifyingKey::<Sha256>::new(public);
    let signature = pkcs1v15::Signature::try_from(&signature[..]).unwrap();
    verifier.verify(signed.as_bytes(), &signature).unwrap();

    // Its name and its salt are new each time; the same entropy gives the same.
    let names: Vec<_> =
        [1, 2, 1].map(|seed| make(Algorithm::Ps256, seed).1["jti"].to_string()).into();
    assert_ne!(names[0], names[1]);
    assert_eq!(names[0], names[2]);
    assert_eq!(names[0].len(), 38);
    assert_eq!(&names[0][15..16], "4");
}

#[test]
fn an_operator_is_warned_30_7_and_1_days_before_the_end_and_at_it() {
    const DAY: Duration = Duration::from_secs(86_400);
    let key = &keys()[0];
    let pem =
        format!("{}{}", certificate_pem(key), key.to_pkcs8_pem(LineEnding::LF).unwrap().as_str());
    let certificate = Certificate::from_pem(&pem, None).unwrap();
    let end = certificate.not_after();
    let credential = Credential::Certificate(Arc::new(certificate));
    let mut watch = ExpiryWatch::default();
    // Looked at each hour, as sign-ins do.
    let told = (0..=40 * 24).rev().filter_map(|hours: u32| {
        let event = watch.look(&credential, end - DAY / 24 * hours)?;
        let days = if let Event::CertificateExpiring { days, .. } = &event { *days } else { 0 };
        assert_eq!(days == 0, matches!(event, Event::CertificateExpiredError { .. }));
        assert_eq!(event.level(), if days == 0 { Level::Error } else { Level::Warn });
        Some((days, hours))
    });
    assert_eq!(told.collect::<Vec<_>>(), [(30, 720), (7, 168), (1, 24), (0, 0)]);
    // A run that begins in between says how it is.
    let mut late = ExpiryWatch::default();
    let told = late.look(&credential, end - DAY * 5).map(|event| event.to_string()).unwrap();
    assert!(told.contains(" expires in 5 days"), "{told}");
}

#[test]
fn keys_of_odd_lengths_sign_and_too_long_ones_are_refused() {
    // Of a bit more than whole bytes, and the longest.
    for bits in [2_049, 4_096] {
        let key = key(21, bits);
        let der = key.to_pkcs1_der().unwrap();
        let read = Key::read("RSA PRIVATE KEY", der.as_bytes(), None).unwrap();
        assert_eq!(read.bits() as usize, bits);
        let mut random = ChaCha20Rng::from_seed([1; 32]);
        let signature = read.sign(Algorithm::Ps256, b"message", &mut random);
        assert_eq!(signature.len(), key.size());
        let verifier = pss::VerifyingKey::<Sha256>::new(key.to_public_key());
        let signature = pss::Signature::try_from(&signature[..]).unwrap();
        verifier.verify(b"message", &signature).unwrap();
        assert!(verifier.verify(b"another", &signature).is_err());
    }
    let long = key(21, 4_104).to_pkcs8_pem(LineEnding::LF).unwrap();
    let refused = Certificate::from_pem(&format!("{}{}", certificate_pem(&keys()[0]), *long), None);
    assert_eq!(refused.unwrap_err(), CertificateError::KeyTooLong);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn damage_is_refused_in_words_and_never_panics(
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
        cut in any::<bool>(),
    ) {
        let key = &keys()[0];
        let pkcs8 = key.to_pkcs8_pem(LineEnding::LF).unwrap();
        let mut pem = format!("{}{}", certificate_pem(key), *pkcs8).into_bytes();
        let at = at.index(pem.len());
        pem[at] ^= flip;
        if cut {
            pem.truncate(at);
        }
        let read = Certificate::from_pem(&String::from_utf8_lossy(&pem), None);
        prop_assert!(read.map(drop).err().is_none_or(|error| !error.to_string().is_empty()));
    }

    #[test]
    fn a_damaged_key_is_refused_or_signs(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut der = keys()[0].to_pkcs1_der().unwrap().as_bytes().to_vec();
        let at = at.index(der.len());
        der[at] ^= flip;
        if let Ok(read) = Key::read("RSA PRIVATE KEY", &der, None) {
            let signature = read.sign(Algorithm::Rs256, b"x", &mut ChaCha20Rng::from_seed([1; 32]));
            prop_assert_eq!(signature.len(), 256);
        }
    }
}
