//! Fluent Bit with one input and the null output, watched through its metrics and through `/proc`.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::demo::Settings;
use crate::proc;
use crate::shell::Process;

/// How often the metrics are asked for: seldom, for that is work as well.
const POLL: Duration = Duration::from_millis(200);
/// Without a further event for so long it is given up.
const GIVE_UP: Duration = Duration::from_secs(60);

/// A running Fluent Bit.
#[derive(Debug)]
pub(super) struct Pipeline {
    process: Process,
    port: u16,
    agent: ureq::Agent,
    folder: TempDir,
}

/// `[INPUT]` of the plugin.
pub(super) fn plugin(settings: &Settings, folder: &Path) -> String {
    let options = settings.all(folder).map(|(name, value)| format!("      {name}: '{value}'\n"));
    format!("    - name: m365_audit\n      tag: m365\n{}", options.collect::<String>())
}

impl Pipeline {
    /// Starts it. `input` is a YAML list entry, made for the folder it is given.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(
        executable: &Path,
        head: &str,
        input: impl FnOnce(&Path) -> String,
    ) -> Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        // Fluent Bit cannot be asked to choose one.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
        let port = listener.local_addr().context("the address of a port")?.port();
        drop(listener);
        let text = format!(
            "service:\n  flush: 0.2\n  grace: 2\n  log_level: warn\n  http_server: on\n  \
             http_listen: 127.0.0.1\n  http_port: {port}\n{head}pipeline:\n  inputs:\n{}  \
             outputs:\n    - name: 'null'\n      match: '*'\n",
            input(folder.path())
        );
        let config = folder.path().join("fluent-bit.yaml");
        std::fs::write(&config, text).context("Fluent Bit's configuration")?;
        let log = std::fs::File::create(folder.path().join("log")).context("a file for the log")?;
        let mut command = Command::new(executable);
        command
            .arg("--config")
            .arg(&config)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("the log")?)
            .stderr(log);
        let process = Process::start("Fluent Bit", &mut command)?;
        let config =
            ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).proxy(None);
        Ok(Self { process, port, agent: config.build().into(), folder })
    }

    /// Its id as a process.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until so many events have reached the output.
    ///
    /// # Errors
    /// They do not.
    pub(super) fn wait_for(&mut self, events: u64) -> Result<()> {
        let (mut before, mut moved) = (0, Instant::now());
        loop {
            if let Some(status) = self.process.ended() {
                bail!("Fluent Bit ended with {status}:\n{}", self.log());
            }
            let now = self.events().unwrap_or(0);
            if events <= now {
                return Ok(());
            }
            if before < now {
                (before, moved) = (now, Instant::now());
            }
            if GIVE_UP < moved.elapsed() {
                bail!("only {now} of {events} events came through Fluent Bit:\n{}", self.log());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Events that the output has had.
    fn events(&self) -> Option<u64> {
        let url = format!("http://127.0.0.1:{}/api/v2/metrics/prometheus", self.port);
        let text = self.agent.get(url).call().ok()?.into_body().read_to_string().ok()?;
        let line = text.lines().find(|l| l.starts_with("fluentbit_output_proc_records_total{"))?;
        let value = line.split("} ").nth(1)?.split(' ').next()?;
        value.split('.').next()?.parse().ok()
    }

    /// CPU time so far.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub(super) fn cpu(&self) -> Result<Duration> {
        proc::cpu(self.id()).context("CPU time is read from /proc, which only Linux has")
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}
