//! Turns the bytes of a blob, as they arrive, into batches of records, and continues where an
//! earlier attempt stopped. Knows nothing of other blobs.

use bytes::Bytes;

use crate::audit::record;
use crate::base::key::Key;
use crate::contract::batch::Record;
use crate::json::digest::{Digest, DigestKey, Digester};
use crate::json::{DEPTH_MAX, Item, RecordKind, SplitError, Splitter};
use crate::source::revision::Revision;

/// How far into a blob something reaches: so many records, and a digest of them, so that a blob
/// that reads differently the next time is noticed instead of being continued in the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub records: u64,
    pub digest: Key,
}

impl Default for Progress {
    fn default() -> Self {
        Self { records: 0, digest: Key(0) }
    }
}

/// Records that are ready to be emitted together.
#[derive(Debug, Default)]
pub(crate) struct Expanded {
    pub records: Vec<Record>,
    /// For each record which one it is and what it says, if it has a name.
    pub known: Vec<Option<Revision>>,
    pub bytes: u64,
    /// Records among them that are left out because they are too large.
    pub oversized: u64,
    /// How far into the blob it reaches.
    pub progress: Progress,
}

/// What a body was that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// A list with something in it.
    Records,
    /// An empty list.
    Empty,
    /// `null`
    Null,
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
    digester: Digester,
    scratch: Vec<u8>,
    /// Whether the blob has turned out not to begin as it did before.
    changed: bool,
}

impl Expander {
    /// `more` says whether to lift the fields that are lifted on demand.
    pub(crate) fn new(
        resume: Progress,
        batch_bytes: usize,
        record_bytes_max: usize,
        more: bool,
        digest_key: DigestKey,
    ) -> Self {
        Self {
            splitter: Splitter::new(record_bytes_max).lifting_more(more),
            digester: Digester::new(digest_key),
            resume,
            at: Progress::default(),
            ready: Expanded::default(),
            batch_bytes,
            scratch: Vec::new(),
            changed: false,
        }
    }

    /// The next bytes of the body. Whatever came before has been drained by [`Self::step`].
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.splitter.push(chunk);
    }

    /// The next full batch, or `None` when more bytes are needed.
    pub(crate) fn step(&mut self) -> Result<Option<Expanded>, ExpandError> {
        while let Some((item, digest)) = self.next()? {
            self.take(item, digest)?;
            if self.ready.bytes >= self.batch_bytes as u64 {
                return Ok(Some(self.take_ready()));
            }
        }
        Ok(None)
    }

    /// The next element, in one look: with what it says, if it is an object and JSON.
    fn next(&mut self) -> Result<Option<(Item, Option<Digest>)>, ExpandError> {
        let mut adder = self.digester.adder();
        let item = self.splitter.poll_with(DEPTH_MAX, &mut adder).map_err(ExpandError::Body)?;
        Ok(item.map(|item| {
            let told = matches!(&item, Item::Record(split) if split.told);
            (item, told.then(|| adder.digest()))
        }))
    }

    /// The body has ended: the rest, which may be empty, and what the body was. After an error of
    /// [`Self::step`] it answers that error.
    pub(crate) fn finish(&mut self) -> Result<(Expanded, Whole), ExpandError> {
        if self.changed {
            return Err(ExpandError::Changed);
        }
        let finish = self.splitter.finish().map_err(ExpandError::Body)?;
        if self.at.records < self.resume.records {
            return Err(ExpandError::Changed);
        }
        let whole = match (finish.null, finish.records) {
            (true, _) => Whole::Null,
            (false, 0) => Whole::Empty,
            (false, _) => Whole::Records,
        };
        Ok((self.take_ready(), whole))
    }

    /// The attempt has ended before the body has, or where nothing more can be read: what was read
    /// whole and is not handed over yet, if there is anything.
    pub(crate) fn salvage(&mut self) -> Option<Expanded> {
        let resumed = !self.changed && self.resume.records <= self.at.records;
        let ahead = !self.ready.records.is_empty() || 0 < self.ready.oversized;
        (resumed && ahead).then(|| self.take_ready())
    }

    fn take_ready(&mut self) -> Expanded {
        let mut ready = std::mem::take(&mut self.ready);
        ready.progress = self.at;
        ready
    }

    fn take(&mut self, item: Item, digest: Option<Digest>) -> Result<(), ExpandError> {
        let resuming = self.at.records < self.resume.records;
        self.at.records += 1;
        match item {
            Item::Record(split) => {
                let (digest, is_json) = match (digest, split.kind) {
                    (Some(digest), _) => (digest, true),
                    (None, RecordKind::Object) => (self.digester.of_bytes(&split.raw), false),
                    (None, RecordKind::NotObject) => self.digester.digest(&split.raw),
                };
                self.at.digest = self.at.digest.chain(digest.0);
                if !resuming {
                    let key = record::key_of(&split.raw, &split.fields, &mut self.scratch);
                    self.ready.bytes += split.raw.len() as u64;
                    self.ready.known.push(key.map(|key| Revision::new(key, digest)));
                    self.ready.records.push(Record {
                        raw: split.raw,
                        fields: split.fields,
                        kind: split.kind,
                        redacted: false,
                        is_json,
                        happened: None,
                    });
                }
            }
            Item::Oversized { bytes } => {
                self.at.digest = self.at.digest.chain(bytes);
                self.ready.oversized += u64::from(!resuming);
            }
        }
        if resuming && self.at.records == self.resume.records && self.at != self.resume {
            self.changed = true;
            return Err(ExpandError::Changed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = r#"{"Id":"a","n":1}"#;
    const B: &str = r#"{"Id":"b","n":2}"#;
    const C: &str = r#"{"n":3}"#;

    fn expand(
        records: &[&str],
        resume: Progress,
    ) -> Result<(Vec<String>, Vec<Progress>), ExpandError> {
        let mut expander = Expander::new(resume, 1, 1_000, false, DigestKey::drawn(7));
        let (mut texts, mut progress) = (Vec::new(), Vec::new());
        let mut note = |expanded: Expanded| {
            assert_eq!(expanded.known.len(), expanded.records.len());
            progress.push(expanded.progress);
            for record in expanded.records {
                texts.push(String::from_utf8(record.raw.to_vec()).unwrap());
            }
        };
        expander.push(Bytes::from(format!("[{}]", records.join(","))));
        // As the collector does: what a step finds wrong, the end says.
        while let Ok(Some(expanded)) = expander.step() {
            note(expanded);
        }
        note(expander.finish()?.0);
        Ok((texts, progress))
    }

    #[test]
    fn every_point_of_a_blob_can_be_continued_from() {
        let blob = [A, B, C, A];
        let (all, points) = expand(&blob, Progress::default()).unwrap();
        assert_eq!(all, blob);
        assert_eq!(points.iter().map(|point| point.records).collect::<Vec<_>>(), [1, 2, 3, 4, 4]);
        for point in &points[..4] {
            let records = usize::try_from(point.records).unwrap();
            assert_eq!(expand(&blob, *point).unwrap().0, blob[records..]);
        }
    }

    #[test]
    fn what_was_read_whole_is_there_although_the_rest_cannot_be_read() {
        let whole = [A, B, C];
        let body = format!("[{}", whole.join(","));
        for (tail, records) in [("", 3), (",{\"Id\":\"d", 3), (",x", 3), ("]]", 3)] {
            let mut expander =
                Expander::new(Progress::default(), 1_000, 1_000, false, DigestKey::drawn(7));
            expander.push(Bytes::from(format!("{body}{tail}")));
            while let Ok(Some(_)) = expander.step() {}
            assert!(expander.finish().is_err(), "{tail}");
            let salvaged = expander.salvage().expect("three records were whole");
            assert_eq!(salvaged.progress.records, records, "{tail}");
            let texts = salvaged.records.iter().map(|record| &record.raw[..]);
            assert!(texts.eq(whole.iter().map(|text| text.as_bytes())), "{tail}");
            assert!(expander.salvage().is_none(), "it is taken once");
            // The next attempt goes on behind it.
            assert_eq!(expand(&[A, B, C, A], salvaged.progress).unwrap().0, [A]);
        }
    }

    #[test]
    fn nothing_is_taken_from_a_blob_that_reads_differently() {
        let (_, points) = expand(&[A, B, C], Progress::default()).unwrap();
        for body in [format!("[{B},{A},{C},"), format!("[{A},")] {
            let mut expander = Expander::new(points[1], 1_000, 1_000, false, DigestKey::drawn(7));
            expander.push(Bytes::from(body));
            // Whatever is asked for afterwards.
            for _ in 0..2 {
                while let Ok(Some(_)) = expander.step() {}
            }
            assert!(expander.finish().is_err() && expander.salvage().is_none());
        }
    }

    #[test]
    fn a_record_that_is_too_large_is_counted_once_whatever_comes_of_the_rest() {
        let large = format!(r#"{{"Id":"{}"}}"#, "x".repeat(1_000));
        let body = format!("[{large},");
        let mut expander =
            Expander::new(Progress::default(), 1_000, 1_000, false, DigestKey::drawn(7));
        expander.push(Bytes::from(body.clone()));
        while let Ok(Some(_)) = expander.step() {}
        let salvaged = expander.salvage().expect("it was read whole");
        assert_eq!((salvaged.oversized, salvaged.records.len()), (1, 0));
        assert!(expander.salvage().is_none(), "it is taken once");
        let mut expander =
            Expander::new(salvaged.progress, 1_000, 1_000, false, DigestKey::drawn(7));
        expander.push(Bytes::from(format!("{body}{A},{large}]")));
        while let Ok(Some(_)) = expander.step() {}
        let (rest, whole) = expander.finish().unwrap();
        assert_eq!((rest.oversized, rest.records.len(), whole), (1, 1, Whole::Records));
    }

    #[test]
    fn records_are_named_by_id_time_and_operation_if_the_id_says_anything() {
        let key = |record: &str| {
            let mut expander =
                Expander::new(Progress::default(), 1_000, 1_000, false, DigestKey::drawn(7));
            expander.push(Bytes::from(format!("[{record}]")));
            while let Ok(Some(_)) = expander.step() {}
            let (expanded, _) = expander.finish().unwrap();
            expanded.known[0].map(Revision::key)
        };
        for id in ["", " ", "00000000-0000-0000-0000-000000000000"] {
            assert_eq!(key(&format!(r#"{{"Id":"{id}","Operation":"x"}}"#)), None, "{id:?}");
        }
        for record in [r#"{"Operation":"x"}"#, r#"{"Id":null}"#, r#"{"Id":{}}"#] {
            assert_eq!(key(record), None, "{record}");
        }
        let named = key(r#"{"Id":"a","CreationTime":"t","Operation":"o"}"#).unwrap();
        let same = key(r#"{"Operation":"o","n":1,"Id":"a","CreationTime":"t"}"#).unwrap();
        assert_eq!(named, same, "whatever else it says, in whatever order");
        for other in [
            r#"{"Id":"b","CreationTime":"t","Operation":"o"}"#,
            r#"{"Id":"a","CreationTime":"u","Operation":"o"}"#,
            r#"{"Id":"a","CreationTime":"t","Operation":"p"}"#,
            r#"{"Id":"a","CreationTime":"to"}"#,
        ] {
            assert_ne!(key(other).unwrap(), named, "{other}");
        }
    }

    #[test]
    fn a_blob_that_reads_differently_is_not_continued() {
        let (_, points) = expand(&[A, B, C], Progress::default()).unwrap();
        for blob in [&[B, A, C][..], &[A]] {
            let changed = expand(blob, points[1]);
            assert!(matches!(changed, Err(ExpandError::Changed)), "{blob:?}");
        }
    }
}
