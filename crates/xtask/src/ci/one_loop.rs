//! Outputs of a machine are taken in one place: the core's `Session`. What has a loop of its own
//! forgets an output sooner or later.

use std::fs;

use anyhow::{Context, Result, bail};
use syn::visit::{self, Visit};
use syn::{ExprMethodCall, ExprPath, ImplItemFn, Item};

use super::{sizes, tidy};
use crate::layers::is_for_tests;

/// What yields the next output.
const POLL: &str = "poll_output";

/// The loop.
const LOOP: &str = "crates/core/src/contract/io.rs";

/// Nobody else drives a machine. Scripts in the tests of a crate do: they say themselves what
/// happens when.
///
/// # Errors
/// Somebody does.
pub(crate) fn run() -> Result<()> {
    let mut broken = Vec::new();
    for path in tidy::sources()? {
        let shown = tidy::shown(&path);
        let is_ours = shown.starts_with("tests/") || !sizes::is_of_tests(&shown);
        if is_ours && shown != LOOP {
            let text = fs::read_to_string(&path).with_context(|| shown.clone())?;
            broken.extend(lines(&text).with_context(|| shown.clone())?.map(|line| {
                format!(
                    "{shown}:{line}: takes outputs of a machine by itself: implement `Io`, and \
                     call `run`, or take the steps of a `Session`"
                )
            }));
        }
    }
    if !broken.is_empty() {
        bail!("{} things to put right:\n{}", broken.len(), broken.join("\n"));
    }
    Ok(())
}

/// The lines in which outputs are taken.
fn lines(text: &str) -> Result<impl Iterator<Item = usize> + use<>> {
    let mut calls = Calls(Vec::new());
    calls.visit_file(&syn::parse_file(text)?);
    Ok(calls.0.into_iter())
}

struct Calls(Vec<usize>);

impl<'ast> Visit<'ast> for Calls {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(item) {
            visit::visit_item(self, item);
        }
    }

    /// A machine around another one passes the call on.
    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if function.sig.ident != POLL {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if call.method == POLL {
            self.0.push(call.method.span().start().line);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        if let Some(last) = path.path.segments.last()
            && last.ident == POLL
        {
            self.0.push(last.ident.span().start().line);
        }
        visit::visit_expr_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_found_and_a_definition_is_none() {
        let text = [
            "trait M { fn poll_output(&mut self); }",
            "fn f(m: &mut A) { m.poll_output() }",
            "fn g(m: &mut A) { M::poll_output(m) }",
            "impl M for B { fn poll_output(&mut self) { self.0.poll_output() } }",
            "#[cfg(test)]",
            "mod tests { fn f(m: A) { m.poll_output() } }",
        ]
        .join("\n");
        let found: Vec<_> = lines(&text).expect("this is Rust").collect();
        assert_eq!(found, [2, 3]);
    }
}
