//! Bodies that are made as they are read, so that a blob of any size costs little memory.

use crate::blob::BlobStream;

/// The body of a reply.
#[derive(Debug, Default)]
pub struct Body {
    first: Vec<u8>,
    rest: Option<Box<BlobStream>>,
}

impl Body {
    pub(crate) fn bytes(bytes: Vec<u8>) -> Self {
        Self { first: bytes, rest: None }
    }

    /// A blob: built at once when it is small, else as it is read.
    pub(crate) fn blob(mut stream: BlobStream) -> Self {
        if !stream.is_small() {
            return Self { first: Vec::new(), rest: Some(Box::new(stream)) };
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next_chunk() {
            if bytes.is_empty() { bytes = chunk } else { bytes.extend_from_slice(&chunk) }
        }
        Self::bytes(bytes)
    }

    /// Puts bytes before the body.
    pub(crate) fn prepend(&mut self, prefix: &[u8]) {
        self.first.splice(..0, prefix.iter().copied());
    }

    /// The length, when it is known without making the body.
    pub fn known_len(&self) -> Option<u64> {
        self.rest.is_none().then_some(self.first.len() as u64)
    }

    /// The next bytes; about 64 KiB, more when one record is larger.
    pub fn next_chunk(&mut self) -> Option<Vec<u8>> {
        if !self.first.is_empty() {
            return Some(std::mem::take(&mut self.first));
        }
        self.rest.as_mut()?.next_chunk()
    }

    /// All bytes at once. For tests and small bodies.
    pub fn to_vec(mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(chunk) = self.next_chunk() {
            if all.is_empty() { all = chunk } else { all.extend_from_slice(&chunk) }
        }
        all
    }
}
