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
            | Self::Unknown => false,
        }
    }
}
