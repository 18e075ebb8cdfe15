//! What the code calls things: functions, constants, types and modules, and where each stands.
//! Reads lines, not syntax: a name that is defined nowhere is found either way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::super::tidy;

/// Words that a definition begins with.
const DEFINES: [&str; 9] =
    ["fn", "const", "static", "struct", "enum", "trait", "type", "mod", "macro_rules!"];

/// The names of a workspace.
#[derive(Debug, Default)]
pub(super) struct Code {
    /// A name, and the modules that define it.
    defined: BTreeMap<String, BTreeSet<String>>,
    /// All words of a module's code, comments left out.
    words: BTreeMap<String, BTreeSet<String>>,
    /// All that is written, comments too.
    text: String,
}

impl Code {
    /// Reads the Rust files and the manifests below `root`.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut code = Self::default();
        let is_read = |name: &str| name.ends_with(".rs") || name.ends_with(".toml");
        for path in tidy::files(is_read)? {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            code.add(&path.strip_prefix(root).unwrap_or(&path).display().to_string(), &text);
        }
        Ok(code)
    }

    fn add(&mut self, path: &str, text: &str) {
        let module = module(path);
        self.text.push_str(text);
        let mark = if path.ends_with(".toml") { "#" } else { "//" };
        for line in text.lines() {
            let line = line.split(mark).next().unwrap_or_default();
            let mut before = "";
            for word in line.split(|c: char| !is_of_name(c) && c != '!') {
                if DEFINES.contains(&before) {
                    self.defined.entry(word.to_owned()).or_default().insert(module.clone());
                }
                before = word;
            }
            let words = line.split(|c: char| !is_of_name(c)).map(str::to_owned);
            self.words.entry(module.clone()).or_default().extend(words);
        }
    }

    /// Whether there is what a document calls so: a path, a definition, with its module or its type
    /// before it perhaps, or else any words of the code.
    pub(super) fn knows(&self, name: &str, root: &Path) -> bool {
        if name.contains('/') {
            return root.join(name).exists();
        }
        let Some((before, last)) = name.rsplit_once("::") else {
            return match name.chars().all(is_of_name) {
                true => self.defined.contains_key(name) || self.is_word(name),
                false => self.text.contains(name),
            };
        };
        let is_type = |part: &&str| part.starts_with(char::is_uppercase);
        let modules: Vec<_> = before.split("::").filter(|part| !is_type(part)).collect();
        let within = modules.join("/");
        // A type's own parts are words of the file that defines it.
        match before.split("::").find(is_type) {
            Some(owner) => self
                .places(owner, &within)
                .any(|place| self.words.get(place).is_some_and(|words| words.contains(last))),
            None => self.places(last, &within).next().is_some(),
        }
    }

    /// The modules, below `within`, that define a name.
    fn places<'a>(&'a self, name: &str, within: &'a str) -> impl Iterator<Item = &'a String> {
        let places = self.defined.get(name).into_iter().flatten();
        places.filter(move |place| {
            let before = place.strip_suffix(within);
            before.is_some_and(|b| b.is_empty() || within.is_empty() || b.ends_with('/'))
        })
    }

    /// Whether it stands in the code and is no constant, which has to be defined.
    fn is_word(&self, name: &str) -> bool {
        name.chars().any(char::is_lowercase)
            && self.words.values().any(|words| words.contains(name))
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `crates/core/src/audit/plan.rs` is `core/audit/plan`.
fn module(path: &str) -> String {
    let path = path.strip_prefix("crates/").unwrap_or(path).replacen("src/", "", 1);
    let path = path.strip_suffix(".rs").unwrap_or(&path);
    let head = ["/mod", "/lib", "/main"].iter().find_map(|head| path.strip_suffix(head));
    head.unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code() -> Code {
        let mut code = Code::default();
        let text = "//! Speaks of a_thing_that_is_gone.\nconst SPAN_MAX: u32 = 1;\n#[test]\n\
                    fn what_is_asked_is_known() { option(\"an_option\"); }\n\
                    enum Kind { First } // LONG_GONE";
        code.add("crates/core/src/audit/plan.rs", text);
        code.add(
            "crates/core/src/lib.rs",
            "#![forbid(unsafe_code)]\npub(crate) static ONE: u8 = 1;",
        );
        code.add("clippy.toml", "a_lint = true # GONE_TOO");
        code
    }

    #[track_caller]
    fn check(names: &[&str], is_known: bool) {
        for name in names {
            assert_eq!(code().knows(name, Path::new("/nowhere")), is_known, "{name}");
        }
    }

    #[test]
    fn what_is_defined_is_known_with_and_without_its_module() {
        check(&["SPAN_MAX", "plan::SPAN_MAX", "audit::plan::SPAN_MAX"], true);
        check(&["core::audit::plan::SPAN_MAX", "core::ONE", "what_is_asked_is_known"], true);
        check(&["Kind", "plan::Kind", "Kind::First", "audit::plan::Kind::First"], true);
    }

    #[test]
    fn what_stands_in_code_is_known_too() {
        check(&["an_option", "a_lint", "#![forbid(unsafe_code)]"], true);
    }

    #[test]
    fn what_is_gone_or_stands_elsewhere_is_not() {
        check(&["a_thing_that_is_gone", "LONG_GONE", "GONE_TOO", "SPAN"], false);
        check(&["lan::SPAN_MAX", "relist::SPAN_MAX", "core::SPAN_MAX", "audit::SPAN_MAX"], false);
        check(&["Kind::Second", "plan::Sort", "crates/core/src/gone.rs", "forbid(gone)"], false);
    }
}
