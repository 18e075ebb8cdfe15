//! Requests under way, of all sources: who waits for which answer, and which answers wait for room.
//! Sends nothing.

use crate::base::flat_map::FlatMap;
use crate::contract::request::RequestId;
use crate::source::ledger::SourceId;
use crate::source::urgency::Urgency;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A source, for content.
    Source(SourceId),
    /// The sign-in on behalf of a source, for a token.
    SignIn(SourceId),
}

/// One request under way, as far as all sources have it.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    asker: Asker,
    urgency: Urgency,
    /// Whether we have made it wait since its last bytes arrived.
    stalled: bool,
}

/// All requests under way.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    under_way: FlatMap<RequestId, UnderWay>,
    next: u64,
    /// Responses that wait for room before more of them is read.
    stalled: FlatMap<(Urgency, RequestId), ()>,
}

impl Requests {
    /// One more, on behalf of `asker`. Answers its name, which no other request has had.
    pub(crate) fn begin(&mut self, asker: Asker, urgency: Urgency) -> RequestId {
        let id = RequestId(self.next);
        self.next += 1;
        self.under_way.insert(id, UnderWay { asker, urgency, stalled: false });
        id
    }

    /// A request has ended. Answers whether we had made it wait since its last bytes arrived;
    /// `None`: it was not under way any more.
    pub(crate) fn end(&mut self, id: RequestId) -> Option<bool> {
        let UnderWay { urgency, stalled, .. } = self.under_way.remove(&id)?;
        self.stalled.remove(&(urgency, id));
        Some(stalled)
    }

    /// Who waits for the answer; `None`: nobody any more.
    pub(crate) fn asker(&self, id: RequestId) -> Option<Asker> {
        self.under_way.get(&id).map(|under_way| under_way.asker)
    }

    /// The oldest.
    pub(crate) fn first(&self) -> Option<RequestId> {
        self.under_way.keys().next().copied()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// An answer waits for room.
    pub(crate) fn stall(&mut self, id: RequestId) {
        if let Some(under_way) = self.under_way.get_mut(&id) {
            under_way.stalled = true;
            self.stalled.insert((under_way.urgency, id), ());
        }
    }

    /// The most urgent answer that waits for room, which it does no longer.
    pub(crate) fn pop_stalled(&mut self) -> Option<RequestId> {
        self.stalled.pop_first().map(|((_, id), ())| id)
    }

    /// Bytes of an answer have arrived.
    pub(crate) fn note_bytes(&mut self, id: RequestId) {
        if let Some(under_way) = self.under_way.get_mut(&id) {
            under_way.stalled = false;
        }
    }
}
