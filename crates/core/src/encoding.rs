//! Bytes as text: base64 (RFC 4648) and hexadecimal digits. The crate for base64 is made for
//! megabytes and has 6 KB more in the component; here are keys, certificates and tokens.

/// Which 64 characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Base64 {
    /// With `+` and `/`.
    Standard,
    /// With `-` and `_`, for addresses and JWTs.
    Url,
}

impl Base64 {
    /// The characters for these bytes, without padding.
    pub(crate) fn encode(self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
        for chunk in bytes.chunks(3) {
            let bits = chunk.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            let bits = bits << (24 - 8 * chunk.len());
            for at in 0..=chunk.len() {
                text.push(self.character(bits >> (18 - 6 * at) & 63));
            }
        }
        text
    }

    /// The same, filled up with `=` to whole groups of four.
    pub(crate) fn encode_padded(self, bytes: &[u8]) -> String {
        let mut text = self.encode(bytes);
        while !text.len().is_multiple_of(4) {
            text.push('=');
        }
        text
    }

    /// The bytes of a text without padding; `None` if it is no such text, or not the only one for
    /// these bytes.
    pub(crate) fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
        for chunk in text.chunks(4) {
            let mut bits = 0;
            for byte in chunk {
                bits = bits << 6 | self.value(*byte)?;
            }
            let bits: u32 = bits << (24 - 6 * chunk.len());
            let [_, group @ ..] = bits.to_be_bytes();
            let (used, rest) = group.split_at(chunk.len() - 1);
            if chunk.len() == 1 || rest.iter().any(|byte| *byte != 0) {
                return None;
            }
            bytes.extend_from_slice(used);
        }
        Some(bytes)
    }

    /// The bytes of a text with its padding.
    pub(crate) fn decode_padded(self, text: &[u8]) -> Option<Vec<u8>> {
        let once = text.strip_suffix(b"=").unwrap_or(text);
        let bare = once.strip_suffix(b"=").unwrap_or(once);
        text.len().is_multiple_of(4).then(|| self.decode(bare))?
    }

    fn character(self, value: u32) -> char {
        let value = (value & 63) as u8;
        char::from(match (value, self) {
            (0..=25, _) => b'A' + value,
            (26..=51, _) => b'a' + (value - 26),
            (52..=61, _) => b'0' + (value - 52),
            (62, Self::Standard) => b'+',
            (62, Self::Url) => b'-',
            (_, Self::Standard) => b'/',
            (_, Self::Url) => b'_',
        })
    }

    fn value(self, byte: u8) -> Option<u32> {
        Some(u32::from(match (byte, self) {
            (b'A'..=b'Z', _) => byte - b'A',
            (b'a'..=b'z', _) => byte - b'a' + 26,
            (b'0'..=b'9', _) => byte - b'0' + 52,
            (b'+', Self::Standard) | (b'-', Self::Url) => 62,
            (b'/', Self::Standard) | (b'_', Self::Url) => 63,
            _ => return None,
        }))
    }
}

/// The hexadecimal digits of a byte.
pub(crate) fn hex(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_are_those_of_the_crate(bytes: Vec<u8>) {
            prop_assert_eq!(Base64::Url.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes));
            prop_assert_eq!(Base64::Standard.encode(&bytes), STANDARD_NO_PAD.encode(&bytes));
            prop_assert_eq!(Base64::Standard.encode_padded(&bytes), STANDARD.encode(&bytes));
            let digits: String = bytes.iter().flat_map(|byte| hex(*byte)).collect();
            let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            prop_assert_eq!(digits, expected);
        }

        #[test]
        fn texts_are_read_as_the_crate_reads_them(text in "[A-Za-z0-9+/_-]{0,9}[AQgw]?={0,3}.?") {
            let bytes = text.as_bytes();
            prop_assert_eq!(Base64::Url.decode(bytes), URL_SAFE_NO_PAD.decode(bytes).ok());
            prop_assert_eq!(Base64::Standard.decode(bytes), STANDARD_NO_PAD.decode(bytes).ok());
            prop_assert_eq!(Base64::Standard.decode_padded(bytes), STANDARD.decode(bytes).ok());
        }
    }
}
