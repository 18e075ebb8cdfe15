//! Where `run` and `host` bring records and what people see of it, as flags and options say.

use std::path::Path;

use m365_audit_core::config::Reader;
use m365_audit_core::{ConfigError, RawOptions};
use m365_audit_sinks::{Logger, SinkOptions};

use crate::arguments;
use crate::log::{Format, Log};
use crate::output::{Output, no_file};
use crate::output_settings::{OutputSettings, SHOWN_OPTIONS};
use crate::run::progress::{Progress, bars};

/// Where records go.
#[derive(Debug)]
pub(crate) enum Destination {
    /// A file or stdout, which is open.
    Lines(Box<Output>),
    /// A receiver over a network, which nobody has connected to.
    Network(SinkOptions),
}

/// Everything that options of [`arguments::destination`] say.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) destination: Destination,
    pub(crate) log: Log,
    pub(crate) progress: Progress,
}

impl Opened {
    /// Tells of variables that are no options, and opens the output.
    ///
    /// # Errors
    /// Every mistake in these options; or the output cannot be opened.
    pub(crate) fn open(raw: &RawOptions) -> Result<Self, Vec<ConfigError>> {
        let bars = bars();
        let (shown, settings) = (Shown::parse(raw), settings(raw));
        let words = shown.as_ref().copied().unwrap_or_default();
        let log = Log::new(words.level, words.format, bars.clone());
        log.warn_of_variables();
        let (shown, settings, sink) = match (shown, settings) {
            (Ok(shown), Ok((settings, sink))) => (shown, settings, sink),
            (shown, settings) => {
                let errors = shown.err().into_iter().chain(settings.err());
                return Err(errors.flatten().collect());
            }
        };
        let destination = match sink {
            SinkOptions::Ndjson => {
                let path = path(raw).filter(|path| *path != Path::new("-"));
                let output = Output::open(path, settings, &log).map_err(|error| vec![error])?;
                Destination::Lines(Box::new(output))
            }
            SinkOptions::Forward(_) | SinkOptions::Otlp(_) => Destination::Network(sink),
        };
        Ok(Self { destination, log, progress: Progress::new(shown.progress, bars) })
    }
}

fn path(raw: &RawOptions) -> Option<&Path> {
    raw.get("output").map(|text| Path::new(text.as_str()))
}

/// What is wrong with these options, without opening anything.
pub(crate) fn mistakes(raw: &RawOptions) -> Vec<ConfigError> {
    let (shown, settings) = (Shown::parse(raw), settings(raw));
    shown.err().into_iter().chain(settings.err()).flatten().collect()
}

/// The options of files and of sinks, as far as they go together.
fn settings(raw: &RawOptions) -> Result<(OutputSettings, SinkOptions), Vec<ConfigError>> {
    let (settings, sink) = match (OutputSettings::parse(raw), SinkOptions::parse(raw)) {
        (Ok(settings), Ok(sink)) => (settings, sink),
        (settings, sink) => {
            let errors = settings.err().into_iter().chain(sink.err());
            return Err(errors.flatten().collect());
        }
    };
    if matches!(sink, SinkOptions::Forward(_) | SinkOptions::Otlp(_)) {
        if let Some(option) = settings.of_a_file() {
            return Err(vec![no_file(option)]);
        }
        if let Some(path) = path(raw) {
            let problem = "without effect, because records go over a network";
            let remedy = "leave it out, or set sink to ndjson";
            let shown = path.display().to_string();
            return Err(vec![ConfigError::new("output", Some(&shown), problem, remedy)]);
        }
    }
    Ok((settings, sink))
}

/// What people see.
#[derive(Clone, Copy, Debug)]
struct Shown {
    level: m365_audit_core::Level,
    format: Format,
    progress: &'static str,
}

impl Default for Shown {
    fn default() -> Self {
        let level = m365_audit_core::Level::Info;
        Self { level, format: Format::Text, progress: "auto" }
    }
}

impl Shown {
    fn parse(raw: &RawOptions) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader::of(raw, SHOWN_OPTIONS);
        let level = arguments::level(&reader.word("log_level"));
        let format = if reader.word("log_format") == "json" { Format::Json } else { Format::Text };
        let progress = match &*reader.word("progress") {
            "never" => "never",
            "always" => "always",
            _ => "auto",
        };
        reader.finish_known()?;
        Ok(Self { level, format, progress })
    }
}

/// Where sinks tell what happens.
pub(crate) fn logger(log: &Log) -> Logger {
    let log = log.clone();
    Logger::new(move |level, line| log.write(level, line))
}
