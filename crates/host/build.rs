//! Builds in the component that the environment names: `cargo xtask` sets the variable after it has
//! built the component. Without it there is none inside, and `builtin` is refused in words.
#![allow(clippy::print_stdout)] // How a build script speaks to Cargo.

use std::env;
use std::fs;
use std::path::PathBuf;

const VARIABLE: &str = "M365_AUDIT_BUILTIN_COMPONENT";

fn main() {
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    println!("cargo:rustc-check-cfg=cfg(builtin_component)");
    let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
    else {
        return;
    };
    let path = fs::canonicalize(&path)
        .unwrap_or_else(|error| panic!("{VARIABLE}={}: {error}", path.display()));
    println!("cargo:rerun-if-changed={}", path.display());
    println!("cargo:rustc-env=M365_AUDIT_COMPONENT_FILE={}", path.display());
    println!("cargo:rustc-cfg=builtin_component");
}
