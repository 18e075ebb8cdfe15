//! Measures the expansion of blobs: bytes of a body to events for Fluent Bit, against rivals that
//! work on the same bytes in the same run.
//!
//! Runs interleave, so that a slow moment of the machine hits all alike; medians count, and the
//! spread is shown as noise. Must not tune anything for the corpus: it is only read.

mod records;

use anyhow::{Context, ensure};
use bytes::Bytes;
use m365_audit_core::json::{Field, Item, Splitter, Timestamp, parse_timestamp};
use m365_audit_msgpack::{Encoded, Encoder, Metadata};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Size of the blob.
const BLOB_BYTES: usize = 16 << 20;
/// Size of the pieces in which it arrives.
const CHUNK_BYTES: usize = 64 << 10;
/// Events are handed over, and their room used again, when they are so many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// How often each subject runs; odd, for the median to be one of the runs.
const RUNS: usize = 9;
/// At least so many times as fast as the way others do it.
const SERDE_RATIO_MIN: f64 = 5.0;
/// At least this part of the speed of a parser that converts nothing.
const TAPE_RATIO_MIN: f64 = 0.8;

const RECORD_BYTES_MAX: usize = 32 << 20;
const DEPTH_MAX: usize = 31;
const FALLBACK: Timestamp = Timestamp { seconds: 1_785_360_919, nanoseconds: 0 };
const METADATA: Metadata<'_> = Metadata {
    content_type: "Audit.SharePoint",
    content_id: "20260729213519875012345$20260729213519875012345$audit_sharepoint$Audit_SharePoint",
    content_created: "2026-07-29T21:35:19.875Z",
    tenant_id: "b86ab9d4-fcf1-4b11-8a06-7a8f91b47fbd",
};

/// What was measured.
#[derive(Debug)]
pub(super) struct Report {
    blob_bytes: usize,
    records: usize,
    subjects: Vec<Subject>,
}

/// One way to expand a blob, and how long each run took.
#[derive(Debug)]
struct Subject {
    name: &'static str,
    times: Vec<Duration>,
}

/// Runs the comparison.
///
/// # Errors
/// If a rival cannot read the blob, or the ways do not agree on what is in it.
pub(super) fn run() -> anyhow::Result<Report> {
    let blob = Bytes::from(records::blob(BLOB_BYTES));
    let (records, bytes) = expand(&blob)?;
    let (rival_records, rival_bytes) = expand_by_value(&blob)?;
    ensure!(records == rival_records, "{records} records here, {rival_records} by serde_json");
    let per_record = bytes.abs_diff(rival_bytes) / records;
    ensure!(per_record < 16, "the events' sizes differ by {per_record} bytes a record");

    let mut subjects = [
        "split, lift, encode",
        "split, lift",
        "serde_json, rmp-serde",
        "simd-json, one tape",
        "simd-json, warm tapes",
    ]
    .map(|name| Subject { name, times: Vec::with_capacity(RUNS) });
    let mut buffers = simd_json::Buffers::new(CHUNK_BYTES);
    for _ in 0..RUNS {
        let [whole, split, value, tape, tapes] = &mut subjects;
        whole.times.push(timed(|| expand(&blob))?);
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
    Ok(Report { blob_bytes: blob.len(), records, subjects: subjects.into() })
}

fn timed<T>(subject: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<Duration> {
    let start = Instant::now();
    black_box(subject()?);
    Ok(start.elapsed())
}

/// Our way: records and bytes of their events.
fn expand(blob: &Bytes) -> anyhow::Result<(usize, usize)> {
    let mut encoder = Encoder::new(DEPTH_MAX);
    encoder.set_metadata(&METADATA);
    let mut bytes = 0;
    let records = each_record(blob, |split| {
        let created = split.fields.raw(&split.raw, Field::CreationTime);
        let time = created.and_then(parse_timestamp).unwrap_or(FALLBACK);
        let encoded = encoder.push(&split.raw, time);
        if encoder.events().len() >= BATCH_BYTES {
            bytes += black_box(encoder.events()).len();
            encoder.clear();
        }
        ensure!(encoded == Encoded::Members, "a record of the corpus is malformed");
        Ok(())
    })?;
    Ok((records, bytes + black_box(encoder.events()).len()))
}

/// The first half of our way.
fn split_only(blob: &Bytes) -> anyhow::Result<usize> {
    each_record(blob, |split| {
        black_box(split.fields.token(Field::Id));
        Ok(())
    })
}

fn each_record(
    blob: &Bytes,
    mut take: impl FnMut(m365_audit_core::json::Split) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let mut splitter = Splitter::new(RECORD_BYTES_MAX);
    let mut records = 0;
    for start in (0..blob.len()).step_by(CHUNK_BYTES) {
        splitter.push(blob.slice(start..blob.len().min(start + CHUNK_BYTES)));
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
    fn speed(&self, time: Duration) -> f64 {
        self.blob_bytes as f64 / 1e6 / time.as_secs_f64()
    }

    /// Ours to a rival's speed.
    fn ratio(&self, rival: usize) -> f64 {
        let median = |at: usize| self.subjects[at].median().as_secs_f64();
        median(rival) / median(0)
    }

    /// Whether the targets are met, against either use of simd-json.
    pub(super) fn holds(&self) -> bool {
        let tape = self.ratio(3).min(self.ratio(4));
        self.ratio(2) >= SERDE_RATIO_MIN && tape >= TAPE_RATIO_MIN
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
        let (bytes, records) = (self.blob_bytes, self.records);
        writeln!(out, "{records} records of {} bytes on average, {RUNS} runs", bytes / records)?;
        writeln!(out, "{:24}{:>12}{:>12}{:>12}", "MB/s", "median", "slowest", "fastest")?;
        for subject in &self.subjects {
            let times = subject.sorted();
            let [fastest, slowest] =
                [times[0], times[times.len() - 1]].map(|time| self.speed(time));
            let median = self.speed(subject.median());
            writeln!(out, "{:24}{median:>12.0}{slowest:>12.0}{fastest:>12.0}", subject.name)?;
        }
        let (serde, tape, warm) = (self.ratio(2), self.ratio(3), self.ratio(4));
        writeln!(out, "to serde_json + rmp-serde: {serde:.2}x (at least {SERDE_RATIO_MIN}x)")?;
        writeln!(out, "to simd-json's tape of the blob: {tape:.2}x (at least {TAPE_RATIO_MIN}x)")?;
        write!(out, "to its tapes of single records: {warm:.2}x (at least {TAPE_RATIO_MIN}x)")
    }
}
