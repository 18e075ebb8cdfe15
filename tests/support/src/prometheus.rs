//! A real Prometheus beside what it scrapes, and what `examples/monitoring` asks it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::needs;

/// Longer than anything takes: scrapes come each second, and rates need two.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is scraped.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// `HOST:PORT`.
    pub address: &'a str,
    /// Where its metrics are.
    pub path: &'a str,
}

/// A running Prometheus with the rules of `examples/monitoring`. Dropped, it is killed and its
/// folder removed.
#[derive(Debug)]
pub struct Prometheus {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Prometheus {
    /// Scrapes `target` each second. None, and a word, where there is no Prometheus.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(target: Target<'_>) -> Option<Self> {
        let probe = Command::new("prometheus").arg("--version").output();
        if !probe.is_ok_and(|output| output.status.success()) {
            needs::skip("no Prometheus; install Debian's package `prometheus`");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder for this run");
        let rules = examples().join("rules.yaml");
        let Target { address, path } = target;
        let config = format!(
            "global: {{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }}\n\
             rule_files: ['{}']\nscrape_configs:\n  - {{ job_name: m365, metrics_path: '{path}', \
             static_configs: [ {{ targets: ['{address}'] }} ] }}\n",
            rules.display()
        );
        let file = folder.path().join("prometheus.yaml");
        fs::write(&file, config).expect("a folder can be written to");
        // Nobody else is told of it before it is taken again.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("what has a version runs");
        let mut this = Self { folder, port, child };
        this.until("it is ready", |this| this.get("/-/ready").is_some());
        Some(this)
    }

    /// How many series answer an expression; none, too, if it is no expression.
    #[must_use]
    pub fn series(&self, expr: &str) -> usize {
        let answer = self.get(&format!("/api/v1/query?query={}", encoded(expr)));
        let answer: Value =
            answer.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        answer["data"]["result"].as_array().map_or(0, Vec::len)
    }

    /// Names of the alerts that fire.
    #[must_use]
    pub fn firing(&self) -> BTreeSet<String> {
        let answer = self.get("/api/v1/alerts").unwrap_or_default();
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        let alerts = answer["data"]["alerts"].as_array().cloned().unwrap_or_default();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        firing
            .filter_map(|alert| alert["labels"]["alertname"].as_str())
            .map(str::to_owned)
            .collect()
    }

    /// What is wrong with rules, as it finds when it evaluates them.
    #[must_use]
    pub fn broken_rules(&self) -> Vec<String> {
        let answer = self.get("/api/v1/rules").unwrap_or_default();
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().cloned());
        rules
            .flatten()
            .filter(|rule| rule["health"] == "err")
            .map(|rule| rule.to_string())
            .collect()
    }

    /// Waits until each of `expressions` answers with a series.
    ///
    /// # Panics
    /// One does not.
    #[track_caller]
    pub fn wait_for_all(&mut self, expressions: &[Expression]) {
        let mut left: Vec<&Expression> = expressions.iter().collect();
        self.until("every expression answers with a series", |this| {
            left.retain(|expression| this.series(&expression.expr) == 0);
            if left.is_empty() { Ok(()) } else { Err(format!("{left:#?}")) }
        });
    }

    /// Waits until `done`.
    ///
    /// # Panics
    /// It takes too long, or Prometheus has ended.
    #[track_caller]
    pub fn until<W: Waiting>(&mut self, what: &str, mut done: impl FnMut(&Self) -> W) {
        let start = Instant::now();
        while let Some(left) = done(self).left() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let ended = self.child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "{what}: it ended: {}", log());
            assert!(start.elapsed() < PATIENCE, "{what}: {left}\n{}", log());
            crate::pause();
        }
    }

    /// The body of an answer of 200.
    fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        (head.get(9..12) == Some("200")).then(|| body.to_owned())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether something is over, and if not, what is left.
pub trait Waiting {
    /// What is left; `None`: nothing.
    fn left(self) -> Option<String>;
}

impl Waiting for bool {
    fn left(self) -> Option<String> {
        (!self).then(String::new)
    }
}

impl Waiting for Result<(), String> {
    fn left(self) -> Option<String> {
        self.err()
    }
}

/// An expression of a panel, or of a rule.
#[derive(Clone, Debug)]
pub struct Expression {
    /// The panel's title, or the alert's name.
    pub of: String,
    /// In PromQL.
    pub expr: String,
}

impl Expression {
    /// Whether it is about Fluent Bit's own metrics.
    #[must_use]
    pub fn is_of_fluent_bit(&self) -> bool {
        self.expr.contains("fluentbit_output_") || self.expr.contains("fluentbit_input_ingestion")
    }
}

/// Where the rules and the dashboard are.
fn examples() -> PathBuf {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/monitoring");
    PathBuf::from(here).canonicalize().expect("they are in the workspace")
}

/// Every panel's expressions, for all tenants.
///
/// # Panics
/// The dashboard is not what `cargo xtask options` writes.
#[must_use]
pub fn panels() -> Vec<Expression> {
    let text = fs::read_to_string(examples().join("dashboard.json")).expect("there is a dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let mut found = Vec::new();
    for panel in panels {
        let of = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().expect("targets") {
            let expr = target["expr"].as_str().expect("an expression").replace("$tenant", ".*");
            found.push(Expression { of: of.to_owned(), expr });
        }
    }
    found
}

/// What each rule compares, alternative by alternative, as an expression that answers whether or
/// not the alert fires. What asks for something to be absent has no such form, and is not among
/// them.
///
/// # Panics
/// The rules are not what `cargo xtask options` writes.
#[must_use]
pub fn compared() -> Vec<Expression> {
    let text = fs::read_to_string(examples().join("rules.yaml")).expect("there are rules");
    let (mut found, mut of, mut expr) = (Vec::new(), String::new(), String::new());
    for line in text.lines().chain(["        for: 0m"]) {
        if let Some(name) = line.trim().strip_prefix("- alert: ") {
            of = name.to_owned();
        } else if let Some(part) = line.strip_prefix("          ").filter(|_| !of.is_empty()) {
            // Of annotations there are lines as deep, behind the expression.
            expr.push_str(part);
            expr.push('\n');
        } else if line.trim_start().starts_with("for: ") && !expr.is_empty() {
            for alternative in expr.split("\nor\n").filter(|it| !it.starts_with("absent(")) {
                let known = alternative.split("unless").next().unwrap_or_default();
                let expr =
                    [" > ", " >= ", " == ", " < "].iter().fold(known.to_owned(), |expr, sign| {
                        // Answers 0 or 1, in place of leaving out what it does not hold for.
                        expr.replace(sign, &format!("{sign}bool "))
                    });
                found.push(Expression { of: of.clone(), expr });
            }
            (of, expr) = (String::new(), String::new());
        }
    }
    found
}

/// For a query of a URL.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_of_rules_answer_whether_or_not_they_fire() {
        let compared = compared();
        let alerts: BTreeSet<_> = compared.iter().map(|it| it.of.as_str()).collect();
        let rules = fs::read_to_string(examples().join("rules.yaml")).unwrap();
        assert_eq!(alerts.len(), rules.matches("- alert: ").count(), "{alerts:?}");
        for Expression { expr, .. } in &compared {
            let bare = [" > ", " >= ", " == ", " < "].iter();
            let all = bare.map(|sign| expr.matches(sign).count()).sum::<usize>();
            assert_eq!(all, expr.matches("bool ").count(), "{expr}");
            assert!(!expr.contains("annotations") && !expr.contains("$"), "{expr}");
        }
        assert!(20 < panels().len());
    }
}
