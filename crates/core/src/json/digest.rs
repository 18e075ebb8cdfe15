//! A keyed digest of what a record says: the same for its members in any order, at any depth, for
//! any white space, and however its texts are escaped.
//!
//! The hash is SipHash-1-3, of which nobody outside knows the key: it is drawn for each state and
//! stays there. Members of an object are hashed one by one and added up, elements of a list with
//! their places (a multiset hash, MSet-Add-Hash of Clarke et al. 2003); so one walk does.

use sha2::{Digest as _, Sha256};
use siphasher::sip::SipHasher13;

use crate::json::number::Number;
use crate::json::visit::{Text, Visit};
use crate::json::walk::{DEPTH_MAX, Walker};

/// What a record says, in 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Digest(pub u64);

impl Digest {
    /// That of a record of which nobody has noted what it says.
    pub(crate) const UNKNOWN: Self = Self(0);
}

/// The key of all digests of one state.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct DigestKey(u64, u64);

impl DigestKey {
    /// The key that a driver's random number makes: a hash of it, because half of that number also
    /// makes the jitter, which others see.
    pub(crate) fn drawn(seed: u128) -> Self {
        let hash = Sha256::new().chain_update("digests").chain_update(seed.to_le_bytes());
        let hash = hash.finalize();
        let half = |at: usize| hash[at..].first_chunk().map_or(0, |half| u64::from_le_bytes(*half));
        Self(half(0), half(8))
    }

    /// The key that [`Self::encode`] wrote. `None` if it is none.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let both = u128::from_str_radix(text, 16).ok().filter(|_| is_hex)?;
        let [high, low] = [both >> 64, both & u128::from(u64::MAX)].map(u64::try_from);
        Some(Self(high.ok()?, low.ok()?))
    }

    pub(crate) fn encode(self) -> String {
        format!("{:016x}{:016x}", self.0, self.1)
    }
}

impl std::fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestKey")
    }
}

/// Makes digests, with buffers that are used again.
#[derive(Debug)]
pub(crate) struct Digester {
    key: DigestKey,
    walker: Walker,
    bytes: Vec<u8>,
}

/// One walk. The member that is being read stands in `bytes` from `start` on: its key or place, and
/// then its value.
pub(crate) struct Adder<'a> {
    hasher: SipHasher13,
    bytes: &'a mut Vec<u8>,
    start: usize,
    /// Of the members so far.
    sum: u64,
    /// The place of the next element; `None` within an object.
    place: Option<u64>,
}

/// What is left of the container around another one.
pub(crate) struct Outer {
    start: usize,
    sum: u64,
    place: Option<u64>,
}

/// No byte of UTF-8: ends a member's key.
const KEY_END: u8 = 0xff;

impl Digester {
    pub(crate) fn new(key: DigestKey) -> Self {
        Self { key, walker: Walker::new(DEPTH_MAX), bytes: Vec::new() }
    }

    /// The digest of `record`, and whether that is JSON. What is none is taken as its bytes.
    pub(crate) fn digest(&mut self, record: &[u8]) -> (Digest, bool) {
        let hasher = self.hasher();
        let mut adder = Adder::new(hasher, &mut self.bytes);
        let is_json = self.walker.walk(record, &mut adder).is_ok();
        (if is_json { adder.digest() } else { Digest::of(hasher.hash(record)) }, is_json)
    }

    /// The digest of something that is known to be no JSON.
    pub(crate) fn of_bytes(&self, record: &[u8]) -> Digest {
        Digest::of(self.hasher().hash(record))
    }

    /// A visitor that makes the digest of what it is told.
    pub(crate) fn adder(&mut self) -> Adder<'_> {
        Adder::new(self.hasher(), &mut self.bytes)
    }

    fn hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.key.0, self.key.1)
    }
}

impl Digest {
    /// Zero is taken.
    fn of(digest: u64) -> Self {
        Self(digest.max(1))
    }
}

impl<'a> Adder<'a> {
    fn new(hasher: SipHasher13, bytes: &'a mut Vec<u8>) -> Self {
        bytes.clear();
        Self { hasher, bytes, start: 0, sum: 0, place: None }
    }

    /// The digest of the text that it was told whole.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.sum)
    }
}

impl Adder<'_> {
    /// A value is there: its member is complete.
    #[inline(always)]
    fn add(&mut self, kind: u8, value: &[u8]) {
        if let Some(place) = &mut self.place {
            self.bytes.extend_from_slice(&place.to_le_bytes());
            *place += 1;
        }
        self.bytes.push(kind);
        self.bytes.extend_from_slice(value);
        self.sum = self.sum.wrapping_add(self.hasher.hash(&self.bytes[self.start..]));
        self.bytes.truncate(self.start);
    }

    fn begin(&mut self, place: Option<u64>) -> Outer {
        let outer = Outer { start: self.start, sum: self.sum, place: self.place };
        self.start = self.bytes.len();
        self.sum = 0;
        self.place = place;
        outer
    }

    fn end(&mut self, outer: &Outer, kind: u8, members: usize) {
        let inner = self.sum.to_le_bytes();
        (self.start, self.sum, self.place) = (outer.start, outer.sum, outer.place);
        let mut value = [0; 16];
        value[..8].copy_from_slice(&inner);
        value[8..].copy_from_slice(&(members as u64).to_le_bytes());
        self.add(kind, &value);
    }
}

impl Visit for Adder<'_> {
    type Mark = Outer;
    const READS_NUMBERS: bool = false;

    fn begin(&mut self) {
        self.bytes.clear();
        (self.start, self.sum, self.place) = (0, 0, None);
    }

    fn begin_object(&mut self) -> Outer {
        self.begin(None)
    }

    #[inline(always)]
    fn key(&mut self, text: Text<'_>) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.push(KEY_END);
    }

    fn end_object(&mut self, outer: Outer, members: usize) {
        self.end(&outer, b'{', members);
    }

    fn begin_array(&mut self) -> Outer {
        self.begin(Some(0))
    }

    fn end_array(&mut self, outer: Outer, elements: usize) {
        self.end(&outer, b'[', elements);
    }

    #[inline(always)]
    fn string(&mut self, text: Text<'_>) {
        self.add(b'"', text.as_bytes());
    }

    fn number(&mut self, number: Number<'_>) {
        match number {
            Number::Unsigned(number) => self.add(b'0', &number.to_le_bytes()),
            Number::Negative(number) => self.add(b'-', &number.to_le_bytes()),
            Number::Float(number) => self.add(b'.', &number.to_bits().to_le_bytes()),
            Number::Literal(token) => self.add(b'#', token),
        }
    }

    fn bool(&mut self, value: bool) {
        self.add(if value { b't' } else { b'f' }, &[]);
    }

    fn null(&mut self) {
        self.add(b'n', &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn digest(text: &str) -> Digest {
        Digester::new(DigestKey::drawn(7)).digest(text.as_bytes()).0
    }

    #[test]
    fn digests_do_not_change_between_versions() {
        let key = DigestKey::decode("07060504030201000f0e0d0c0b0a0908").unwrap();
        assert_eq!(key.encode(), "07060504030201000f0e0d0c0b0a0908");
        for text in ["", "+7060504030201000f0e0d0c0b0a0908", "7060504030201000f0e0d0c0b0a0908"] {
            assert_eq!(DigestKey::decode(text), None);
        }
        assert_ne!(DigestKey::drawn(1), DigestKey::drawn(1 << 64));
        let text = r#"{"Id":"a","n":[1,-2,0.5,true,null,{}],"x":{"b":"\u00e4","a":""}}"#;
        assert_eq!(format!("{key:?}"), "DigestKey", "it is secret");
        let digest = Digester::new(key).digest(text.as_bytes());
        assert_eq!(digest, (Digest(0xfc13_50c5_3125_edab), true));
        let broken = Digester::new(key).digest(b"{broken");
        assert_eq!(broken, (Digest(0xcde6_650e_f55f_d867), false));
    }

    #[test]
    fn order_white_space_and_escapes_do_not_matter() {
        let text = r#"{"Id":"a/b","Item":{"x":[1,{"p":null,"q":"\u00e4"}],"y":""},"z":1.50}"#;
        let same = "{ \"z\" : 1.50,\r\n\"Item\":{\"y\":\"\",\"x\":[1,{\"q\":\"ä\",\"p\":null}]},\
                    \"Id\":\"a\\/b\"} ";
        assert_eq!(digest(text), digest(same));
    }

    #[test]
    fn everything_else_matters() {
        let texts = [
            r#"{}"#,
            r#"[]"#,
            r#"{"a":1}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":"1"}"#,
            r#"{"a":-1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":true}"#,
            r#"{"a":false}"#,
            r#"{"a":null}"#,
            r#"{"a":{}}"#,
            r#"{"a":[]}"#,
            r#"{"a":[1,2]}"#,
            r#"{"a":[2,1]}"#,
            r#"{"a":[[1],2]}"#,
            r#"{"a":[1,[2]]}"#,
            r#"{"a":"","b":"x"}"#,
            r#"{"a":"x","b":""}"#,
            r#"{"ab":"x"}"#,
            r#"{"a":"bx"}"#,
            r#"{"A":1}"#,
            r#"{"a":{"b":1},"c":2}"#,
            r#"{"a":{"c":2},"b":1}"#,
            r#"{"a":{"b":1,"c":2}}"#,
            r#"{"a":1}x"#,
            r#"{"a":1"#,
        ];
        let digests: std::collections::BTreeSet<_> = texts.map(digest).into();
        assert_eq!(digests.len(), texts.len());
        let other = Digester::new(DigestKey::drawn(8)).digest(b"{}").0;
        assert_ne!(other, digest("{}"), "nor does the key");
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 30, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((".{0,3}", inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Writes members backwards.
    fn reversed(value: &Value) -> String {
        match value {
            Value::Object(members) => {
                let text = |(key, value): (&String, &Value)| {
                    format!("{} : {}", Value::from(key.as_str()), reversed(value))
                };
                format!("{{{}}}", members.iter().rev().map(text).collect::<Vec<_>>().join(" , "))
            }
            Value::Array(list) => {
                format!("[{}]", list.iter().map(reversed).collect::<Vec<_>>().join(","))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        }
    }

    proptest! {
        #[test]
        fn two_records_have_one_digest_exactly_if_they_say_the_same(a in json(), b in json()) {
            prop_assert_eq!(digest(&a.to_string()), digest(&reversed(&a)));
            prop_assert_eq!(a == b, digest(&a.to_string()) == digest(&b.to_string()));
        }
    }
}
