//! Answers that are not the service's: the page of a proxy or of a sign-in, a redirect where
//! Microsoft has none. Says what they are, for people. Knows no request, and decides nothing about
//! what follows.

use serde_json::Value;

use crate::base::text::excerpt;

/// How much is shown of what a body begins with.
const OPENING_CHARS_MAX: usize = 100;

/// How much is shown of a header, or of the name of a member.
const NAME_CHARS_MAX: usize = 80;

/// Members of an object that are named.
const MEMBERS_MAX: usize = 8;

/// An answer that may be somebody else's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub status: u16,
    /// The header `Content-Type`, empty without one.
    pub content_type: &'a str,
    /// The header `Location`, empty without one.
    pub location: &'a str,
    /// The body, or its beginning.
    pub body: &'a [u8],
}

impl Seen<'_> {
    /// Whether no service of Microsoft's answers so: with a redirect, a demand for a sign-in to the
    /// network, or a page for people. What says "later" may come from anybody, and is not meant.
    pub(crate) fn is_foreign(&self) -> bool {
        match self.status {
            300..=399 | 407 | 511 => true,
            401 | 408 | 429 => false,
            200..=299 | 400..=499 => self.is_page(),
            _ => false,
        }
    }

    /// Whether it is HTML.
    fn is_page(&self) -> bool {
        let html = "text/html";
        let named = self.content_type.get(..html.len());
        let named = named.is_some_and(|start| start.eq_ignore_ascii_case(html));
        (named && !self.body.is_empty()) || text(self.body).trim_start().starts_with('<')
    }

    /// What it is, in words: the status, where it leads to, the type, and how the body begins. Of
    /// an object the names of the members only, since one of them may hold a token.
    pub(crate) fn describe(&self) -> String {
        let mut words = self.describe_head();
        let body = text(self.body);
        let body = body.trim();
        if (300..400).contains(&self.status) && !self.location.is_empty() {
            return words;
        }
        match serde_json::from_str::<Value>(body) {
            Err(_) if body.starts_with(['{', '[']) => words.push_str(", JSON that is not whole"),
            _ if body.is_empty() => words.push_str(", with an empty body"),
            Ok(Value::Object(members)) if members.is_empty() => words.push_str(", with {}"),
            Ok(Value::Object(members)) => {
                let names = members.keys().take(MEMBERS_MAX);
                let names: Vec<_> = names.map(|name| excerpt(name, NAME_CHARS_MAX)).collect();
                words.push_str(", an object of ");
                words.push_str(&names.join(", "));
            }
            Ok(_) => words.push_str(", JSON that is no object"),
            Err(_) => {
                let opening = excerpt(body, OPENING_CHARS_MAX);
                words.push_str(&format!(", it begins with \"{opening}\""));
            }
        }
        words
    }

    /// The same without a word of the body.
    pub(crate) fn describe_head(&self) -> String {
        let mut words = format!("HTTP status {}", self.status);
        match self.status {
            407 => words.push_str(" of a proxy that wants a user name and password"),
            511 => words.push_str(" of a network that wants a sign-in"),
            _ => {}
        }
        let location = self.location.split(['?', '#']).next().unwrap_or_default();
        if (300..400).contains(&self.status) && !location.is_empty() {
            words.push_str(", a redirect to ");
            words.push_str(&excerpt(location, NAME_CHARS_MAX));
        }
        let content_type = self.content_type.split(';').next().unwrap_or_default();
        if !content_type.trim().is_empty() {
            words.push_str(", ");
            words.push_str(&excerpt(content_type, NAME_CHARS_MAX));
        }
        words
    }
}

/// The body as text, without a byte order mark.
fn text(body: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen<'a>(status: u16, content_type: &'a str, body: &'a str) -> Seen<'a> {
        Seen { status, content_type, location: "", body: body.as_bytes() }
    }

    #[test]
    fn what_microsoft_never_says_is_told_from_trouble() {
        let page = "\u{feff} <!DOCTYPE html>";
        for (status, content_type, body, foreign) in [
            (200, "", page, true),
            (200, "TEXT/HTML; charset=utf-8", "Welcome", true),
            (403, "text/html", "Blocked", true),
            (404, "", page, true),
            (302, "", "", true),
            (407, "", "", true),
            (511, "", "", true),
            (200, "application/json", "{}", false),
            (404, "text/html", "", false),
            (401, "text/html", page, false),
            (429, "text/html", page, false),
            (502, "text/html", page, false),
        ] {
            assert_eq!(seen(status, content_type, body).is_foreign(), foreign, "{status} {body}");
        }
    }

    #[test]
    fn it_is_told_in_one_line_and_without_a_secret() {
        let said = seen(200, "text/html; charset=utf-8", "<html>\r\n\t<title>Sign\u{202e} in");
        assert_eq!(
            said.describe(),
            "HTTP status 200, text/html, it begins with \"<html> <title>Sign in\""
        );
        let said = seen(200, "application/json", r#"{"token":"s3cret","type":1}"#);
        assert_eq!(said.describe(), "HTTP status 200, application/json, an object of token, type");
        let cut = seen(200, "", r#"{"access_token":"s3cr"#);
        assert_eq!(cut.describe(), "HTTP status 200, JSON that is not whole");
        assert_eq!(seen(404, "", " ").describe(), "HTTP status 404, with an empty body");
        assert_eq!(seen(200, "", "[1]").describe(), "HTTP status 200, JSON that is no object");
        let token = format!("eyJ0{}.{}", "a1".repeat(40), "b2".repeat(40));
        assert_eq!(
            seen(200, "text/plain", &token).describe(),
            "HTTP status 200, text/plain, it begins with \"[…].[…]\""
        );
        let long = seen(200, "", &"no json ".repeat(90)).describe();
        assert!(long.chars().count() < 200, "{long}");
        let moved = Seen {
            location: "https://portal.example/login?token=s3cret",
            ..seen(302, "text/html", "<html>")
        };
        assert_eq!(
            moved.describe(),
            "HTTP status 302, a redirect to https://portal.example/login, text/html"
        );
    }
}
