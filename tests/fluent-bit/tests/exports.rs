//! What a plugin's file shows to the linker.

use std::collections::BTreeSet;
use std::fs;

use fluent_bit_plugin_harness::build;
use object::elf::{DF_1_NODELETE, DT_FLAGS_1};
use object::read::elf::{Dyn, ElfFile64, FileHeader};
use object::{Object, ObjectSymbol};

#[test]
fn a_plugin_exports_the_proxy_abi_and_nothing_else() {
    let file = fs::read(build::plugin("in_example")).expect("a plugin");
    let file = ElfFile64::<object::LittleEndian>::parse(&*file).expect("an ELF file");
    let exported: BTreeSet<&str> = file
        .dynamic_symbols()
        .filter(ObjectSymbol::is_definition)
        .map(|symbol| symbol.name().expect("a name"))
        .collect();
    let expected = [
        "FLBPluginExit",
        "FLBPluginInit",
        "FLBPluginInputCallback",
        "FLBPluginInputCallbackCtx",
        "FLBPluginInputCleanupCallback",
        "FLBPluginInputCleanupCallbackCtx",
        "FLBPluginInputPause",
        "FLBPluginInputPreExit",
        "FLBPluginInputPreRun",
        "FLBPluginInputResume",
        "FLBPluginPreRegister",
        "FLBPluginRegister",
        "FLBPluginUnregister",
    ];
    assert_eq!(exported, BTreeSet::from(expected));
}

#[test]
fn a_plugin_is_never_unmapped() {
    let bytes = fs::read(build::plugin("in_example")).expect("a plugin");
    let bytes = &*bytes;
    let header = object::elf::FileHeader64::<object::LittleEndian>::parse(bytes).expect("ELF");
    let endian = header.endian().expect("an endianness");
    let sections = header.sections(endian, bytes).expect("sections");
    let (dynamic, _) = sections.dynamic(endian, bytes).expect("readable").expect("dynamic");
    let flags = dynamic.iter().find(|entry| entry.tag32(endian) == Some(DT_FLAGS_1));
    let flags = flags.expect("FLAGS_1").d_val(endian);
    assert_ne!(flags & u64::from(DF_1_NODELETE), 0, "link with -z nodelete");
}
