//! A simulated service, the program, and what it must never show.

pub(crate) mod kills;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use m365_sim::{ContentType, Listen, Server, SimConfig, Span};

/// What was published this long before the start can be listed for certain.
const SETTLED_MS: i64 = 90_000;

/// A few hundred records of history, and nothing new.
pub(crate) fn world() -> SimConfig {
    SimConfig {
        days: 0.1,
        live: false,
        blobs_per_hour: Span::new(3, 6),
        lag_seconds: Span::new(0, 0),
        ..SimConfig::default()
    }
}

pub(crate) struct World {
    server: Server,
    secret: String,
}

impl World {
    pub(crate) fn new(config: SimConfig) -> Self {
        let server = Server::start(config, &Listen::default()).unwrap();
        let secret = server.microsoft().tenants()[0].apps[0].secret().unwrap().to_owned();
        Self { server, secret }
    }

    /// `m365-audit run` with everything set but where to put the records.
    pub(crate) fn run(&self) -> Command {
        self.with_options(program("run"), &self.server.http_url())
    }

    /// `m365-audit host COMMAND` in the same way.
    pub(crate) fn host(&self, command: &str, component: &Path) -> Command {
        let mut program = program("host");
        program.arg(command).arg("--component").arg(component);
        self.with_options(program, &self.server.http_url())
    }

    /// Over TLS, without the authority that the server's certificate is of.
    pub(crate) fn run_over_untrusted_tls(&self) -> Command {
        self.with_options(program("run"), &self.server.https_url())
    }

    pub(crate) fn run_over_tls(&self) -> Command {
        let mut command = self.run_over_untrusted_tls();
        command.arg("--ca-file").arg(self.server.ca_file());
        command
    }

    /// Another command, with everything set that it takes to reach the service.
    pub(crate) fn call(&self, words: &[&str]) -> Command {
        let base = self.server.http_url();
        let microsoft = self.server.microsoft();
        let tenant = &microsoft.tenants()[0];
        let mut command = program(words[0]);
        command
            .args(&words[1..])
            .env("M365_AUDIT_TENANT_ID", tenant.id.to_string())
            .env("M365_AUDIT_CLIENT_ID", tenant.apps[0].client_id.to_string())
            .env("M365_AUDIT_LOGIN_URL", &base)
            .env("M365_AUDIT_API_URL", &base)
            .env("M365_AUDIT_CLIENT_SECRET", &self.secret);
        // Where that source is not collected the doctor refuses it, as a run does.
        let has_portal = |word: &&str| {
            word.contains("cloud_app_activities") || word.starts_with("--tenants-file")
        };
        if words[0] != "doctor" || words.iter().any(has_portal) {
            command.env("M365_AUDIT_PORTAL_URL", &base);
        }
        command
    }

    /// The first tenant, its app, and the app's secret.
    pub(crate) fn credentials(&self) -> (String, String, String) {
        let microsoft = self.server.microsoft();
        let tenant = &microsoft.tenants()[0];
        (tenant.id.to_string(), tenant.apps[0].client_id.to_string(), self.secret.clone())
    }

    /// Where the service is.
    pub(crate) fn http_url(&self) -> String {
        self.server.http_url()
    }

    /// The service, to look into it. Holding it holds up every request.
    pub(crate) fn microsoft(&self) -> std::sync::MutexGuard<'_, m365_sim::Microsoft> {
        self.server.microsoft()
    }

    fn with_options(&self, mut command: Command, base: &str) -> Command {
        let microsoft = self.server.microsoft();
        let tenant = &microsoft.tenants()[0];
        command
            .args(["--tenant-id", &tenant.id.to_string()])
            .args(["--client-id", &tenant.apps[0].client_id.to_string()])
            .args(["--login-url", base, "--api-url", base, "--lookback", "3h"])
            .env("M365_AUDIT_CLIENT_SECRET", &self.secret);
        command
    }

    /// Runs a collection to its end, with a `db` in `dir`: all arrives, by legal requests, and no
    /// secret is in the log.
    #[track_caller]
    pub(crate) fn collect(&self, command: &mut Command, dir: &Path) -> Output {
        command.args(["--once", "--log-level", "debug", "--db"]).arg(dir.join("state.db"));
        let output = command.output().unwrap();
        assert_code(&output, 0);
        assert!(self.owed().is_subset(&self.keys(lines(&output.stdout))));
        self.assert_clean("the log", &output.stderr);
        assert!(self.microsoft().report().is_legal());
        output
    }

    /// Every record that must have arrived, by what makes it the same record.
    pub(crate) fn owed(&self) -> HashSet<u128> {
        let all: Vec<_> = self.server.microsoft().owed().collect();
        let newest = all.iter().map(|owed| owed.created_ms).max().unwrap();
        // DLP.All is not among the default content types.
        all.iter()
            .filter(|owed| owed.created_ms < newest - SETTLED_MS)
            .filter(|owed| owed.content_type != ContentType::Dlp)
            .map(|owed| owed.key)
            .collect()
    }

    /// `Id`s of the records that must have arrived, where every record has one.
    pub(crate) fn owed_ids(&self) -> HashSet<String> {
        let owed = self.owed();
        let all = self.server.microsoft().owed();
        all.filter(|record| owed.contains(&record.key)).map(|record| id(&record.bytes)).collect()
    }

    /// Which records these lines are. Each must be one that was published.
    pub(crate) fn keys<'a>(&self, lines: impl Iterator<Item = &'a [u8]>) -> HashSet<u128> {
        let owed = self.server.microsoft().owed();
        let known: HashMap<_, _> = owed.map(|owed| (one_line(&owed.bytes), owed.key)).collect();
        let key = |line: &[u8]| *known.get(line).expect("only what was published arrives");
        lines.map(key).collect()
    }

    /// The secret and every token are nowhere in these bytes.
    #[track_caller]
    pub(crate) fn assert_clean(&self, what: &str, bytes: &[u8]) {
        for secret in [self.secret.as_str(), "Bearer "].iter().chain(&TOKEN_STARTS) {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{what} holds {secret:?}");
        }
    }
}

/// How tokens begin, by the first member of their header: `typ`, `alg`, `kid`, `x5t`. No fewer
/// letters: what all four share, `eyJ`, stands in every second state file by chance.
pub(crate) const TOKEN_STARTS: [&str; 4] = ["eyJ0eX", "eyJhbG", "eyJraW", "eyJ4NX"];

/// The program, without anything from the environment that it would read.
pub(crate) fn program(subcommand: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_m365-audit"));
    for (name, _) in std::env::vars() {
        let upper = name.to_uppercase();
        let read = ["M365_AUDIT_", "AZURE_", "IDENTITY_", "PG"];
        if read.iter().any(|start| upper.starts_with(start)) || upper.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command.arg(subcommand).stdin(Stdio::null());
    command
}

/// The `Id` of a record.
pub(crate) fn id(record: &[u8]) -> String {
    let record: serde_json::Value = serde_json::from_slice(record).unwrap();
    record["Id"].as_str().unwrap().to_owned()
}

/// A record as a line: what stands between tokens becomes spaces.
pub(crate) fn one_line(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| if b"\n\r\t".contains(byte) { b' ' } else { *byte }).collect()
}

pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    assert!(bytes.is_empty() || bytes.ends_with(b"\n"), "the last line is whole");
    bytes.split_inclusive(|byte| *byte == b'\n').map(|line| &line[..line.len() - 1])
}

#[track_caller]
pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[track_caller]
pub(crate) fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
}

pub(crate) fn signal(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// Waits for the end, and says how long that took.
pub(crate) fn end(child: &mut Child) -> (ExitStatus, Duration) {
    let start = Instant::now();
    (child.wait().unwrap(), start.elapsed())
}

/// All that a run has left in a directory.
pub(crate) fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

/// Longer than anything takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A run that goes on, with its log in a file; killed when the test ends.
pub(crate) struct Running(Child, PathBuf);

impl Running {
    pub(crate) fn start(mut command: Command, log: PathBuf) -> Self {
        let stderr = std::fs::File::create(&log).unwrap();
        Self(command.stdout(Stdio::null()).stderr(stderr).spawn().unwrap(), log)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.1).unwrap()
    }

    /// Waits until `done`; the log if it takes too long.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, mut done: impl FnMut(&str) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done(&self.log()) {
            assert!(self.0.try_wait().unwrap().is_none(), "{what}: it ended: {}", self.log());
            assert!(Instant::now() < until, "{what}: {}", self.log());
            m365_audit_test_support::pause();
        }
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.0, name);
    }

    /// Waits for its end, whatever that is.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }

    /// Ends it as an operator does; it must say that all is well.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        signal(&self.0, "-TERM");
        let status = self.0.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
