//! Certificates and keys, against another reader of them.

use std::cell::OnceCell;

use arbitrary::Unstructured;
use m365_audit_core::Certificate;
use m365_audit_core::fuzzing::Keys;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate of some key of 2048 bits.
const CERTIFICATE: &[u8] = include_bytes!("../seeds/certificate.der");

/// In front of a modulus of 2048 bits: the tag of a number, its length, and a zero.
const MODULUS: [u8; 5] = [0x02, 0x82, 0x01, 0x01, 0x00];

/// A key is a thousand times dearer to read than a certificate: one input in so many has one.
const KEYS_EVERY: u8 = 255;

struct World {
    keys: Keys,
    /// The certificate of the key.
    certificate: Vec<u8>,
    /// Its thumbprint.
    thumbprint: String,
}

thread_local! {
    static WORLD: OnceCell<World> = const { OnceCell::new() };
}

impl World {
    fn new() -> Self {
        let keys = Keys::new();
        let mut certificate = CERTIFICATE.to_vec();
        let at = certificate.windows(MODULUS.len()).position(|window| window == MODULUS);
        let at = at.expect("it has a key") + MODULUS.len();
        certificate[at..at + keys.modulus.len()].copy_from_slice(&keys.modulus);
        assert!(keys.certified(&certificate).is_ok_and(|of_key| of_key.is_some()), "the key's");
        let text = pem(&[("CERTIFICATE", &certificate), ("PRIVATE KEY", &keys.pkcs8)]);
        let thumbprint = Certificate::from_pem(&text, None).expect("a pair").thumbprint();
        Self { keys, certificate, thumbprint }
    }
}

/// What is read means the same to the other reader; what is not the key's is not taken.
pub(crate) fn check(data: &[u8]) {
    WORLD.with(|world| {
        let world = world.get_or_init(World::new);
        let mut u = Unstructured::new(data);
        let Ok(shape) = u.arbitrary::<u8>() else { return };
        if shape == KEYS_EVERY {
            pair(&mut u, world);
        } else if shape & 7 == 0 {
            // Without a key there is nothing to sign with, whatever else it says.
            let text = String::from_utf8_lossy(u.peek_bytes(u.len()).unwrap_or(&[])).into_owned();
            assert!(Certificate::from_pem(&text.replace("KEY", "KEI"), None).is_err());
        } else {
            certificate(&mut u, world);
        }
    });
}

/// A certificate that was changed: whose it is, and for how long.
fn certificate(u: &mut Unstructured<'_>, world: &World) {
    let der = edited(u, &world.certificate);
    let Ok(Some((not_before, not_after))) = world.keys.certified(&der) else { return };
    // Nobody else has this modulus.
    assert!(der.windows(world.keys.modulus.len()).any(|window| window == world.keys.modulus));
    if let Ok((rest, other)) = X509Certificate::from_der(&der) {
        let validity = other.validity();
        let said = [&validity.not_before, &validity.not_after].map(|time| time.timestamp() * 1_000);
        assert_eq!([not_before, not_after].map(|time| time.as_millis()), said, "{der:02x?}");
        assert!(rest.is_empty(), "{der:02x?}");
    }
}

/// A key that was changed, beside its certificate: refused, or still the key.
fn pair(u: &mut Unstructured<'_>, world: &World) {
    let key = edited(u, &world.keys.pkcs8);
    let text = pem(&[("CERTIFICATE", &world.certificate), ("PRIVATE KEY", &key)]);
    if let Ok(read) = Certificate::from_pem(&text, None) {
        assert_eq!(read.thumbprint(), world.thumbprint);
    }
    let mut bytes = text.into_bytes();
    crate::json::damage(u, &mut bytes);
    // Whatever becomes of it.
    let _ = Certificate::from_pem(&String::from_utf8_lossy(&bytes), None);
}

/// A text with a few bytes changed, left out or doubled, where the input says.
fn edited(u: &mut Unstructured<'_>, der: &[u8]) -> Vec<u8> {
    let mut der = der.to_vec();
    for _ in 0..6 {
        let Ok((what, at, byte)) = u.arbitrary::<(u8, u16, u8)>() else { break };
        if u.is_empty() || der.is_empty() {
            break;
        }
        // Mostly in the first quarter: behind it are the numbers of the key and of the signature.
        let reach = if what & 0x10 == 0 { der.len().div_ceil(4) } else { der.len() };
        let at = usize::from(at) % reach;
        match what & 3 {
            0 => der[at] = byte,
            1 => der[at] ^= 1 << (byte & 7),
            2 => drop(der.drain(at..der.len().min(at + usize::from(byte & 31)))),
            _ => {
                let end = der.len().min(at + usize::from(byte & 31));
                let copy = der[at..end].to_vec();
                der.splice(at..at, copy);
            }
        }
    }
    der
}

/// PEM text of blocks: label and bytes.
fn pem(blocks: &[(&str, &[u8])]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (label, der) in blocks {
        text.push_str(&format!("-----BEGIN {label}-----\n"));
        for chunk in der.chunks(3) {
            let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
            let bits = bits << (8 * (3 - chunk.len()));
            for place in 0..4 {
                let digit = (bits >> (18 - 6 * place)) & 63;
                text.push(if place <= chunk.len() {
                    char::from(DIGITS[digit as usize])
                } else {
                    '='
                });
            }
        }
        text.push_str(&format!("\n-----END {label}-----\n"));
    }
    text
}
