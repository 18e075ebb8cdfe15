//! Takes what the collector delivers: shows the first event of each feed, counts all of them, and
//! ends when nothing is missing.

use std::collections::BTreeSet;
use std::time::Duration;

use m365_audit_client::{Handle, Sink};
use m365_audit_core::{Batch, BatchId, Level, Metrics};
use serde_json::Value;

use super::account::Account;
use super::console::say;
use crate::log::Log;
use crate::run::board::Board;

/// How long what was emitted may take to be taken.
const GRACE: Duration = Duration::from_secs(1);

/// Counts.
#[derive(Debug)]
pub(super) struct TrialSink {
    account: Account,
    shown: BTreeSet<Box<str>>,
    taken: Vec<BatchId>,
    handle: Handle,
    log: Log,
    board: Board,
}

impl TrialSink {
    pub(super) fn new(account: Account, handle: Handle, log: Log, board: Board) -> Self {
        let (shown, taken) = (BTreeSet::new(), Vec::new());
        Self { account, shown, taken, handle, log, board }
    }

    pub(super) const fn account(&self) -> &Account {
        &self.account
    }
}

impl Sink for TrialSink {
    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        for record in &batch.records {
            self.account.came(&record.raw);
        }
        let feed: Box<str> = batch.content.feed.to_string().into();
        if let Some(record) = batch.records.first()
            && self.shown.insert(feed.clone())
        {
            self.log.suspend(|| say(&example(&feed, &record.raw)));
        }
        self.taken.push(batch.id);
        Ok(())
    }

    fn flush(&mut self, delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        delivered.append(&mut self.taken);
        if self.account.is_whole() {
            self.handle.shutdown(GRACE);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.board.begin();
        self.taken.clear();
    }

    fn log(&mut self, level: Level, message: &str) {
        self.log.write(level, message);
    }

    fn metrics(&mut self, metrics: &Metrics) {
        self.board.show(metrics);
    }
}

/// An event in a line.
fn example(feed: &str, record: &[u8]) -> String {
    let record: Value = serde_json::from_slice(record).unwrap_or_default();
    let field = |(name, width)| {
        let text = record[name].as_str().unwrap_or("-");
        text.chars().filter(|c: &char| !c.is_control()).take(width).collect::<String>()
    };
    let [time, operation, user] =
        [("CreationTime", 19), ("Operation", 24), ("UserId", 40)].map(field);
    format!("  {feed:26} {time:19}  {operation:24}  {user}\n")
}
