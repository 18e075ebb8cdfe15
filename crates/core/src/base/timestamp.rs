//! Reads the timestamps of audit records. Must not read a clock or know time zones by name.

/// A moment, as counted by Unix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since 1970, negative before.
    pub seconds: i64,
    /// Nanoseconds on top, below one second.
    pub nanoseconds: u32,
}

/// Digits of a fraction that count; further ones are cut off.
const FRACTION_DIGITS: u32 = 9;

/// Reads `YYYY-MM-DDTHH:MM:SS`, then perhaps a fraction, then perhaps `Z` or an offset
/// `+hh:mm`/`-hh:mm`. Without either it is UTC, as Microsoft writes `CreationTime`. A leap second
/// is the first second of the next minute. `None` for anything else.
#[inline]
pub fn parse_timestamp(text: &[u8]) -> Option<Timestamp> {
    let (fixed, rest) = text.split_first_chunk::<19>()?;
    let seconds = fixed_seconds(fixed)?;
    if rest.is_empty() {
        return Some(Timestamp { seconds, nanoseconds: 0 });
    }
    let (nanoseconds, rest) = fraction(rest)?;
    let seconds = seconds - offset_seconds(rest)?;
    Some(Timestamp { seconds, nanoseconds })
}

#[inline(always)]
fn fixed_seconds(text: &[u8; 19]) -> Option<i64> {
    let pair = |at: usize| two_digits(text[at], text[at + 1]);
    let marks = [text[4], text[7], text[10], text[13], text[16]];
    let year = pair(0)? * 100 + pair(2)?;
    let (month, day) = (pair(5)?, pair(8)?);
    let (hour, minute, second) = (pair(11)?, pair(14)?, pair(17)?);
    let sound = marks == *b"--T::"
        && (1..=12).contains(&month)
        && (1..=days_of_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    sound.then(|| days_since_1970(year, month, day) * 86_400 + seconds)
}

#[inline(always)]
fn two_digits(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
}

#[inline(always)]
fn days_of_month(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// From 1 March of year 0 to 1 January 1970, in days.
const EPOCH: i64 = 719_468;

/// Days of the Gregorian calendar, carried back before its beginning. The year is counted from
/// March, so that the leap day is its last and months before it have fixed offsets.
#[inline(always)]
fn days_since_1970(year: u32, month: u32, day: u32) -> i64 {
    let (year, month) = (i64::from(year), i64::from(month));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // Months from March on have 31, 30, 31, 30, 31 days, again and again.
    year * 365 + leap_days + (153 * month + 2) / 5 + i64::from(day) - 1 - EPOCH
}

/// Year, month and day of a day that is counted from 1 January 1970.
pub(crate) const fn civil_date(days: i64) -> (i64, i64, i64) {
    /// Days of 400, 100, 4 years and of one; only the longer ones end with a leap day.
    const PERIODS: (i64, i64, i64, i64) = (146_097, 36_524, 1_461, 365);
    let days = days + EPOCH;
    let (eras, day) = (days.div_euclid(PERIODS.0), days.rem_euclid(PERIODS.0));
    // Without the leap days before it, each year has as many days.
    let leap_days = day / (PERIODS.2 - 1) - day / PERIODS.1 + day / (PERIODS.0 - 1);
    let year = (day - leap_days) / PERIODS.3;
    let day = day - (PERIODS.3 * year + year / 4 - year / 100);
    // Counted from March; see above.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = eras * 400 + year;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

/// The fraction in nanoseconds, if `rest` begins with one, and what comes behind.
fn fraction(rest: &[u8]) -> Option<(u32, &[u8])> {
    let Some(digits) = rest.strip_prefix(b".") else { return Some((0, rest)) };
    let length = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    if length == 0 {
        return None;
    }
    let mut places = FRACTION_DIGITS;
    let mut value = 0;
    for digit in digits.iter().take(length.min(FRACTION_DIGITS as usize)) {
        value = value * 10 + u32::from(digit - b'0');
        places -= 1;
    }
    Some((value * 10_u32.pow(places), &digits[length..]))
}

/// How far the offset that `zone` is lies ahead of UTC.
fn offset_seconds(zone: &[u8]) -> Option<i64> {
    match zone {
        [] | [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two_digits(*h1, *h2)?, two_digits(*m1, *m2)?);
            let seconds = i64::from(hours * 3600 + minutes * 60);
            let sound = hours < 24 && minutes < 60;
            sound.then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(i64, u32)>) {
        let found = parse_timestamp(text.as_bytes());
        assert_eq!(found.map(|at| (at.seconds, at.nanoseconds)), expected, "{text}");
    }

    #[test]
    fn microsofts_forms_are_read() {
        check("1970-01-01T00:00:00", Some((0, 0)));
        check("2026-07-29T21:35:19", Some((1_785_360_919, 0)));
        check("2026-07-29T21:35:19Z", Some((1_785_360_919, 0)));
        check("2026-07-29T21:35:19.0000000Z", Some((1_785_360_919, 0)));
        check("2026-07-29T21:35:19.5", Some((1_785_360_919, 500_000_000)));
        check("2026-07-29T21:35:19.123456789Z", Some((1_785_360_919, 123_456_789)));
        check("2026-07-29T21:35:19.1234567899", Some((1_785_360_919, 123_456_789)));
        check("2026-07-29T23:35:19+02:00", Some((1_785_360_919, 0)));
        check("2026-07-29T16:05:19.25-05:30", Some((1_785_360_919, 250_000_000)));
        check("2016-12-31T23:59:60", Some((1_483_228_800, 0)));
        check("2000-02-29T00:00:00", Some((951_782_400, 0)));
        check("0001-01-02T00:00:00", Some((-62_135_510_400, 0)));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "2026-07-29",
            "2026-07-29 21:35:19",
            "2026-07-29T21:35",
            "2026-13-01T00:00:00",
            "2026-00-01T00:00:00",
            "2025-02-29T00:00:00",
            "1900-02-29T00:00:00",
            "2026-07-32T00:00:00",
            "2026-07-00T00:00:00",
            "2026-07-29T24:00:00",
            "2026-07-29T00:60:00",
            "2026-07-29T00:00:61",
            "2026-07-29T00:00:00.",
            "2026-07-29T00:00:00.Z",
            "2026-07-29T00:00:00z0",
            "2026-07-29T00:00:00+02",
            "2026-07-29T00:00:00+24:00",
            "2026-07-29T00:00:00+0200",
            "2026-07-29T00:00:00Z ",
            "+026-07-29T00:00:00",
        ] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_jiff(
            seconds in -62_135_596_800_i64..253_402_300_000,
            nanos in 0_u32..1_000_000_000,
        ) {
            let text = jiff::Timestamp::new(seconds, 0).unwrap().strftime("%Y-%m-%dT%H:%M:%S");
            let text = format!("{text}.{nanos:09}");
            prop_assert_eq!(
                parse_timestamp(text.as_bytes()),
                Some(Timestamp { seconds, nanoseconds: nanos })
            );
        }
    }
}
