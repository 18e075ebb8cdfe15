//! What a test needs and the workspace does not hold. A test without it passes, and says in one
//! form why it looked at nothing: `cargo xtask test` counts those lines and repeats the reasons.

use std::env;
use std::fmt::Display;
use std::path::PathBuf;

/// Where the WASM component is, and why there is none; `cargo xtask test` sets one of the two.
const COMPONENT: &str = "M365_AUDIT_COMPONENT";
const NO_COMPONENT: &str = "M365_AUDIT_NO_COMPONENT";

/// Says on a line of its own why the test that calls this does not run.
#[allow(clippy::print_stdout)] // The output of tests is where it is looked for.
pub fn skip(reason: impl Display) {
    println!("{}", line(&reason.to_string()));
}

/// Of one line, whatever a failed program has said.
fn line(reason: &str) -> String {
    let words: Vec<&str> = reason.split_whitespace().collect();
    format!("SKIPPED: {}", words.join(" "))
}

/// The WASM component. Says so if there is none; the caller then passes.
#[must_use]
pub fn component() -> Option<PathBuf> {
    let path = env::var_os(COMPONENT).map(PathBuf::from);
    if path.is_none() {
        let why = env::var(NO_COMPONENT);
        let why =
            why.unwrap_or_else(|_| format!("`cargo xtask test` builds it and sets {COMPONENT}"));
        skip(format_args!("no WASM component: {why}"));
    }
    path
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_reason_of_several_lines_is_told_on_one() {
        assert_eq!(super::line("npm failed:\n  no net\n"), "SKIPPED: npm failed: no net");
    }
}
