//! Where events are written: bytes that are there already, so that a short text is written in one
//! step of constant size, whatever stands behind it.

/// The least that is made ready.
const GROW_MIN: usize = 4 << 10;

/// A buffer and how much of it is used. What is behind that means nothing.
#[derive(Debug, Default)]
pub(crate) struct Room {
    bytes: Vec<u8>,
    used: usize,
}

impl Room {
    /// A buffer that holds these bytes.
    pub(crate) fn holding(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), used: bytes.len() }
    }

    /// How much is used.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    /// What is used.
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.used]
    }

    /// The same, to be changed.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.used]
    }

    /// Uses no more than `length` of it.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.used = self.used.min(length);
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.used) {
            *place = byte;
            self.used += 1;
        } else {
            self.extend_far(&[byte]);
        }
    }

    #[inline(always)]
    pub(crate) fn extend_from_slice(&mut self, bytes: &[u8]) {
        match self.bytes.get_mut(self.used..self.used + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            None => self.extend_far(bytes),
        }
    }

    /// The next `N` bytes, to be written to; [`advance`](Self::advance) uses them.
    #[inline(always)]
    pub(crate) fn ahead<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        self.bytes.get_mut(self.used..)?.first_chunk_mut()
    }

    /// Uses so many bytes more, of those that were written [`ahead`](Self::ahead).
    #[inline(always)]
    pub(crate) fn advance(&mut self, length: usize) {
        self.used += length;
    }

    #[cold]
    #[inline(never)]
    fn extend_far(&mut self, bytes: &[u8]) {
        self.grow(bytes.len());
        self.bytes[self.used..][..bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }

    fn grow(&mut self, more: usize) {
        let length = (self.used + more).max(2 * self.bytes.len()).max(GROW_MIN);
        // New zeros come from the system as they are; it need not be told to write them.
        let mut bytes = vec![0; length];
        bytes[..self.used].copy_from_slice(&self.bytes[..self.used]);
        self.bytes = bytes;
    }
}
