//! How long files and functions may be. Tests do not count: neither files of tests nor what is
//! compiled for tests only.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, ImplItemFn, Item, ItemFn, Signature, TraitItemFn};

use super::tidy;
use crate::layers::is_for_tests;

/// Lines of a file, without its tests.
const FILE_LINES_MAX: usize = 500;

/// Lines of a function, from its name to its end.
const FUNCTION_LINES_MAX: usize = 60;

/// Tables, which are as long as what they list: by crate, name of the file, and function.
const TABLES: &[&str] = &[
    "cli/monitoring.rs panels",
    "cli/monitoring.rs rules",
    "core/error_codes.rs",
    "core/table.rs",
    "sim/activity.rs record",
    "sim/faults.rs",
    "sim/oddity.rs write",
];

/// Something that is too long.
#[derive(Debug, PartialEq, Eq)]
struct Long {
    /// As the lists spell it.
    name: String,
    /// Path and line.
    place: String,
    text: String,
}

/// No file and no function is too long.
///
/// # Errors
/// Some are, or a list names what is not.
pub(crate) fn run() -> Result<()> {
    let mut found = Vec::new();
    for path in tidy::sources()? {
        let shown = tidy::shown(&path);
        if !is_of_tests(&shown) {
            let text = fs::read_to_string(&path).with_context(|| shown.clone())?;
            found.extend(long(&shown, &text)?);
        }
    }
    let broken = judge(&found, TABLES);
    if !broken.is_empty() {
        bail!("{} things to put right:\n{}", broken.len(), broken.join("\n"));
    }
    Ok(())
}

/// Whether a file holds nothing but tests.
pub(super) fn is_of_tests(path: impl AsRef<Path>) -> bool {
    let path = path.as_ref();
    let within = |part: &Path| part.iter().any(|name| name == "tests");
    let is_named = |name: &str| name == "tests.rs" || name.ends_with("_tests.rs");
    path.file_name().and_then(|name| name.to_str()).is_some_and(is_named)
        || path.parent().is_some_and(within)
}

fn judge(found: &[Long], excepted: &[&str]) -> Vec<String> {
    let names: BTreeSet<_> = found.iter().map(|long| &*long.name).collect();
    let unknown = found.iter().filter(|long| !excepted.contains(&&*long.name));
    let spare = excepted.iter().filter(|name| !names.contains(**name)).map(|name| {
        format!("crates/xtask/src/ci/sizes.rs: take out `{name}`, which is not too long any more")
    });
    unknown.map(|long| format!("{}: {}", long.place, long.text)).chain(spare).collect()
}

/// A file as the lists spell it: whatever folder of its crate it is moved to.
fn short(path: &str) -> String {
    let mut parts = path.split('/');
    let krate = parts.nth(1).unwrap_or_default();
    format!("{krate}/{}", parts.next_back().unwrap_or_default())
}

/// What is too long in a file.
fn long(shown: &str, text: &str) -> Result<Vec<Long>> {
    let parsed = syn::parse_file(text).with_context(|| shown.to_owned())?;
    let mut sizes = Sizes { shown, tests: 0, long: Vec::new() };
    sizes.visit_file(&parsed);
    let lines = text.lines().count() - sizes.tests;
    if FILE_LINES_MAX < lines {
        let text = format!("{lines} lines without tests, more than {FILE_LINES_MAX}: split it");
        sizes.long.insert(0, Long { name: short(shown), place: format!("{shown}:1"), text });
    }
    Ok(sizes.long)
}

struct Sizes<'a> {
    shown: &'a str,
    /// Lines that are compiled for tests only.
    tests: usize,
    long: Vec<Long>,
}

impl Sizes<'_> {
    fn function(&mut self, signature: &Signature, block: &Block) {
        let start = signature.fn_token.span.start().line;
        let lines = lines(start, block.brace_token.span.close());
        if FUNCTION_LINES_MAX < lines {
            let name = format!("{} {}", short(self.shown), signature.ident);
            let place = format!("{}:{start}", self.shown);
            let text =
                format!("`{}` has {lines} lines, more than {FUNCTION_LINES_MAX}", signature.ident);
            self.long.push(Long { name, place, text });
        }
    }
}

fn lines(start: usize, end: Span) -> usize {
    end.end().line - start + 1
}

/// Lines of an item that is a module or has a body, with its attributes.
fn lines_of(item: &Item) -> usize {
    let (attributes, token, end) = match item {
        Item::Fn(item) => {
            (&item.attrs, item.sig.fn_token.span, item.block.brace_token.span.close())
        }
        Item::Impl(item) => (&item.attrs, item.impl_token.span, item.brace_token.span.close()),
        Item::Mod(item) => {
            let end = match (&item.content, &item.semi) {
                (Some((brace, _)), _) => brace.span.close(),
                (None, Some(semi)) => semi.span,
                (None, None) => return 0,
            };
            (&item.attrs, item.mod_token.span, end)
        }
        _ => return 0,
    };
    let first = attributes.first().map(|attribute: &Attribute| attribute.pound_token.span);
    lines(first.unwrap_or(token).start().line, end)
}

impl<'ast> Visit<'ast> for Sizes<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(item) {
            self.tests += lines_of(item);
        } else {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.function(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.function(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(block) = &function.default {
            self.function(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let found = long("crates/x/src/b/a.rs", text).expect("this is Rust");
        found.into_iter().map(|long| long.name).collect()
    }

    fn function(name: &str, lines: usize) -> String {
        format!("fn {name}() {{\n{}}}\n", "    work();\n".repeat(lines - 2))
    }

    #[test]
    fn a_file_is_measured_without_its_tests() {
        let line = "const A: u8 = 1;\n";
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", line.repeat(500));
        assert_eq!(names(&format!("{}{tests}", line.repeat(500))), [""; 0]);
        assert_eq!(names(&format!("{}{tests}", line.repeat(501))), ["x/a.rs"]);
        let elsewhere = "#[cfg(test)]\n#[path = \"b.rs\"]\nmod tests;\n";
        assert_eq!(names(&format!("{}{elsewhere}", line.repeat(500))), [""; 0]);
    }

    #[test]
    fn a_function_is_measured_wherever_it_stands() {
        let fits = function("fits", FUNCTION_LINES_MAX);
        let long = function("long", FUNCTION_LINES_MAX + 1);
        assert_eq!(names(&fits), [""; 0]);
        let text = format!("{long}impl A {{ {long} }}\ntrait B {{ {long} }}");
        assert_eq!(names(&text), ["x/a.rs long"; 3]);
        assert_eq!(names(&format!("#[cfg(test)]\nmod tests {{\n{long}}}")), [""; 0]);
        assert_eq!(
            names(&format!("{fits}fn outer() {{ {long} }}")),
            ["x/a.rs outer", "x/a.rs long"]
        );
    }

    #[test]
    fn files_of_tests_are_known() {
        for path in ["crates/a/src/b/tests.rs", "crates/a/src/c_tests.rs", "crates/a/tests/d.rs"] {
            assert!(is_of_tests(path), "{path}");
        }
        assert!(!is_of_tests("crates/a/src/contests.rs"));
    }

    #[test]
    fn what_is_excepted_has_to_be_too_long() {
        let found =
            [Long { name: "x/a.rs f".into(), place: "a.rs:3".into(), text: "too long".into() }];
        assert_eq!(judge(&found, &["x/a.rs f"]), [""; 0]);
        assert_eq!(judge(&found, &[]), ["a.rs:3: too long"]);
        let spare = judge(&found, &["x/a.rs f", "x/b.rs"]);
        assert!(matches!(&*spare, [line] if line.contains("take out `x/b.rs`")), "{spare:?}");
    }
}
