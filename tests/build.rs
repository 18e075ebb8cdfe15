//! Lets the plugin find the faked functions of its host in the test executables, as it finds the
//! real ones in Fluent Bit.
#![allow(clippy::print_stdout)] // How a build script speaks to Cargo.

fn main() {
    println!("cargo:rustc-link-arg-tests=-rdynamic");
}
