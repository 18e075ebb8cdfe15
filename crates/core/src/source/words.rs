//! What answers say, for people.

use crate::base::text::excerpt;

/// The words of an error body, for people: its first line, cut to a bearable length.
pub(crate) fn message_of(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let message = value.get("error").and_then(|error| error.get("message"));
    let message = message.or_else(|| value.get("Message")).or_else(|| value.get("detail"));
    let message = message?.as_str()?;
    let line = message.lines().next()?.trim();
    let short: String = line.chars().take(MESSAGE_CHARS_MAX).collect();
    (!short.is_empty()).then_some(short)
}

/// Messages are cut to this many characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// So much of a body is looked at to say how it begins.
const OPENING_BYTES_MAX: usize = 4_096;

/// How a body without a message begins, for people: of a page its text, on one line, without what
/// a terminal would obey. `None` for an empty one.
pub(crate) fn opening_of(body: &[u8]) -> Option<String> {
    let start = &body[..body.len().min(OPENING_BYTES_MAX)];
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let bare = if text.starts_with('<') { without_tags(text) } else { String::new() };
    let text = if bare.trim().is_empty() { text } else { &bare };
    let opening = excerpt(text, MESSAGE_CHARS_MAX / 2);
    (!opening.is_empty()).then_some(opening)
}

/// The text of a page of HTML.
fn without_tags(html: &str) -> String {
    let mut inside = false;
    let mut text = String::new();
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            _ if !inside => text.push(c),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_an_error_are_its_first_line() {
        let check = |body: &str, words: Option<&str>| {
            assert_eq!(message_of(body.as_bytes()).as_deref(), words, "{body}");
        };
        check(r#"{"error":{"message":" no\r\nmore"},"Message":"x"}"#, Some("no"));
        check(r#"{"Message":"denied"}"#, Some("denied"));
        check(r#"{"detail":"throttled"}"#, Some("throttled"));
        check(r#"{"Message":" "}"#, None);
        check(r#"{"Message":1}"#, None);
        check("no JSON", None);
    }

    #[test]
    fn the_beginning_of_a_body_is_readable() {
        let check = |body: &str, shown: Option<&str>| {
            assert_eq!(opening_of(body.as_bytes()).as_deref(), shown);
        };
        check("", None);
        check(" \r\n", None);
        check(
            "\u{feff}<!DOCTYPE html><html><head><title>Blocked</title></head>\r\n<body>by <b>policy",
            Some("Blocked by policy"),
        );
        check("<br/>", Some("<br/>"));
        check("no\u{1b}[31m \u{202e}route", Some("no [31m route"));
        check(&"x ".repeat(5_000), Some(&format!("{}…", "x ".repeat(75))));
        // It may be a token that somebody gives back.
        check(&"x".repeat(10_000), Some("[…]"));
    }
}
