//! Whether a service was ever reached. While it was not, trouble is more often a mistake in the
//! set-up than an outage, and is told at once; later on it is told as it mounts.

/// Answers of somebody else in a row, after which an address is not believed any more; and one that
/// has been right.
const FOREIGN_MAX: u32 = 6;
const FOREIGN_PROVEN_MAX: u32 = 20;

/// The account of one service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contact {
    /// Whether anything answered.
    answered: bool,
    /// Whether the service itself answered as it should.
    proven: bool,
    /// Answers of somebody else in a row.
    foreign: u32,
    unreachable_told: bool,
    foreign_told: bool,
}

impl Contact {
    /// Something answered.
    pub(crate) const fn note_answer(&mut self) {
        self.answered = true;
    }

    /// The service answered as it should.
    pub(crate) const fn note_proof(&mut self) {
        self.proven = true;
        self.foreign = 0;
        self.foreign_told = false;
    }

    /// Nothing answered. Whether that is to be told at once.
    pub(crate) const fn note_silence(&mut self) -> bool {
        let news = !self.answered && !self.unreachable_told;
        self.unreachable_told |= news;
        news
    }

    /// Somebody else answered. Whether that is to be told now.
    pub(crate) const fn note_foreign(&mut self) -> bool {
        self.foreign = self.foreign.saturating_add(1);
        let news = !self.foreign_told && (!self.proven || self.is_lost());
        self.foreign_told |= news;
        news
    }

    /// Whether so many answers in a row were somebody else's that no other can be expected.
    pub(crate) const fn is_lost(&self) -> bool {
        self.foreign >= if self.proven { FOREIGN_PROVEN_MAX } else { FOREIGN_MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_worked_is_told_at_once_and_once() {
        let mut contact = Contact::default();
        assert!(contact.note_silence());
        assert!(!contact.note_silence());
        let told: Vec<bool> = (0..9).map(|_| contact.note_foreign()).collect();
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
        assert!(told[0] && contact.is_lost());
    }

    #[test]
    fn what_worked_before_is_told_when_it_mounts() {
        let mut contact = Contact::default();
        contact.note_answer();
        contact.note_proof();
        assert!(!contact.note_silence());
        let told: Vec<bool> = (0..30).map(|_| contact.note_foreign()).collect();
        assert_eq!(told.iter().position(|told| *told), Some(19));
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
        contact.note_proof();
        assert!(!contact.is_lost() && !contact.note_foreign());
    }
}
