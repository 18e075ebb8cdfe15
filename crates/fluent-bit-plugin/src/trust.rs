//! How far the host's counts are trusted to be those of what it was given. Pure.
//!
//! Counts that are no batch's mark, several times in a row, end the trust: what is under way is
//! returned, and once the ring buffer is known to be empty the next batch goes alone, to see. At
//! the second time, or where one batch alone is miscounted, it stays so. Where a batch is counted
//! more than once, the next one goes only when the engine has come back.

/// Readings in a row that are no batch's mark before counts are distrusted. One or two happen: the
/// engine raises one counter after the other.
pub(crate) const MISMATCHES_MAX: u32 = 5;

/// How often counts are distrusted before it is for good.
pub(crate) const DOUBTS_MAX: u32 = 2;

/// The trust in one instance's counts.
#[derive(Debug)]
pub(crate) struct Trust {
    state: State,
    /// Readings in a row that were no batch's mark.
    mismatches: u32,
    doubts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not yet: one batch alone has to show that they move by just what it holds.
    Untried,
    /// They move by just what batches hold.
    Exact,
    /// Something changes records on the way. One batch at a time in the ring buffer: any rise is
    /// its own. `probed`: so far none rose by more than its records.
    Altered { probed: bool },
    /// One batch raises them by more than it holds, perhaps in several steps (conditional routes):
    /// the next one goes when it is written.
    Multiplied,
}

/// How many batches may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Several, told apart by their marks.
    Window,
    /// One in the ring buffer; others may wait for the proof that they are written.
    OneInRing,
    /// One.
    One,
}

impl Trust {
    pub(crate) fn new() -> Self {
        Self { state: State::Untried, mismatches: 0, doubts: 0 }
    }

    pub(crate) fn room(&self) -> Room {
        match self.state {
            State::Exact => Room::Window,
            State::Altered { probed: true } => Room::OneInRing,
            State::Untried | State::Altered { probed: false } | State::Multiplied => Room::One,
        }
    }

    /// Whether sums prove nothing, but that they rise.
    pub(crate) fn is_altered(&self) -> bool {
        matches!(self.state, State::Altered { .. } | State::Multiplied)
    }

    pub(crate) fn is_multiplied(&self) -> bool {
        self.state == State::Multiplied
    }

    /// Whether one batch was seen to be counted for less than it holds, and to be written.
    pub(crate) fn is_probed(&self) -> bool {
        self.state == State::Altered { probed: true }
    }

    /// Whether the last reading was no batch's mark.
    pub(crate) fn is_puzzled(&self) -> bool {
        self.mismatches > 0
    }

    /// A reading is the mark of a batch; `alone`: of the only one.
    pub(crate) fn fits(&mut self, alone: bool) {
        self.mismatches = 0;
        if alone && !self.is_altered() {
            self.state = State::Exact;
        }
    }

    /// What was compared so far counts no longer.
    pub(crate) fn forget_mismatches(&mut self) {
        self.mismatches = 0;
    }

    /// A reading is no batch's mark. Whether that was once too often.
    pub(crate) fn mismatch(&mut self) -> bool {
        self.mismatches += 1;
        MISMATCHES_MAX <= self.mismatches
    }

    /// Counts are not what was handed over, but `more`, or something else.
    pub(crate) fn distrust(&mut self, more: bool) {
        self.doubts += 1;
        self.mismatches = 0;
        self.state = if more {
            State::Multiplied
        } else if self.doubts < DOUBTS_MAX {
            // Something may have been lost, once. The next batch shows, alone.
            State::Untried
        } else {
            State::Altered { probed: false }
        };
    }

    /// Counts are those of some of what was handed over: the host has dropped the rest. The next
    /// batch shows, alone, whether that goes on.
    pub(crate) fn lose(&mut self) {
        self.mismatches = 0;
        self.state = State::Untried;
    }

    /// A batch that was alone moved counts by something else than it holds.
    pub(crate) fn alter(&mut self) {
        self.state = State::Altered { probed: false };
    }

    /// A batch raised counts by more than it holds.
    pub(crate) fn multiply(&mut self) {
        self.state = State::Multiplied;
    }

    /// A batch is written, and raised counts by no more than it holds.
    pub(crate) fn probed(&mut self) {
        if let State::Altered { probed } = &mut self.state {
            *probed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_batch_alone_earns_trust_and_a_doubt_takes_it_back() {
        let mut trust = Trust::new();
        assert_eq!(trust.room(), Room::One);
        trust.fits(false);
        assert_eq!(trust.room(), Room::One, "one among several shows nothing");
        trust.fits(true);
        assert_eq!(trust.room(), Room::Window);
        trust.distrust(false);
        assert_eq!((trust.room(), trust.is_altered()), (Room::One, false), "once may be a loss");
        trust.fits(true);
        trust.lose();
        assert_eq!((trust.room(), trust.is_altered()), (Room::One, false), "a loss is no doubt");
        trust.fits(true);
        trust.distrust(false);
        trust.fits(true);
        assert!(trust.is_altered(), "twice is for good");
        assert_eq!(trust.room(), Room::One);
        trust.probed();
        assert_eq!((trust.room(), trust.is_probed()), (Room::OneInRing, true));
        trust.multiply();
        trust.probed();
        assert_eq!(trust.room(), Room::One);
    }

    #[test]
    fn mismatches_count_only_in_a_row() {
        let mut trust = Trust::new();
        for _ in 0..3 {
            assert!((1..MISMATCHES_MAX).all(|_| !trust.mismatch()));
            assert!(trust.is_puzzled());
            trust.fits(false);
        }
        assert!((1..MISMATCHES_MAX).all(|_| !trust.mismatch()));
        assert!(trust.mismatch());
        trust.forget_mismatches();
        assert!(!trust.is_puzzled(), "what comes next begins anew");
        assert!(!trust.mismatch());
    }
}
