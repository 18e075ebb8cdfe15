//! What a user sees of a component that is none, and of a mistake in the configuration.

use std::fs;
use std::process::Output;

use m365_audit_test_support::needs::component;

use crate::support::{assert_code, program, text};

/// The one line that is said.
#[track_caller]
fn said(output: &Output, code: i32) -> String {
    assert_code(output, code);
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    text(&output.stderr).to_owned()
}

#[test]
fn what_is_no_component_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let describe = |name: &str, bytes: Option<&[u8]>| {
        let path = dir.path().join(name);
        if let Some(bytes) = bytes {
            fs::write(&path, bytes).unwrap();
        }
        let output =
            program("host").arg("describe").arg("--component").arg(&path).output().unwrap();
        let line = said(&output, 2);
        assert!(line.contains(name), "{line}");
        line
    };
    let absent = describe("absent.wasm", None);
    assert!(absent.contains("cannot be read") && absent.contains("remedy: "), "{absent}");
    let text = describe("notes.txt", Some(b"these are no instructions"));
    assert!(text.contains("not a WebAssembly file; remedy: "), "{text}");
    let module = describe("module.wasm", Some(b"\0asm\x01\0\0\0"));
    assert!(module.contains("a core WebAssembly module, not a component; remedy: "), "{module}");
    let empty = describe("empty.wasm", Some(b"\0asm\x0d\0\x01\0"));
    assert!(empty.contains("not a source") && empty.contains("remedy: "), "{empty}");
    let broken = describe("broken.wasm", Some(b"\0asm\x0d\0\x01\0\x01\x05junk"));
    assert!(broken.contains("not a usable component"), "{broken}");
}

#[test]
fn every_mistake_of_the_configuration_is_told_at_once() {
    let Some(component) = component() else { return };
    let output = program("host")
        .arg("run")
        .arg("--component")
        .arg(component)
        .args(["--tenant-id", "contoso", "--max-in-flight", "0", "--memory-max", "1K"])
        .args(["--sink", "kafka"])
        .output()
        .unwrap();
    let told = said(&output, 2);
    for option in ["tenant-id", "client-id", "max-in-flight", "memory-max", "sink"] {
        assert!(told.contains(option), "{option} is not in: {told}");
    }
}
