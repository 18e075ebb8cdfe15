//! Measures the expansion of blobs: bytes of a body to events for Fluent Bit, against rivals that
//! work on the same bytes in the same run.
//!
//! Runs interleave, so that a slow moment of the machine hits all alike; medians count, and the
//! spread is shown as noise. Must not tune anything for the corpus: it is only read.

mod records;

use anyhow::{Context, ensure};
use bytes::Bytes;
use m365_audit_core::json::{Field, Item, Split, Splitter, Timestamp, parse_timestamp};
use m365_audit_msgpack::{Encoded, Encoder, Metadata};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Size of the blob.
const BLOB_BYTES: usize = 16 << 20;
/// Size of the pieces in which it arrives.
pub(super) const CHUNK_BYTES: usize = 64 << 10;
/// Events are handed over, and their room used again, when they are so many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// How often each subject runs; odd, for the median to be one of the runs.
pub(super) const RUNS: usize = 9;
/// At least so many times as fast as the way others do it, as a parser that converts nothing on the
/// whole blob, and as that parser where somebody else finds the records for it.
const LIFE_MIN: [f64; 3] = [14.0, 2.8, 0.8];
/// The same on odd records, whose escapes and blanks cost us more than the rivals.
const ODD_MIN: [f64; 3] = [12.0, 2.0, 0.8];

pub(super) const RECORD_BYTES_MAX: usize = 32 << 20;
const DEPTH_MAX: usize = 31;
const FALLBACK: Timestamp = Timestamp { seconds: 1_785_360_919, nanoseconds: 0 };
const METADATA: Metadata<'_> = Metadata {
    content_type: "Audit.SharePoint",
    content_id: "20260729213519875012345$20260729213519875012345$audit_sharepoint$Audit_SharePoint",
    content_created: "2026-07-29T21:35:19.875Z",
    tenant_id: "b86ab9d4-fcf1-4b11-8a06-7a8f91b47fbd",
};

/// What was measured: on records as they are in life, and on odd ones.
#[derive(Debug)]
pub(super) struct Report([Corpus; 2]);

/// What was measured on one blob.
#[derive(Debug)]
struct Corpus {
    name: &'static str,
    blob_bytes: usize,
    records: usize,
    /// Ours, and then the rivals that it is held against.
    subjects: Vec<Subject>,
    /// How many times as fast as each of them it is to be.
    least: [f64; 3],
}

/// One way to expand a blob, and how long each run took.
#[derive(Debug)]
struct Subject {
    name: &'static str,
    times: Vec<Duration>,
}

/// The records as they are in life.
pub(super) fn blob() -> Bytes {
    Bytes::from(records::blob(BLOB_BYTES))
}

/// Runs the comparison.
///
/// # Errors
/// If a rival cannot read the blob, or the ways do not agree on what is in it.
pub(super) fn run() -> anyhow::Result<Report> {
    let life = compare("records as in life", records::blob(BLOB_BYTES), 16, LIFE_MIN)?;
    // Of two members of one name, serde_json keeps one.
    let odd = compare("odd records", records::odd_blob(BLOB_BYTES), 64, ODD_MIN)?;
    Ok(Report([life, odd]))
}

/// Compares on one blob. The sizes of events differ by less than `slack` bytes a record.
fn compare(
    name: &'static str,
    blob: Vec<u8>,
    slack: usize,
    least: [f64; 3],
) -> anyhow::Result<Corpus> {
    let blob = Bytes::from(blob);
    let (records, bytes) = expand(&blob)?;
    ensure!((records, bytes) == expand_twice(&blob)?, "one look and two do not agree");
    let (rival_records, rival_bytes) = expand_by_value(&blob)?;
    ensure!(records == rival_records, "{records} records here, {rival_records} by serde_json");
    let per_record = bytes.abs_diff(rival_bytes) / records;
    ensure!(per_record < slack, "the events' sizes differ by {per_record} bytes a record");

    let mut subjects = [
        "one look",
        "serde_json, rmp-serde",
        "simd-json, one tape",
        "simd-json, warm tapes",
        "split, then encode",
        "split, lift",
    ]
    .map(|name| Subject { name, times: Vec::with_capacity(RUNS) });
    let mut buffers = simd_json::Buffers::new(CHUNK_BYTES);
    for _ in 0..RUNS {
        let [one, value, tape, tapes, two, split] = &mut subjects;
        one.times.push(timed(|| expand(&blob))?);
        two.times.push(timed(|| expand_twice(&blob))?);
        split.times.push(timed(|| split_only(&blob))?);
        value.times.push(timed(|| expand_by_value(&blob))?);
        // It unescapes in place; the copy for that is not counted.
        let mut copy = blob.to_vec();
        tape.times.push(timed(|| {
            let tape = simd_json::to_tape(&mut copy).context("simd-json")?;
            Ok(black_box(tape.0.len()))
        })?);
        let mut copies = Vec::with_capacity(records);
        each_record(&blob, |split| {
            copies.push(split.raw.to_vec());
            Ok(())
        })?;
        tapes.times.push(timed(|| tape_by_tape(&mut copies, &mut buffers))?);
    }
    Ok(Corpus { name, blob_bytes: blob.len(), records, subjects: subjects.into(), least })
}

fn timed<T>(subject: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<Duration> {
    let start = Instant::now();
    black_box(subject()?);
    Ok(start.elapsed())
}

/// When the record happened.
fn time_of(split: &Split) -> Timestamp {
    let created = split.fields.raw(&split.raw, Field::CreationTime);
    created.and_then(parse_timestamp).unwrap_or(FALLBACK)
}

/// Our way, in one look at each record: records and bytes of their events.
fn expand(blob: &Bytes) -> anyhow::Result<(usize, usize)> {
    let mut encoder = Encoder::new(DEPTH_MAX);
    encoder.set_metadata(&METADATA);
    let mut splitter = Splitter::new(RECORD_BYTES_MAX);
    let (mut records, mut bytes) = (0, 0);
    for chunk in chunks(blob) {
        splitter.push(chunk);
        while let Some((_, encoded)) = encoder.push_next(&mut splitter, time_of)? {
            ensure!(encoded == Encoded::Members, "a record of the corpus is malformed");
            records += 1;
            bytes += hand_over(&mut encoder);
        }
    }
    splitter.finish()?;
    Ok((records, bytes + black_box(encoder.events()).len()))
}

/// The same in two looks, as where records wait between them: the plugin is handed those that are
/// new.
fn expand_twice(blob: &Bytes) -> anyhow::Result<(usize, usize)> {
    let mut encoder = Encoder::new(DEPTH_MAX);
    encoder.set_metadata(&METADATA);
    let mut bytes = 0;
    let records = each_record(blob, |split| {
        let encoded = encoder.push(&split.raw, time_of(&split));
        ensure!(encoded == Encoded::Members, "a record of the corpus is malformed");
        bytes += hand_over(&mut encoder);
        Ok(())
    })?;
    Ok((records, bytes + black_box(encoder.events()).len()))
}

/// Once there is enough for a batch: its bytes, whose room is used again.
fn hand_over(encoder: &mut Encoder) -> usize {
    if encoder.events().len() < BATCH_BYTES {
        return 0;
    }
    let bytes = black_box(encoder.events()).len();
    encoder.clear();
    bytes
}

fn chunks(blob: &Bytes) -> impl Iterator<Item = Bytes> {
    let starts = (0..blob.len()).step_by(CHUNK_BYTES);
    starts.map(|start| blob.slice(start..blob.len().min(start + CHUNK_BYTES)))
}

/// The first of the two looks.
fn split_only(blob: &Bytes) -> anyhow::Result<usize> {
    each_record(blob, |split| {
        black_box(split.fields.token(Field::Id));
        Ok(())
    })
}

fn each_record(
    blob: &Bytes,
    mut take: impl FnMut(Split) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let mut splitter = Splitter::new(RECORD_BYTES_MAX);
    let mut records = 0;
    for chunk in chunks(blob) {
        splitter.push(chunk);
        while let Some(item) = splitter.poll()? {
            let Item::Record(split) = item else { anyhow::bail!("a record is oversized") };
            take(split)?;
            records += 1;
        }
    }
    splitter.finish()?;
    Ok(records)
}

/// The most that simd-json can do here: record by record, so that tapes stay in the cache, in
/// buffers that were used before. Somebody else has to find the records.
fn tape_by_tape(copies: &mut [Vec<u8>], buffers: &mut simd_json::Buffers) -> anyhow::Result<usize> {
    let mut nodes = 0;
    for copy in copies {
        let tape = simd_json::to_tape_with_buffers(copy, buffers).context("simd-json")?;
        nodes += black_box(tape.0.len());
    }
    Ok(nodes)
}

/// An event as `serde` sees it.
#[derive(Serialize)]
struct Event<'a>((EventTime, RivalMetadata), &'a Value);

/// By this name `rmp-serde` knows ext types.
#[derive(Serialize)]
#[serde(rename = "_ExtStruct")]
struct EventTime((i8, Stamp));

struct Stamp([u8; 8]);

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_bytes(&self.0)
    }
}

#[derive(Serialize)]
struct RivalMetadata {
    content_type: &'static str,
    content_id: &'static str,
    content_created: &'static str,
    tenant_id: &'static str,
}

/// The way others do it: the whole blob as values, then each value as msgpack.
fn expand_by_value(blob: &[u8]) -> anyhow::Result<(usize, usize)> {
    let values: Vec<Value> = serde_json::from_slice(blob).context("serde_json")?;
    let mut events = Vec::new();
    let mut bytes = 0;
    for value in &values {
        let created = value.get("CreationTime").and_then(Value::as_str);
        let time = created.and_then(|text| parse_timestamp(text.as_bytes())).unwrap_or(FALLBACK);
        let mut stamp = [0; 8];
        stamp[..4].copy_from_slice(&u32::try_from(time.seconds)?.to_be_bytes());
        stamp[4..].copy_from_slice(&time.nanoseconds.to_be_bytes());
        let metadata = RivalMetadata {
            content_type: METADATA.content_type,
            content_id: METADATA.content_id,
            content_created: METADATA.content_created,
            tenant_id: METADATA.tenant_id,
        };
        let event = Event((EventTime((0, Stamp(stamp))), metadata), value);
        let mut writer = rmp_serde::Serializer::new(&mut events).with_struct_map();
        event.serialize(&mut writer).context("rmp-serde")?;
        if events.len() >= BATCH_BYTES {
            bytes += black_box(&events).len();
            events.clear();
        }
    }
    Ok((values.len(), bytes + black_box(&events).len()))
}

impl Report {
    /// Whether the targets are met, on either blob and against either use of simd-json.
    pub(super) fn holds(&self) -> bool {
        let Self(corpora) = self;
        corpora.iter().all(Corpus::holds)
    }
}

impl Corpus {
    fn speed(&self, time: Duration) -> f64 {
        self.blob_bytes as f64 / 1e6 / time.as_secs_f64()
    }

    /// Ours to a rival's speed.
    fn ratio(&self, rival: usize) -> f64 {
        let median = |at: usize| self.subjects[at].median().as_secs_f64();
        median(rival) / median(0)
    }

    fn holds(&self) -> bool {
        self.least.iter().zip(1..).all(|(least, rival)| *least <= self.ratio(rival))
    }
}

impl Subject {
    fn sorted(&self) -> Vec<Duration> {
        let mut times = self.times.clone();
        times.sort_unstable();
        times
    }

    fn median(&self) -> Duration {
        self.sorted()[self.times.len() / 2]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([life, odd]) = self;
        write!(out, "{life}\n\n{odd}")
    }
}

impl fmt::Display for Corpus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, records) = (self.blob_bytes, self.records);
        let size = bytes / records;
        writeln!(out, "{records} {} of {size} bytes on average, {RUNS} runs", self.name)?;
        writeln!(out, "{:24}{:>12}{:>12}{:>12}", "MB/s", "median", "slowest", "fastest")?;
        for subject in &self.subjects {
            let times = subject.sorted();
            let [fastest, slowest] =
                [times[0], times[times.len() - 1]].map(|time| self.speed(time));
            let median = self.speed(subject.median());
            writeln!(out, "{:24}{median:>12.0}{slowest:>12.0}{fastest:>12.0}", subject.name)?;
        }
        let rivals =
            ["serde_json + rmp-serde", "simd-json's tape of the blob", "its tapes of records"];
        let mut lines = Vec::new();
        for (rival, (name, least)) in (1..).zip(rivals.into_iter().zip(self.least)) {
            lines.push(format!("to {name}: {:.2}x (at least {least}x)", self.ratio(rival)));
        }
        out.write_str(&lines.join("\n"))
    }
}
