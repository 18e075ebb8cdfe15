//! Who has locked a file, where the system tells it: Linux does, in `/proc/locks`.

use std::path::Path;

/// Who a state file is locked by, in words.
pub(super) fn holder(path: &Path) -> String {
    const UNKNOWN: &str = "another process";
    let inodes: Vec<u64> = ["", "-shm"].iter().filter_map(|end| inode(path, end)).collect();
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let own = std::process::id();
    let writers = writers(&locks, &inodes);
    match writers.iter().find(|writer| **writer != own) {
        Some(other) => {
            let name = std::fs::read_to_string(format!("/proc/{other}/comm")).unwrap_or_default();
            match name.trim() {
                "" => format!("{UNKNOWN}, {other}"),
                name => format!("{UNKNOWN}, {other} ({name})"),
            }
        }
        None if writers.is_empty() => UNKNOWN.into(),
        None => "another section of this process, which has other db options".into(),
    }
}

#[cfg(unix)]
fn inode(path: &Path, end: &str) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    std::fs::metadata(name).ok().map(|found| found.ino())
}

#[cfg(not(unix))]
fn inode(_: &Path, _: &str) -> Option<u64> {
    None
}

/// The processes that hold a lock for writing on one of these files. Not the device decides as
/// well: layered file systems tell another one there.
fn writers(locks: &str, inodes: &[u64]) -> Vec<u32> {
    let writer = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        // One that waits has an arrow here.
        let held = matches!(words.next()?, "POSIX" | "OFDLCK" | "FLOCK");
        let writes = words.nth(1)? == "WRITE";
        let process = words.next()?.parse().ok()?;
        let inode: u64 = words.next()?.rsplit(':').next()?.parse().ok()?;
        (held && writes && inodes.contains(&inode)).then_some(process)
    };
    locks.lines().filter_map(writer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_is_told_from_who_reads_who_waits_and_who_is_elsewhere() {
        let locks = "\
            1: POSIX  ADVISORY  READ  10 fe:01:77 1073741826 1073742335\n\
            2: POSIX  ADVISORY  WRITE 11 fe:01:77 120 120\n\
            2: -> POSIX  ADVISORY  WRITE 12 fe:01:77 120 120\n\
            3: FLOCK  ADVISORY  WRITE 13 fe:01:78 0 EOF\n\
            4: OFDLCK ADVISORY  WRITE -1 fe:01:77 0 EOF\n\
            nonsense\n";
        assert_eq!(writers(locks, &[77]), [11]);
        assert_eq!(writers(locks, &[78, 77]), [11, 13]);
        assert!(writers(locks, &[79]).is_empty());
    }
}
