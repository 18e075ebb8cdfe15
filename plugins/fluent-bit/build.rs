//! Links the plugin so that it is never unmapped: code with threads and thread-locals must stay.
#![allow(clippy::print_stdout)] // How a build script speaks to Cargo.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
