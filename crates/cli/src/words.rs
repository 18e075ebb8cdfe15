//! How numbers are said to people: with their nouns, with commas, and as spans of time.

use std::time::Duration;

/// A number with its noun.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(count)) }
}

/// A number with a comma between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `2d 3h`, `3h 5m`, `5m 7s`, `7s`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_many_have_commas() {
        let entries = |count| counted(count, "entry", "entries");
        let all = [0, 1, 2, 999, 1_000, 1_234_567].map(entries);
        let one = ["0 entries", "1 entry", "2 entries", "999 entries"];
        assert_eq!(all[..4], one);
        assert_eq!(all[4..], ["1,000 entries", "1,234,567 entries"]);
    }

    #[test]
    fn a_span_has_two_units_at_most() {
        let all = [0, 59, 60, 3_599, 3_600, 86_399, 90_000].map(Duration::from_secs).map(span);
        assert_eq!(all, ["0s", "59s", "1m 0s", "59m 59s", "1h 0m", "23h 59m", "1d 1h"]);
    }
}
