//! Activities over real sockets: alone and beside content types, over a crash and a restart.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use m365_audit_client::{Client, RunError, Settings, Sink};
use m365_audit_core::{Batch, BatchId, Feed, Level, Outcome, RawOptions, Utc};
use m365_sim::{Listen, Server, SimConfig, Span};

/// A few hundred activities and records of history, nothing new, and as many requests as one likes.
fn world() -> SimConfig {
    SimConfig {
        seed: 7,
        days: 0.1,
        live: false,
        blobs_per_hour: Span::new(3, 6),
        lag_seconds: Span::new(0, 0),
        subscribed: true,
        activities_per_hour: Span::new(200, 300),
        activity_days: 0.15,
        portal_quota_per_minute: 1_000,
        ..SimConfig::default()
    }
}

fn raw(server: &Server, base: &str, db: Option<&Path>) -> RawOptions {
    let microsoft = server.microsoft();
    let tenant = &microsoft.tenants()[0];
    let mut raw = RawOptions::new();
    let mut set = |name: &str, value: &str| raw.insert(name.into(), value.into());
    set("source", "cloud_app_activities");
    set("tenant_id", &tenant.id.to_string());
    set("client_id", &tenant.apps[0].client_id.to_string());
    set("client_secret", tenant.apps[0].secret().unwrap());
    for url in ["login_url", "api_url", "portal_url"] {
        set(url, base);
    }
    set("ca_file", server.ca_file().to_str().unwrap());
    set("activities_requests_per_minute", "1000");
    if let Some(db) = db {
        set("db", db.to_str().unwrap());
    }
    raw
}

/// Takes records, and dies with the batch of this number.
#[derive(Default)]
struct TestSink {
    dies_at: Option<usize>,
    batches: usize,
    activities: Vec<(Vec<u8>, Option<Utc>)>,
    others: usize,
    unconfirmed: Vec<BatchId>,
    log: Vec<String>,
}

impl Sink for TestSink {
    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.batches += 1;
        anyhow::ensure!(self.dies_at.is_none_or(|at| self.batches < at), "killed");
        for record in batch.records {
            if batch.content.feed == Feed::CloudAppActivities {
                self.activities.push((record.raw.to_vec(), record.happened));
            } else {
                self.others += 1;
            }
        }
        self.unconfirmed.push(batch.id);
        Ok(())
    }

    fn flush(&mut self, delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        delivered.append(&mut self.unconfirmed);
        Ok(())
    }

    fn log(&mut self, level: Level, message: &str) {
        if level <= Level::Warn {
            self.log.push(message.to_owned());
        }
    }
}

fn open(raw: &RawOptions, dies_at: Option<usize>) -> Client<TestSink> {
    let mut settings = Settings::parse(raw).unwrap();
    settings.config = settings.config.once(true);
    Client::open(settings, |_| TestSink { dies_at, ..TestSink::default() }).unwrap()
}

/// Ids of the activities that were taken, each with how often; each is as it was sent.
fn taken(server: &Server, sink: &TestSink) -> BTreeMap<String, u32> {
    let owed: HashMap<_, _> = server
        .microsoft()
        .owed_activities()
        .map(|owed| (owed.bytes, (owed.id, owed.timestamp_ms)))
        .collect();
    let mut taken = BTreeMap::new();
    for (record, happened) in &sink.activities {
        let (id, timestamp_ms) = owed.get(record).expect("only what was stored arrives, as it is");
        assert_eq!(happened.map(Utc::as_millis), Some(*timestamp_ms), "the event time");
        *taken.entry(id.clone()).or_default() += 1;
    }
    taken
}

/// Ids of those that must arrive: what was stored in the very last seconds may be too fresh.
fn owed(server: &Server) -> BTreeSet<String> {
    let all: Vec<_> = server.microsoft().owed_activities().collect();
    let newest = all.iter().map(|owed| owed.created_ms).max().unwrap();
    let settled = all.into_iter().filter(|owed| owed.created_ms < newest - 60_000);
    settled.map(|owed| owed.id).collect()
}

#[track_caller]
fn assert_complete(server: &Server, taken: &BTreeMap<String, u32>) {
    let missing: Vec<_> = owed(server).into_iter().filter(|id| !taken.contains_key(id)).collect();
    assert!(missing.is_empty(), "{} are missing: {:?}", missing.len(), missing.first());
}

#[test]
fn every_activity_arrives_once_over_http_and_https() {
    let server = Server::start(world(), &Listen::default()).unwrap();
    for base in [server.http_url(), server.https_url()] {
        let mut client = open(&raw(&server, &base, None), None);
        assert_eq!(client.run().unwrap(), Outcome::Complete);
        let taken = taken(&server, client.sink());
        assert_complete(&server, &taken);
        assert!(taken.values().all(|times| *times == 1));
        assert_eq!(client.sink().others, 0);
    }
    let mut microsoft = server.microsoft();
    let report = microsoft.report();
    assert!(report.is_legal(), "{:?}", report.illegal);
    assert!(!report.operations.contains_key("content"), "{:?}", report.operations);
}

#[test]
fn both_sources_run_in_one_instance() {
    let server = Server::start(world(), &Listen::default()).unwrap();
    let mut raw = raw(&server, &server.http_url(), None);
    raw.insert("source".into(), "management_activity, cloud_app_activities".into());
    raw.insert("lookback".into(), "3h".into());
    let mut client = open(&raw, None);
    assert_eq!(client.run().unwrap(), Outcome::Complete);
    assert_complete(&server, &taken(&server, client.sink()));
    assert!(client.sink().others > 100, "{}", client.sink().others);
    assert_eq!(client.sink().log.iter().filter(|line| !line.contains("no db")).count(), 0);
    let mut microsoft = server.microsoft();
    let report = microsoft.report();
    assert!(report.is_legal(), "{:?}", report.illegal);
    assert_eq!(report.operations["token"], 2, "one for each resource");
}

#[test]
fn one_source_that_is_denied_leaves_the_other_running() {
    let mut tenant = m365_sim::TenantConfig::seeded(7, 0);
    tenant.apps[0].roles.retain(|role| role != "Investigation.read");
    let config = SimConfig { tenants: vec![tenant], ..world() };
    let server = Server::start(config, &Listen::default()).unwrap();
    let mut raw = raw(&server, &server.http_url(), None);
    raw.insert("source".into(), "management_activity, cloud_app_activities".into());
    raw.insert("lookback".into(), "3h".into());
    let mut client = open(&raw, None);
    assert_ne!(client.run().unwrap(), Outcome::Complete);
    let sink = client.sink();
    assert!(sink.others > 100 && sink.activities.is_empty());
    assert!(sink.log.iter().any(|line| line.contains("Investigation.read")), "{:?}", sink.log);
}

#[test]
fn a_crash_in_the_backlog_loses_nothing_and_repeats_only_what_was_in_flight() {
    let config = SimConfig { scan_page_size: 60, activity_days: 0.5, ..world() };
    let server = Server::start(config, &Listen::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut raw = raw(&server, &server.http_url(), Some(&dir.path().join("state.db")));
    raw.insert("batch_bytes".into(), "40K".into());
    let mut all: BTreeMap<String, u32> = BTreeMap::new();
    let mut crashes = 0;
    loop {
        // Each life is a little longer than the last one, and ends in the middle of something.
        let mut client = open(&raw, Some(12 + 9 * crashes));
        let outcome = client.run();
        for (id, times) in taken(&server, client.sink()) {
            *all.entry(id).or_default() += times;
        }
        match outcome {
            Ok(outcome) => {
                assert_eq!(outcome, Outcome::Complete);
                break;
            }
            Err(error) => assert!(matches!(error, RunError::Sink(_)), "{error}"),
        }
        crashes += 1;
        assert!(crashes < 60, "it never gets through");
    }
    assert!(crashes > 2, "{crashes}");
    assert_complete(&server, &all);
    let repeated: u32 = all.values().map(|times| times - 1).sum();
    let (total, lives) = (all.len(), u32::try_from(crashes).unwrap());
    // Of each life at most a page of each search, and what was buffered.
    assert!(repeated <= lives * 3 * 60, "{repeated} of {total} in {lives} lives");
    let before = server.microsoft().report().operations["activities"];
    // What is stored is not collected again.
    let mut client = open(&raw, None);
    client.run().unwrap();
    let again = client.sink().activities.len();
    assert!(again < total / 10, "{again} of {total}");
    let after = server.microsoft().report().operations["activities"];
    assert!(after - before < 60, "{}", after - before);
    assert!(server.microsoft().report().is_legal());
}
