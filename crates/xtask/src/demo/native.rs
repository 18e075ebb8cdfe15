//! The collector without a shipper: `m365-audit run`, or the component in `m365-audit host run`,
//! its NDJSON read from a pipe.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;

use super::canonical;
use super::tally::Arrival;
use super::{Arrivals, Settings};
use crate::shell::Process;

/// Starts the collector in `folder`; what it writes goes to `arrivals`.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start(
    program: &Path,
    folder: &Path,
    settings: &Settings,
    arrivals: Arrivals,
) -> Result<Process> {
    start_command(program, &["run"], folder, settings, arrivals)
}

/// The same through the component.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start_host(
    program: &Path,
    folder: &Path,
    settings: &Settings,
    arrivals: Arrivals,
) -> Result<Process> {
    start_command(program, &["host", "run"], folder, settings, arrivals)
}

fn start_command(
    program: &Path,
    words: &[&str],
    folder: &Path,
    settings: &Settings,
    arrivals: Arrivals,
) -> Result<Process> {
    let log = std::fs::File::create(folder.join("collector.log")).context("a file for the log")?;
    let mut command = Command::new(program);
    command
        .args(words)
        .args(["--metadata", "--progress", "never"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    for (name, value) in settings.all(folder) {
        command.env(format!("M365_AUDIT_{}", name.replace('.', "_").to_uppercase()), value);
    }
    let mut process = Process::start("m365-audit", &mut command)?;
    let stdout = process.stdout().context("its output is piped")?;
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            let Ok(line) = line else { return };
            if !arrivals.send(arrival(&line, arrivals.wants_summary())) {
                return;
            }
        }
    });
    Ok(process)
}

/// A line: `{"content_type", "content_id", "content_created", "tenant_id", "record"}`. What is not
/// like that comes from nowhere, and is counted as unknown.
fn arrival(line: &str, with_summary: bool) -> Arrival {
    let members: HashMap<&str, &RawValue> = serde_json::from_str(line).unwrap_or_default();
    let text =
        |name: &str| -> Option<Box<str>> { serde_json::from_str(members.get(name)?.get()).ok() };
    let record = members.get("record").map_or("", |record| record.get());
    Arrival {
        content_id: text("content_id").unwrap_or_default(),
        identity: match malformed(record) {
            Some(raw) => canonical::of_json(&raw),
            None => canonical::of_json(record.as_bytes()),
        },
        summary: with_summary.then(|| {
            let value: Value = serde_json::from_str(record).unwrap_or_default();
            let field = |name: &str| value[name].as_str().map(str::to_owned);
            super::summary(&text("content_type").unwrap_or_default(), &field)
        }),
    }
}

/// The bytes of a record that was no JSON: `{"malformed":true,"raw":…}`.
fn malformed(record: &str) -> Option<Vec<u8>> {
    if !record.starts_with("{\"malformed\":true") {
        return None;
    }
    let value: Value = serde_json::from_str(record).ok()?;
    let text = value["raw"].as_str().map(|raw| raw.as_bytes().to_vec());
    text.or_else(|| STANDARD.decode(value["raw_base64"].as_str()?).ok())
}
