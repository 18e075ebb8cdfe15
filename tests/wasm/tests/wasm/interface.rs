//! What the component asks of a host, and what it offers.

use std::collections::BTreeSet;
use std::fmt::Write;

use m365_audit_test_support::needs::component;
use wasmparser::{Parser, Payload};

/// What it imports, and what it exports: a line each, as in the file.
const SNAPSHOT: &str = include_str!("../../../../plugins/component/imports.txt");

#[test]
fn it_imports_wasi_alone_and_exports_the_source() {
    let Some(path) = component() else { return };
    let bytes = std::fs::read(&path).unwrap();
    let (mut imports, mut exports) = (BTreeSet::new(), BTreeSet::new());
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.unwrap() {
            // What is inside is its own business.
            Payload::ComponentSection { .. } | Payload::ModuleSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(section.into_iter().map(|i| i.unwrap().name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(section.into_iter().map(|e| e.unwrap().name.name.to_owned()));
            }
            _ => {}
        }
    }
    let mut found = String::new();
    for name in imports {
        assert!(name.starts_with("wasi:"), "{name} makes it unrunnable in other hosts");
        writeln!(found, "import {name}").unwrap();
    }
    for name in exports {
        writeln!(found, "export {name}").unwrap();
    }
    assert_eq!(found, SNAPSHOT, "plugins/component/imports.txt is out of date");
}
