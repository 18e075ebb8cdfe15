//! The client against the simulated service: delivery, state, failure and shutdown.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::HashSet;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use m365_audit_client::{Client, Handle, OpenError, RunError, Settings, Sink};
use m365_audit_core::{Batch, BatchId, Level, Metrics, Outcome, RawOptions};
use m365_sim::{Listen, Server, SimConfig, Span};

/// Longer than any test should take.
const GRACE: Duration = Duration::from_secs(60);

/// What was published this long before the start can be listed for certain.
const SETTLED_MS: i64 = 90_000;

/// A few hundred records of history, and nothing new.
fn world() -> SimConfig {
    SimConfig {
        days: 0.1,
        live: false,
        blobs_per_hour: Span::new(3, 6),
        lag_seconds: Span::new(0, 0),
        ..SimConfig::default()
    }
}

fn start(config: SimConfig) -> Server {
    Server::start(config, &Listen::default()).unwrap()
}

fn raw(server: &Server, base: &str, db: Option<&Path>) -> RawOptions {
    let microsoft = server.microsoft();
    let tenant = &microsoft.tenants()[0];
    let mut raw = RawOptions::new();
    let mut set = |name: &str, value: String| raw.insert(name.into(), value);
    set("tenant_id", tenant.id.to_string());
    set("client_id", tenant.apps[0].client_id.to_string());
    set("client_secret", tenant.apps[0].secret().unwrap().into());
    set("login_url", base.into());
    set("api_url", base.into());
    set("ca_file", server.ca_file().to_str().unwrap().into());
    set("lookback", "3h".into());
    if let Some(db) = db {
        set("db", db.to_str().unwrap().into());
    }
    raw
}

fn once(raw: &RawOptions) -> Settings {
    let mut settings = Settings::parse(raw).unwrap();
    settings.config = settings.config.once(true);
    settings
}

/// Every record that must have arrived, by what makes it the same record.
fn owed(server: &Server) -> HashSet<u128> {
    let all: Vec<_> = server.microsoft().owed().collect();
    let newest = all.iter().map(|owed| owed.created_ms).max().unwrap();
    let settled = all.iter().filter(|owed| owed.created_ms < newest - SETTLED_MS);
    // DLP.All is not among the default content types.
    settled
        .filter(|owed| owed.content_type != m365_sim::ContentType::Dlp)
        .map(|owed| owed.key)
        .collect()
}

fn keys(server: &Server, records: &[Vec<u8>]) -> HashSet<u128> {
    let owed = server.microsoft().owed();
    let known: std::collections::HashMap<_, _> = owed.map(|owed| (owed.bytes, owed.key)).collect();
    let key = |record: &Vec<u8>| *known.get(record).expect("only what was published arrives");
    records.iter().map(key).collect()
}

/// How a test's sink treats its batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Confirms all that were emitted when there is nothing more for the moment.
    Flush,
    /// Refuses every batch from this one on, until it is reset; confirms none.
    FailAt(usize),
    /// Confirms none.
    Keep,
}

struct TestSink {
    manner: Manner,
    records: Vec<Vec<u8>>,
    batches: Vec<BatchId>,
    unconfirmed: Vec<BatchId>,
    unconfirmed_bytes_max: u64,
    resets: usize,
    log: Vec<(Level, String)>,
    /// Of each batch its name and its bytes.
    emitted: Sender<(BatchId, u64)>,
}

impl TestSink {
    fn new(manner: Manner) -> (Self, Receiver<(BatchId, u64)>) {
        let (emitted, seen) = mpsc::channel();
        let sink = Self {
            manner,
            records: Vec::new(),
            batches: Vec::new(),
            unconfirmed: Vec::new(),
            unconfirmed_bytes_max: 0,
            resets: 0,
            log: Vec::new(),
            emitted,
        };
        (sink, seen)
    }
}

impl Sink for TestSink {
    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        if let Manner::FailAt(at) = self.manner
            && at <= self.batches.len()
        {
            anyhow::bail!("the disk is full");
        }
        self.records.extend(batch.records.iter().map(|record| record.raw.to_vec()));
        self.batches.push(batch.id);
        self.unconfirmed.push(batch.id);
        let bytes = batch.records.iter().map(|record| record.raw.len() as u64).sum();
        let _ = self.emitted.send((batch.id, bytes));
        Ok(())
    }

    fn flush(&mut self, delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        if self.manner == Manner::Flush {
            delivered.append(&mut self.unconfirmed);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.resets += 1;
        self.manner = Manner::Flush;
        self.unconfirmed.clear();
    }

    fn log(&mut self, level: Level, message: &str) {
        self.log.push((level, message.into()));
    }

    fn metrics(&mut self, metrics: &Metrics) {
        self.unconfirmed_bytes_max = self.unconfirmed_bytes_max.max(metrics.undelivered_bytes);
    }
}

fn open(settings: Settings, manner: Manner) -> Client<TestSink> {
    Client::open(settings, |_| TestSink::new(manner).0).unwrap()
}

#[test]
fn everything_arrives_over_http_and_https() {
    let server = start(world());
    for base in [server.http_url(), server.https_url()] {
        let mut client = open(once(&raw(&server, &base, None)), Manner::Flush);
        assert_eq!(client.run().unwrap(), Outcome::Complete);
        let arrived = keys(&server, &client.sink().records);
        assert!(owed(&server).is_subset(&arrived), "{base}");
        // The client's own word on what no db means.
        assert!(
            client
                .sink()
                .log
                .iter()
                .any(|(level, line)| { *level == Level::Warn && line.contains("no db is set") })
        );
    }
    assert!(server.microsoft().report().is_legal());
    // 16 requests at once need no more connections than that, to each address.
    assert!(server.connections() <= 32, "{}", server.connections());
}

#[test]
fn what_is_stored_is_not_collected_again() {
    let server = start(world());
    let dir = tempfile::tempdir().unwrap();
    let raw = raw(&server, &server.http_url(), Some(&dir.path().join("state.db")));
    let mut client = open(once(&raw), Manner::Flush);
    client.run().unwrap();
    let first = client.sink().records.len();
    assert!(100 < first, "{first}");
    drop(client);
    let mut client = open(once(&raw), Manner::Flush);
    client.run().unwrap();
    // Nothing but what was too fresh for the first run.
    assert!(client.sink().records.len() < first / 10, "{}", client.sink().records.len());
}

#[test]
fn what_the_sink_did_not_take_is_collected_again() {
    let server = start(world());
    let dir = tempfile::tempdir().unwrap();
    let raw = raw(&server, &server.http_url(), Some(&dir.path().join("state.db")));
    let mut client = open(once(&raw), Manner::FailAt(5));
    let error = client.run().unwrap_err();
    assert!(matches!(error, RunError::Sink(_)), "{error}");
    assert_eq!(error.to_string(), "the records were not taken: the disk is full");
    let sink = client.sink();
    assert_eq!(sink.unconfirmed.len(), 5);
    // The same client goes on, with ids that were never used before.
    sink.manner = Manner::Flush;
    let before = std::mem::take(&mut sink.batches);
    sink.records.clear();
    sink.unconfirmed.clear();
    assert_eq!(client.run().unwrap(), Outcome::Complete);
    assert!(owed(&server).is_subset(&keys(&server, &client.sink().records)));
    assert!(client.sink().batches.iter().all(|id| !before.contains(id)));
}

#[test]
fn a_late_word_on_an_earlier_run_confirms_nothing() {
    let server = start(world());
    let dir = tempfile::tempdir().unwrap();
    let raw = raw(&server, &server.http_url(), Some(&dir.path().join("state.db")));
    let mut client = open(once(&raw), Manner::FailAt(5));
    client.run().unwrap_err();
    let handle = client.handle();
    let sink = client.sink();
    sink.manner = Manner::FailAt(10);
    for id in sink.unconfirmed.drain(..) {
        handle.delivered(id);
    }
    sink.records.clear();
    client.run().unwrap_err();
    drop(client);
    // Nothing was confirmed, so a third run collects everything.
    let mut client = open(once(&raw), Manner::Flush);
    client.run().unwrap();
    assert!(owed(&server).is_subset(&keys(&server, &client.sink().records)));
}

#[test]
fn a_failure_is_followed_by_another_run() {
    let server = start(world());
    let settings = once(&raw(&server, &server.http_url(), None));
    let mut client = open(settings, Manner::FailAt(3));
    assert_eq!(client.run_until_shutdown().unwrap(), Outcome::Complete);
    let sink = client.sink();
    assert_eq!(sink.resets, 1);
    assert!(owed(&server).is_subset(&keys(&server, &sink.records)));
    let announced = (
        Level::Error,
        "the records were not taken: the disk is full; starting again from the stored state in 1 s",
    );
    assert!(sink.log.iter().any(|(level, line)| (*level, line.as_str()) == announced));
}

#[test]
fn a_sink_that_gives_up_ends_the_client() {
    let server = start(world());
    let settings = once(&raw(&server, &server.http_url(), None));
    let mut client = Client::open(settings, |handle| {
        let (sink, seen) = TestSink::new(Manner::FailAt(0));
        drop(seen);
        handle.shutdown(Duration::ZERO);
        sink
    })
    .unwrap();
    let error = client.run_until_shutdown().unwrap_err();
    assert!(matches!(error, RunError::Sink(_) | RunError::Stopped), "{error}");
    assert_eq!(client.sink().resets, 0);
}

#[test]
fn unconfirmed_batches_are_bounded_and_shutdown_gives_them_up_after_the_grace() {
    let server = start(world());
    let dir = tempfile::tempdir().unwrap();
    let mut raw = raw(&server, &server.http_url(), Some(&dir.path().join("state.db")));
    const BUFFER_BYTES: u64 = 200_000;
    const BATCH_BYTES: u64 = 50_000;
    const READING: u64 = 2;
    // What a socket gives at once.
    const CHUNK_BYTES: u64 = 64 * 1024;
    raw.insert("buffer_bytes".into(), BUFFER_BYTES.to_string());
    raw.insert("batch_bytes".into(), BATCH_BYTES.to_string());
    // One place is for listings.
    raw.insert("max_in_flight".into(), (READING + 1).to_string());
    let (sink, seen) = TestSink::new(Manner::Keep);
    let mut client = Client::open(Settings::parse(&raw).unwrap(), |_| sink).unwrap();
    let handle = client.handle();
    let stopper = thread::spawn(move || {
        let mut given = 0;
        while given < BUFFER_BYTES {
            given += seen.recv().unwrap().1;
        }
        handle.shutdown(Duration::from_millis(300));
    });
    let result = client.run();
    stopper.join().unwrap();
    assert!(matches!(result, Err(RunError::Stopped)), "{result:?}");
    let most = client.sink().unconfirmed_bytes_max;
    // Who reads was let go on while there was room, and a record fills a batch.
    let largest = client.sink().records.iter().map(Vec::len).max().unwrap() as u64;
    let bound = BUFFER_BYTES + READING * (CHUNK_BYTES + BATCH_BYTES + largest);
    assert!(BUFFER_BYTES <= most && most <= bound, "{most}, with a record of {largest}");
    let owed_bytes: usize = server.microsoft().owed().map(|record| record.bytes.len()).sum();
    assert!(2 * bound < owed_bytes as u64, "{owed_bytes} in all");
    drop(client);
    raw.remove("buffer_bytes");
    let mut client = open(once(&raw), Manner::Flush);
    client.run().unwrap();
    assert!(owed(&server).is_subset(&keys(&server, &client.sink().records)));
}

#[test]
fn another_thread_confirms_and_ends_the_run() {
    let server = start(world());
    let settings = Settings::parse(&raw(&server, &server.http_url(), None)).unwrap();
    let (sink, seen) = TestSink::new(Manner::Keep);
    let mut client = Client::open(settings, |_| sink).unwrap();
    let handle: Handle = client.handle();
    let host = thread::spawn(move || {
        for (id, _) in seen.iter().take(20) {
            handle.delivered(id);
        }
        handle.shutdown(GRACE);
        for (id, _) in seen {
            handle.delivered(id);
        }
    });
    client.run().unwrap();
    drop(client);
    host.join().unwrap();
}

#[test]
fn a_second_client_on_one_db_is_refused_while_the_first_lives() {
    let server = start(world());
    let dir = tempfile::tempdir().unwrap();
    let raw = raw(&server, &server.http_url(), Some(&dir.path().join("state.db")));
    let first = open(once(&raw), Manner::Flush);
    let second = Client::open(once(&raw), |_| TestSink::new(Manner::Flush).0);
    let error = second.err().unwrap();
    assert!(matches!(error, OpenError::Store(_)));
    assert!(error.to_string().contains("state.db: another collector of tenant"), "{error}");
    drop(first);
    open(once(&raw), Manner::Flush);
}

#[test]
fn a_state_that_cannot_be_continued_from_is_named_and_left_alone() {
    let server = start(world());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let raw = raw(&server, &server.http_url(), Some(&path));
    open(once(&raw), Manner::Flush).run().unwrap();
    let connection = rusqlite::Connection::open(&path).unwrap();
    let newer = "UPDATE m365_audit_state SET value = '99' WHERE key = 'version'";
    assert_eq!(connection.execute(newer, []).unwrap(), 1);
    drop(connection);
    let db = m365_audit_client::DbOptions::at(&path).unwrap();
    let before = m365_audit_client::inspect(&db).unwrap();
    let mut client = open(once(&raw), Manner::Flush);
    let error = client.run_until_shutdown().unwrap_err().to_string();
    assert!(error.contains("state.db: the stored state has version 99"), "{error}");
    assert_eq!(client.sink().records.len(), 0);
    drop(client);
    assert_eq!(m365_audit_client::inspect(&db).unwrap(), before);
}
