//! Root certificates from a file, in the forms in which systems export them: PEM, with a byte order
//! mark or in UTF-16 perhaps. What cannot be read is named, with the command that converts it.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::credentials::read_bounded;

/// The largest file that is read; the bundle of a whole operating system has 0.3 MB.
const CA_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Reads root certificates from a PEM file of at most 8 MiB.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read_bounded(path, CA_BYTES_MAX)?;
    let mut store = RootCertStore::empty();
    let mut roots = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&as_text(&bytes)) {
        let certificate = certificate.map_err(|error| format!("not a PEM file: {error}"))?;
        store
            .add(certificate.clone())
            .map_err(|error| format!("certificate {}: {error}", roots.len() + 1))?;
        roots.push(certificate);
    }
    if roots.is_empty() { Err(why_none(path, &bytes)) } else { Ok(roots) }
}

/// The text without its byte order mark, which would hide the first certificate. Notepad writes one
/// in front of UTF-8, and PowerShell writes UTF-16.
fn as_text(bytes: &[u8]) -> Vec<u8> {
    let units = |from: fn([u8; 2]) -> u16| {
        let (units, _) = bytes[2..].as_chunks::<2>();
        let units: Vec<u16> = units.iter().map(|unit| from(*unit)).collect();
        String::from_utf16_lossy(&units).into_bytes()
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => rest.to_owned(),
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        _ => bytes.to_owned(),
    }
}

/// Why there is no certificate in the file.
fn why_none(path: &Path, bytes: &[u8]) -> String {
    let path = path.display();
    let is_der = RootCertStore::empty().add(CertificateDer::from(bytes.to_vec())).is_ok();
    let text = as_text(bytes);
    let pkcs7 = text.windows(PKCS7.len()).any(|part| part == PKCS7);
    if is_der {
        format!(
            "a certificate in DER and not in PEM; convert it: `openssl x509 -inform der -in {path} \
             -out {path}.pem`"
        )
    } else if is_pkcs12(bytes) {
        format!(
            "a PKCS#12 file (.p12, .pfx); take the certificates out of it: `openssl pkcs12 -in \
             {path} -cacerts -nokeys -out {path}.pem`"
        )
    } else if pkcs7 || bytes.starts_with(&[0x30, 0x82]) || bytes.starts_with(&[0x30, 0x80]) {
        let form = if pkcs7 { "pem" } else { "der" };
        format!(
            "no certificate in PEM; if it is a PKCS#7 file (.p7b), convert it: `openssl pkcs7 \
             -inform {form} -in {path} -print_certs -out {path}.pem`"
        )
    } else {
        "no certificate in the file".into()
    }
}

/// Whether it begins as a PFX does (RFC 7292, section 4): a sequence of long form whose first
/// member is the version, 3. A PKCS#7 file has an object identifier there.
fn is_pkcs12(bytes: &[u8]) -> bool {
    let members = match bytes {
        [0x30, 0x82, _, _, members @ ..] => members,
        [0x30, 0x83, _, _, _, members @ ..] | [0x30, 0x80, members @ ..] => members,
        _ => return false,
    };
    members.starts_with(&[0x02, 0x01, 0x03])
}

const PKCS7: &[u8] = b"-----BEGIN PKCS7-----";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn files_that_windows_exports_are_read_or_named() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        let pem = root.pem().replace('\n', "\r\n");
        let dir = tempfile::tempdir().unwrap();
        let read = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            fs::write(&path, bytes).unwrap();
            let read = read_roots(&path).map(|roots| roots.len());
            read.map_err(|problem| problem.replace(dir.path().to_str().unwrap(), "DIR"))
        };
        let utf16 = |from: fn(u16) -> [u8; 2]| -> Vec<u8> {
            let text = format!("\u{feff}{pem}");
            text.encode_utf16().flat_map(from).collect()
        };
        assert_eq!(read("plain.pem", pem.as_bytes()), Ok(1));
        assert_eq!(read("mark.pem", format!("\u{feff}{pem}").as_bytes()), Ok(1));
        assert_eq!(read("le.pem", &utf16(u16::to_le_bytes)), Ok(1));
        assert_eq!(read("be.pem", &utf16(u16::to_be_bytes)), Ok(1));
        let problem = read("root.cer", root.der()).unwrap_err();
        assert!(problem.contains("in DER"), "{problem}");
        let command = "`openssl x509 -inform der -in DIR/root.cer -out DIR/root.cer.pem`";
        assert!(problem.contains(command), "{problem}");
        let p7b = b"-----BEGIN PKCS7-----\r\nMAA=\r\n-----END PKCS7-----\r\n";
        let problem = read("root.p7b", p7b).unwrap_err();
        assert!(problem.contains("openssl pkcs7 -inform pem"), "{problem}");
        // The first bytes of `openssl pkcs12 -export`, and of `openssl crl2pkcs7`.
        let problem = read("root.pfx", &[0x30, 0x82, 0x04, 0x2f, 0x02, 0x01, 0x03]).unwrap_err();
        assert!(problem.contains("openssl pkcs12 -in DIR/root.pfx -cacerts"), "{problem}");
        let problem = read("root.p7c", &[0x30, 0x82, 0x04, 0x2f, 0x06, 0x09, 0x2a]).unwrap_err();
        assert!(problem.contains("openssl pkcs7 -inform der"), "{problem}");
        assert_eq!(read("text.pem", b"hello").unwrap_err(), "no certificate in the file");
    }
}
