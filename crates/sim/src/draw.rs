//! Seeded draws. Everything random in the simulator is a pure function of the seed and of the
//! name of the thing drawn, so that two runs of one seed agree byte for byte. Knows no state.

use fastrand::Rng;

/// Mixes two words into one that shares no visible pattern with either.
pub(crate) const fn mix(a: u64, b: u64) -> u64 {
    let mut z = a ^ b.wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A generator of its own for the thing named by `key`.
pub(crate) fn rng(seed: u64, key: u64) -> Rng {
    Rng::with_seed(mix(seed, key))
}

/// Whether something of probability `p` happens to the thing named by `key`.
pub(crate) fn chance(p: f64, seed: u64, key: u64) -> bool {
    p > 0.0 && unit(seed, key) < p
}

/// A number in `0.0..1.0` for the thing named by `key`.
#[allow(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
pub(crate) fn unit(seed: u64, key: u64) -> f64 {
    (mix(seed, key) >> 11) as f64 / (1u64 << 53) as f64
}

/// 128 bits that name the thing `key`.
pub(crate) fn wide(seed: u64, key: u64) -> u128 {
    let high = mix(seed, key);
    (u128::from(high) << 64) | u128::from(mix(high, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_seed_and_key_only() {
        assert_eq!(mix(1, 2), mix(1, 2));
        assert_ne!(mix(1, 2), mix(2, 1));
        assert!(chance(1.0, 7, 7));
        assert!(!chance(0.0, 7, 7));
    }

    #[test]
    fn a_chance_of_one_in_four_happens_about_that_often() {
        let hits = (0..10_000).filter(|key| chance(0.25, 99, *key)).count();
        assert!((2_200..2_800).contains(&hits), "{hits}");
    }
}
