//! Where `run` and `host` bring records, as flags and options say.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use m365_audit_core::{ConfigError, RawOptions};
use m365_audit_sinks::{Logger, SinkOptions};

use crate::log::Log;
use crate::output::{Output, no_file};
use crate::output_settings::OutputSettings;

/// Where records go.
#[derive(Debug)]
pub(crate) enum Destination {
    /// A file or stdout, which is open.
    Lines(Box<Output>),
    /// A receiver over a network, which nobody has connected to.
    Network(SinkOptions),
}

impl Destination {
    /// The sink, and the file of `--output` or stdout where that is it; by the options of both.
    pub(crate) fn open(
        matches: &ArgMatches,
        raw: &RawOptions,
        log: &Log,
    ) -> Result<Self, Vec<ConfigError>> {
        let path = matches.get_one::<PathBuf>("output").map(PathBuf::as_path);
        let (settings, sink) = match (OutputSettings::parse(raw), SinkOptions::parse(raw)) {
            (Ok(settings), Ok(sink)) => (settings, sink),
            (settings, sink) => {
                let errors = settings.err().into_iter().chain(sink.err());
                return Err(errors.flatten().collect());
            }
        };
        match sink {
            SinkOptions::Ndjson => {
                let path = path.filter(|path| *path != Path::new("-"));
                let output = Output::open(path, settings, log).map_err(|error| vec![error])?;
                Ok(Self::Lines(Box::new(output)))
            }
            SinkOptions::Forward(_) | SinkOptions::Otlp(_) => {
                if let Some(option) = settings.of_a_file() {
                    return Err(vec![no_file(option)]);
                }
                if let Some(path) = path {
                    let problem = "without effect, because records go over a network";
                    let remedy = "leave it out, or set sink to ndjson";
                    let shown = path.display().to_string();
                    return Err(vec![ConfigError::new("output", Some(&shown), problem, remedy)]);
                }
                Ok(Self::Network(sink))
            }
        }
    }
}

/// Where sinks tell what happens.
pub(crate) fn logger(log: &Log) -> Logger {
    let log = log.clone();
    Logger::new(move |level, line| log.write(level, line))
}
