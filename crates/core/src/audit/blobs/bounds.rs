//! How many blobs of one feed are held, and how full it is of those that cannot be read.

/// No further page is listed while this many blobs wait to be read. A page has held several
/// thousand; so many come on top.
pub(super) const BLOBS_READY_MAX: usize = 1_000;

/// Blobs of one lane that are known and not settled, but for those set aside: beyond it only fresh
/// content is listed. Blobs that fail for a while count here and not above.
pub(super) const BLOBS_KNOWN_MAX: usize = 20_000;

/// The same for fresh content: beyond it nothing is listed any more.
pub(super) const BLOBS_FRESH_MAX: usize = 60_000;

/// Blobs that are set aside at the most. Further ones keep their windows open instead.
pub(super) const QUARANTINE_MAX: usize = 10_000;

/// Whether too many blobs cannot be read, as far as that was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unreadable {
    Bearable,
    /// No more can be set aside.
    Full,
    /// Nothing is listed any more.
    Stopped,
}
