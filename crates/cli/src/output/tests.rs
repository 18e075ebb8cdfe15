//! Whatever others do to the file between any two operations: each line that was answered for is in
//! one of the files, or the bytes that are missing were told. By seed, with real files.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use m365_audit_core::{Commit, Level, RawOptions, Stored};

use super::spool::Spool;
use super::{Memory, Output, STAMP_KEY};
use crate::log::Log;
use crate::output_settings::{OutputSettings, Rotation};

/// Worlds of each kind.
const SEEDS: u64 = 200;

/// Deliveries in a world.
const STEPS: u32 = 30;

/// What somebody does to files. None at all outside of these tests.
#[derive(Clone, Debug, Default)]
pub(super) struct Meddler(Option<Arc<Mutex<Adversary>>>);

impl Meddler {
    /// Between two operations.
    pub(super) fn turn(&self) {
        if let Some(adversary) = &self.0 {
            adversary.lock().unwrap().turn();
        }
    }
}

/// What an adversary does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// As logrotate does: renames, and perhaps creates.
    Rename {
        create: bool,
    },
    /// Renames, compresses and removes.
    Compress,
    /// Compresses and removes what was renamed last, some time ago.
    CompressRenamed,
    /// Copies the file, then cuts it.
    CopyAndCut,
    Cut,
    Remove,
    /// Puts an older copy into its place, as another file.
    Restore,
    /// Writes an older copy over it.
    WriteOver,
    /// Somebody else's line.
    Append,
    /// Somebody else's half of one.
    AppendHalf,
}

/// Nothing is lost by these, so nothing may be told as missing.
const HARMLESS: [Deed; 6] = [
    Deed::Rename { create: true },
    Deed::Rename { create: false },
    Deed::Compress,
    Deed::CompressRenamed,
    Deed::Append,
    Deed::AppendHalf,
];

const ALL: [Deed; 11] = [
    Deed::Rename { create: true },
    Deed::Rename { create: false },
    Deed::Compress,
    Deed::CompressRenamed,
    Deed::CopyAndCut,
    Deed::Cut,
    Deed::Remove,
    Deed::Restore,
    Deed::WriteOver,
    Deed::Append,
    Deed::AppendHalf,
];

#[derive(Debug)]
pub(super) struct Adversary {
    path: PathBuf,
    seed: u64,
    deeds: &'static [Deed],
    /// One deed in so many turns.
    rarity: u64,
    files: u32,
    older: Vec<u8>,
    /// What was compressed.
    archive: Vec<u8>,
    done: Vec<Deed>,
}

impl Adversary {
    fn draw(&mut self, below: u64) -> u64 {
        // SplitMix64.
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below
    }

    fn turn(&mut self) {
        if self.draw(self.rarity) == 0 {
            let index = self.draw(self.deeds.len() as u64);
            self.act(self.deeds[usize::try_from(index).unwrap()]);
        }
    }

    /// While no collector runs. A file that is removed then cannot be told from one that is
    /// renamed, compressed and removed: the start says at WARN that it is another one.
    fn turn_at_night(&mut self) {
        let index = self.draw(self.deeds.len() as u64);
        match self.deeds[usize::try_from(index).unwrap()] {
            Deed::Remove | Deed::Restore => {}
            deed => self.act(deed),
        }
    }

    fn another(&mut self) -> PathBuf {
        self.files += 1;
        self.last_renamed()
    }

    fn last_renamed(&self) -> PathBuf {
        self.path.with_extension(format!("ndjson.{}", self.files))
    }

    fn keep(&mut self, content: &[u8]) {
        self.archive.extend_from_slice(content);
        self.archive.push(b'\n');
    }

    fn append(&self, bytes: &[u8]) {
        OpenOptions::new().append(true).open(&self.path).unwrap().write_all(bytes).unwrap();
    }

    fn act(&mut self, deed: Deed) {
        let Ok(content) = fs::read(&self.path) else { return };
        self.done.push(deed);
        let kept = self.draw(content.len() as u64 + 1);
        match deed {
            Deed::Rename { create } => {
                let other = self.another();
                fs::rename(&self.path, other).unwrap();
                if create {
                    fs::write(&self.path, "").unwrap();
                }
            }
            Deed::Compress => {
                let other = self.another();
                fs::rename(&self.path, &other).unwrap();
                self.keep(&fs::read(&other).unwrap());
                fs::remove_file(other).unwrap();
            }
            Deed::CompressRenamed => {
                let other = self.last_renamed();
                if let Ok(content) = fs::read(&other) {
                    self.keep(&content);
                    fs::remove_file(other).unwrap();
                }
            }
            Deed::CopyAndCut => {
                self.keep(&content);
                OpenOptions::new().write(true).open(&self.path).unwrap().set_len(0).unwrap();
            }
            Deed::Cut => {
                OpenOptions::new().write(true).open(&self.path).unwrap().set_len(kept).unwrap();
            }
            Deed::Remove => fs::remove_file(&self.path).unwrap(),
            Deed::Restore => {
                let other = self.another();
                fs::write(&other, &self.older).unwrap();
                fs::rename(&other, &self.path).unwrap();
            }
            Deed::WriteOver => fs::write(&self.path, &self.older).unwrap(),
            Deed::Append => self.append(b"{\"of\":\"somebody else\"}\n"),
            Deed::AppendHalf => self.append(b"{\"of\":\"some"),
        }
        if self.draw(4) == 0 {
            self.older = content_of(&self.path);
        }
    }

    /// Every line that is anywhere.
    fn union(&self) -> HashSet<Vec<u8>> {
        let mut all = self.archive.clone();
        all.push(b'\n');
        for entry in fs::read_dir(self.path.parent().unwrap()).unwrap() {
            all.extend(content_of(&entry.unwrap().path()));
            all.push(b'\n');
        }
        all.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }
}

/// In memory if it can be: thousands of files are synced here.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn content_of(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_default()
}

/// As without any option.
fn plain() -> OutputSettings {
    OutputSettings::parse(&RawOptions::new()).unwrap()
}

/// Two lines of a world to a file, and one of them stays.
fn rotating() -> OutputSettings {
    let rotation = Rotation { bytes: Some(1_800), after: None, keep: 1 };
    OutputSettings { rotation, ..plain() }
}

/// A collector, as far as its output is concerned: a state, and what was told.
struct Collector {
    output: Output,
    memory: Memory,
    stored: Stored,
    told: u64,
}

impl Collector {
    fn start(path: &Path, stored: Stored, meddler: &Meddler) -> Self {
        Self::start_with(path, plain(), stored, meddler)
    }

    fn start_with(
        path: &Path,
        settings: OutputSettings,
        stored: Stored,
        meddler: &Meddler,
    ) -> Self {
        let log = Log::silent();
        let mut output = Output::open(Some(path), settings, &log).unwrap();
        let spool = output.files_mut().0.unwrap();
        spool.meddle = meddler.clone();
        let mut memory = Memory::new();
        let missing = memory.resume(&mut output, &stored).unwrap();
        let told = missing.map_or(0, |missing| missing.bytes);
        Self { output, memory, stored, told }
    }

    /// Delivers, tells what is missing, and commits. Answers whether the lines count.
    fn deliver(&mut self, lines: &[u8]) -> bool {
        let delivered = self.output.deliver(lines).is_ok();
        let missing = self.memory.missing(&self.output);
        self.told += missing.map_or(0, |missing| missing.bytes);
        self.commit();
        delivered
    }

    /// As it does each second: what was done since it last looked is told then.
    fn look(&mut self) {
        let spool = self.output.files_mut().0.unwrap();
        let meddler = std::mem::take(&mut spool.meddle);
        spool.find().unwrap();
        spool.meddle = meddler;
        self.told += self.memory.missing(&self.output).map_or(0, |missing| missing.bytes);
        self.commit();
    }

    fn commit(&mut self) {
        let mut commit = Commit::default();
        let loss = r#"{"kind":"output","name":"x","count":1,"told":0}"#;
        commit.changes.insert("loss/0000000000000000".into(), Some(loss.into()));
        self.memory.stamp(&self.output, &mut commit);
        commit.apply(&mut self.stored);
    }
}

fn play(seed: u64, deeds: &'static [Deed], settings: OutputSettings) {
    let dir = directory();
    let path = dir.path().join("audit.ndjson");
    let adversary = Arc::new(Mutex::new(Adversary {
        path: path.clone(),
        seed,
        deeds,
        rarity: 2 + seed % 20,
        files: 0,
        older: Vec::new(),
        archive: Vec::new(),
        done: Vec::new(),
    }));
    let meddler = Meddler(Some(Arc::clone(&adversary)));
    let mut collector = Collector::start_with(&path, settings, Stored::new(), &meddler);
    let mut settled: Vec<Vec<u8>> = Vec::new();
    let mut told_before = 0;
    for step in 0..STEPS {
        let line = format!("{{\"seed\":{seed},\"step\":{step},\"text\":\"{}\"}}", "x".repeat(700));
        if collector.deliver(format!("{line}\n").as_bytes()) {
            settled.push(line.into_bytes());
        }
        if adversary.lock().unwrap().draw(8) == 0 {
            collector.look();
            let Collector { output, stored, told, .. } = collector;
            drop(output);
            told_before += told;
            adversary.lock().unwrap().turn_at_night();
            collector = Collector::start_with(&path, settings, stored, &meddler);
        }
        collector.look();
        let adversary = adversary.lock().unwrap();
        let union = adversary.union();
        let missing: u64 = settled
            .iter()
            .filter(|line| !union.contains(*line))
            .map(|line| line.len() as u64)
            .sum();
        let told = told_before + collector.told;
        let done = &adversary.done;
        assert!(missing <= told, "seed {seed}: {missing} bytes missing, {told} told: {done:?}");
        if deeds.iter().all(|deed| HARMLESS.contains(deed)) {
            assert_eq!((missing, told), (0, 0), "seed {seed}, step {step}: {done:?}");
        }
    }
    assert!(collector.stored.contains_key(STAMP_KEY));
}

#[test]
fn what_counts_is_in_one_of_the_files_whatever_rotates_them() {
    (0..SEEDS).for_each(|seed| play(seed, &HARMLESS, plain()));
}

#[test]
fn what_counts_is_in_one_of_the_files_while_the_collector_rotates_them_too() {
    (0..SEEDS).for_each(|seed| play(seed, &HARMLESS, rotating()));
    (0..SEEDS).for_each(|seed| play(seed, &ALL, rotating()));
}

#[test]
fn what_counts_is_in_one_of_the_files_or_is_told_to_be_missing() {
    (0..SEEDS).for_each(|seed| play(seed, &ALL, plain()));
}

/// One deed while the collector is stopped, and what the next one says of it.
#[track_caller]
fn between_two_runs(deed: impl FnOnce(&Path), expected: Option<u64>) {
    let dir = directory();
    let path = dir.path().join("audit.ndjson");
    let quiet = Meddler::default();
    let mut first = Collector::start(&path, Stored::new(), &quiet);
    for n in 0..20 {
        // One hundred bytes each.
        assert!(
            first.deliver(format!("{{\"n\":{n:02},\"text\":\"{}\"}}\n", "x".repeat(81)).as_bytes())
        );
    }
    let stored = first.stored.clone();
    drop(first);
    assert_eq!(fs::metadata(&path).unwrap().len(), 2_000);
    deed(&path);
    let second = Collector::start(&path, stored, &quiet);
    assert_eq!(second.told, expected.unwrap_or_default());
}

#[test]
fn at_the_start_the_file_is_compared_with_what_counts_as_delivered() {
    let cut = |path: &Path, length| {
        OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
    };
    let copy = |path: &Path, length: usize| {
        let content = fs::read(path).unwrap();
        fs::rename(path, path.with_extension("old")).unwrap();
        fs::write(path, &content[..length]).unwrap();
    };
    between_two_runs(|_| {}, None);
    between_two_runs(|path| cut(path, 0), Some(2_000));
    between_two_runs(|path| cut(path, 700), Some(1_300));
    // A backup of the file.
    let restore = |path: &Path, length| {
        copy(path, length);
        fs::remove_file(path.with_extension("old")).unwrap();
    };
    between_two_runs(|path| restore(path, 700), Some(1_300));
    between_two_runs(|path| restore(path, 2_000), None);
    // What it lacks is beside it.
    between_two_runs(|path| copy(path, 700), None);
    // An editor, which writes another file of the same length.
    between_two_runs(
        |path| {
            let content = fs::read_to_string(path).unwrap();
            fs::remove_file(path).unwrap();
            fs::write(path, content.replace("\"n\":19", "\"n\":99")).unwrap();
        },
        Some(2_000),
    );
    // Rotated, and perhaps begun anew by somebody.
    between_two_runs(|path| fs::rename(path, path.with_extension("1")).unwrap(), None);
    between_two_runs(
        |path| {
            fs::rename(path, path.with_extension("1")).unwrap();
            fs::write(path, "{\"of\":\"somebody else\"}\n").unwrap();
        },
        None,
    );
}

#[test]
fn a_loss_is_told_again_until_it_is_in_the_state() {
    let dir = directory();
    let path = dir.path().join("audit.ndjson");
    let quiet = Meddler::default();
    let mut first = Collector::start(&path, Stored::new(), &quiet);
    assert!(first.deliver(b"{\"n\":1}\n"));
    let stored = first.stored.clone();
    drop(first);
    fs::write(&path, "").unwrap();
    let mut second = Collector::start(&path, stored.clone(), &quiet);
    assert_eq!(second.told, 8);
    // A commit without the loss, and the process dies.
    let mut commit = Commit::default();
    second.memory.stamp(&second.output, &mut commit);
    assert!(commit.changes.is_empty());
    drop(second);
    let mut third = Collector::start(&path, stored, &quiet);
    assert_eq!(third.told, 8);
    third.commit();
    let stored = third.stored.clone();
    drop(third);
    assert_eq!(Collector::start(&path, stored, &quiet).told, 0);
}

#[test]
fn two_processes_do_not_write_to_one_file() {
    let dir = directory();
    let path = dir.path().join("audit.ndjson");
    let log = Log::silent();
    let _first = Output::open(Some(&path), plain(), &log).unwrap();
    let error = Output::open(Some(&path), plain(), &log).unwrap_err().to_string();
    assert!(error.contains("another m365-audit is writing to it"), "{error}");
}

#[test]
fn half_a_line_before_ours_is_cut_when_something_is_written() {
    let dir = directory();
    let path = dir.path().join("audit.ndjson");
    fs::write(&path, "{\"a\":1}\n{\"b\":").unwrap();
    let log = Log::silent();
    let mut output = Output::open(Some(&path), plain(), &log).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"b\":");
    output.deliver(b"{}\n").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{}\n");
}

/// The names of the files in a directory, and what is in them.
fn files(dir: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut files: Vec<_> =
        entries.map(|path| (name(&path), fs::read_to_string(path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn a_file_is_rotated_when_it_is_full_or_old_and_holds_whole_lines() {
    let dir = directory();
    let path = dir.path().join("audit.ndjson");
    let rotation = Rotation { bytes: Some(25), ..Rotation::default() };
    let settings = OutputSettings { rotation, ..plain() };
    let mut spool = Spool::open(&path, settings).unwrap();
    // Of one delivery too.
    spool.deliver(b"{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":4}\n{\"n\":5}\n").unwrap();
    let long = "{\"long\":\"longer than a file may be\"}\n";
    spool.deliver(long.as_bytes()).unwrap();
    spool.deliver(b"{\"n\":6}\n").unwrap();
    let contents: Vec<_> = files(dir.path()).into_iter().map(|(_, content)| content).collect();
    let mut expected =
        ["{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n", "{\"n\":4}\n{\"n\":5}\n", long, "{\"n\":6}\n"];
    let mut sorted = contents.clone();
    sorted.sort();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    let notes = spool.take_notes();
    assert!(notes[0].1.contains("was rotated: 24 bytes are in "), "{notes:?}");
    drop(spool);
    // By age, and not while it is empty.
    let rotation = Rotation { after: Some(std::time::Duration::ZERO), ..Rotation::default() };
    let mut spool = Spool::open(&path, OutputSettings { rotation, ..plain() }).unwrap();
    spool.look().unwrap();
    spool.look().unwrap();
    assert_eq!(files(dir.path()).len(), 5);
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn half_a_line_never_gets_into_a_rotated_file() {
    let dir = directory();
    let path = dir.path().join("audit.ndjson");
    let rotation = Rotation { after: Some(std::time::Duration::ZERO), ..Rotation::default() };
    fs::write(&path, "{\"n\":1}\n{\"n\":").unwrap();
    let mut spool = Spool::open(&path, OutputSettings { rotation, ..plain() }).unwrap();
    spool.look().unwrap();
    let contents: Vec<_> = files(dir.path()).into_iter().map(|(_, content)| content).collect();
    assert_eq!(contents, ["{\"n\":1}\n", ""]);
}

#[test]
fn a_state_from_before_a_rotation_finds_its_file_under_the_new_name() {
    let check = |spoil: fn(&Path), level: Level, words: &str| {
        let dir = directory();
        let path = dir.path().join("audit.ndjson");
        let rotation = Rotation { bytes: Some(10), ..Rotation::default() };
        let settings = OutputSettings { rotation, ..plain() };
        let mut spool = Spool::open(&path, settings).unwrap();
        spool.deliver(b"{\"n\":1}\n").unwrap();
        let stamp = spool.stamp();
        // Rotates, and is killed before it commits.
        spool.deliver(b"{\"n\":2}\n").unwrap();
        drop(spool);
        let (rotated, _) = files(dir.path()).swap_remove(0);
        spoil(&dir.path().join(&rotated));
        let mut spool = Spool::open(&path, settings).unwrap();
        assert_eq!(spool.compare(&stamp).unwrap(), None);
        let notes = spool.take_notes();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert_eq!(notes[0].0, level, "{notes:?}");
        assert!(notes[0].1.contains(words), "{notes:?}");
    };
    check(|_| {}, Level::Info, "was rotated: the 8 bytes before are in ");
    let cut = |path: &Path| OpenOptions::new().write(true).open(path).unwrap().set_len(3).unwrap();
    check(cut, Level::Warn, "has been changed since");
    let gone = |path: &Path| fs::remove_file(path).unwrap();
    check(gone, Level::Warn, "is another file than at the last stop");
}

#[test]
fn a_file_that_is_cut_after_it_was_copied_lacks_nothing() {
    let check = |copied: usize, missing: u64| {
        let dir = directory();
        let path = dir.path().join("audit.ndjson");
        let mut spool = Spool::open(&path, plain()).unwrap();
        spool.deliver(b"{\"n\":1}\n{\"n\":2}\n").unwrap();
        let content = fs::read(&path).unwrap();
        fs::write(path.with_extension("ndjson.1"), &content[..copied]).unwrap();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap();
        spool.deliver(b"{\"n\":3}\n").unwrap();
        assert_eq!(spool.missing(), missing);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":3}\n");
    };
    check(16, 0);
    // Written between the copy and the cut.
    check(8, 16);
}

#[test]
fn lines_that_are_too_long_go_beside_and_are_remembered() {
    let dir = directory();
    let path = dir.path().join("audit.ndjson");
    let settings = OutputSettings { line_bytes_max: Some(7), ..plain() };
    let quiet = Meddler::default();
    let mut first = Collector::start_with(&path, settings, Stored::new(), &quiet);
    assert!(first.deliver(b"{\"n\":1}\n{\"n\":22}\n{\"n\":3}\n{\"n\":44}\n"));
    assert_eq!(first.output.oversized(), 2);
    let stored = first.stored.clone();
    drop(first);
    let beside = dir.path().join("audit.oversized.ndjson");
    assert_eq!(fs::read_to_string(&path).unwrap(), "{\"n\":1}\n{\"n\":3}\n");
    assert_eq!(fs::read_to_string(&beside).unwrap(), "{\"n\":22}\n{\"n\":44}\n");
    // What is missing of it is told as of the output itself.
    fs::write(&beside, "").unwrap();
    let second = Collector::start_with(&path, settings, stored, &quiet);
    assert_eq!(second.told, 18);
}

#[test]
fn created_files_have_the_mode_that_is_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let dir = directory();
    let path = dir.path().join("audit.ndjson");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let rotation = Rotation { bytes: Some(10), ..Rotation::default() };
    let settings = OutputSettings { rotation, mode: 0o664, line_bytes_max: Some(100) };
    let mut output = Output::open(Some(&path), settings, &Log::silent()).unwrap();
    assert_eq!(mode(&path), 0o664);
    assert_eq!(mode(&dir.path().join("audit.oversized.ndjson")), 0o664);
    output.deliver(b"{\"n\":1}\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    output.deliver(b"{\"n\":2}\n").unwrap();
    assert_eq!(mode(&path), 0o664);
    drop(output);
    // One that exists keeps its own.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    drop(Output::open(Some(&path), settings, &Log::silent()).unwrap());
    assert_eq!(mode(&path), 0o600);
}
