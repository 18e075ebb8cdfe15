//! Values of options: looked up through a function, parsed as Fluent Bit parses them. Where the
//! host would read nonsense as zero (`atoi`), this is an error instead.

use std::time::Duration;

use crate::abi::Host;
use crate::options::OptionSpec;

/// A value that does not fit its option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}`: {value:?} is not {expected}")]
pub struct PropertyError {
    /// The option.
    pub name: String,
    /// What the user wrote.
    pub value: String,
    /// What would be right, as a noun with an example.
    pub expected: &'static str,
}

/// The values of one instance's options: what the user wrote, `${ENV}` expanded, else the default.
///
/// An option that is set to an empty value counts as absent, as everywhere in Fluent Bit.
#[derive(Clone, Copy, Debug)]
pub struct Properties<'a> {
    host: &'a Host,
    options: &'static [OptionSpec],
}

impl<'a> Properties<'a> {
    pub(crate) fn new(host: &'a Host, options: &'static [OptionSpec]) -> Self {
        Self { host, options }
    }

    /// What the user wrote for this key, without any default.
    #[must_use]
    pub fn explicit(&self, name: &str) -> Option<String> {
        self.host.property(name)
    }

    /// The value of an option or its default.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<String> {
        let default = || self.options.iter().find(|option| option.name == name)?.default;
        self.explicit(name).or_else(|| default().map(str::to_owned))
    }

    fn parsed<T>(
        &self,
        name: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, PropertyError> {
        let Some(value) = self.string(name) else {
            return Ok(None);
        };
        match parse(&value) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(PropertyError { name: name.to_owned(), value, expected }),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// The value is not one.
    pub fn int(&self, name: &str) -> Result<Option<i64>, PropertyError> {
        self.parsed(name, "a whole number, such as 60", |value| value.trim().parse().ok())
    }

    /// A number.
    ///
    /// # Errors
    /// The value is not one.
    pub fn double(&self, name: &str) -> Result<Option<f64>, PropertyError> {
        let parse =
            |value: &str| value.trim().parse().ok().filter(|number: &f64| number.is_finite());
        self.parsed(name, "a number, such as 0.5", parse)
    }

    /// on or off.
    ///
    /// # Errors
    /// The value is neither.
    pub fn bool(&self, name: &str) -> Result<Option<bool>, PropertyError> {
        self.parsed(name, "on or off", parse_bool)
    }

    /// A number of bytes.
    ///
    /// # Errors
    /// The value is not one, or negative.
    pub fn size(&self, name: &str) -> Result<Option<u64>, PropertyError> {
        self.parsed(name, "a size, such as 512K or 10M", parse_size)
    }

    /// A time.
    ///
    /// # Errors
    /// The value is not one, or negative.
    pub fn time(&self, name: &str) -> Result<Option<Duration>, PropertyError> {
        self.parsed(name, "a time, such as 30s, 10m, 1h or 7d", parse_time)
    }

    /// The words of a list, separated by commas, spaces or both.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        let value = self.string(name).unwrap_or_default();
        let words = value.split(|c: char| c == ',' || c.is_whitespace());
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }
}

/// `on/off`, `true/false`, `yes/no`, in any case (`flb_utils_bool`).
#[must_use]
pub fn parse_bool(value: &str) -> Option<bool> {
    let is = |word: &str| value.eq_ignore_ascii_case(word);
    match () {
        () if is("true") || is("on") || is("yes") => Some(true),
        () if is("false") || is("off") || is("no") => Some(false),
        () => None,
    }
}

/// `90`, `30s`, `10m`, `1h`, `7d`, in any case, whole numbers (`flb_utils_time_to_seconds`).
/// `None` if Fluent Bit would read something else than is written, or beyond 2^31 seconds.
#[must_use]
pub fn parse_time(value: &str) -> Option<Duration> {
    let value = value.trim();
    let (number, unit_seconds) = match value.bytes().last()?.to_ascii_lowercase() {
        b's' => (&value[..value.len() - 1], 1),
        b'm' => (&value[..value.len() - 1], 60),
        b'h' => (&value[..value.len() - 1], 3_600),
        b'd' => (&value[..value.len() - 1], 86_400),
        _ => (value, 1),
    };
    let seconds = number.trim_end().parse::<u32>().ok()?.checked_mul(unit_seconds)?;
    i32::try_from(seconds).ok()?;
    Some(Duration::from_secs(u64::from(seconds)))
}

/// `512`, `512K`, `10M`, `1.5G`, `10MB`, in any case, in thousands; `false` is 0
/// (`flb_utils_size_to_bytes`, which counts in thousands, not in 1024s).
#[must_use]
pub fn parse_size(value: &str) -> Option<u64> {
    let value = value.trim();
    if value.eq_ignore_ascii_case("false") {
        return Some(0);
    }
    let digits = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match value[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 1.0,
        "K" | "KB" => 1e3,
        "M" | "MB" => 1e6,
        "G" | "GB" => 1e9,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let bytes = digits.parse::<f64>().ok()? * unit;
    // The host keeps sizes as i64. The bound is exact in f64 and the value not negative.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (bytes < 9.2e18).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_fluent_bit_reads_them() {
        for (text, seconds) in
            [("90", 90), ("30s", 30), ("10m", 600), ("1H", 3_600), ("7d", 604_800), ("0", 0)]
        {
            assert_eq!(parse_time(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "m", "1.5m", "abc", "-1", "10x", "99999999d"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_as_fluent_bit_reads_them() {
        for (text, bytes) in [
            ("512", 512),
            ("512K", 512_000),
            ("10M", 10_000_000),
            ("10mb", 10_000_000),
            ("1.5G", 1_500_000_000),
            ("false", 0),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "K", "10T", "10KK", "-1", "inf", "1e300", "10 M B"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn switches_are_read_as_fluent_bit_reads_them() {
        for (text, value) in
            [("On", Some(true)), ("yes", Some(true)), ("OFF", Some(false)), ("1", None), ("", None)]
        {
            assert_eq!(parse_bool(text), value, "{text}");
        }
    }
}
