//! Lets plugins find the faked functions of the host in the test executables, as they find the
//! real ones in Fluent Bit, and links the test plugin as plugins are linked.
#![allow(clippy::print_stdout)] // How a build script speaks to Cargo.

fn main() {
    println!("cargo:rustc-link-arg-tests=-rdynamic");
    println!("cargo:rustc-link-arg-examples=-Wl,-z,nodelete");
}
