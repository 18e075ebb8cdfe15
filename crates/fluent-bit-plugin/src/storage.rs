//! Finds out where Fluent Bit keeps an input's chunks. It shows no input its `storage.type`, but a
//! chunk in a file is mapped into the process, and Linux says which files are.

use std::fs;
use std::time::Duration;

use crate::reading::Reading;

/// Looks, each soon after a batch was counted, that have to find no file before chunks are thought
/// to be in memory. A chunk is there until an output has taken it, which may be sooner than a look.
const LOOKS: u32 = 20;

/// Times that the host sets its gauges (each 5 s) with chunks and without a new count in between,
/// after which chunks stand there, whatever a filter has held back meanwhile. If no file is seen
/// then, and there still are chunks at the next time, they are in memory.
const STANDING: u32 = 2;

/// How often counters are read for this alone.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Where chunks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Unknown,
    Files,
    Memory,
}

/// Watches where chunks are.
#[derive(Debug)]
pub(crate) struct Storage {
    place: Place,
    /// Looks in vain, each after something was counted.
    looks: u32,
    /// Records that were counted at the last reading.
    counted: u64,
    /// When the host last said how many chunks there are.
    pulse: Option<u64>,
    /// Times in a row that it had some, and nothing was counted meanwhile.
    standing: u32,
    /// Whether no file was seen since these stand.
    unseen: bool,
    /// When counters were read last.
    read: Option<Duration>,
}

impl Storage {
    pub(crate) fn new() -> Self {
        let place = Place::Unknown;
        Self { place, looks: 0, counted: 0, pulse: None, standing: 0, unseen: false, read: None }
    }

    /// Whether to read counters for this.
    pub(crate) fn wants_reading(&self, now: Duration) -> bool {
        self.place == Place::Unknown
            && self.read.is_none_or(|read| READ_EVERY <= now.saturating_sub(read))
    }

    /// Looks for chunks of an input of this plugin, if the counters say that there may be some.
    /// True if it now turns out that there are none in files.
    pub(crate) fn observe(&mut self, now: Duration, reading: Reading, plugin: &str) -> bool {
        if self.place != Place::Unknown {
            return false;
        }
        self.read = Some(now);
        let maps = || fs::read_to_string("/proc/self/maps").ok();
        // Where they cannot be read nothing will be seen, and nothing is said.
        self.judge(reading, || maps().is_none_or(|maps| has_chunk(&maps, plugin)));
        self.place == Place::Memory
    }

    fn judge(&mut self, reading: Reading, is_seen: impl FnOnce() -> bool) {
        let rose = self.counted < reading.records;
        let (chunks, pulse) = reading.chunks_up.unzip();
        let set = pulse.is_some() && pulse != self.pulse;
        (self.counted, self.pulse) = (reading.records, pulse);
        if rose || (set && chunks == Some(0)) {
            (self.standing, self.unseen) = (0, false);
        } else if set {
            if self.unseen {
                self.place = Place::Memory;
                return;
            }
            self.standing += 1;
        }
        let stand = STANDING <= self.standing;
        if !rose && !stand {
            return;
        }
        if is_seen() {
            self.place = Place::Files;
            return;
        }
        self.unseen = stand;
        self.looks += u32::from(rose);
        if LOOKS <= self.looks {
            self.place = Place::Memory;
        }
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

    /// What is counted, how many chunks are up and since when that is known, and whether one is
    /// seen in a file.
    fn watch(readings: &[(u64, u64, u64, bool)]) -> Place {
        let mut storage = Storage::new();
        for &(records, chunks, pulse, seen) in readings {
            let reading =
                Reading { records, chunks_up: Some((chunks, pulse)), ..Reading::default() };
            storage.judge(reading, || seen);
        }
        storage.place
    }

    #[test]
    fn one_chunk_is_proof_and_only_many_looks_in_vain_are() {
        let mut storage = Storage::new();
        let mut count = |records| {
            let reading = Reading { records, ..Reading::default() };
            storage.observe(Duration::ZERO, reading, "no_such_plugin")
        };
        assert!(!count(0));
        assert!((1..u64::from(LOOKS)).all(|records| !count(records) && !count(records)));
        assert!(count(20));
        assert!(!count(21), "it is said once");
        assert_eq!(watch(&[(1, 0, 1, false), (2, 0, 1, true), (3, 0, 1, false)]), Place::Files);
    }

    #[test]
    fn chunks_that_stay_and_are_in_no_file_are_in_memory() {
        let counted = [(0, 0, 1, false), (9, 0, 1, false)];
        let stay = [(9, 2, 2, false), (9, 2, 3, false), (9, 1, 3, false), (9, 1, 4, false)];
        let all = [&counted[..], &stay].concat();
        assert_eq!(watch(&all), Place::Memory);
        assert_eq!(watch(&all[..5]), Place::Unknown, "they may be gone, and just not set to 0");
        // An output took them after the look.
        assert_eq!(watch(&[&all[..5], &[(9, 0, 4, false)]].concat()), Place::Unknown);
        // Something came, which may be what is there now.
        assert_eq!(
            watch(&[&all[..4], &[(10, 1, 3, false), (10, 1, 4, false)]].concat()),
            Place::Unknown
        );
        // Files, seen a little later than the first look, which was too early.
        assert_eq!(watch(&[&all[..3], &[(9, 2, 3, true)]].concat()), Place::Files);
    }

    #[test]
    fn counters_are_read_for_this_once_a_second_until_it_is_known() {
        let mut storage = Storage::new();
        let second = Duration::from_secs(1);
        assert!(storage.wants_reading(Duration::ZERO));
        storage.observe(second, Reading::default(), "m365_audit");
        assert!(!storage.wants_reading(second));
        assert!(storage.wants_reading(2 * second));
        storage.place = Place::Files;
        assert!(!storage.wants_reading(9 * second));
    }
}
