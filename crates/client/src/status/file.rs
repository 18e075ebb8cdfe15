//! The numbers in a file, for node_exporter's textfile collector.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::board::Board;
use super::text::{self, Form};

/// How often the file is written.
const EVERY: Duration = Duration::from_secs(15);

/// A file that is written every now and then.
#[derive(Debug)]
pub(super) struct MetricsFile {
    path: PathBuf,
    board: Arc<Board>,
    /// Held while it is written, under a name that is the process's.
    writing: Arc<Mutex<()>>,
    /// Wakes the thread when it is dropped.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl MetricsFile {
    /// Writes the file, and goes on doing so.
    ///
    /// # Errors
    /// If it cannot be written now. Later such failures pass, and show in the age of the file.
    pub(super) fn start(path: PathBuf, board: Arc<Board>) -> io::Result<Self> {
        write(&path, &board)?;
        let (end, ended) = mpsc::channel();
        let writing = Arc::new(Mutex::new(()));
        let (of_thread, shown) = (path.clone(), Arc::clone(&board));
        let held = Arc::clone(&writing);
        let thread = thread::Builder::new().name("m365-audit-metrics".into()).spawn(move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(EVERY) {
                let _one_at_a_time = held.lock();
                // node_exporter shows how old the file is.
                let _ = write(&of_thread, &shown);
            }
        })?;
        Ok(Self { path, board, writing, end: Some(end), thread: Some(thread) })
    }

    /// Writes it now. A failure shows in the age of the file.
    pub(super) fn write(&self) {
        let _one_at_a_time = self.writing.lock();
        let _ = write(&self.path, &self.board);
    }
}

impl Drop for MetricsFile {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Under another name first: nobody ever reads half of it.
fn write(path: &Path, board: &Board) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    // node_exporter reads what ends with .prom, and so not this.
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    // Left by another process of that number; or a link that somebody put there.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    // node_exporter is another user. No secret is in it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    let written = options
        .open(&beside)
        .and_then(|mut file| {
            file.write_all(text::write(board, Instant::now(), Form::Prometheus).as_bytes())
        })
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}
