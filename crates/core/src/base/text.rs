//! Text from outside on its way to people, and times as they say them.

use std::time::Duration;

/// An unbroken run of letters and digits longer than this may be a token, and is not shown.
const WORD_CHARS_MAX: usize = 30;

/// `text` as one line that reads as it is written: control characters become spaces, and what would
/// break the line or turn the order of its letters is spelt out, such as `\\u{202e}`.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            _ if letter.is_control() => line.push(' '),
            _ if turns(letter) => line.extend(letter.escape_unicode()),
            _ => line.push(letter),
        }
    }
    line
}

/// A time as people say it in a sentence: `32 s`, `15 min`, `3 h`, `4 days`.
#[must_use]
pub fn spoken(time: Duration) -> String {
    let seconds = time.as_secs().max(1);
    match seconds {
        ..100 => format!("{seconds} s"),
        100..6_000 => format!("{} min", (seconds + 30) / 60),
        6_000..172_800 => format!("{} h", (seconds + 1_800) / 3_600),
        _ => format!("{} days", (seconds + 43_200) / 86_400),
    }
}

/// One line of bearable length, without what could be a token or could turn the text around.
pub(crate) fn excerpt(text: &str, chars_max: usize) -> String {
    let mut line = String::new();
    let mut chars = 0;
    for word in text.split_inclusive(|c: char| !is_of_token(c)) {
        let (word, end) = match word.char_indices().next_back() {
            Some((at, c)) if !is_of_token(c) => (&word[..at], Some(c)),
            _ => (word, None),
        };
        let secret = word.chars().count() > WORD_CHARS_MAX;
        line.push_str(if secret { "[…]" } else { word });
        match end {
            Some(c) if (c.is_control() || c.is_whitespace()) && line.ends_with(' ') => {}
            Some(c) if c.is_control() || c.is_whitespace() => line.push(' '),
            Some(c) if turns(c) => {}
            None => {}
            Some(c) => line.push(c),
        }
        chars = line.chars().count();
        if chars > chars_max {
            break;
        }
    }
    if chars > chars_max {
        line = line.chars().take(chars_max).collect();
        line.push('…');
    }
    line.trim().to_owned()
}

/// Marks, embeddings, overrides and isolates of the bidirectional algorithm; the separators of
/// lines and paragraphs.
const fn turns(letter: char) -> bool {
    matches!(
        letter,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// What tokens and secrets are made of.
fn is_of_token(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '~' | '+')
}

/// The one of `known` that is closest to `name`, if it is close enough to be a typing error.
pub(crate) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const TYPING_ERRORS_MAX: usize = 3;
    known
        .map(|known| (edit_distance(name, known), known))
        .min()
        .filter(|(distance, _)| *distance <= TYPING_ERRORS_MAX.min(name.len() / 2))
        .map(|(_, known)| known)
}

/// Levenshtein's distance. Quadratic; names are short.
pub(crate) fn edit_distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.chars().enumerate() {
            let substitution = diagonal + usize::from(ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_one_unit() {
        let all = [0, 32, 99, 180, 5_999, 6_000, 86_400, 259_200].map(Duration::from_secs);
        let said = ["1 s", "32 s", "99 s", "3 min", "100 min", "2 h", "24 h", "3 days"];
        assert_eq!(all.map(spoken), said);
    }

    #[test]
    fn nothing_in_a_line_changes_how_it_reads() {
        assert_eq!(one_line("a\nb\r\u{1b}[31m\u{0}c\u{85}"), "a b  [31m c ");
        assert_eq!(one_line("x\u{202e}fdp.exe\u{2066}"), "x\\u{202e}fdp.exe\\u{2066}");
        assert_eq!(one_line("ä שלום 😀 \u{200d}"), "ä שלום 😀 \u{200d}");
        for letter in ['\u{202a}', '\u{202c}', '\u{2069}', '\u{200f}', '\u{2029}', '\u{61c}'] {
            assert!(one_line(&letter.to_string()).is_ascii(), "{}", letter.escape_unicode());
        }
    }
}
