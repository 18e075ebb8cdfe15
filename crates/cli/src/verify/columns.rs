//! Columns and plain ids, as spreadsheets and SIEMs export them.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use anyhow::bail;
use csv_core::{ReadRecordResult, ReaderBuilder};

use super::arrived::Named;
use super::row::IdField;
use super::taker::{ROW_BYTES_MAX, Taker};

/// What may stand between columns.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The longest head that is read.
const HEAD_BYTES_MAX: u64 = 1024 * 1024;

/// More columns than any export has.
const COLUMNS_MAX: usize = 65_536;

/// Reads text that is no JSON: with a head that names columns, or one id a line.
pub(super) fn rows(mut input: impl BufRead, taker: &mut Taker<'_>) -> anyhow::Result<()> {
    let mut head = Vec::new();
    input.by_ref().take(HEAD_BYTES_MAX).read_until(b'\n', &mut head)?;
    let delimiter = delimiter(&head);
    let mut names = Table::new(head.as_slice(), delimiter.unwrap_or(b','));
    names.next()?;
    let names: Vec<String> = (0..names.ends.len())
        .map(|column| names.cell(column).unwrap_or_default().trim().to_owned())
        .collect();
    let Some(id) = id_column(&names, taker.field) else {
        if delimiter.is_none() {
            return plain(&head, input, taker);
        }
        let (path, names) = (taker.field.path(), names.join(", "));
        bail!("no column {path} among: {names}; remedy: name the one with ids by --id-field");
    };
    let names_id = taker.field.is_column(&names[id]);
    let column = |wanted: &str| names.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    let details = ["CreationTime", "Operation"].map(column);
    let mut table = Table::new(input, delimiter.unwrap_or(b','));
    while table.next()? {
        let text = |column: usize| Some(table.cell(column)?.trim().to_owned());
        let cell = text(id).unwrap_or_default();
        if cell.is_empty() {
            taker.without_id();
        } else if names_id {
            let [created, operation] = details.map(|column| column.and_then(text));
            let details = created.zip(operation);
            taker.named(&Named { id: cell, details }, &names[id]);
        } else {
            taker.text(&cell);
        }
    }
    Ok(())
}

/// The column of the id, or else that of the record.
fn id_column(names: &[String], field: &IdField) -> Option<usize> {
    let exact = names.iter().position(|name| name.eq_ignore_ascii_case(field.path()));
    let wrapper = || names.iter().position(|name| IdField::is_wrapper(name));
    let other = || names.iter().position(|name| field.is_column(name));
    exact.or_else(wrapper).or_else(other)
}

fn delimiter(head: &[u8]) -> Option<u8> {
    let count = |delimiter: u8| head.iter().filter(|byte| **byte == delimiter).count();
    let counts = DELIMITERS.into_iter().map(|byte| (count(byte), byte));
    counts.filter(|(count, _)| *count > 0).max().map(|(_, byte)| byte)
}

/// One id a line.
fn plain(first: &[u8], mut input: impl BufRead, taker: &mut Taker<'_>) -> anyhow::Result<()> {
    let mut line = first.to_vec();
    loop {
        let text = String::from_utf8_lossy(&line);
        let id = text.trim().trim_matches('"').trim();
        if !id.is_empty() {
            taker.named(&Named { id: id.to_owned(), details: None }, "a line");
        }
        line.clear();
        if input.by_ref().take(HEAD_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
    }
}

/// Rows of columns, one at a time.
struct Table<R> {
    input: R,
    reader: csv_core::Reader,
    cells: Vec<u8>,
    ends: Vec<usize>,
    is_read: bool,
}

impl<R: BufRead> Table<R> {
    fn new(input: R, delimiter: u8) -> Self {
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        Self { input, reader, cells: Vec::new(), ends: Vec::new(), is_read: false }
    }

    /// Reads the next row. Answers whether there is one.
    fn next(&mut self) -> io::Result<bool> {
        let (mut bytes, mut columns) = (0, 0);
        self.cells.resize(self.cells.len().max(4_096), 0);
        self.ends.resize(self.ends.len().max(64), 0);
        while !self.is_read {
            let chunk = self.input.fill_buf()?;
            let room = (&mut self.cells[bytes..], &mut self.ends[columns..]);
            let (result, read, written, ended) = self.reader.read_record(chunk, room.0, room.1);
            self.input.consume(read);
            bytes += written;
            columns += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if bytes < ROW_BYTES_MAX => {
                    self.cells.resize(self.cells.len() * 2, 0);
                }
                ReadRecordResult::OutputEndsFull if columns < COLUMNS_MAX => {
                    self.ends.resize(self.ends.len() * 2, 0);
                }
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(io::Error::other("a row is too long: is a quote not closed?"));
                }
                ReadRecordResult::Record => {
                    self.cells.truncate(bytes);
                    self.ends.truncate(columns);
                    return Ok(true);
                }
                ReadRecordResult::End => self.is_read = true,
            }
        }
        self.ends.clear();
        Ok(false)
    }

    fn cell(&self, column: usize) -> Option<Cow<'_, str>> {
        let end = *self.ends.get(column)?;
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(String::from_utf8_lossy(&self.cells[start..end]))
    }
}
