//! Where the collectors of this process stand, for people, monitors and node_exporter.
//!
//! Each collector shows its numbers whenever it waits; whoever asks reads the copy. So a look costs
//! the collectors nothing, and a collector that is held up does not hold up the look. Nothing here
//! can be changed by a call.

mod answer;
mod board;
mod file;
mod json;
mod options;
mod page;
mod rates;
mod ready;
mod server;
mod shown;
mod text;
mod trouble;
mod week;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use self::board::{Board, Subject};
use self::file::MetricsFile;
use self::server::Server;

pub use self::board::Slot;
pub use self::options::{MetricsDetail, StatusOptions};
pub use self::week::{HistoryNews, LastWeek};

/// What `/metrics` shows that the core does not count, and what it says.
pub const STATUS_METRICS: [(&str, &str); 10] = text::OTHERS;

/// What cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The address cannot be listened at.
    #[error("status_listen = \"{address}\": {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// The file cannot be written.
    #[error("metrics_file = \"{}\": {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

/// Keeps the status of this process to be seen, for as long as it lives.
#[derive(Debug)]
pub struct Status {
    board: Arc<Board>,
    /// The section of the process, if there may be several.
    instance: Box<str>,
    detail: MetricsDetail,
    server: Option<Arc<Server>>,
    file: Option<Arc<MetricsFile>>,
    /// Whether nobody else in this process had the server already.
    first: bool,
}

impl Status {
    /// Shows the process at what the options name; `None` if they name nothing. Several sections of
    /// one process that name the same address or file share it, and see each other.
    ///
    /// # Errors
    /// The address or the file is of no use.
    pub fn start(options: &StatusOptions) -> Result<Option<Self>, StatusError> {
        if options.listen.is_none() && options.file.is_none() {
            return Ok(None);
        }
        let mut process = process();
        let board = process.board(options.packaging);
        let mut first = false;
        let server = match options.listen {
            None => None,
            Some(address) => {
                Some(shared(&mut process.servers, &address, address.port() != 0, || {
                    first = true;
                    Server::start(address, Arc::clone(&board))
                        .map_err(|error| StatusError::Listen { address, error })
                })?)
            }
        };
        let file = match &options.file {
            None => None,
            Some(path) => Some(shared(&mut process.files, path, true, || {
                MetricsFile::start(path.clone(), Arc::clone(&board))
                    .map_err(|error| StatusError::File { path: path.clone(), error })
            })?),
        };
        let (instance, detail) = (options.instance.clone(), options.detail);
        Ok(Some(Self { board, instance, detail, server, file, first }))
    }

    /// A place for a collector, from its first moment to that of dropping its last clone. `tenant`
    /// is what the configuration calls it; empty: it has no name.
    #[must_use]
    pub fn enter(&self, tenant: &str, tenant_id: &str) -> Slot {
        let (instance, detail) = (self.instance.clone(), self.detail);
        let (tenant, tenant_id) = (tenant.into(), tenant_id.into());
        Board::enter(&self.board, Subject { instance, tenant, tenant_id, detail })
    }

    /// A place for a component: it may rest for an hour between two calls, so that its silence says
    /// nothing.
    #[must_use]
    pub fn enter_component(&self, tenant: &str, tenant_id: &str) -> Slot {
        let slot = self.enter(tenant, tenant_id);
        slot.may_rest();
        slot
    }

    /// Where it can be asked, if it is this one that opened it: to be told once.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().filter(|_| self.first).map(|server| server.address())
    }
}

impl Drop for Status {
    /// Who goes is not there any more when the last of all goes: its end is written down now.
    fn drop(&mut self) {
        self.file.iter().for_each(|file| file.write());
    }
}

/// What the sections of one process share. They know nothing of each other.
#[derive(Debug, Default)]
struct Process {
    board: Weak<Board>,
    servers: BTreeMap<SocketAddr, Weak<Server>>,
    files: BTreeMap<PathBuf, Weak<MetricsFile>>,
}

static PROCESS: Mutex<Process> =
    Mutex::new(Process { board: Weak::new(), servers: BTreeMap::new(), files: BTreeMap::new() });

fn process() -> MutexGuard<'static, Process> {
    // Every change of it is whole.
    PROCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    fn board(&mut self, packaging: &'static str) -> Arc<Board> {
        self.board.upgrade().unwrap_or_else(|| {
            let board = Arc::new(Board::new(packaging));
            self.board = Arc::downgrade(&board);
            board
        })
    }
}

/// What somebody has at `key` already, or a new one.
fn shared<K: Ord + Clone, V>(
    known: &mut BTreeMap<K, Weak<V>>,
    key: &K,
    shareable: bool,
    start: impl FnOnce() -> Result<V, StatusError>,
) -> Result<Arc<V>, StatusError> {
    known.retain(|_, value| value.strong_count() > 0);
    if let Some(value) = known.get(key).and_then(Weak::upgrade) {
        return Ok(value);
    }
    let value = Arc::new(start()?);
    if shareable {
        known.insert(key.clone(), Arc::downgrade(&value));
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
