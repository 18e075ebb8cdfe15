//! What follows when an address is refused, and what is told of it.

use crate::answer::BLOB_RETRY_MAX;
use crate::batch::ContentRef;
use crate::collector::Collector;
use crate::event::Event;
use crate::exchange::PageBody;
use crate::key::Key;
use crate::lane::{RunId, Stage};
use crate::time::{Now, Utc};

/// An address as it is told: without its query, which may hold anything, and of bearable length.
fn shown_address(address: &str) -> String {
    address.split('?').next().unwrap_or_default().chars().take(ADDRESS_CHARS_MAX).collect()
}

/// Addresses are cut to this many characters.
const ADDRESS_CHARS_MAX: usize = 400;

impl Collector {
    /// An entry whose blob can be asked for nowhere.
    pub(crate) fn set_blob_aside(
        &mut self,
        now: Now,
        lane: usize,
        run: RunId,
        page: &mut PageBody,
        content: ContentRef,
    ) {
        self.refuse_address(lane, &content.uri, &content.id);
        if let Some(known) = self.lanes[lane].blobs.get(&Key::of_content(&content.id)) {
            // By a better address, which stays: this window waits for it as others do.
            let (known, urgency) = (ContentRef::clone(&known.content), known.urgency);
            self.lanes[lane].list_blob(known, Some(run), urgency);
        } else {
            let until = now.monotonic + BLOB_RETRY_MAX;
            let kept = self.lanes[lane].set_aside(content, until, &mut self.changes);
            page.bad_entries += u64::from(!kept);
        }
    }

    /// Microsoft named a wrong address, and another is asked instead.
    pub(crate) fn note_derived(&mut self, lane: usize, named: &str) {
        let lane = &mut self.lanes[lane];
        lane.metrics.addresses_derived += 1;
        if !std::mem::replace(&mut lane.derived_told, true) {
            let address = shown_address(named);
            let content_type = lane.content_type;
            self.event(Event::AddressDerived { content_type, address });
        }
    }

    /// Says that an address cannot be followed, once for each `id`.
    pub(crate) fn refuse_address(&mut self, lane: usize, address: &str, id: &str) {
        const REFUSED_MAX: usize = 10_000;
        let lane = &mut self.lanes[lane];
        if lane.refused.len() < REFUSED_MAX && lane.refused.insert(Key::of_content(id)) {
            let address = shown_address(address);
            let content_type = lane.content_type;
            self.event(Event::AddressRefusedError { content_type, address });
        }
    }

    /// A blob's address is still elsewhere: it waits for a better one until it expires.
    pub(crate) fn refuse_blob(&mut self, now: Now, index: usize, key: Key, expiration: Utc) {
        if self.clock.at(now) < expiration {
            let until = now.monotonic + BLOB_RETRY_MAX;
            self.lanes[index].set_stage(key, Stage::Waiting(until));
        } else {
            let reason = "its address is not on the configured api_url";
            let event = self.lanes[index].lose_blob(key, reason, &mut self.changes);
            self.outputs.extend(event.map(crate::Output::Event));
        }
    }
}
