//! Classifies number tokens by RFC 8259's grammar. Must not round a whole number: one beyond 64
//! bits stays a literal, as does a float beyond `f64`. Fractions become the nearest `f64`.

/// A number token, in the narrowest of the forms that can hold it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number<'a> {
    /// A whole number from 0 to `u64::MAX`.
    Unsigned(u64),
    /// A whole number from `i64::MIN` to -1.
    Negative(i64),
    /// A number with a fraction or an exponent, and `-0`; always finite.
    Float(f64),
    /// A number that fits none of these: its ASCII characters.
    Literal(&'a [u8]),
}

/// Decimal digits that always fit `u64`.
const SAFE_DIGITS: usize = 19;

/// The whole number of a few digits that begins with the digit at `start`, and where it ends.
/// `None` if it is another, or none.
#[inline(always)]
pub(super) fn plain(raw: &[u8], start: usize) -> Option<(u64, usize)> {
    let mut value = 0;
    let mut at = start;
    while let Some(digit) = digit(raw, at) {
        value = value * 10 + u64::from(digit);
        at += 1;
        if SAFE_DIGITS <= at - start {
            return None;
        }
    }
    let leads_with_zero = at - start > 1 && raw.get(start) == Some(&b'0');
    match raw.get(at) {
        Some(b'.' | b'e' | b'E') | None => None,
        Some(_) if leads_with_zero => None,
        Some(_) => Some((value, at)),
    }
}

/// The number that begins at `start`, and where it ends; `None` if the grammar knows no such. A
/// fraction that nobody reads stays a literal: who only validates need not have it converted.
#[inline]
pub(super) fn number(raw: &[u8], start: usize, read: bool) -> Option<(Number<'_>, usize)> {
    let negative = raw.get(start) == Some(&b'-');
    let digits = start + usize::from(negative);
    let mut value = 0_u64;
    let mut at = digits;
    while let Some(digit) = digit(raw, at) {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        at += 1;
    }
    let count = at - digits;
    if count == 0 || (count > 1 && raw[digits] == b'0') {
        return None;
    }
    if let Some(b'.' | b'e' | b'E') = raw.get(at) {
        return float(raw, start, at, read);
    }
    if count > SAFE_DIGITS || negative {
        return Some((edge(&raw[start..at]), at));
    }
    Some((Number::Unsigned(value), at))
}

#[inline(always)]
fn digit(raw: &[u8], at: usize) -> Option<u8> {
    let digit = raw.get(at)?.wrapping_sub(b'0');
    (digit < 10).then_some(digit)
}

/// A whole number that is negative or long.
#[cold]
fn edge(token: &[u8]) -> Number<'_> {
    let Ok(text) = std::str::from_utf8(token) else { return Number::Literal(token) };
    if text == "-0" {
        return Number::Float(-0.0);
    }
    if let Ok(value) = text.parse() {
        return Number::Unsigned(value);
    }
    text.parse().map_or(Number::Literal(token), Number::Negative)
}

/// The rest of a number whose whole part ends before `at`.
#[cold]
fn float(raw: &[u8], start: usize, mut at: usize, read: bool) -> Option<(Number<'_>, usize)> {
    if raw[at] == b'.' {
        at = digits_end(raw, at + 1)?;
    }
    if let Some(b'e' | b'E') = raw.get(at) {
        at += 1;
        if let Some(b'+' | b'-') = raw.get(at) {
            at += 1;
        }
        at = digits_end(raw, at)?;
    }
    let token = &raw[start..at];
    if !read {
        return Some((Number::Literal(token), at));
    }
    let value: f64 = std::str::from_utf8(token).ok()?.parse().ok()?;
    let number = if value.is_finite() { Number::Float(value) } else { Number::Literal(token) };
    Some((number, at))
}

/// Behind the digits from `start` on, of which there must be one.
fn digits_end(raw: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while digit(raw, at).is_some() {
        at += 1;
    }
    (at > start).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(token: &str, expected: Option<Number<'_>>) {
        let raw = format!("[{token},");
        let found = number(raw.as_bytes(), 1, true);
        assert_eq!(found, expected.map(|number| (number, token.len() + 1)), "{token}");
    }

    #[test]
    fn whole_numbers_are_exact_up_to_64_bits() {
        check("0", Some(Number::Unsigned(0)));
        check("9007199254740993", Some(Number::Unsigned(9_007_199_254_740_993)));
        check("9999999999999999999", Some(Number::Unsigned(9_999_999_999_999_999_999)));
        check("18446744073709551615", Some(Number::Unsigned(u64::MAX)));
        check("-1", Some(Number::Negative(-1)));
        check("-9223372036854775808", Some(Number::Negative(i64::MIN)));
    }

    #[test]
    fn what_fits_no_form_stays_a_literal() {
        for token in ["18446744073709551616", "-9223372036854775809", "1e400", "-1.5E+999"] {
            check(token, Some(Number::Literal(token.as_bytes())));
        }
    }

    #[test]
    fn fractions_exponents_and_negative_zero_are_floats() {
        check("1.5", Some(Number::Float(1.5)));
        check("-0.0", Some(Number::Float(-0.0)));
        check("1E3", Some(Number::Float(1000.0)));
        check("2e-2", Some(Number::Float(0.02)));
        check("1e-999", Some(Number::Float(0.0)));
        let zero = number(b"-0", 0, true).map(|(number, _)| number);
        assert!(matches!(zero, Some(Number::Float(zero)) if zero.is_sign_negative()));
    }

    #[test]
    fn a_fraction_that_nobody_reads_is_checked_all_the_same() {
        assert_eq!(number(b"1.5e3,", 0, false), Some((Number::Literal(b"1.5e3"), 5)));
        assert_eq!(number(b"12,", 0, false), Some((Number::Unsigned(12), 2)));
        assert_eq!(number(b"1.e3,", 0, false), None);
    }

    #[test]
    fn what_the_grammar_does_not_know_is_refused() {
        for token in ["-", "01", "-01", "1.", "1.e3", "1e", "1e+", ".5", "+1", "--1", "-a"] {
            check(token, None);
        }
    }
}
