//! Where missing records go, so that they can be fed in: one a line, as `run` writes them.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use m365_audit_client::open_private;
use m365_audit_core::{Batch, LineWriter};

/// A file of records, or nothing.
#[derive(Debug)]
pub(super) struct Missing {
    file: Option<(BufWriter<File>, PathBuf)>,
    lines: LineWriter,
    buffer: Vec<u8>,
}

impl Missing {
    /// Makes the file. One that has something in it is left as it is.
    ///
    /// # Errors
    /// It has, or cannot be made.
    pub(super) fn create(path: Option<&Path>) -> anyhow::Result<Self> {
        let file = path.map(|path| {
            let name = path.display();
            let file = open_private(path, OpenOptions::new().append(true).create(true));
            let file = file.with_context(|| format!("{name}: cannot be written"))?;
            let length = file.metadata().map_or(0, |metadata| metadata.len());
            anyhow::ensure!(
                length == 0,
                "{name}: there is something in it; remedy: name another file, or remove it"
            );
            Ok((BufWriter::new(file), path.to_owned()))
        });
        let file = file.transpose()?;
        Ok(Self { file, lines: LineWriter::bare(), buffer: Vec::new() })
    }

    /// Writes the records of a batch.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let Some((file, path)) = &mut self.file else { return Ok(()) };
        self.buffer.clear();
        self.lines.write(batch, &mut self.buffer);
        file.write_all(&self.buffer)
            .with_context(|| format!("{}: cannot be written", path.display()))
    }

    /// Brings all of it to the disk.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn close(&mut self) -> anyhow::Result<()> {
        let Some((file, path)) = &mut self.file else { return Ok(()) };
        let written = file.flush().and_then(|()| file.get_ref().sync_all());
        written.with_context(|| format!("{}: cannot be written", path.display()))
    }
}
