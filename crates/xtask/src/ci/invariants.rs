//! The invariants of the architecture that can be read off the workspace: who may depend on whom,
//! and where unsafe code may be. INVARIANTS.md lists them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Held;
use crate::component::{self, Choice, Size};
use crate::shell;

/// A package, and what must not be in it, directly or not. A final `*` stands for any rest.
type Ban = (&'static str, &'static [&'static str]);

const BANS: [Ban; 8] = [
    // It does no I/O, and knows no packaging.
    (
        "m365-audit-core",
        &[
            "tokio",
            "hyper",
            "reqwest",
            "rustls",
            "rusqlite",
            "getrandom",
            "libc",
            "m365-sim",
            "rmp*",
            "fluent-bit-*",
            "wit-*",
            "wasmtime*",
        ],
    ),
    // Types shared with the collector would hide shared misreadings of Microsoft.
    ("m365-sim", &["m365-audit*", "in_m365_audit", "fluent-bit-*"]),
    ("m365-audit-client", &["m365-sim", "fluent-bit-*", "rmp*"]),
    // Any author of an input can use them.
    ("fluent-bit-plugin", &["m365-*", "in_m365_audit", "tokio", "reqwest"]),
    ("fluent-bit-plugin-sys", &["m365-*", "in_m365_audit", "fluent-bit-plugin"]),
    // It holds the simulator for `m365-audit try`, which compares what arrived with the truth.
    ("m365-audit", &["fluent-bit-*"]),
    // Its only way out is `wasi:*`.
    (
        "m365-audit-component",
        &[
            "tokio",
            "reqwest",
            "rustls",
            "rusqlite",
            "m365-audit-client",
            "m365-sim",
            "fluent-bit-*",
        ],
    ),
    // One more host of it, in the same file.
    ("m365-audit-command", &["tokio", "reqwest", "rustls", "rusqlite", "m365-audit-client"]),
];

/// Who may write unsafe code, and where.
const UNSAFE: [(&str, &[&str]); 5] = [
    // Declares the C interface.
    ("fluent-bit-plugin-sys", &["src"]),
    // Crosses it; the macro in its root exports it.
    ("fluent-bit-plugin", &["src/abi", "src/lib.rs"]),
    // Stands on its other side, in tests only.
    ("fluent-bit-plugin-harness", &["src"]),
    // Only what wit-bindgen generates, which is no line of ours.
    ("m365-audit-component", &[]),
    // Only what libFuzzer's macro exports.
    ("m365-audit-fuzz", &[]),
];

/// What the component may weigh as the compiler leaves it, since not every machine has the
/// optimiser: a guard against growth by accident, and no promise.
const COMPONENT_BYTES_MAX: u64 = 1_160_000;

/// Nobody depends on what they must not know.
///
/// # Errors
/// Somebody does.
pub(crate) fn dependencies() -> Result<()> {
    let mut broken = Vec::new();
    for (package, banned) in BANS {
        let arguments = [
            "tree",
            "--package",
            package,
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ];
        let tree = shell::read(&mut shell::cargo(&arguments))?;
        let names = tree.lines().filter_map(|line| line.split(' ').next());
        let names: BTreeSet<&str> = names.filter(|name| *name != package).collect();
        ensure!(!tree.is_empty(), "cargo tree says nothing about {package}");
        for name in names {
            if banned.iter().any(|ban| matches(ban, name)) {
                broken.push(format!("{package} depends on {name}"));
            }
        }
    }
    if !broken.is_empty() {
        bail!("{}; INVARIANTS.md says what must not be", broken.join(", "));
    }
    core_reads_no_clock()
}

fn matches(ban: &str, name: &str) -> bool {
    ban.strip_suffix('*').map_or(ban == name, |start| name.starts_with(start))
}

/// Clippy refuses clocks, threads and the environment in the core; here: that it is told to.
fn core_reads_no_clock() -> Result<()> {
    let path = "crates/core/clippy.toml";
    let rules = fs::read_to_string(shell::root().join(path)).context(path)?;
    for method in ["Instant::now", "SystemTime::now", "thread::sleep", "env::var"] {
        ensure!(rules.contains(method), "{path} does not disallow {method}");
    }
    Ok(())
}

/// Every target but those of [`UNSAFE`] forbids unsafe code, and those keep it in its folder.
///
/// # Errors
/// A target does not, or a file elsewhere has some.
pub(crate) fn unsafe_code() -> Result<()> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps"];
    let metadata: Value = serde_json::from_str(&shell::read(&mut shell::cargo(&arguments))?)?;
    let mut broken = Vec::new();
    for package in metadata["packages"].as_array().context("packages in cargo metadata")? {
        let name = package["name"].as_str().unwrap_or_default();
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let folder = manifest.parent().context("a manifest is in a folder")?;
        let allowed = UNSAFE.iter().find(|(allowed, _)| *allowed == name);
        match allowed {
            Some((_, within)) => unsafe_outside(folder, within, &mut broken)?,
            None => forbidden(package, folder, &mut broken)?,
        }
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("; "));
    }
    Ok(())
}

/// Roots of a package's libraries and programs that do not forbid unsafe code.
fn forbidden(package: &Value, folder: &Path, broken: &mut Vec<String>) -> Result<()> {
    for target in package["targets"].as_array().context("targets in cargo metadata")? {
        let path = target["src_path"].as_str().unwrap_or_default();
        let is_script =
            target["kind"].as_array().is_some_and(|k| k.iter().any(|k| k == "custom-build"));
        let is_shipped = Path::new(path).starts_with(folder.join("src")) && !is_script;
        let text = fs::read_to_string(path).context(path.to_owned())?;
        if is_shipped && !text.contains("#![forbid(unsafe_code)]") {
            broken.push(format!("{path} lacks #![forbid(unsafe_code)]"));
        }
    }
    Ok(())
}

/// Lines of `folder/src` outside `allowed` that say `unsafe`.
fn unsafe_outside(folder: &Path, allowed: &[&str], broken: &mut Vec<String>) -> Result<()> {
    for path in super::tidy::sources()? {
        let is_allowed = allowed.iter().any(|allowed| path.starts_with(folder.join(allowed)));
        if is_allowed || !path.starts_with(folder.join("src")) {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
        for (number, line) in code.enumerate() {
            if line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe") {
                let place = format!("{}:{}", path.display(), number + 1);
                broken.push(format!("{place}: unsafe outside {}", allowed.join(", ")));
            }
        }
    }
    Ok(())
}

/// The component builds, and with it the core, and is no larger than expected. Its imports are
/// looked at by a test.
///
/// # Errors
/// It does not.
pub(crate) fn wasm() -> Result<Held> {
    let toolchain = match component::find(Choice::Auto) {
        Ok(toolchain) => toolchain,
        Err(error) => return Ok(Held::Skipped(format!("{error:#}"))),
    };
    let Size { raw, .. } = component::build(&toolchain)?.size;
    ensure!(
        raw < COMPONENT_BYTES_MAX,
        "the component has {raw} bytes before it is optimised, {COMPONENT_BYTES_MAX} are the \
         limit: see what has grown, or raise the limit with a reason"
    );
    Ok(Held::Yes)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_ban_is_a_name_or_its_beginning() {
        assert!(
            matches("rmp*", "rmp-serde") && matches("rmp*", "rmp") && matches("tokio", "tokio")
        );
        assert!(!matches("tokio", "tokio-util") && !matches("m365-*", "xm365-"));
    }
}
