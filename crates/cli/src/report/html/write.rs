//! Writes HTML. Whatever is not markup of our own goes through [`Page::text`], which escapes.

/// A page that grows.
#[derive(Debug, Default)]
pub(super) struct Page(String);

impl Page {
    /// Markup of our own.
    pub(super) fn raw(&mut self, markup: &str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Text of anybody's, for elements and for quoted attributes.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // What turns text around, or is not to be seen.
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => self.0.push('\u{fffd}'),
                character if character.is_control() => self.0.push(' '),
                character => self.0.push(character),
            }
        }
        self
    }

    /// An element with text in it. `open` is what stands between `<` and `>`.
    pub(super) fn element(&mut self, open: &str, text: &str) -> &mut Self {
        let name = open.split(' ').next().unwrap_or(open);
        self.raw("<").raw(open).raw(">").text(text).raw("</").raw(name).raw(">")
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_becomes_markup() {
        let mut page = Page::default();
        page.element("p class=\"x\"", "<script>alert(1)</script> & \"'\u{202e}\n");
        let expected = "<p class=\"x\">&lt;script&gt;alert(1)&lt;/script&gt; &amp; \
                        &quot;&#39;\u{fffd} </p>";
        assert_eq!(page.finish(), expected);
    }
}
