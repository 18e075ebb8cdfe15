//! A host around a guest, a sink that can be looked into, and a log.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use m365_audit_client::Store;
use m365_audit_core::{Level, Origin, Secret};
use m365_audit_host::{
    AllowList, Component, Host, Lines, LoadError, Logger, Outcome, Patience, RunError, Sandbox,
    Sink, SinkError,
};
use m365_audit_wasm_tests::guest::RECORDS;

/// Long enough for any machine, where nothing is meant to take long.
pub(crate) const AMPLE: Duration = Duration::from_secs(120);

/// Lines of the log.
#[derive(Clone, Default)]
pub(crate) struct LogLines(Arc<Mutex<Vec<(Level, String)>>>);

impl LogLines {
    pub(crate) fn logger(&self) -> Logger {
        let lines = Arc::clone(&self.0);
        Logger::new(move |level, line| lines.lock().unwrap().push((level, line.to_owned())))
    }

    pub(crate) fn at(&self, level: Level) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines.iter().filter(|(at, _)| *at == level).map(|(_, line)| line.clone()).collect()
    }
}

/// Keeps what it is given, and fails when it is told to.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) lines: Vec<String>,
    /// Attempts that fail, by number from 1, and whether another one may succeed.
    pub(crate) failures: Vec<(u32, bool)>,
    attempts: u32,
}

impl Sink for Kept {
    async fn deliver(&mut self, lines: Lines<'_>) -> Result<(), SinkError> {
        self.attempts += 1;
        let failure = self.failures.iter().find(|(attempt, _)| *attempt == self.attempts);
        if let Some((_, passing)) = failure {
            let error = SinkError::passing("told to fail");
            return Err(SinkError { passing: *passing, ..error });
        }
        self.lines.extend(lines.ndjson.lines().map(ToOwned::to_owned));
        Ok(())
    }
}

/// Everything that a run needs.
pub(crate) struct Setting {
    pub(crate) sandbox: Sandbox,
    pub(crate) log: LogLines,
    pub(crate) sink: Kept,
    pub(crate) attempts_max: u32,
}

impl Setting {
    pub(crate) fn new() -> Self {
        let log = LogLines::default();
        let origin = Origin::parse("http://127.0.0.1:9").unwrap();
        let sandbox = Sandbox {
            clients: None,
            allowed: AllowList::new([&origin].into_iter()).into(),
            memory_bytes_max: 16_000_000,
            batch_bytes_max: 1_000_000,
            call_timeout: AMPLE,
            check_timeout: AMPLE,
            logger: log.logger(),
        };
        Self { sandbox, log, sink: Kept::default(), attempts_max: 5 }
    }

    /// Runs a component to its end.
    pub(crate) fn run(self, component: &[u8]) -> (Ended, LogLines, Vec<String>) {
        let component = load(component).unwrap();
        let store = Store::open(None, "tenant").unwrap();
        let config = Secret::new("{}".to_owned());
        let host = Host::new(component, self.sandbox, config, store, self.sink, true);
        let patience = Patience {
            pause_min: Duration::ZERO,
            pause_max: Duration::ZERO,
            attempts_max: self.attempts_max,
        };
        let mut host = host.patience(patience);
        let ended = host.run();
        (ended, self.log, std::mem::take(&mut host.sink().lines))
    }
}

pub(crate) type Ended = Result<Option<Outcome>, RunError>;

pub(crate) fn load(component: &[u8]) -> Result<Component, LoadError> {
    Component::from_bytes(component, "guest.wasm")
}

/// Every number once, in order.
pub(crate) fn everything() -> Vec<String> {
    (0..RECORDS).map(|n| format!("{{\"n\":{n:04}}}")).collect()
}
