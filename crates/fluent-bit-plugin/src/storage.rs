//! Finds out where Fluent Bit keeps an input's chunks. It shows no input its `storage.type`, but a
//! chunk in a file is mapped into the process, and Linux says which files are.

use std::fs;

/// Looks, each soon after a batch was counted, that have to find no file before chunks are thought
/// to be in memory. A chunk is there until an output has taken it, which may be sooner than a look.
const LOOKS: u32 = 20;

/// Where chunks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Storage {
    /// Not known yet, after so many looks.
    Unknown(u32),
    Files,
    Memory,
}

impl Storage {
    pub(crate) fn new() -> Self {
        Self::Unknown(0)
    }

    /// Looks for chunks of an input of this plugin. True if it now turns out that there are none in
    /// files.
    pub(crate) fn look(&mut self, plugin: &str) -> bool {
        let Self::Unknown(looks) = *self else { return false };
        match fs::read_to_string("/proc/self/maps") {
            Ok(maps) => self.judge(looks, has_chunk(&maps, plugin)),
            // It will not be seen here.
            Err(_) => *self = Self::Files,
        }
        *self == Self::Memory
    }

    fn judge(&mut self, looks: u32, found: bool) {
        *self = match looks + 1 {
            _ if found => Self::Files,
            LOOKS => Self::Memory,
            looks => Self::Unknown(looks),
        };
    }
}

/// Whether a file is mapped like `…/m365_audit.0/4242-1764482400.123456789.flb`.
fn has_chunk(maps: &str, plugin: &str) -> bool {
    let is_chunk = |line: &str| {
        let (folders, name) = line.rsplit_once('/')?;
        let (_, folder) = folders.rsplit_once('/')?;
        let number = folder.strip_prefix(plugin)?.strip_prefix('.')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && name.ends_with(".flb")).then_some(())
    };
    maps.lines().any(|line| is_chunk(line).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: &str = "55d0-55d1 r-xp 00000000 fe:00 77 /opt/fluent-bit/bin/fluent-bit\n\
        7f00-7f01 rw-s 00000000 fe:00 78 /var/storage/tail.0/42-1764482400.12.flb\n\
        7f02-7f03 rw-s 00000000 fe:00 79 /var/storage/m365_audit.x/42-1764482400.12.flb\n\
        7f02-7f03 rw-s 00000000 fe:00 79 /var/m365_audit.0/state.db-shm\n\
        7f04-7f05 rw-p 00000000 00:00 0 \n\
        7ffe-7fff rw-p 00000000 00:00 0 [stack]\n";

    #[test]
    fn a_chunk_is_known_by_its_folder_and_its_name() {
        assert!(!has_chunk(OTHERS, "m365_audit"));
        for path in ["/a b/m365_audit.0/42-1764482400.12.flb", "/m365_audit.12/1-2.3.flb"] {
            let maps = format!("{OTHERS}7f06-7f07 rw-s 00000000 fe:00 80 {path}\n");
            assert!(has_chunk(&maps, "m365_audit"), "{path}");
        }
    }

    #[test]
    fn one_chunk_is_proof_and_only_many_looks_in_vain_are() {
        let mut storage = Storage::new();
        (1..LOOKS).for_each(|_| assert!(!storage.look("no_such_plugin")));
        assert!(storage.look("no_such_plugin"));
        assert_eq!(storage, Storage::Memory);
        assert!(!storage.look("no_such_plugin"), "it is said once");
        let mut storage = Storage::Unknown(LOOKS - 1);
        storage.judge(LOOKS - 1, true);
        assert_eq!(storage, Storage::Files);
    }
}
