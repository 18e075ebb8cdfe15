//! Walks the objects that lie whole in a chunk: each in one look, for where it ends, for its fields
//! and for whoever is told of it. Must not judge what is no JSON: that is left to the bracket scan.

use super::lift::{LiftFields, Lifted};
use super::stops::Stops;
use super::visit::Visit;
use super::walk::{DEPTH_MAX, Walk, utf8_end};

/// What is known of a chunk before anybody walks, in buffers that are used again.
#[derive(Debug, Default)]
pub(super) struct ChunkWalk {
    stops: Stops,
    scratch: Vec<u8>,
    depth_max: usize,
}

impl ChunkWalk {
    /// Walks at most so many containers into each other.
    pub(super) fn follow(&mut self, depth_max: usize) {
        self.depth_max = depth_max.min(DEPTH_MAX);
    }

    /// Another chunk takes the place of the last one.
    pub(super) fn forget(&mut self) {
        self.stops.forget();
    }

    /// Walks the object that begins at `at` and lifts its fields; how long it is. `None` if it does
    /// not end in the chunk, or is no JSON: then the fields are not to be used, and what `visitor`
    /// was told does not count.
    #[inline(always)]
    pub(super) fn object<V: Visit>(
        &mut self,
        chunk: &[u8],
        at: usize,
        more: bool,
        visitor: &mut V,
        fields: &mut Lifted,
    ) -> Option<usize> {
        visitor.begin();
        let mut walk = Walk::new(chunk, &mut self.stops, &mut self.scratch);
        let end = if more {
            walk.object(at, self.depth_max, visitor, &mut LiftFields::<true>::new(fields, at))
        } else {
            walk.object(at, self.depth_max, visitor, &mut LiftFields::<false>::new(fields, at))
        };
        let object = chunk.get(at..end.ok()?)?;
        (utf8_end(object) == object.len()).then_some(object.len())
    }
}
