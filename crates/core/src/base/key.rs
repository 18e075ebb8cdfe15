//! 128-bit keys of contents and records. They are Microsoft's ids, hashed: equal ids give equal
//! keys on every platform and in every version, since keys are stored.
//!
//! Ids have up to about 120 characters, and a busy tenant has many: 16 bytes each keep the state
//! small.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use xxhash_rust::xxh3::xxh3_128;

/// Stands for one content id, or for one record. At 128 bits two different ones never meet: with a
/// billion of them the chance is about 10⁻²¹.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub u128);

/// Bytes of a key.
const KEY_BYTES: usize = 16;

impl Key {
    /// The key of a content id.
    pub(crate) fn of_content(id: &str) -> Self {
        Self::of_bytes(id.as_bytes())
    }

    /// The key of what is written so.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        Self(xxh3_128(bytes))
    }

    /// Extends a digest of a sequence by one more element, of which `digest` says what it is.
    pub(crate) fn chain(self, digest: u64) -> Self {
        let mut link = [0; KEY_BYTES + 8];
        link[..KEY_BYTES].copy_from_slice(&self.0.to_le_bytes());
        link[KEY_BYTES..].copy_from_slice(&digest.to_le_bytes());
        Self(xxh3_128(&link))
    }
}

/// Keys as they are stored: one behind the other, in base64. `None` if it is not that.
pub(crate) fn decode(text: &str) -> Option<Vec<Key>> {
    let bytes = STANDARD_NO_PAD.decode(text).ok()?;
    let (keys, rest) = bytes.as_chunks::<KEY_BYTES>();
    rest.is_empty().then(|| keys.iter().map(|key| Key(u128::from_le_bytes(*key))).collect())
}

/// The reverse of [`decode`].
pub(crate) fn encode(keys: &[Key]) -> String {
    let bytes: Vec<u8> = keys.iter().flat_map(|key| key.0.to_le_bytes()).collect();
    STANDARD_NO_PAD.encode(bytes)
}

/// How many keys `text` holds, by its length.
pub(crate) const fn count(text: &str) -> usize {
    text.len() * 3 / 4 / KEY_BYTES
}

/// A set of keys. They are hashes already, so they are not hashed again.
pub(crate) type KeySet = HashSet<Key, BuildHasherDefault<AlreadyHashed>>;

/// Uses the low half of a key as its hash.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
    fn write_u128(&mut self, key: u128) {
        self.0 = key as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn keys_do_not_change_between_versions() {
        let key = Key::of_content("20231016001037495037203$20231016005646231021586$audit_general");
        assert_eq!(format!("{:032x}", key.0), "d2b46aa33e42a22b7313b2e4a8b80d99");
        assert_eq!(encode(&[key]), "mQ24qOSyE3MrokI+o2q00g");
        for keys in [vec![], vec![key], vec![key; 2], vec![key; 100]] {
            let text = encode(&keys);
            assert_eq!(count(&text), keys.len());
            assert_eq!(decode(&text), Some(keys));
        }
        for text in ["AAAA", "mQ24qOSyE3MrokI+o2q00g==", "\u{0}"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_is_spread_by_its_low_half() {
        let low = 0x0123_4567_89ab_cdef;
        let hasher = BuildHasherDefault::<AlreadyHashed>::default();
        assert_eq!(hasher.hash_one(Key(7 << 64 | low)), 0x0123_4567_89ab_cdef);
        assert_eq!(hasher.hash_one(5_u64), 5);
    }
}
