//! Optimising the component by Binaryen, if `jco` is at hand, which brings it along. Nothing is
//! installed for it.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::toolchain::cache;
use crate::shell;

/// What the compiler may use, told to Binaryen: it believes only in WASM's first version.
const FEATURES: [&str; 7] = [
    "--enable-simd",
    "--enable-bulk-memory",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
    "--enable-mutable-globals",
    "--enable-multivalue",
    "--enable-reference-types",
];

/// For size: flattened code is cut anew and optimised twice, which saves 6 KB more than once, and
/// costs no speed that could be measured. At the very end, since all else would undo it, a constant
/// that a function names often is put aside once: 8 KB.
const PASSES: [&str; 9] = [
    "--flatten",
    "--rereloop",
    "-Oz",
    "--dae-optimizing",
    "--merge-similar-functions",
    "--reorder-functions",
    "-Oz",
    "--const-hoisting",
    "--strip-producers",
];

/// Writes `from`, optimised, to `to`. Answers whether there was anything to do it with.
///
/// # Errors
/// It fails.
pub(crate) fn run(from: &Path, to: &Path) -> Result<bool> {
    let Some(jco) = find() else { return Ok(false) };
    let mut command = shell::command(jco);
    command.arg("opt").arg(from).arg("-o").arg(to).arg("--").args(PASSES).args(FEATURES);
    shell::read(&mut command)?;
    Ok(true)
}

/// `jco` in `PATH`, else where the tests of `examples/wasm-node` have installed it.
fn find() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = env::split_paths(&path).collect();
    folders.extend(cache().ok().map(|cache| cache.join("node/node_modules/.bin")));
    folders.into_iter().map(|folder| folder.join("jco")).find(|path| path.is_file())
}
