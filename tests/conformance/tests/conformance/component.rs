//! The component in its host, on loopback.

use std::time::Duration;

use m365_audit_client::{Settings, Store, direct_client, http_client};
use m365_audit_core::Secret;
use m365_audit_host::{
    AllowList, Clients, Component, Host, Lines, Logger, Outcome, RunError, Sandbox, Sink, SinkError,
};

use crate::world::{BATCH_BYTES, Collected, World};

/// Collects to the end, into a state file; a new host each time, as a new process would be.
pub(crate) fn collect(component: &std::path::Path, world: &World) -> Collected {
    let server = world.serve();
    let folder = tempfile::tempdir().unwrap();
    let url = server.http_url();
    let options = world.options(&server.microsoft(), Some(&url));
    let mut object: serde_json::Map<_, _> =
        options.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
    object.insert("once".into(), true.into());
    let config = serde_json::Value::Object(object).to_string();
    let mut options = options.clone();
    options.insert("db".into(), folder.path().join("state.db").to_str().unwrap().into());
    let settings = Settings::parse(&options).unwrap();
    let tenant = settings.config.tenant_id();
    let open = || Store::open(settings.native.db.as_ref(), tenant).unwrap();
    let mut records = Vec::new();
    let mut fails_at = world.fails_at;
    loop {
        let native = &settings.native;
        let (usual, direct) = (http_client(native).unwrap(), direct_client(native).unwrap());
        let clients = Clients::new(usual, direct, None, native.in_flight_total);
        let sandbox = Sandbox {
            clients: Some(clients),
            allowed: AllowList::new(settings.config.origins()).into(),
            memory_bytes_max: 256_000_000,
            batch_bytes_max: BATCH_BYTES,
            call_timeout: Duration::from_secs(60),
            check_timeout: Duration::from_secs(60),
            logger: Logger::new(|_, _| {}),
        };
        let taking = Taking { records: Vec::new(), batches: 0, fails_at };
        let compiled = Component::from_file(component).unwrap();
        let config = Secret::new(config.clone());
        let mut host = Host::new(compiled, sandbox, config, open(), taking, true);
        let result = host.run();
        records.append(&mut host.sink().records);
        drop(host);
        match result {
            Ok(outcome) => {
                assert_eq!(outcome, Some(Outcome::Complete));
                assert!(fails_at.is_none(), "there were fewer batches");
                return Collected { records, stored: open().load().unwrap() };
            }
            Err(RunError::Sink(_)) => fails_at = None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Takes batches, all but one.
struct Taking {
    records: Vec<Vec<u8>>,
    batches: usize,
    fails_at: Option<usize>,
}

impl Sink for Taking {
    async fn deliver(&mut self, lines: Lines<'_>) -> Result<(), SinkError> {
        self.batches += 1;
        if self.fails_at == Some(self.batches) {
            return Err(SinkError::lasting("the process ends here"));
        }
        self.records.extend(lines.ndjson.lines().map(|line| line.as_bytes().to_vec()));
        Ok(())
    }
}
