//! What a guest writes to stdout and stderr becomes log lines.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use m365_audit_core::Level;
use m365_audit_sinks::Logger;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// The longest line that is shown whole; a longer one becomes several.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Bytes that a guest may write at once.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// One of a guest's two output streams.
#[derive(Clone)]
pub(crate) struct GuestOutput {
    logger: Logger,
    level: Level,
    /// What stands behind the last line feed. At most [`LINE_BYTES_MAX`].
    line: Arc<Mutex<Vec<u8>>>,
}

impl GuestOutput {
    /// Shows lines at `level`.
    pub(crate) fn new(logger: Logger, level: Level) -> Self {
        Self { logger, level, line: Arc::default() }
    }

    fn take(&self, bytes: &[u8]) {
        // A panic elsewhere leaves at worst a torn line.
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in bytes {
            if *byte != b'\n' {
                line.push(*byte);
            }
            if *byte == b'\n' || LINE_BYTES_MAX <= line.len() {
                self.show(&mut line);
            }
        }
    }

    /// Shows what is left of an unfinished line.
    pub(crate) fn finish(&self) {
        self.show(&mut self.line.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn show(&self, line: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(line);
        if !text.trim().is_empty() {
            self.logger.log(self.level, &format!("component: {}", text.trim_end()));
        }
        line.clear();
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for it, and guests here are of 0.2.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for GuestOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for GuestOutput {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_becomes_lines_of_bounded_length() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let logger = Logger::new(move |_, line| sink.lock().unwrap().push(line.to_owned()));
        let mut output = GuestOutput::new(logger, Level::Warn);
        output.write(Bytes::from_static(b"one\ntw")).unwrap();
        output.write(Bytes::from_static(b"o\n\n \nthree")).unwrap();
        output.finish();
        output.finish();
        output.write(vec![b'x'; LINE_BYTES_MAX + 1].into()).unwrap();
        let lines = lines.lock().unwrap();
        assert_eq!(lines[..3], ["component: one", "component: two", "component: three"]);
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[3].len(), "component: ".len() + LINE_BYTES_MAX);
    }
}
