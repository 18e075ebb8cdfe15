//! One page of activities on its way in: from bytes to batches. Knows no other page.

use bytes::Bytes;

use super::envelope::{Envelope, EnvelopeError, PageEnd};
use super::record::know;
use crate::base::time::Utc;
use crate::contract::batch::Record;
use crate::json::Item;
use crate::json::digest::{DigestKey, Digester};
use crate::source::revision::Revision;

/// Activities that are ready to be emitted together.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    pub records: Vec<Record>,
    /// For each: which one it is and what it says, and when it was stored.
    pub known: Vec<(Revision, Utc)>,
    bytes: u64,
}

/// One page in one attempt.
#[derive(Debug)]
pub(crate) struct PageReader {
    envelope: Envelope,
    ready: Ready,
    batch_bytes: usize,
    digester: Digester,
    /// Activities dropped because they are too large.
    oversized: u64,
    /// When an activity was stored that does not say: when it was searched for.
    searched: Utc,
}

impl PageReader {
    pub(crate) fn new(
        batch_bytes: usize,
        record_bytes_max: usize,
        searched: Utc,
        digest_key: DigestKey,
    ) -> Self {
        Self {
            envelope: Envelope::new(record_bytes_max),
            ready: Ready::default(),
            batch_bytes,
            digester: Digester::new(digest_key),
            oversized: 0,
            searched,
        }
    }

    /// The next bytes. Whatever came before has been drained by [`Self::step`].
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.envelope.push(chunk);
    }

    /// The next full batch, or `None` when more bytes are needed.
    pub(crate) fn step(&mut self) -> Result<Option<Ready>, EnvelopeError> {
        while let Some(item) = self.envelope.poll()? {
            match item {
                Item::Record(split) => {
                    let known = know(&split.raw);
                    let (digest, is_json) = self.digester.digest(&split.raw);
                    let revision = Revision::new(known.key, digest);
                    self.ready.bytes += split.raw.len() as u64;
                    self.ready.known.push((revision, known.created.unwrap_or(self.searched)));
                    self.ready.records.push(Record {
                        raw: split.raw,
                        fields: split.fields,
                        kind: split.kind,
                        redacted: false,
                        is_json,
                        happened: known.happened,
                    });
                }
                Item::Oversized { .. } => self.oversized += 1,
            }
            if self.ready.bytes >= self.batch_bytes as u64 {
                return Ok(Some(self.take_ready()));
            }
        }
        Ok(None)
    }

    /// The body has ended: what the page says, and how many activities it held.
    pub(crate) fn finish(&self) -> Result<(PageEnd, u64), EnvelopeError> {
        Ok((self.envelope.finish()?, self.envelope.records()))
    }

    /// Activities that were left out because they are too large.
    pub(crate) const fn oversized(&self) -> u64 {
        self.oversized
    }

    /// The rest, which may be nothing.
    pub(crate) fn take_ready(&mut self) -> Ready {
        std::mem::take(&mut self.ready)
    }
}
