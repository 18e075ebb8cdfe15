//! The forms in which Microsoft writes and reads times. Times are milliseconds since the epoch,
//! UTC. Reads no clock.

use jiff::civil::DateTime;
use jiff::tz::Offset;

pub(crate) const SECOND_MS: i64 = 1_000;
pub(crate) const MINUTE_MS: i64 = 60 * SECOND_MS;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// A moment with the six further digits that Microsoft's content ids carry after the
/// milliseconds. They tell apart what was made in the same millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stamp {
    pub(crate) ms: i64,
    pub(crate) sub: u32,
}

impl Stamp {
    /// `yyyyMMddHHmmssfff` and six digits: 23 in all.
    pub(crate) fn push(self, out: &mut String) {
        let t = civil(self.ms);
        put(out, i32::from(t.year()), 4);
        for part in [t.month(), t.day(), t.hour(), t.minute(), t.second()] {
            put(out, i32::from(part), 2);
        }
        put(out, i32::from(t.millisecond()), 3);
        put(out, i32::try_from(self.sub).expect("six digits"), 6);
    }

    /// The 23 digits.
    pub(crate) fn digits(self) -> String {
        let mut text = String::with_capacity(23);
        self.push(&mut text);
        text
    }

    /// Reads the 23 digits back.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() != 23 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let part = |from: usize, to: usize| text[from..to].parse::<u32>().ok();
        let ms = epoch_ms(
            part(0, 4)?,
            [part(4, 6)?, part(6, 8)?, part(8, 10)?, part(10, 12)?, part(12, 14)?],
            part(14, 17)?,
        )?;
        Some(Self { ms, sub: part(17, 23)? })
    }
}

/// The civil UTC time of a moment; moments beyond jiff's range are clamped to it.
pub(crate) fn civil(ms: i64) -> DateTime {
    let clamped =
        ms.clamp(jiff::Timestamp::MIN.as_millisecond(), jiff::Timestamp::MAX.as_millisecond());
    let timestamp = jiff::Timestamp::from_millisecond(clamped).expect("the moment was clamped");
    Offset::UTC.to_datetime(timestamp)
}

/// Appends a number of a fixed width. Listings hold thousands of times: `format!` is too slow.
fn put(out: &mut String, value: i32, width: u32) {
    for place in (0..width).rev() {
        let digit = value.unsigned_abs() / 10u32.pow(place) % 10;
        out.push(char::from_digit(digit, 10).expect("a decimal digit"));
    }
}

/// Appends `2015-05-23T17:35:00`: the zone-less form of `CreationTime`.
pub(crate) fn push_seconds(ms: i64, out: &mut String) {
    let t = civil(ms);
    put(out, i32::from(t.year()), 4);
    for (before, part) in
        [('-', t.month()), ('-', t.day()), ('T', t.hour()), (':', t.minute()), (':', t.second())]
    {
        out.push(before);
        put(out, i32::from(part), 2);
    }
}

/// Appends `2015-05-23T17:35:00.000Z`: the form of content descriptors.
pub(crate) fn push_millis_z(ms: i64, out: &mut String) {
    push_seconds(ms, out);
    out.push('.');
    put(out, milli(ms), 3);
    out.push('Z');
}

fn milli(ms: i64) -> i32 {
    i32::try_from(ms.rem_euclid(SECOND_MS)).expect("below 1,000")
}

/// See [`push_seconds`].
pub(crate) fn seconds(ms: i64) -> String {
    let mut text = String::with_capacity(19);
    push_seconds(ms, &mut text);
    text
}

/// See [`push_millis_z`].
pub(crate) fn millis_z(ms: i64) -> String {
    let mut text = String::with_capacity(24);
    push_millis_z(ms, &mut text);
    text
}

/// `2020-02-20T10:46:42.0000000Z`: the form of observed next-page addresses.
pub(crate) fn ticks_z(ms: i64) -> String {
    format!("{}.{:03}0000Z", seconds(ms), milli(ms))
}

/// `2022-10-31 09:03:41Z`: the form of Entra's errors.
pub(crate) fn entra(ms: i64) -> String {
    let mut text = seconds(ms).replace('T', " ");
    text.push('Z');
    text
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`: the form of the `Date` header (RFC 9110, 5.6.7).
pub(crate) fn http_date(ms: i64) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let t = civil(ms);
    let day = DAYS[usize::from(t.weekday().to_monday_zero_offset().unsigned_abs())];
    let month = MONTHS[usize::from(t.month().unsigned_abs()) - 1];
    format!(
        "{day}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT",
        t.day(),
        t.year(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// Reads a time of a query as Microsoft does: `YYYY-MM-DD`, with `THH:MM`, with `:SS`, with a
/// fraction, and with `Z` or an offset. Documented are the first three; the rest is accepted on
/// the wire. `None` when it is not a time.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let date = text.get(..10)?;
    let (year, month, day) = {
        let mut parts = date.split('-');
        let parsed = (fixed(parts.next()?, 4)?, fixed(parts.next()?, 2)?, fixed(parts.next()?, 2)?);
        if parts.next().is_some() {
            return None;
        }
        parsed
    };
    let rest = &text[10..];
    if rest.is_empty() {
        return epoch_ms(year, [month, day, 0, 0, 0], 0);
    }
    let rest = rest.strip_prefix(['T', 't'])?;
    let (clock, offset_ms) = split_offset(rest)?;
    let (clock, fraction_ms) = match clock.split_once('.') {
        None => (clock, 0),
        Some((clock, digits)) => (clock, fraction_ms(digits)?),
    };
    let mut parts = clock.split(':');
    let hour = fixed(parts.next()?, 2)?;
    let minute = fixed(parts.next()?, 2)?;
    let second = match parts.next() {
        None => 0,
        Some(second) => fixed(second, 2)?,
    };
    if parts.next().is_some() {
        return None;
    }
    Some(epoch_ms(year, [month, day, hour, minute, second], fraction_ms)? - offset_ms)
}

/// Splits `Z`, `+hh:mm` or `-hh:mm` off the end.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = text.find(['+', '-']) else {
        return Some((text, 0));
    };
    let sign = if text.as_bytes()[at] == b'-' { -1 } else { 1 };
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let minutes = i64::from(fixed(hours, 2)?) * 60 + i64::from(fixed(minutes, 2)?);
    Some((&text[..at], sign * minutes * MINUTE_MS))
}

fn fraction_ms(digits: &str) -> Option<u32> {
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut padded = digits.to_owned();
    padded.push_str("000");
    padded[..3].parse().ok()
}

fn fixed(text: &str, width: usize) -> Option<u32> {
    let digits = text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// `rest` is month, day, hour, minute, second.
fn epoch_ms(year: u32, rest: [u32; 5], milli: u32) -> Option<i64> {
    let small = |value: u32| i8::try_from(value).ok();
    let civil = DateTime::new(
        i16::try_from(year).ok()?,
        small(rest[0])?,
        small(rest[1])?,
        small(rest[2])?,
        small(rest[3])?,
        small(rest[4])?,
        i32::try_from(milli).ok()? * 1_000_000,
    )
    .ok()?;
    Some(Offset::UTC.to_timestamp(civil).ok()?.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_accepted_form_is_read() {
        let cases: &[(&str, &str)] = &[
            ("2015-10-01", "2015-10-01T00:00:00.000Z"),
            ("2015-10-01T12:30", "2015-10-01T12:30:00.000Z"),
            ("2015-10-01T12:30:05", "2015-10-01T12:30:05.000Z"),
            ("2024-01-29T08:00:00Z", "2024-01-29T08:00:00.000Z"),
            ("2024-01-29T08:00:00.123Z", "2024-01-29T08:00:00.123Z"),
            ("2024-01-29T08:00:00.123456789Z", "2024-01-29T08:00:00.123Z"),
            ("2024-01-29T08:00:00.5", "2024-01-29T08:00:00.500Z"),
            ("2024-01-29T08:00:00.000001+02:00", "2024-01-29T06:00:00.000Z"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).map(millis_z).as_deref(), Some(*expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time_is_refused() {
        let cases = [
            "",
            "now",
            "2015-10",
            "2015-13-01",
            "2015-10-01T",
            "2015-10-01T25:00",
            "2015-10-01T12:00:00 00:00",
            "2015-10-01T12",
            "2015/10/01",
            "2015-10-01T12:00:00.Z",
        ];
        for text in cases {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn stamps_have_23_digits_and_come_back() {
        let stamp = Stamp { ms: parse("2023-10-16T00:56:46.231Z").unwrap(), sub: 21_586 };
        assert_eq!(stamp.digits(), "20231016005646231021586");
        assert_eq!(Stamp::parse(&stamp.digits()), Some(stamp));
        assert_eq!(Stamp::parse("2023"), None);
    }

    #[test]
    fn the_other_forms_are_written_as_observed() {
        let ms = parse("1994-11-06T08:49:37.120Z").unwrap();
        assert_eq!(http_date(ms), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(ticks_z(ms), "1994-11-06T08:49:37.1200000Z");
        assert_eq!(entra(ms), "1994-11-06 08:49:37Z");
    }
}
