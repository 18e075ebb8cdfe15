//! RSA in Montgomery's form, and what is signed: PKCS#1 v1.5 and PSS over SHA-256 (RFC 8017).

use sha2::{Digest, Sha256};

use crate::assertion::HashRandom;

/// Bytes of a hash, and of a salt.
const HASH: usize = 32;

/// What stands before SHA-256 hashes in PKCS#1 v1.5: their algorithm, in DER.
const SHA256: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];

/// Bits of an exponent that are worked on at once.
const WINDOW: usize = 4;

/// Digits of base 2^32, the lowest first.
pub(super) type Digits = Vec<u32>;

/// Digits from bytes, the highest first.
pub(super) fn digits(bytes: &[u8]) -> Digits {
    let digit = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    bytes.rchunks(4).map(digit).collect()
}

/// An odd number of some length, and what Montgomery's multiplication needs of it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Modulus {
    n: Digits,
    /// -1/n modulo 2^32.
    inverse: u32,
    /// R^2 modulo n, where R is 2^32 to the number of digits.
    square: Digits,
    bits: usize,
}

impl Modulus {
    /// `None` for an even number, and for 1.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let n = digits(bytes);
        let (first, last) = (*n.first()?, *n.last()?);
        let bits = 32 * n.len() - usize::try_from(last.leading_zeros()).ok()?;
        if first & 1 == 0 || bits < 2 {
            return None;
        }
        // Newton's method: an odd number is its own inverse modulo 8; each step doubles the bits.
        let inverse =
            (0..4).fold(first, |x, _| x.wrapping_mul(2_u32.wrapping_sub(first.wrapping_mul(x))));
        let mut square = one(n.len());
        for _ in 0..64 * n.len() {
            let carry = double(&mut square);
            reduce(&mut square, carry, &n);
        }
        Some(Self { n, inverse: inverse.wrapping_neg(), square, bits })
    }

    pub(super) fn digits(&self) -> &[u32] {
        &self.n
    }

    pub(super) const fn bits(&self) -> usize {
        self.bits
    }

    /// a * b / R modulo n, of numbers below n with as many digits.
    fn multiply(&self, a: &[u32], b: &[u32]) -> Digits {
        let mut sum = vec![0; self.n.len()];
        let mut top = 0;
        for digit in a {
            let carry = add_product(&mut sum, *digit, b);
            let (high, over) = split(u64::from(top) + u64::from(carry));
            let factor = sum[0].wrapping_mul(self.inverse);
            let carry = add_product(&mut sum, factor, &self.n);
            let (high, more) = split(u64::from(high) + u64::from(carry));
            // The lowest digit has become zero.
            sum.rotate_left(1);
            if let Some(last) = sum.last_mut() {
                *last = high;
            }
            top = over + more;
        }
        reduce(&mut sum, top, &self.n);
        sum
    }

    /// `base` to the power of `exponent`, modulo n; `None` if the base is not below n. What is
    /// done for each digit of the exponent does not depend on it, but for what is looked up.
    pub(super) fn power(&self, base: &[u8], exponent: &[u32]) -> Option<Vec<u8>> {
        let mut base = digits(base);
        let beyond = base.len().saturating_sub(self.n.len());
        if base.drain(base.len() - beyond..).any(|digit| digit != 0) {
            return None;
        }
        base.resize(self.n.len(), 0);
        if base.iter().rev().ge(self.n.iter().rev()) {
            return None;
        }
        let one = one(self.n.len());
        let base = self.multiply(&base, &self.square);
        let mut powers = vec![self.multiply(&one, &self.square)];
        for at in 1..1 << WINDOW {
            powers.push(self.multiply(&powers[at - 1], &base));
        }
        let mut result = powers[0].clone();
        for digit in exponent.iter().rev() {
            for shift in (0..32).step_by(WINDOW).rev() {
                for _ in 0..WINDOW {
                    result = self.multiply(&result, &result);
                }
                let at = digit >> shift & ((1 << WINDOW) - 1);
                result = self.multiply(&result, powers.get(usize::try_from(at).ok()?)?);
            }
        }
        let result = self.multiply(&result, &one);
        let bytes: Vec<u8> = result.iter().rev().flat_map(|digit| digit.to_be_bytes()).collect();
        Some(bytes[bytes.len() - self.bits.div_ceil(8)..].to_vec())
    }
}

fn one(len: usize) -> Digits {
    let mut digits = vec![0; len];
    digits[0] = 1;
    digits
}

const fn split(sum: u64) -> (u32, u32) {
    ((sum & 0xffff_ffff) as u32, (sum >> 32) as u32)
}

/// sum += digit * b. Answers the carry.
fn add_product(sum: &mut [u32], digit: u32, b: &[u32]) -> u32 {
    sum.iter_mut().zip(b).fold(0, |carry, (sum, b)| {
        let (low, high) =
            split(u64::from(*sum) + u64::from(digit) * u64::from(*b) + u64::from(carry));
        *sum = low;
        high
    })
}

fn double(number: &mut [u32]) -> u32 {
    number.iter_mut().fold(0, |carry, digit| {
        let high = *digit >> 31;
        *digit = *digit << 1 | carry;
        high
    })
}

/// Takes `n` off once, if `number` with the carry above it is not below `n`.
fn reduce(number: &mut Digits, carry: u32, n: &[u32]) {
    let mut less = number.clone();
    let borrow = less.iter_mut().zip(n).fold(false, |borrow, (digit, n)| {
        let (difference, first) = digit.overflowing_sub(*n);
        let (difference, second) = difference.overflowing_sub(u32::from(borrow));
        *digit = difference;
        first || second
    });
    if carry != 0 || !borrow {
        *number = less;
    }
}

/// The message as PKCS#1 v1.5 has it signed, in as many bytes as the modulus has.
pub(super) fn pkcs1(message: &[u8], bits: usize) -> Vec<u8> {
    let hash = Sha256::digest(message);
    let mut encoded = vec![0, 1];
    encoded.resize((bits.div_ceil(8)).saturating_sub(SHA256.len() + HASH + 1), 0xff);
    encoded.push(0);
    encoded.extend(SHA256);
    encoded.extend(hash);
    encoded
}

/// The message as PSS has it signed, with a salt as long as the hash.
pub(super) fn pss(message: &[u8], bits: usize, random: &mut HashRandom) -> Vec<u8> {
    let mut salt = [0; HASH];
    random.fill(&mut salt);
    let hash = Sha256::new().chain_update([0; 8]).chain_update(Sha256::digest(message));
    let hash = hash.chain_update(salt).finalize();
    // A bit less than the modulus has, so that it is below it; whole bytes of zero come before.
    let (len, used) = (bits.div_ceil(8), bits - 1);
    let mut block = vec![0; used.div_ceil(8) - HASH - 1 - HASH - 1];
    block.push(1);
    block.extend(salt);
    for (counter, chunk) in (0_u32..).zip(block.chunks_mut(HASH)) {
        let mask = Sha256::new().chain_update(hash).chain_update(counter.to_be_bytes());
        chunk.iter_mut().zip(mask.finalize()).for_each(|(byte, mask)| *byte ^= mask);
    }
    block[0] &= 0xff >> (used.next_multiple_of(8) - used);
    let mut encoded = vec![0; len - used.div_ceil(8)];
    encoded.extend(block);
    encoded.extend(hash);
    encoded.push(0xbc);
    encoded
}
