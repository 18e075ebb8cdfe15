//! `status_listen` and `metrics_file` of a run, as monitors meet them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use std::time::{SystemTime, UNIX_EPOCH};

use m365_audit_test_support::prometheus::{Prometheus, Target, compared, panels};
use m365_sim::{Credential, Fault, FaultPlan, SimConfig, Span, TenantConfig, issue_certificate};

use crate::support::{Running, World, assert_code, program, text, world};

/// Where the log says that the status is.
fn address(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("the status is shown at http://")?;
    rest.split_once('/').map(|(address, _)| address.to_owned())
}

/// The status code, and the body.
pub(crate) fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

/// A run that goes on, its directory, and where its status is.
fn start(world: &World, more: &[&str]) -> (Running, tempfile::TempDir, String) {
    start_as(world.run(), more)
}

fn start_as(mut command: Command, more: &[&str]) -> (Running, tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    command
        .args(["--interval-sec", "1", "--progress", "never", "--status-listen", "127.0.0.1:0"])
        .arg("--db")
        .arg(dir.path().join("state.db"))
        .arg("--output")
        .arg(dir.path().join("audit.ndjson"))
        .arg("--metrics-file")
        .arg(dir.path().join("m365.prom"))
        .args(more);
    let mut running = Running::start(command, dir.path().join("log"));
    running.wait_until("the address", |log| address(log).is_some());
    let address = address(&running.log()).unwrap();
    (running, dir, address)
}

#[test]
fn a_run_becomes_ready_and_shows_what_it_delivers() {
    let world = World::new(world());
    let (mut running, dir, address) = start(&world, &[]);
    running.wait_until("ready", |_| get(&address, "/readyz").0 == 200);
    let owed = world.owed().len();
    let delivered = |text: &str| -> f64 {
        let lines = text.lines();
        let of_records =
            lines.filter(|line| line.starts_with("m365_audit_records_delivered_total{"));
        of_records.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    running.wait_until("all", |_| delivered(&get(&address, "/metrics").1) >= owed as f64);
    let (code, status) = get(&address, "/status");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!((code, &status["tenants"][0]["ready"]), (200, &true.into()), "{status}");
    assert!(get(&address, "/").1.contains("<title>m365-audit</title>"));
    assert_eq!(get(&address, "/healthz"), (200, "ok\n".to_owned()));
    running.stop();
    // The file says at the end what was delivered.
    let file = std::fs::read(dir.path().join("m365.prom")).unwrap();
    world.assert_clean("metrics_file", &file);
    assert!(delivered(text(&file)) >= owed as f64, "{}", text(&file));
}

#[test]
fn who_is_refused_is_not_ready_and_says_why() {
    let world = World::new(SimConfig::default());
    let (mut running, _dir, address) = start(&world, &["--client-secret", "wrong-secret"]);
    running.wait_until("refused", |_| get(&address, "/readyz").1.contains("not signed in: "));
    let (code, body) = get(&address, "/readyz");
    assert_eq!(code, 503);
    assert!(body.contains("AADSTS7000215") && !body.contains("wrong-secret"), "{body}");
}

#[test]
fn top_shows_the_last_week_of_a_collector_and_of_a_state() {
    let world = World::new(world());
    let (mut running, dir, address) = start(&world, &[]);
    running.wait_until("ready", |_| get(&address, "/readyz").0 == 200);
    let db = dir.path().join("state.db");
    let strips = |words: &[&str]| -> Vec<String> {
        let output = program("top").arg("--once").args(words).output().unwrap();
        assert_code(&output, 0);
        let last = text(&output.stdout).lines().filter_map(|line| line.rsplit(' ').next());
        let is_strip =
            |word: &&str| 20 < word.len() && word.chars().all(|letter| "xsdoil".contains(letter));
        last.filter(is_strip).map(str::to_owned).collect()
    };
    let known = |strips: &[String]| {
        5 <= strips.len() && strips.iter().all(|strip| strip.contains(['d', 'o']))
    };
    running.wait_until("strips of a collector", |_| known(&strips(&[&address])));
    let of_state = strips(&["--db", db.to_str().unwrap()]);
    assert!(known(&of_state), "{of_state:?}");
    running.stop();
}

/// The rules that users copy: what `promtool` says of them, both ways. It is in Debian's package
/// `prometheus`.
#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/monitoring");
    for words in [["check", "rules", "rules.yaml"], ["test", "rules", "rules_test.yaml"]] {
        let asked = std::process::Command::new("promtool").args(words).current_dir(folder).output();
        match asked {
            Ok(output) => {
                let told = [output.stdout.as_slice(), &output.stderr].concat();
                assert!(output.status.success(), "{}", text(&told));
            }
            Err(error) => return println!("SKIPPED: promtool: {error}"),
        }
    }
    // Each alert is tried both ways.
    let [rules, tests] = ["rules.yaml", "rules_test.yaml"]
        .map(|name| std::fs::read_to_string(format!("{folder}/{name}")).unwrap());
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let named = format!("alertname: {alert}\n");
        let tried = tests.match_indices(&named);
        let silent = |at: usize| tests[at..].lines().nth(1).unwrap().ends_with("[]");
        let (silent, firing): (Vec<_>, Vec<_>) =
            tried.map(|(at, _)| silent(at)).partition(|is| *is);
        assert!(!silent.is_empty() && !firing.is_empty(), "{alert}");
    }
}

/// The dashboard and the rules that users copy, before a real Prometheus.
#[test]
fn every_expression_of_the_monitoring_answers_while_faults_run() {
    const DAY_MS: i64 = 86_400_000;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_ms = i64::try_from(since.as_millis()).unwrap();
    // A secret does not say when it ends.
    let issued = issue_certificate(21, "monitored", now_ms - DAY_MS, now_ms + 5 * DAY_MS);
    let mut tenant = TenantConfig::seeded(1, 0);
    let pem = issued.certificate_pem.clone();
    tenant.apps[0].credentials.push(Credential::Certificate { pem });
    let faults = FaultPlan::none()
        .with(Fault::TokenServerError, 0.3)
        .with(Fault::InternalError, 0.05)
        .with(Fault::Truncated, 0.05)
        .with(Fault::Throttled429, 0.01);
    let world = World::new(SimConfig {
        tenants: vec![tenant],
        faults,
        live: true,
        megabyte_records: 0.02,
        blobs_per_hour: Span::new(30, 40),
        ..world()
    });
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("app.pem");
    std::fs::write(&key, format!("{}{}", issued.certificate_pem, issued.key_pem)).unwrap();
    let mut command = world.run();
    command.env_remove("M365_AUDIT_CLIENT_SECRET");
    let more = ["--certificate-file", key.to_str().unwrap(), "--record-bytes-max", "100k"];
    let (mut running, _dir, address) = start_as(command, &more);
    let target = Target { address: &address, path: "/metrics" };
    let Some(mut prometheus) = Prometheus::start(target) else { return };
    let ours = panels().into_iter().chain(compared()).filter(|it| !it.is_of_fluent_bit());
    prometheus.wait_for_all(&ours.collect::<Vec<_>>());
    // Records of a megabyte are too large.
    prometheus.until("the loss is told", |it| it.firing().contains("M365AuditDataLost"));
    assert_eq!(prometheus.broken_rules(), Vec::<String>::new());
    running.wait_until("it goes on", |_| true);
}
