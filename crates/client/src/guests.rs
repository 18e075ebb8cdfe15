//! Who is connected. Decides who has to go when somebody else comes; knows no HTTP.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::AbortHandle;

/// One connection.
#[derive(Debug)]
struct Guest {
    task: AbortHandle,
    /// Whether it has brought the authentication id.
    known: Arc<AtomicBool>,
}

/// All connections, the oldest first.
#[derive(Debug)]
pub(crate) struct Guests {
    max: usize,
    guests: VecDeque<Guest>,
}

/// How there came to be room for one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There was some.
    Free,
    /// Somebody who has not brought the authentication id has had to go.
    Evicted,
}

impl Guests {
    pub(crate) const fn new(max: usize) -> Self {
        Self { max, guests: VecDeque::new() }
    }

    /// Makes room for one more connection; `None` if nobody can be asked to go.
    pub(crate) fn make_room(&mut self) -> Option<Room> {
        if self.guests.len() < self.max {
            return Some(Room::Free);
        }
        self.guests.retain(|guest| !guest.task.is_finished());
        if self.guests.len() < self.max {
            return Some(Room::Free);
        }
        let stranger = |guest: &Guest| !guest.known.load(Ordering::Relaxed);
        let at = self.guests.iter().position(stranger)?;
        self.guests.remove(at)?.task.abort();
        Some(Room::Evicted)
    }

    pub(crate) fn welcome(&mut self, task: AbortHandle, known: Arc<AtomicBool>) {
        self.guests.push_back(Guest { task, known });
    }
}

impl Drop for Guests {
    fn drop(&mut self) {
        self.guests.iter().for_each(|guest| guest.task.abort());
    }
}
