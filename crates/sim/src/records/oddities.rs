//! Which oddities a record has.

use fastrand::Rng;

/// A set of oddities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Oddities(u32);

impl Oddities {
    pub(crate) const NO_ID: u32 = 1 << 0;
    pub(crate) const NO_TIME: u32 = 1 << 1;
    pub(crate) const ZONED_TIME: u32 = 1 << 2;
    pub(crate) const RECORD_TYPE: u32 = 1 << 3;
    pub(crate) const ADDRESS: u32 = 1 << 4;
    pub(crate) const SOLIDUS: u32 = 1 << 5;
    pub(crate) const SPACED: u32 = 1 << 6;
    pub(super) const BIG_INTEGERS: u32 = 1 << 7;
    pub(super) const SURROGATE: u32 = 1 << 8;
    pub(super) const JSON_IN_STRING: u32 = 1 << 9;
    pub(super) const DUPLICATE_KEY: u32 = 1 << 10;
    pub(super) const TYPE_FLIP: u32 = 1 << 11;
    pub(super) const LINE_END: u32 = 1 << 12;
    pub(super) const EMPTY: u32 = 1 << 13;
    pub(super) const LOOK_ALIKE: u32 = 1 << 14;
    pub(super) const CASE_COLLISION: u32 = 1 << 15;
    pub(super) const NUMBERS: u32 = 1 << 16;
    pub(super) const DEEP: u32 = 1 << 17;
    pub(super) const ESCAPES: u32 = 1 << 18;
    const COUNT: u32 = 19;

    /// What is so rare in life that it comes only to who asks for many oddities.
    const RAREST: u32 = Self::SURROGATE | Self::DEEP;
    const MANY: f64 = 0.01;

    /// One to three oddities for a share `oddness` of all records.
    pub(super) fn draw(rng: &mut Rng, oddness: f64) -> Self {
        if oddness <= 0.0 || rng.f64() >= oddness {
            return Self(0);
        }
        let mut set = 0;
        for _ in 0..rng.u32(1..=3) {
            set |= 1 << rng.u32(..Self::COUNT);
        }
        if oddness < Self::MANY {
            set &= !Self::RAREST;
        }
        Self(set)
    }

    pub(crate) const fn has(self, one: u32) -> bool {
        self.0 & one != 0
    }
}
