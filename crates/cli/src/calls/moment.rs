//! Moments and ranges as people write them: `3h`, `2026-11-20`, `2026-11-20T08:00Z`, `now`.

use clap::{Arg, ArgMatches};
use m365_audit_core::Utc;
use m365_audit_core::call::Range;
use std::time::Duration;

use crate::log::now;

pub(crate) const FORMS: &str = "a time like 2026-11-20 or 2026-11-20T08:00:00Z (UTC), how long ago \
                                as 90m, 3h or 2d, or now";

/// `--since` and `--until`.
pub(crate) fn args() -> [Arg; 2] {
    [
        arg("since").default_value("24h").help(format!(
            "First moment: {FORMS}. At most 7 days ago: Microsoft lists no older content"
        )),
        arg("until").default_value("now").help("End, exclusive, in the same forms"),
    ]
}

/// A flag that takes a moment.
pub(crate) fn arg(name: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("TIME").value_parser(parse_argument)
}

/// The range that the arguments name.
pub(crate) fn range(matches: &ArgMatches) -> Range {
    let moment = |name: &str| *matches.get_one::<Utc>(name).expect("it has a default");
    Range { since: moment("since"), until: moment("until") }
}

fn parse_argument(text: &str) -> Result<Utc, String> {
    parse(text, now()).ok_or_else(|| format!("not {FORMS}"))
}

fn parse(text: &str, now: Utc) -> Option<Utc> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("now") {
        return Some(now);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match text.get(digits.len()..)? {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return utc(text),
    };
    match digits.parse::<u64>() {
        Ok(count) => Some(now - Duration::from_secs(count.checked_mul(seconds)?)),
        Err(_) => utc(text),
    }
}

/// A moment, or the beginning of a day or minute, in UTC unless it says otherwise.
pub(crate) fn utc(text: &str) -> Option<Utc> {
    let digits = |from: usize| text.as_bytes().get(from).is_some_and(u8::is_ascii_digit);
    match text.len() {
        10 if digits(9) => Utc::parse(&format!("{text}T00:00:00Z")),
        16 if digits(15) => Utc::parse(&format!("{text}:00Z")),
        17 if digits(15) && text.ends_with('Z') => Utc::parse(&text.replace('Z', ":00Z")),
        _ => Utc::parse(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let now = Utc::parse("2026-11-22T12:00:00Z").unwrap();
        let check = |text: &str| parse(text, now).map(|utc| utc.to_string());
        for (text, expected) in [
            ("now", "2026-11-22T12:00:00.000Z"),
            ("90m", "2026-11-22T10:30:00.000Z"),
            ("3h", "2026-11-22T09:00:00.000Z"),
            ("7d", "2026-11-15T12:00:00.000Z"),
            ("2026-11-20", "2026-11-20T00:00:00.000Z"),
            ("2026-11-20T08:00", "2026-11-20T08:00:00.000Z"),
            // As reports write it.
            ("2026-11-20T08:00Z", "2026-11-20T08:00:00.000Z"),
            ("2026-11-20T08:00:00Z", "2026-11-20T08:00:00.000Z"),
            ("2026-11-20T08:00:00+02:00", "2026-11-20T06:00:00.000Z"),
        ] {
            assert_eq!(check(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "yesterday", "3", "h", "-3h", "2026-13-01", "99999999999999999999d"] {
            assert_eq!(check(text), None, "{text}");
        }
    }
}
