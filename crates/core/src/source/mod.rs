//! What all sources have in common. Names no source.

pub(crate) mod account;
pub(crate) mod again;
pub(crate) mod coverage;
pub(crate) mod desk;
pub(crate) mod exchange;
pub(crate) mod failing;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod ledger;
pub(crate) mod limits;
pub(crate) mod losses;
pub(crate) mod postponed;
pub(crate) mod requests;
pub(crate) mod retention;
pub(crate) mod revision;
pub(crate) mod trouble;
pub(crate) mod urgency;
pub(crate) mod verdict;
pub(crate) mod words;

use std::fmt;

use bytes::Bytes;

use crate::access::Access;
use crate::base::time::{Now, Utc};
use crate::contract::batch::{BatchId, ContentRef};
use crate::contract::metrics::LaneMetrics;
use crate::contract::replay::Replay;
use crate::contract::request::{Headers, RequestId, TransportError};
use crate::source::desk::Desk;
use crate::source::exchange::Appetite;
use crate::source::ledger::Entry;
use crate::source::urgency::Wake;

/// One API of Microsoft that records are collected from: what to ask it next, and what its answers
/// mean. Knows no other source, and reaches what all share through the desk alone.
pub(crate) trait Source: Send {
    /// What it demands before it is asked.
    fn access(&mut self) -> &mut Access;

    /// Sends what may be sent now, and notes when to look again. Looks at no answer.
    fn schedule(&mut self, desk: &mut Desk, now: Now, wake: &mut Wake);

    /// An answer begins.
    fn head(
        &mut self,
        desk: &mut Desk,
        now: Now,
        id: RequestId,
        status: u16,
        headers: &Headers,
    ) -> Appetite;

    /// An answer goes on.
    fn body(&mut self, desk: &mut Desk, now: Now, id: RequestId, chunk: Bytes) -> Appetite;

    /// An answer has ended, well or badly, or no more of it is wanted.
    fn end(&mut self, desk: &mut Desk, now: Now, id: RequestId, ended: Ended);

    /// The host has taken an entry, and all before it.
    fn delivered(&mut self, desk: &mut Desk, now: Now, entry: &Entry);

    /// The host has lost this entry, and all that came after.
    fn returned(&mut self, desk: &mut Desk, from: BatchId);

    /// Somebody says that this content exists. Whether that is news.
    fn hint(&mut self, _desk: &Desk, _now: Now, _content: ContentRef) -> bool {
        false
    }

    /// Opens hours again, so that they are delivered once more. Whether they are of a feed of its.
    fn replay(&mut self, _desk: &mut Desk, _now: Now, _replay: Replay) -> bool {
        false
    }

    /// Microsoft's clock is known, or known better.
    fn correct_time(&mut self, time: Corrected);

    /// Hands over what has changed, to be stored.
    fn flush(&mut self, desk: &mut Desk, now: Now);

    /// Tells what it has kept back so far, before the collector ends.
    fn finish(&mut self, _desk: &mut Desk, _now: Now) {}

    /// For a run that ends: whether something is left to do. `target`: up to when everything is to
    /// be collected, if the time is known.
    fn standing(&self, target: Option<Utc>, now: Utc) -> Standing;

    /// Whether nothing was lost, nor denied, nor left unread.
    fn is_whole(&self) -> bool;

    /// How each of its feeds stands, as of `now`.
    fn measure(&mut self, now: Utc) -> Vec<&LaneMetrics>;
}

/// Without its state: a `dyn Source` that prints all of it keeps the printing of every part alive,
/// 50 KB of the component, where nobody prints it.
impl fmt::Debug for dyn Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// How an answer ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// Whether all that was wanted of it has arrived.
    pub result: Result<(), TransportError>,
    /// Whether we had made it wait since its last bytes arrived: our own back-pressure may have
    /// cost the connection.
    pub stalled: bool,
}

/// How a source stands in a run that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Something is left to do.
    Working,
    /// All that can be had is delivered.
    Done,
    /// Nothing can be had until somebody acts.
    Refused,
}

/// Microsoft's time, and when the collector began by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Corrected {
    pub now: Utc,
    pub born: Utc,
}
