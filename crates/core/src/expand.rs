//! Turns the bytes of a blob, as they arrive, into batches of records: continues where an earlier
//! attempt stopped, and leaves out records that were delivered in other blobs.

use bytes::Bytes;

use crate::batch::Record;
use crate::json::{Item, SplitError, Splitter};
use crate::key::Key;
use crate::seen::SeenRecords;

/// How far into a blob something reaches: so many records, and a digest of them, so that a blob
/// that reads differently the next time is noticed instead of being continued in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) records: u64,
    pub(crate) digest: Key,
}

impl Default for Progress {
    fn default() -> Self {
        Self { records: 0, digest: Key(0) }
    }
}

/// Records that are ready to be emitted together.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    pub(crate) records: Vec<Record>,
    pub(crate) keys: Vec<Key>,
    pub(crate) bytes: u64,
    /// How far into the blob it reaches, records that were left out included.
    pub(crate) progress: Progress,
}

/// Why an expansion cannot go on.
#[derive(Debug)]
pub(crate) enum ExpandError {
    /// The body is not an array of records, or not a whole one.
    Body(SplitError),
    /// The blob does not begin with the records it began with before.
    Changed,
}

/// The expansion of one blob in one attempt.
#[derive(Debug)]
pub(crate) struct Expander {
    splitter: Splitter,
    /// Up to here everything was emitted by an earlier attempt.
    resume: Progress,
    at: Progress,
    ready: Expanded,
    batch_bytes: usize,
    scratch: Vec<u8>,
    /// Records dropped because they are too large, since last asked.
    oversized: u64,
    /// Records left out because they were delivered before, since last asked.
    deduplicated: u64,
}

impl Expander {
    pub(crate) fn new(resume: Progress, batch_bytes: usize, record_bytes_max: usize) -> Self {
        Self {
            splitter: Splitter::new(record_bytes_max),
            resume,
            at: Progress::default(),
            ready: Expanded::default(),
            batch_bytes,
            scratch: Vec::new(),
            oversized: 0,
            deduplicated: 0,
        }
    }

    /// The next bytes of the body. Whatever came before has been drained by [`Self::step`].
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.splitter.push(chunk);
    }

    /// The next full batch, or `None` when more bytes are needed.
    pub(crate) fn step(&mut self, seen: &mut SeenRecords) -> Result<Option<Expanded>, ExpandError> {
        while let Some(item) = self.splitter.poll().map_err(ExpandError::Body)? {
            self.take(item, seen)?;
            if self.ready.bytes >= self.batch_bytes as u64 {
                return Ok(Some(self.take_ready()));
            }
        }
        Ok(None)
    }

    /// The body has ended: the rest, which may be empty.
    pub(crate) fn finish(&mut self) -> Result<Expanded, ExpandError> {
        self.splitter.finish().map_err(ExpandError::Body)?;
        if self.at.records < self.resume.records {
            return Err(ExpandError::Changed);
        }
        Ok(self.take_ready())
    }

    /// Records left out, and records dropped, since the last call.
    pub(crate) fn take_counts(&mut self) -> (u64, u64) {
        (std::mem::take(&mut self.deduplicated), std::mem::take(&mut self.oversized))
    }

    /// Keys of records that were taken and not yet handed out: an attempt that is given up takes
    /// them back.
    pub(crate) fn unclaimed(&self) -> &[Key] {
        &self.ready.keys
    }

    fn take_ready(&mut self) -> Expanded {
        let mut ready = std::mem::take(&mut self.ready);
        ready.progress = self.at;
        ready
    }

    fn take(&mut self, item: Item, seen: &mut SeenRecords) -> Result<(), ExpandError> {
        let resuming = self.at.records < self.resume.records;
        self.at.records += 1;
        match item {
            Item::Record(split) => {
                let key = Key::of_record(&split.raw, &split.fields, &mut self.scratch);
                self.at.digest = self.at.digest.chain(&split.raw, key);
                if !resuming {
                    let key = key.filter(|_| !seen.is_off());
                    if key.is_none_or(|key| seen.emit(key)) {
                        self.ready.bytes += split.raw.len() as u64;
                        self.ready.keys.extend(key);
                        self.ready.records.push(Record {
                            raw: split.raw,
                            fields: split.fields,
                            kind: split.kind,
                        });
                    } else {
                        self.deduplicated += 1;
                    }
                }
            }
            Item::Oversized { bytes } => {
                self.at.digest = self.at.digest.chain(&bytes.to_le_bytes(), None);
                self.oversized += u64::from(!resuming);
            }
        }
        if resuming && self.at.records == self.resume.records && self.at != self.resume {
            return Err(ExpandError::Changed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::ContentType;
    use crate::state::{LaneKeys, Stored};

    const BLOB: &str = r#"[{"Id":"a","n":1},{"Id":"b","n":2},{"n":3},{"Id":"a","n":1}]"#;

    fn seen() -> SeenRecords {
        let keys = LaneKeys::new(ContentType::AuditGeneral);
        SeenRecords::load(&Stored::new(), &keys, 100).unwrap()
    }

    fn expand(
        body: &'static str,
        resume: Progress,
        seen: &mut SeenRecords,
    ) -> Result<(Vec<String>, Vec<Progress>), ExpandError> {
        let mut expander = Expander::new(resume, 1, 1_000);
        let (mut texts, mut progress) = (Vec::new(), Vec::new());
        let mut note = |expanded: Expanded| {
            progress.push(expanded.progress);
            for record in expanded.records {
                texts.push(String::from_utf8(record.raw.to_vec()).unwrap());
            }
        };
        expander.push(Bytes::from_static(body.as_bytes()));
        while let Some(expanded) = expander.step(seen)? {
            note(expanded);
        }
        note(expander.finish()?);
        Ok((texts, progress))
    }

    #[test]
    fn a_record_is_left_out_the_second_time_unless_it_has_no_id() {
        let (texts, _) = expand(BLOB, Progress::default(), &mut seen()).unwrap();
        assert_eq!(texts, [r#"{"Id":"a","n":1}"#, r#"{"Id":"b","n":2}"#, r#"{"n":3}"#]);
    }

    #[test]
    fn every_point_of_a_blob_can_be_continued_from() {
        let (_, points) = expand(BLOB, Progress::default(), &mut seen()).unwrap();
        assert_eq!(points.iter().map(|point| point.records).collect::<Vec<_>>(), [1, 2, 3, 4]);
        let a = r#"{"Id":"a","n":1}"#;
        let b = r#"{"Id":"b","n":2}"#;
        let c = r#"{"n":3}"#;
        let rests: [&[&str]; 4] = [&[b, c, a], &[c, a], &[a], &[]];
        for (point, rest) in points.iter().zip(rests) {
            assert_eq!(expand(BLOB, *point, &mut seen()).unwrap().0, rest);
        }
    }

    #[test]
    fn a_blob_that_reads_differently_is_not_continued() {
        let (_, points) = expand(BLOB, Progress::default(), &mut seen()).unwrap();
        let other = r#"[{"Id":"b","n":2},{"Id":"a","n":1},{"n":3}]"#;
        let short = r#"[{"Id":"a","n":1}]"#;
        for body in [other, short] {
            let changed = expand(body, points[1], &mut seen());
            assert!(matches!(changed, Err(ExpandError::Changed)), "{body}");
        }
    }
}
