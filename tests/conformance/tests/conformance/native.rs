//! The native client, on loopback.

use m365_audit_client::{Client, RunError, Settings, Sink};
use m365_audit_core::{Batch, BatchId, Level, LineWriter, Outcome};

use crate::world::{Collected, World, records_of};

/// Collects to the end, into a state file.
pub(crate) fn collect(world: &World) -> Collected {
    let server = world.serve();
    let folder = tempfile::tempdir().unwrap();
    let url = server.http_url();
    let mut options = world.options(&server.microsoft(), Some(&url));
    options.insert("db".into(), folder.path().join("state.db").to_str().unwrap().into());
    let mut records = Vec::new();
    let mut fails_at = world.fails_at;
    loop {
        let mut settings = Settings::parse(&options).unwrap();
        settings.config = settings.config.once(true);
        let (db, tenant) = (settings.native.db.clone(), settings.config.tenant_id().to_owned());
        let writer = LineWriter::new(settings.config.envelope().clone());
        let writer = world.envelope.is_some().then_some(writer);
        let taking =
            Taking { writer, records: Vec::new(), batches: 0, fails_at, given: Vec::new() };
        let mut client = Client::open(settings, |_| taking).unwrap();
        let result = client.run();
        records.append(&mut client.sink().records);
        drop(client);
        match result {
            Ok(outcome) => {
                assert_eq!(outcome, Outcome::Complete);
                assert!(fails_at.is_none(), "there were fewer batches");
                let store = m365_audit_client::Store::open(db.as_ref(), &tenant).unwrap();
                return Collected { records, stored: store.load().unwrap() };
            }
            Err(RunError::Sink(_)) => fails_at = None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Takes batches, all but one.
struct Taking {
    writer: Option<LineWriter>,
    records: Vec<Vec<u8>>,
    batches: usize,
    fails_at: Option<usize>,
    given: Vec<BatchId>,
}

impl Sink for Taking {
    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.batches += 1;
        if self.fails_at == Some(self.batches) {
            anyhow::bail!("the process ends here");
        }
        self.records.extend(records_of(&batch, self.writer.as_mut()));
        self.given.push(batch.id);
        Ok(())
    }

    fn flush(&mut self, delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        delivered.append(&mut self.given);
        Ok(())
    }

    fn log(&mut self, _: Level, _: &str) {}
}
