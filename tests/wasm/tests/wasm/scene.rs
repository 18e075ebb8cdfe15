//! A simulated tenant, the component's configuration for it, and the truth.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use m365_sim::{ContentType, Listen, Server, SimConfig};
use serde_json::json;

/// A tenant with some hours of history.
pub(crate) struct Scene {
    server: Server,
    pub(crate) folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(SimConfig { seed, ..SimConfig::default() })
    }

    pub(crate) fn with(config: SimConfig) -> Self {
        let config = SimConfig { days: 0.25, live: false, ..config };
        let server = Server::start(config, &Listen::default()).expect("a server on loopback");
        Self { server, folder: tempfile::tempdir().expect("a folder") }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// How often a fault came.
    pub(crate) fn given(&self, fault: &str) -> u64 {
        self.server.microsoft().report().faults.get(fault).copied().unwrap_or_default()
    }

    /// Writes the configuration of a collection that has an end, at most so many requests a
    /// minute.
    pub(crate) fn write_config(&self, requests_per_minute: u32) -> PathBuf {
        let tenant = self.server.microsoft().tenants()[0].clone();
        let url = self.server.http_url();
        let config = json!({
            "tenant_id": tenant.id.to_string(),
            "client_id": tenant.apps[0].client_id.to_string(),
            "client_secret": tenant.apps[0].secret().expect("apps have a secret"),
            "api_url": url,
            "login_url": url,
            "resource": url,
            "content_types": ContentType::ALL.map(ContentType::name),
            "requests_per_minute": requests_per_minute,
            // A service that falls silent is waited for.
            "request_timeout": "3s",
            "once": true,
        });
        let path = self.file("config.json");
        std::fs::write(&path, config.to_string()).expect("a file");
        path
    }

    /// Compares the lines of a file with what is owed: every record is there in one of its forms,
    /// nothing else is, and no request broke a rule. Answers how many lines came again.
    #[track_caller]
    pub(crate) fn assert_complete(&self, records: &Path) -> usize {
        let mut arrived: HashMap<Vec<u8>, usize> = HashMap::new();
        let bytes = std::fs::read(records).expect("a file of records");
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            *arrived.entry(line.to_owned()).or_default() += 1;
        }
        let mut keys: HashMap<u128, usize> = HashMap::new();
        let mut known = HashMap::new();
        for owed in self.server.microsoft().owed() {
            let found = forms(&owed.bytes).into_iter().find_map(|form| {
                let times = arrived.get(&form).copied()?;
                Some((form, times))
            });
            let times = keys.entry(owed.key).or_default();
            if let Some((form, count)) = found
                && known.insert(form, ()).is_none()
            {
                *times += count;
            }
        }
        let missing = keys.values().filter(|times| **times == 0).count();
        assert_eq!(missing, 0, "of {} records", keys.len());
        let invented = arrived.keys().find(|line| !known.contains_key(*line));
        assert!(invented.is_none(), "{:?}", invented.map(|line| String::from_utf8_lossy(line)));
        assert!(!keys.is_empty(), "nothing was published");
        assert!(self.server.microsoft().report().is_legal());
        keys.values().map(|times| times - 1).sum()
    }
}

/// How a record may stand on a line: as it is, but for white space; marked, if it is no JSON.
fn forms(record: &[u8]) -> [Vec<u8>; 2] {
    let flat = |byte: &u8| if b"\n\r\t".contains(byte) { b' ' } else { *byte };
    let marked = match std::str::from_utf8(record) {
        Ok(text) => json!({ "malformed": true, "raw": text }),
        Err(_) => json!({ "malformed": true, "raw_base64": STANDARD.encode(record) }),
    };
    [record.iter().map(flat).collect(), marked.to_string().into_bytes()]
}
