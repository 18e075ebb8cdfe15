//! GUIDs as Microsoft writes them. Only text in and out; no meaning.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::draw;

/// A GUID; displayed in lower case with dashes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(pub u128);

const HEX: &[u8; 16] = b"0123456789abcdef";
/// Positions in the text form that hold a dash.
const DASHES: [usize; 4] = [8, 13, 18, 23];

impl Guid {
    /// The zero GUID, under which Microsoft counts requests that name no publisher.
    pub const ZERO: Self = Self(0);

    /// A version-4 looking GUID for the thing `key` names.
    pub(crate) fn drawn(seed: u64, key: u64) -> Self {
        Self::version4(draw::wide(seed, key))
    }

    /// Sets the version and variant bits of a random GUID.
    pub(crate) const fn version4(bits: u128) -> Self {
        let cleared = bits & !(0xF000_u128 << 64) & !(0xC000_u128 << 48);
        Self(cleared | (0x4000_u128 << 64) | (0x8000_u128 << 48))
    }

    /// Parses 36 characters with dashes, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 36 {
            return None;
        }
        let mut value = 0u128;
        for (at, byte) in text.iter().enumerate() {
            if DASHES.contains(&at) {
                if *byte != b'-' {
                    return None;
                }
            } else {
                value = (value << 4) | u128::from((*byte as char).to_digit(16)?);
            }
        }
        Some(Self(value))
    }

    /// Appends the 36 characters.
    pub(crate) fn push(self, out: &mut String) {
        out.push_str(std::str::from_utf8(&self.text()).expect("hex digits are UTF-8"));
    }

    /// The 36 characters.
    pub(crate) fn text(self) -> [u8; 36] {
        let mut out = [b'-'; 36];
        let mut nibble = 32u32;
        for (at, slot) in out.iter_mut().enumerate() {
            if !DASHES.contains(&at) {
                nibble -= 1;
                *slot = HEX[((self.0 >> (nibble * 4)) & 0xF) as usize];
            }
        }
        out
    }
}

impl std::fmt::Display for Guid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).expect("hex digits are UTF-8"))
    }
}

impl std::fmt::Debug for Guid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for Guid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Guid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a GUID")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_value_agree() {
        let text = "f28ab78a-d401-4060-8012-736e373933eb";
        let guid = Guid::parse(&text.to_uppercase()).unwrap();
        assert_eq!(guid.to_string(), text);
        assert_eq!(Guid::parse("f28ab78ad40140608012736e373933eb"), None);
        assert_eq!(Guid::parse("g28ab78a-d401-4060-8012-736e373933eb"), None);
        assert_eq!(Guid::drawn(1, 2).to_string().as_bytes()[14], b'4');
    }
}
