//! `m365-sim serve` as a child: started, asked, stopped. Knows its command line and its addresses
//! under `/_sim/`, which are all that other commands need of it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell::Process;

/// How long an answer may take; the truth of a large world takes a while to make.
const PATIENCE: Duration = Duration::from_secs(120);

/// The content types, in the order of tables.
pub(crate) const CONTENT_TYPES: [&str; 5] = [
    "Audit.AzureActiveDirectory",
    "Audit.Exchange",
    "Audit.SharePoint",
    "Audit.General",
    "DLP.All",
];

/// A running simulator.
#[derive(Debug)]
pub(crate) struct Simulator {
    /// Ends with this.
    _process: Process,
    agent: ureq::Agent,
    ready: Value,
}

impl Simulator {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// It ends instead; it has said why on stderr.
    pub(crate) fn start(program: &Path, options: &[String]) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("serve").args(options).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::start("the simulator", &mut command)?;
        let stdout = process.stdout().context("its output is piped")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("the simulator's first line")?;
        let ready = serde_json::from_str(&line)
            .context("the simulator did not start; it says why above")?;
        let config = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).proxy(None);
        Ok(Self { _process: process, agent: config.build().into(), ready })
    }

    /// What it said when it was ready: `http`, `https`, `ca_file`, `tenant_id`, `client_id`,
    /// `client_secret`.
    pub(crate) fn ready(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap_or_default()
    }

    /// Its tenants, each with `tenant_id`, `client_id`, `client_secret` and `noisy`.
    pub(crate) fn tenants(&self) -> &[Value] {
        self.ready["tenants"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Every record that is owed, one call each: a JSON object, `record` included.
    ///
    /// # Errors
    /// The simulator does not answer, or `take` fails.
    pub(crate) fn owed(&self, mut take: impl FnMut(&Value) -> Result<()>) -> Result<()> {
        let url = format!("{}/_sim/owed?records=1", self.ready("http"));
        let answer = self.agent.get(&url).call().context("GET /_sim/owed")?;
        for line in BufReader::new(answer.into_body().into_reader()).lines() {
            let line = line.context("reading /_sim/owed")?;
            take(&serde_json::from_str(&line).context("a line of /_sim/owed")?)?;
        }
        Ok(())
    }

    /// What it saw.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn report(&self) -> Result<Value> {
        let url = format!("{}/_sim/report", self.ready("http"));
        let answer = self.agent.get(&url).call().context("GET /_sim/report")?;
        let reader = answer.into_body().into_reader();
        serde_json::from_reader(reader).context("the answer of /_sim/report")
    }

    /// Publishes a blob now. Answers its `content_id`, `created_ms` and record `ids`.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn publish(&self, content_type: &str) -> Result<Value> {
        self.post(&format!("publish?contentType={content_type}"))
    }

    /// The same for one of several tenants.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn publish_for(&self, tenant: &str, content_type: &str) -> Result<Value> {
        self.post(&format!("publish?contentType={content_type}&tenant={tenant}"))
    }

    /// Ends all faults; what was poisoned recovers.
    ///
    /// # Errors
    /// It does not answer.
    pub(crate) fn heal(&self) -> Result<()> {
        self.post("heal").map(|_| ())
    }

    fn post(&self, what: &str) -> Result<Value> {
        let url = format!("{}/_sim/{what}", self.ready("http"));
        let answer = self.agent.post(&url).send_empty();
        let answer = answer.with_context(|| format!("POST /_sim/{what}"))?;
        let reader = answer.into_body().into_reader();
        serde_json::from_reader(reader).with_context(|| format!("the answer of /_sim/{what}"))
    }
}
