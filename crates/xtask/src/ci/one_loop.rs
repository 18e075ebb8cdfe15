//! Outputs of a machine are taken in one place: the core's `run`. What has a loop of its own
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

/// Loops of their own today. An entry that has none any more fails the check, so that the list only
/// gets shorter.
const TODAY: &[&str] = &["plugins/component/src/check.rs", "plugins/component/src/session.rs"];

/// Nobody else drives a machine. Scripts in the tests of a crate do: they say themselves what
/// happens when.
///
/// # Errors
/// Somebody does, or the list names who does not.
pub(crate) fn run() -> Result<()> {
    let mut calls = Vec::new();
    for path in tidy::sources()? {
        let shown = tidy::shown(&path);
        let is_ours = shown.starts_with("tests/") || !sizes::is_of_tests(&shown);
        if is_ours && shown != LOOP {
            let text = fs::read_to_string(&path).with_context(|| shown.clone())?;
            calls.extend(
                lines(&text).with_context(|| shown.clone())?.map(|line| (shown.clone(), line)),
            );
        }
    }
    let broken = judge(&calls, TODAY);
    if !broken.is_empty() {
        bail!("{} things to put right:\n{}", broken.len(), broken.join("\n"));
    }
    Ok(())
}

fn judge(calls: &[(String, usize)], excepted: &[&str]) -> Vec<String> {
    let unknown = calls.iter().filter(|(path, _)| !excepted.contains(&&**path)).map(|(path, line)| {
        format!("{path}:{line}: takes outputs of a machine by itself: implement `Io`, and call `run`")
    });
    let is_spare = |path: &&&str| calls.iter().all(|(known, _)| known != **path);
    let spare = excepted.iter().filter(is_spare).map(|path| {
        format!("crates/xtask/src/ci/one_loop.rs: take out `{path}`, which has no loop any more")
    });
    unknown.chain(spare).collect()
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

    #[test]
    fn a_loop_is_excepted_as_long_as_it_is_there() {
        let calls = [("a.rs".to_owned(), 3)];
        assert_eq!(judge(&calls, &["a.rs"]), [""; 0]);
        assert_eq!(judge(&calls, &[]).len(), 1);
        let spare = judge(&calls, &["a.rs", "b.rs"]);
        assert!(matches!(&*spare, [line] if line.contains("take out `b.rs`")), "{spare:?}");
    }
}
