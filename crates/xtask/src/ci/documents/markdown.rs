//! The little of Markdown that the check needs: links, headings, and what stands in backticks.
//! Fenced blocks hold none of them.

use std::collections::BTreeMap;

/// A document.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Targets, as they are written.
    pub links: Vec<String>,
    /// As anchors of links.
    pub headings: Vec<String>,
    /// What stands in backticks, white space as one blank.
    pub spans: Vec<String>,
}

impl Page {
    pub(super) fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut anchors = BTreeMap::new();
        let mut prose = String::new();
        let mut is_fenced = false;
        for line in text.lines() {
            let is_fence = line.trim_start().starts_with("```");
            is_fenced ^= is_fence;
            if is_fence || is_fenced {
                continue;
            }
            if let Some(heading) = heading(line) {
                page.headings.push(anchor(heading, &mut anchors));
            }
            prose.push_str(line);
            prose.push('\n');
        }
        let rest = page.take_spans(&prose);
        page.take_links(&rest);
        page
    }

    /// Takes what stands in backticks, and gives the text without it.
    fn take_spans(&mut self, text: &str) -> String {
        let mut rest = text;
        let mut outside = String::new();
        while let Some(start) = rest.find('`') {
            let ticks = rest[start..].chars().take_while(|c| *c == '`').count();
            let (before, opened) = rest.split_at(start);
            let (fence, inside) = opened.split_at(ticks);
            outside.push_str(before);
            // A paragraph ends what was never closed.
            let Some(end) = inside.find(fence).filter(|end| !inside[..*end].contains("\n\n"))
            else {
                rest = inside;
                continue;
            };
            let words: Vec<_> = inside[..end].split_whitespace().collect();
            self.spans.push(words.join(" "));
            rest = &inside[end + ticks..];
        }
        outside.push_str(rest);
        outside
    }

    fn take_links(&mut self, text: &str) {
        let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let defined = text
            .lines()
            .filter(|line| line.starts_with('['))
            .filter_map(|line| Some(line.split_once("]: ")?.1));
        // Behind a blank stands a title.
        let targets = inline.chain(defined).filter_map(|link| link.split_whitespace().next());
        self.links.extend(targets.map(str::to_owned));
    }
}

/// The text of a heading, if the line is one.
fn heading(line: &str) -> Option<&str> {
    let text = line.trim_start_matches('#');
    let is_level = (1..=6).contains(&(line.len() - text.len()));
    text.strip_prefix(' ').filter(|_| is_level).map(str::trim)
}

/// The anchor of a heading, as GitHub makes it: one that is taken gets a number. `taken` counts.
fn anchor(heading: &str, taken: &mut BTreeMap<String, u32>) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    let anchor: String = kept.flat_map(char::to_lowercase).collect();
    let anchor = anchor.replace(' ', "-");
    let before = taken.entry(anchor.clone()).or_default();
    *before += 1;
    match *before - 1 {
        0 => anchor,
        number => format!("{anchor}-{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn links_headings_and_spans_are_found_outside_of_fences() {
        let text = "# A `fine` day: 2\n\n[one](x.md#y \"title\") and [`two`](../z)\n`a\n  b` ``c`d``\n\
                    ```sh\n# no heading [no](link) `no`\n```\n## A fine day: 2\n# A fine day\n\n\
                    [ref]: r.md\nan `open one\n\nis none, `this` is\n";
        let page = Page::read(text);
        assert_eq!(page.headings, ["a-fine-day-2", "a-fine-day-2-1", "a-fine-day"]);
        assert_eq!(page.links, ["x.md#y", "../z", "r.md"]);
        assert_eq!(page.spans, ["fine", "two", "a b", "c`d", "this"]);
    }

    #[test]
    fn what_only_looks_like_a_heading_is_none() {
        assert_eq!(Page::read("#![forbid]\n####### seven\nno # one\n").headings, [""; 0]);
    }
}
