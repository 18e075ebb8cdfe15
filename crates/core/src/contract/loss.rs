//! How something can be lost. Plain data.

use serde::{Deserialize, Serialize};

/// How something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// Time that fell out of Microsoft's listings before it was listed.
    Gap,
    /// Time in which the subscription was stopped, as far as is known. Something may be lost.
    Unsubscribed,
    /// A blob that expired before it could be read.
    Blob,
    /// Records that were too large.
    RecordsDropped,
    /// Records that redaction could not read. Their length and hash were delivered.
    RecordsWithheld,
    /// Entries of listings that could not be read, so that their blobs are not known.
    EntriesDropped,
    /// Bytes of an output that count as delivered and are not there any more.
    Output,
    /// Records that a receiver refused for good.
    RecordsRejected,
    /// What a newer version knows of.
    #[serde(other)]
    Unknown,
}

impl LossKind {
    /// Its name, as it is stored and printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Unsubscribed => "unsubscribed",
            Self::Blob => "blob",
            Self::RecordsDropped => "records-dropped",
            Self::RecordsWithheld => "records-withheld",
            Self::EntriesDropped => "entries-dropped",
            Self::Output => "output",
            Self::RecordsRejected => "records-rejected",
            Self::Unknown => "unknown",
        }
    }

    /// Whether two losses of this kind that touch are one.
    pub(crate) const fn grows(self) -> bool {
        match self {
            Self::Gap | Self::Unsubscribed | Self::EntriesDropped => true,
            Self::Blob
            | Self::RecordsDropped
            | Self::RecordsWithheld
            | Self::Output
            | Self::RecordsRejected
            | Self::Unknown => false,
        }
    }
}

/// How something of an hour was lost: a small set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Causes(u8);

impl Causes {
    const ALL: [LossKind; 7] = [
        LossKind::Gap,
        LossKind::Unsubscribed,
        LossKind::Blob,
        LossKind::RecordsDropped,
        LossKind::RecordsWithheld,
        LossKind::EntriesDropped,
        LossKind::Unknown,
    ];

    /// The bit of a cause. What an output lacks is of no hour.
    const fn bit(kind: LossKind) -> u8 {
        match kind {
            LossKind::Gap => 1,
            LossKind::Unsubscribed => 2,
            LossKind::Blob => 4,
            LossKind::RecordsDropped => 8,
            LossKind::RecordsWithheld => 16,
            LossKind::EntriesDropped => 32,
            LossKind::Output | LossKind::RecordsRejected | LossKind::Unknown => 64,
        }
    }

    /// From the form in which they are stored.
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The form in which they are stored.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    pub(crate) const fn insert(&mut self, kind: LossKind) {
        self.0 |= Self::bit(kind);
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = LossKind> {
        Self::ALL.into_iter().filter(move |kind| self.0 & Self::bit(*kind) != 0)
    }
}
