//! Reads what a SIEM exported: NDJSON, JSON arrays, CSV, or plain ids. Which of them it is shows at
//! its beginning. Holds one row at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use anyhow::{Context, bail};
use bytes::Bytes;
use m365_audit_core::json::{Item, SplitError, Splitter};
use serde_json::{Deserializer, Value};

use super::columns;
use super::taker::{ROW_BYTES_MAX, Taker};

/// Bytes that are read at once, and looked at to see what it is.
const CHUNK_BYTES: usize = 256 * 1024;

/// Reads a file; `-` is stdin.
///
/// # Errors
/// It cannot be read to its end, or is of no kind that is known.
pub(super) fn file(path: &Path, taker: &mut Taker<'_>) -> anyhow::Result<()> {
    let name = path.display();
    if path == Path::new("-") {
        return source(io::stdin().lock(), taker).context("stdin");
    }
    let file = File::open(path).with_context(|| format!("{name}: cannot be read"))?;
    source(file, taker).with_context(|| format!("{name}"))
}

fn source(read: impl Read, taker: &mut Taker<'_>) -> anyhow::Result<()> {
    let mut input = BufReader::with_capacity(CHUNK_BYTES, read);
    let start = input.fill_buf()?;
    match start {
        [0x1f, 0x8b, ..] => bail!("compressed (gzip); remedy: `gzip -dc FILE | … --against -`"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            bail!("compressed (zstd); remedy: `zstd -dc FILE | … --against -`")
        }
        [b'P', b'K', 3, 4, ..] => bail!("a ZIP archive; remedy: unpack it first"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            bail!("UTF-16; remedy: `iconv -f UTF-16 -t UTF-8 FILE | … --against -`")
        }
        [0xef, 0xbb, 0xbf, ..] => input.consume(3),
        _ => {}
    }
    match skip_blanks(&mut input)? {
        None => Ok(()),
        Some(b'[') => array(input, taker),
        Some(b'{') => objects(input, taker),
        Some(_) => columns::rows(input, taker),
    }
}

fn skip_blanks(input: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        match buffer.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(at) => {
                let byte = buffer[at];
                input.consume(at);
                return Ok(Some(byte));
            }
            None => {
                let all = buffer.len();
                input.consume(all);
            }
        }
    }
}

/// Arrays, one or several one behind the other. They may be larger than the memory.
fn array(mut input: impl Read, taker: &mut Taker<'_>) -> anyhow::Result<()> {
    let mut splitter = Splitter::new(ROW_BYTES_MAX);
    let mut began = 0_u64;
    let mut read = 0_u64;
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let length = input.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        chunk.truncate(length);
        let chunk = Bytes::from(chunk);
        let mut rest = chunk.clone();
        while !rest.is_empty() {
            splitter.push(std::mem::take(&mut rest));
            match drain(&mut splitter, taker) {
                Ok(()) => {}
                // Behind an array another one may begin.
                Err(SplitError::Unexpected { byte: b'[', offset }) if splitter.records() > 0 => {
                    let at = began + offset;
                    let within = usize::try_from(at - read).unwrap_or(usize::MAX);
                    anyhow::ensure!(within < length, "no JSON at byte {at}");
                    rest = chunk.slice(within..);
                    (splitter, began) = (Splitter::new(ROW_BYTES_MAX), at);
                }
                Err(error) => bail!("no JSON array: {error}"),
            }
        }
        read += length as u64;
    }
    splitter.finish().map_err(|error| anyhow::anyhow!("no whole JSON array: {error}"))?;
    Ok(())
}

fn drain(splitter: &mut Splitter, taker: &mut Taker<'_>) -> Result<(), SplitError> {
    while let Some(item) = splitter.poll()? {
        match item {
            Item::Record(split) => taker.json(&split.raw, 0),
            Item::Oversized { .. } => taker.unreadable(),
        }
    }
    Ok(())
}

/// Objects: one a line, or over many lines.
fn objects(mut input: impl BufRead, taker: &mut Taker<'_>) -> anyhow::Result<()> {
    let mut line = Vec::new();
    let mut first = true;
    while next_line(&mut input, &mut line)? {
        let row = line.trim_ascii();
        if row.is_empty() {
            continue;
        }
        if line.len() > ROW_BYTES_MAX {
            taker.unreadable();
            continue;
        }
        // The first line is no whole object: they go over several lines each.
        if first && serde_json::from_slice::<Value>(row).is_err_and(|error| error.is_eof()) {
            return stream(&line, input, taker);
        }
        taker.json(row, 0);
        first = false;
    }
    Ok(())
}

/// Reads a line. Of one that is too long no more is kept than shows it.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let limit = ROW_BYTES_MAX as u64 + 1;
    if input.by_ref().take(limit).read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.len() > ROW_BYTES_MAX && !line.ends_with(b"\n") {
        let mut rest = Vec::new();
        while input.by_ref().take(CHUNK_BYTES as u64).read_until(b'\n', &mut rest)? > 0 {
            if rest.ends_with(b"\n") {
                break;
            }
            rest.clear();
        }
    }
    Ok(true)
}

fn stream(first: &[u8], rest: impl Read, taker: &mut Taker<'_>) -> anyhow::Result<()> {
    let all = BufReader::new(Cursor::new(first).chain(rest));
    for value in Deserializer::from_reader(all).into_iter::<Value>() {
        taker.value(value.context("no JSON")?, 0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::arrived::Named;
    use crate::verify::row::{IdField, NAMELESS};
    use crate::verify::taker::Account;

    /// What is read of a text: ids, and rows without one, and unreadable ones.
    fn read(field: Option<&str>, text: &[u8]) -> Result<(Vec<String>, u64, u64), String> {
        let (field, mut ids) = (IdField::new(field), Vec::new());
        let mut take = |named: &Named, _: u64| {
            ids.extend(Some(named.id.clone()).filter(|id| !id.starts_with(NAMELESS)));
        };
        let mut taker = Taker { field: &field, account: Account::default(), take: &mut take };
        let result = source(text, &mut taker);
        let Account { without_id, unreadable, .. } = taker.account;
        result.map_err(|error| format!("{error:#}"))?;
        Ok((ids, without_id, unreadable))
    }

    #[track_caller]
    fn check(text: &str, ids: &[&str], without_id: u64, unreadable: u64) {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(read(None, text.as_bytes()), Ok((ids, without_id, unreadable)), "{text}");
    }

    #[test]
    fn each_format_is_found_out_by_its_beginning() {
        check("", &[], 0, 0);
        check("\u{feff}{\"Id\":\"a\"}\n\n{\"Id\":\"b\"}\n{\"x\":1}\n{broken\n", &["a", "b"], 1, 1);
        check("{\n \"Id\": \"a\"\n}\n{\n \"Id\": \"b\"\n}\n", &["a", "b"], 0, 0);
        check("{\"Id\":\"a\"}{\"Id\":\"b\"}\n", &[], 0, 1);
        check(" [{\"Id\":\"a\"},\n{\"Id\":\"b\"},7,null]", &["a", "b", "7"], 1, 0);
        check("[{\"Id\":\"a\"}]\n[{\"Id\":\"b\"},{\"Id\":\"c\"}]\n", &["a", "b", "c"], 0, 0);
        check("[\"a\",\"b\"]", &["a", "b"], 0, 0);
        check("a\nb\r\n\n\"c\"\n", &["a", "b", "c"], 0, 0);
        check("Id\na\n", &["a"], 0, 0);
        check("x,Id\n1,a\n2,\"b\"\n3,\n", &["a", "b"], 1, 0);
        check("x;id\n1;a\n", &["a"], 0, 0);
        check("\"_time\",\"_raw\"\n1,\"{\"\"Id\"\":\"\"a\"\",\n\"\"x\"\":1}\"\n", &["a"], 0, 0);
        let results = "{\"results\":[{\"Id\":\"a\"},{\"_raw\":\"{\\\"Id\\\":\\\"b\\\"}\"}]}";
        check(results, &["a", "b"], 0, 0);
    }

    #[test]
    fn what_cannot_be_read_says_what_to_do() {
        let refused = |field, text: &[u8]| read(field, text).unwrap_err();
        assert!(refused(None, b"\x1f\x8b\x08").contains("gzip -dc"));
        assert!(refused(None, b"\xff\xfeI\0d\0").contains("iconv"));
        assert!(refused(None, b"time,what\n1,2\n").contains("time, what"));
        assert!(refused(Some("What.Id"), b"time,what\n1,2\n").contains("What.Id"));
        assert!(refused(None, b"[{\"Id\":\"a\"},").contains("whole"));
    }

    #[test]
    fn arrays_may_be_larger_than_what_is_read_at_once() {
        let rows: Vec<String> = (0..40_000).map(|id| format!("{{\"Id\":\"{id}\"}}")).collect();
        let text = format!("[{}]\n[{}]\n", rows.join(","), rows.join(",\n"));
        assert!(text.len() > 4 * CHUNK_BYTES);
        assert_eq!(read(None, text.as_bytes()).unwrap().0.len(), 80_000);
    }
}
