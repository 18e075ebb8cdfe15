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
            let columns = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
            self.log.suspend(|| say(&example(&feed, &record.raw, columns)));
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

/// An event in a line of so many columns, if that is known.
fn example(feed: &str, record: &[u8], columns: Option<usize>) -> String {
    let record: Value = serde_json::from_slice(record).unwrap_or_default();
    let field = |(name, width)| {
        let text = record[name].as_str().unwrap_or("-");
        text.chars().filter(|c: &char| !c.is_control()).take(width).collect::<String>()
    };
    let [time, operation, user] =
        [("CreationTime", 19), ("Operation", 24), ("UserId", 40)].map(field);
    let line = format!("  {feed:26} {time:19}  {operation:24}  {user}");
    let line: String = line.chars().take(columns.unwrap_or(usize::MAX)).collect();
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_a_terminal() {
        let record = format!(
            r#"{{"CreationTime":"2026-12-01T02:49:45","Operation":"Add user.","UserId":"{}"}}"#,
            "u".repeat(60)
        );
        for columns in [60, 80, 120] {
            let line = example("Audit.AzureActiveDirectory", record.as_bytes(), Some(columns));
            assert!(line.trim_end().chars().count() <= columns, "{line}");
            assert!(line.contains("2026-12-01T02:49:45"), "{line}");
        }
        assert!(example("DLP.All", record.as_bytes(), None).contains(&"u".repeat(40)));
    }
}
