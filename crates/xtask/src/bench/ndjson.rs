//! Measures how bodies become lines of NDJSON: a JSON array in pieces, cut into its records, each
//! of them checked and written as one line, against rivals that work on the same bytes in the same
//! run.
//!
//! Runs interleave; medians count. `memchr` does less than anybody has to: it only looks for the
//! ends of the lines that came out, and is the limit that nobody passes.

use std::fmt;
use std::hint::black_box;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use m365_audit_core::json::{DEPTH_MAX, Item, NullVisitor, Splitter};
use serde_json::value::RawValue;

use super::expand::{CHUNK_BYTES, RECORD_BYTES_MAX, RUNS, blob};

/// At least so many times as fast as `jq -c '.[]'`.
const JQ_RATIO_MIN: f64 = 25.0;
/// At least this part of the speed of the usual crate, which replaces no line breaks.
const CRATE_RATIO_MIN: f64 = 0.8;

/// Lines are handed over, and their room used again, when they are so many bytes.
const OUT_BYTES: usize = 256 << 10;

/// How long each way took.
#[derive(Debug)]
pub(super) struct Report {
    bytes: usize,
    ours: Vec<Duration>,
    raw_values: Vec<Duration>,
    memchr: Vec<Duration>,
    /// Empty where there is no jq.
    jq: Vec<Duration>,
}

/// Runs the comparison.
///
/// # Errors
/// A rival cannot read the body, or they do not agree on what is in it.
pub(super) fn run() -> Result<Report> {
    let body = blob();
    let mut lines = Vec::new();
    each_line(&body, |line| lines.extend_from_slice(line))?;
    let records = memchr::memchr_iter(b'\n', &lines).count();
    ensure!(raw_values(&body)? == lines.len(), "serde_json finds other lines");
    let jq = jq(&body)?;
    ensure!(jq.is_none_or(|(_, found)| found == records), "jq finds other records");
    let mut report = Report {
        bytes: body.len(),
        ours: Vec::new(),
        raw_values: Vec::new(),
        memchr: Vec::new(),
        jq: Vec::new(),
    };
    for _ in 0..RUNS {
        report.ours.push(timed(|| each_line(&body, |line| _ = black_box(line)))?);
        report.raw_values.push(timed(|| raw_values(&body))?);
        report.memchr.push(timed(|| Ok(memchr::memchr_iter(b'\n', black_box(&lines)).count()))?);
        report.jq.extend(self::jq(&body)?.map(|(time, _)| time));
    }
    Ok(report)
}

fn timed<T>(subject: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let start = Instant::now();
    black_box(subject()?);
    Ok(start.elapsed())
}

/// Our way: each record is found, checked and written.
fn each_line(body: &Bytes, mut take: impl FnMut(&[u8])) -> Result<()> {
    let mut splitter = Splitter::new(RECORD_BYTES_MAX);
    let mut out = Vec::with_capacity(2 * OUT_BYTES);
    for start in (0..body.len()).step_by(CHUNK_BYTES) {
        splitter.push(body.slice(start..body.len().min(start + CHUNK_BYTES)));
        while let Some(item) = splitter.poll_with(DEPTH_MAX, &mut NullVisitor)? {
            let Item::Record(split) = item else { continue };
            split.line_into(DEPTH_MAX, &mut out)?;
            out.push(b'\n');
            if OUT_BYTES <= out.len() {
                take(&out);
                out.clear();
            }
        }
    }
    splitter.finish()?;
    take(&out);
    Ok(())
}

/// The way of whoever has `serde_json`: values that stay text. The bytes of the lines.
fn raw_values(body: &[u8]) -> Result<usize> {
    let records: Vec<&RawValue> = serde_json::from_slice(body).context("serde_json")?;
    let mut out = Vec::with_capacity(2 * OUT_BYTES);
    let mut bytes = 0;
    for record in records {
        out.extend_from_slice(record.get().as_bytes());
        out.push(b'\n');
        if OUT_BYTES <= out.len() {
            bytes += black_box(&out).len();
            out.clear();
        }
    }
    Ok(bytes + black_box(&out).len())
}

/// `jq -c '.[]'`: its time, and how many lines came; `None` if it is not there.
fn jq(body: &[u8]) -> Result<Option<(Duration, usize)>> {
    let mut command = Command::new("jq");
    command.args(["-c", ".[]"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let start = Instant::now();
    let Ok(mut child) = command.spawn() else { return Ok(None) };
    let mut stdin = child.stdin.take().context("jq has no input")?;
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(body));
        child.wait_with_output()
    })?;
    ensure!(output.status.success(), "jq: {}", output.status);
    let lines = memchr::memchr_iter(b'\n', &output.stdout).count();
    Ok(Some((start.elapsed(), lines)))
}

fn median(times: &[Duration]) -> Option<Duration> {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied()
}

impl Report {
    /// How many times as fast as `rival` ours is; `None` if it was not measured.
    fn ratio(&self, rival: &[Duration]) -> Option<f64> {
        Some(median(rival)?.as_secs_f64() / median(&self.ours)?.as_secs_f64())
    }

    /// Whether the targets are met.
    pub(super) fn holds(&self) -> bool {
        let holds = |rival: &[Duration], least| self.ratio(rival).is_none_or(|is| least <= is);
        holds(&self.jq, JQ_RATIO_MIN) && holds(&self.raw_values, CRATE_RATIO_MIN)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ways = [
            ("splitter, checked lines", &self.ours),
            ("serde_json, raw values", &self.raw_values),
            ("memchr for line ends", &self.memchr),
            ("jq -c '.[]'", &self.jq),
        ];
        writeln!(out, "{:24}{:>12}{:>12}{:>12}", "MB/s", "median", "slowest", "fastest")?;
        for (name, times) in ways {
            let speed = |time: Duration| self.bytes as f64 / 1e6 / time.as_secs_f64();
            match (median(times), times.iter().max(), times.iter().min()) {
                (Some(median), Some(slowest), Some(fastest)) => {
                    let [median, slowest, fastest] = [median, *slowest, *fastest].map(speed);
                    writeln!(out, "{name:24}{median:>12.0}{slowest:>12.0}{fastest:>12.0}")?;
                }
                _ => writeln!(out, "{name:24}{:>12}", "not there")?,
            }
        }
        let is = |rival: &[Duration]| self.ratio(rival).unwrap_or(f64::NAN);
        writeln!(out, "to jq: {:.1}x (at least {JQ_RATIO_MIN}x)", is(&self.jq))?;
        let raw = is(&self.raw_values);
        writeln!(out, "to serde_json's raw values: {raw:.2}x (at least {CRATE_RATIO_MIN}x)")?;
        write!(out, "to memchr over the lines: {:.2}x", is(&self.memchr))
    }
}
