//! Builds plugins with Cargo, because a `cdylib` cannot be a dependency.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// The `.so` of a workspace member whose library is a `cdylib`.
///
/// # Panics
/// It cannot be built.
#[must_use]
pub fn plugin(package: &str) -> PathBuf {
    cargo(&["--package", package, "--lib"])
}

/// The `.so` of an example of a workspace member. With the features of the whole workspace, as
/// tests have them: what Cargo chooses for one package alone would be compiled again.
///
/// # Panics
/// It cannot be built.
#[must_use]
pub fn example(example: &str) -> PathBuf {
    cargo(&["--workspace", "--example", example])
}

fn cargo(what: &[&str]) -> PathBuf {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--message-format=json"])
        .args(what)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut files = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let files = message.get("filenames")?.as_array()?.clone();
        files.iter().filter_map(Value::as_str).find(|file| file.ends_with(".so")).map(PathBuf::from)
    });
    // The package's own artifact comes last, after proc macros it may need.
    files.next_back().expect("cargo built a shared library")
}
