//! What a program or a plugin asks of the machine that loads it, read from its file. Builds
//! nothing.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, ensure};
use object::elf::{
    DF_1_NODELETE, DT_FLAGS_1, DT_RPATH, DT_RUNPATH, EM_AARCH64, EM_X86_64, FileHeader64,
};
use object::read::elf::{Dyn, FileHeader};
use object::{LittleEndian, Object, ObjectSymbol};

/// A version of glibc.
pub(super) type Version = (u32, u32);

/// The oldest glibc that what is shipped runs on: the one of Red Hat 7, and so of every system for
/// which Fluent Bit publishes packages, and of its images.
pub(super) const BASELINE: Version = (2, 17);

/// How versions of glibc's symbols begin.
const GLIBC: &str = "GLIBC_";

/// What Fluent Bit looks for in a plugin, and all that it may find.
const EXPORTS: [&str; 13] = [
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

/// A processor that something is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    X86_64,
    Aarch64,
}

/// What stands in a file.
#[derive(Debug)]
pub(super) struct Elf {
    machine: Option<Machine>,
    /// The newest version of glibc that a symbol asks for.
    pub(super) glibc: Option<Version>,
    /// Versions of glibc's that are no numbers: each has a reason that raises what is needed.
    special: BTreeSet<String>,
    /// What others can call.
    exports: BTreeSet<String>,
    /// Whether the loader keeps it for ever.
    stays: bool,
    /// Whether it names folders of the machine that built it.
    has_paths: bool,
    /// Whether somebody could still read its symbols: they are in the file for debuggers.
    pub(super) stripped: bool,
}

impl Elf {
    /// Reads a file.
    ///
    /// # Errors
    /// It is no ELF file of 64 bits, or a damaged one.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let header = FileHeader64::<LittleEndian>::parse(bytes).context("no ELF file")?;
        let endian = header.endian().context("an endianness")?;
        let sections = header.sections(endian, bytes).context("its sections")?;
        let machine = match header.e_machine(endian) {
            EM_X86_64 => Some(Machine::X86_64),
            EM_AARCH64 => Some(Machine::Aarch64),
            _ => None,
        };
        let mut this = Self {
            machine,
            glibc: None,
            special: BTreeSet::new(),
            exports: BTreeSet::new(),
            stays: false,
            has_paths: false,
            stripped: true,
        };
        if let Some((needs, link)) = sections.gnu_verneed(endian, bytes).context("its versions")? {
            let strings = sections.strings(endian, bytes, link).context("names of versions")?;
            for need in needs {
                for version in need.context("a library that is needed")?.1 {
                    let version = version.context("a version that is needed")?;
                    let name = version.name(endian, strings).context("a version's name")?;
                    this.needs(&String::from_utf8_lossy(name));
                }
            }
        }
        if let Some((entries, _)) = sections.dynamic(endian, bytes).context("its head")? {
            for entry in entries {
                let value = entry.d_val(endian);
                match entry.tag32(endian) {
                    Some(DT_FLAGS_1) => this.stays = value & u64::from(DF_1_NODELETE) != 0,
                    Some(DT_RPATH | DT_RUNPATH) => this.has_paths = true,
                    _ => {}
                }
            }
        }
        let file = object::read::elf::ElfFile64::<LittleEndian>::parse(bytes).context("ELF")?;
        this.stripped = file.symbols().next().is_none();
        for symbol in file.dynamic_symbols().filter(ObjectSymbol::is_definition) {
            this.exports.insert(symbol.name().context("a symbol's name")?.to_owned());
        }
        Ok(this)
    }

    fn needs(&mut self, version: &str) {
        let Some(text) = version.strip_prefix(GLIBC) else { return };
        let mut numbers = text.split('.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => {
                self.glibc = self.glibc.max(Some((major, minor)));
            }
            _ => {
                self.special.insert(version.to_owned());
            }
        }
    }

    /// Whether it is for this processor, and loads on a machine with this glibc.
    ///
    /// # Errors
    /// It does not, and why.
    pub(super) fn check(&self, machine: Machine, oldest: Version) -> Result<()> {
        ensure!(self.machine == Some(machine), "built for another processor than {machine:?}");
        ensure!(
            self.glibc <= Some(oldest),
            "needs glibc {}, newer than {}: on older systems it does not load; link it by \
             `cargo xtask dist`",
            Shown(self.glibc),
            Shown(Some(oldest))
        );
        ensure!(
            self.special.is_empty(),
            "asks for {:?}, which only newer systems have",
            self.special
        );
        ensure!(!self.has_paths, "names folders in which its libraries are looked for");
        Ok(())
    }

    /// Whether it is a plugin that Fluent Bit can load, and that can do it no harm.
    ///
    /// # Errors
    /// It is not, and why.
    pub(super) fn check_plugin(&self) -> Result<()> {
        let wanted = BTreeSet::from(EXPORTS.map(str::to_owned));
        let missing: Vec<_> = wanted.difference(&self.exports).collect();
        ensure!(missing.is_empty(), "does not export {missing:?}");
        // Whatever else it showed could take the place of what the host or another plugin has.
        let others: Vec<_> = self.exports.difference(&wanted).collect();
        ensure!(others.is_empty(), "exports {others:?}, which is nobody's business");
        ensure!(
            self.stays,
            "can be unmapped while its threads run: link it with -z nodelete \
             (plugins/fluent-bit/build.rs)"
        );
        Ok(())
    }
}

/// A version as people write it.
pub(super) struct Shown(pub(super) Option<Version>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((major, minor)) => write!(f, "{major}.{minor}"),
            None => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> Elf {
        Elf {
            machine: Some(Machine::X86_64),
            glibc: Some(BASELINE),
            special: BTreeSet::new(),
            exports: BTreeSet::from(EXPORTS.map(str::to_owned)),
            stays: true,
            has_paths: false,
            stripped: true,
        }
    }

    #[track_caller]
    fn refused(elf: &Elf, why: &str) {
        let checked = elf.check(Machine::X86_64, BASELINE).and_then(|()| elf.check_plugin());
        let error = checked.expect_err("it is not to be shipped").to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn what_older_systems_cannot_load_is_refused() {
        let mut elf = plugin();
        elf.check(Machine::X86_64, BASELINE).unwrap();
        elf.check_plugin().unwrap();
        refused(&Elf { machine: Some(Machine::Aarch64), ..plugin() }, "another processor");
        refused(&Elf { has_paths: true, ..plugin() }, "folders");
        for version in ["GLIBC_2.2.5", "GCC_3.0", "GLIBC_2.17"] {
            elf.needs(version);
        }
        elf.check(Machine::X86_64, BASELINE).unwrap();
        elf.needs("GLIBC_ABI_DT_RELR");
        refused(&elf, "GLIBC_ABI_DT_RELR");
        let mut elf = plugin();
        elf.needs("GLIBC_2.34");
        elf.needs("GLIBC_2.9");
        refused(&elf, "needs glibc 2.34, newer than 2.17");
    }

    #[test]
    fn a_plugin_shows_its_interface_alone_and_stays() {
        refused(&Elf { stays: false, ..plugin() }, "nodelete");
        let mut more = plugin();
        more.exports.insert("sqlite3_open".to_owned());
        refused(&more, "sqlite3_open");
        let mut less = plugin();
        less.exports.remove("FLBPluginInputPause");
        refused(&less, "FLBPluginInputPause");
    }

    #[test]
    fn a_real_file_is_read() {
        // This program: linked as the machine likes it, with its symbols, and calling libc.
        let path = std::env::current_exe().unwrap();
        let elf = Elf::read(&std::fs::read(path).unwrap()).unwrap();
        assert!(elf.machine.is_some() && !elf.stripped && !elf.stays);
        assert!(elf.glibc.is_none() || Some((2, 2)) <= elf.glibc, "{:?}", elf.glibc);
        assert!(Elf::read(b"#!/bin/sh\n").is_err());
    }
}
