//! The plugin's file: what it shows to the linker.

use std::fs;

use object::elf::{DF_1_NODELETE, DT_FLAGS_1};
use object::read::elf::{Dyn, ElfFile64, FileHeader};
use object::{Object, ObjectSymbol};

use crate::pipeline::plugin;

#[test]
fn it_exports_the_proxy_abi_and_nothing_else() {
    let bytes = fs::read(plugin()).expect("a plugin");
    let file = ElfFile64::<object::LittleEndian>::parse(&*bytes).expect("an ELF file");
    let exported: Vec<&str> = file
        .dynamic_symbols()
        .filter(ObjectSymbol::is_definition)
        .map(|symbol| symbol.name().expect("a name"))
        .collect();
    assert!(exported.contains(&"FLBPluginRegister"), "{exported:?}");
    let others: Vec<_> = exported.iter().filter(|name| !name.starts_with("FLBPlugin")).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn it_is_never_unmapped() {
    let bytes = fs::read(plugin()).expect("a plugin");
    let bytes = &*bytes;
    let header = object::elf::FileHeader64::<object::LittleEndian>::parse(bytes).expect("ELF");
    let endian = header.endian().expect("an endianness");
    let sections = header.sections(endian, bytes).expect("sections");
    let (dynamic, _) = sections.dynamic(endian, bytes).expect("readable").expect("dynamic");
    let flags = dynamic.iter().find(|entry| entry.tag32(endian) == Some(DT_FLAGS_1));
    let flags = flags.expect("FLAGS_1").d_val(endian);
    assert_ne!(flags & u64::from(DF_1_NODELETE), 0);
}
