//! What stands in a component beside its code: the names of its parts go, 9 KB which only debuggers
//! read (`strip` of the profile reaches the module inside alone); what it is, and whose, comes, as
//! registries of components read it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// How a component begins.
const MAGIC: &[u8] = b"\0asm\x0d\0\x01\0";

/// The kind of sections that may be left out, and the name of the one that is.
const CUSTOM: u8 = 0;
const NAMES: &[u8] = b"\x0ecomponent-name";

/// Rewrites the file without names, and with what it is.
///
/// # Errors
/// It is no component, or cannot be read or written.
pub(crate) fn settle(path: &Path, description: &str) -> Result<()> {
    let shown = || path.display().to_string();
    let component = fs::read(path).with_context(shown)?;
    let mut settled = without_names(&component).with_context(shown)?;
    // The revision is left out: each commit would be another component.
    for (name, text) in [
        ("authors", env!("CARGO_PKG_AUTHORS")),
        ("description", description),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("version", env!("CARGO_PKG_VERSION")),
    ] {
        settled.extend(annotation(name, text).with_context(|| format!("{name}: too long"))?);
    }
    fs::write(path, settled).with_context(shown)
}

/// A text under a name of the annotations of OCI, as a section. Lengths below 128 are one byte.
fn annotation(name: &str, text: &str) -> Option<Vec<u8>> {
    let short = |length: usize| u8::try_from(length).ok().filter(|length| *length < 0x80);
    let body = [&[short(name.len())?], name.as_bytes(), text.as_bytes()].concat();
    Some([&[CUSTOM, short(body.len())?], body.as_slice()].concat())
}

fn without_names(component: &[u8]) -> Result<Vec<u8>> {
    ensure!(component.starts_with(MAGIC), "no component");
    let mut kept = MAGIC.to_vec();
    let mut rest = &component[MAGIC.len()..];
    while let Some((kind, after)) = rest.split_first() {
        let (length, body) = number(after).context("a section without a length")?;
        let next = body.get(length..).context("a section that is cut off")?;
        if *kind != CUSTOM || !body.starts_with(NAMES) {
            kept.extend_from_slice(&rest[..rest.len() - next.len()]);
        }
        rest = next;
    }
    Ok(kept)
}

/// A length as WASM writes them: seven bits a byte, the least first.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_u32;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        number |= u32::from(byte & 0x7f).checked_shl(u32::try_from(at * 7).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(number).ok()?, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A section, whose length takes two bytes.
    fn section(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len()).unwrap();
        assert!(length < 0x80);
        [&[kind, length | 0x80, 0], body].concat()
    }

    #[test]
    fn what_it_is_can_be_read_as_any_section() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("component.wasm");
        fs::write(&path, MAGIC).unwrap();
        settle(&path, "Collects").unwrap();
        let settled = fs::read(&path).unwrap();
        // Every section has its end: whoever leaves names out leaves these in.
        assert_eq!(without_names(&settled).unwrap(), settled);
        let expected = b"\x00\x14\x0bdescriptionCollects";
        assert!(settled.windows(expected.len()).any(|window| window == expected));
        assert_eq!(annotation("description", &"x".repeat(200)), None);
    }

    #[test]
    fn names_go_and_all_else_stays() {
        let named = section(CUSTOM, &[NAMES, b"anything"].concat());
        let rest = [section(1, b"\x0ecomponent-name is no name here"), section(CUSTOM, b"\x01x")];
        let component = [MAGIC, &rest[0], &named, &rest[1]].concat();
        assert_eq!(without_names(&component).unwrap(), [MAGIC, &rest[0], &rest[1]].concat());
        assert!(without_names(&component[..component.len() - 1]).is_err(), "cut off");
        assert!(without_names(b"\0asm\x01\0\0\0").is_err(), "a module");
    }
}
