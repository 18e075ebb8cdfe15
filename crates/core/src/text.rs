//! Text from outside on its way to people.

/// `text` as one line that reads as it is written: control characters become spaces, and what would
/// break the line or turn the order of its letters is spelt out, such as `\\u{202e}`.
#[must_use]
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            _ if letter.is_control() => line.push(' '),
            // Marks, embeddings, overrides and isolates of the bidirectional algorithm; the
            // separators of lines and paragraphs.
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                line.extend(letter.escape_unicode());
            }
            _ => line.push(letter),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

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
