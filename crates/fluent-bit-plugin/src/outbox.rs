//! The two queues between a worker and its input thread: batches one way, notices the other.
//! Moves things and bounds them; what a batch's fate is, the ledger decides.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::marks::WINDOW_MAX;

/// Events to deliver together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The author's name for this batch; comes back in [`Notice`]. Need not be unique or rise.
    pub ticket: u64,
    /// Under which tag; `None` for the instance's. Needs a host whose `flb_input_log_append` can
    /// be found, which is every ordinary build: see [`Setup::own_tags`](crate::Setup::own_tags).
    pub tag: Option<String>,
    /// How many events `msgpack` holds, exactly. A wrong number costs throughput: the SDK then
    /// believes that a processor changes it.
    pub records: u32,
    /// The events, one after the other; see [`EventWriter`](crate::EventWriter). At most about
    /// 1 MiB: a batch is never split, and Fluent Bit's chunks are meant to be 2 MB. Smaller ones
    /// are joined. Headers of short texts in the first event may be written longer. Empty is
    /// allowed: such a batch settles as soon as all before it have.
    pub msgpack: Vec<u8>,
}

/// What became of batches. `Settled` comes in the order in which batches were sent. With a commit
/// delay, `Settled` of earlier batches may follow a `Returned`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The batch with this ticket is as safe as this Fluent Bit can make it: progress up to it may
    /// be recorded. Each batch settles on its own, in the order of sending.
    Settled(u64),
    /// The host lost this batch. It and every batch sent after it, up to the moment this notice
    /// is received, will not be delivered (or not again): they have to be produced again.
    Returned(u64),
    /// Fluent Bit is stopping or reloading. The last notice: nothing settles any more, nothing
    /// can be sent. Record what has settled, close files, return; the host waits for it.
    Stop,
}

/// How much may wait between a worker and Fluent Bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Batches in the queue to the input thread. At least 1. Default 64.
    pub queue_batches: usize,
    /// Bytes in that queue. One batch may exceed it alone. Default 8 MiB. Besides, up to 1 MiB for
    /// each of 8 tags has left it to be joined.
    pub queue_bytes: usize,
    /// Appends in the host's ring buffer, each of joined batches: from 1 to 8, which is the
    /// default.
    /// More could not be told apart by the host's sums.
    pub in_flight_batches: usize,
    /// Bytes in the host's ring buffer, which it empties four times a second. One batch may exceed
    /// it alone. Default 16 MiB.
    pub in_flight_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_batches: 64,
            queue_bytes: 8 << 20,
            in_flight_batches: WINDOW_MAX,
            in_flight_bytes: 16 << 20,
        }
    }
}

/// The input is stopping: nothing can be sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the input is stopping")]
pub struct Stopped;

/// A batch that could not be queued at once. Holds it, so that it can be sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError {
    /// The queue is full.
    #[error("the queue is full")]
    Full(Batch),
    /// The input is stopping.
    #[error("the input is stopping")]
    Stopped(Batch),
}

struct State {
    queue: VecDeque<Batch>,
    queue_bytes: usize,
    /// Bounded by the batches that are queued or in the ledger, plus two.
    notices: VecDeque<Notice>,
    /// A `Returned` notice waits to be received; what is sent meanwhile is covered by it.
    returning: bool,
    stopped: bool,
    waker: Option<Arc<dyn Fn() + Send + Sync>>,
}

struct Shared {
    state: Mutex<State>,
    space: Condvar,
    notice: Condvar,
    refill: Condvar,
    limits: Limits,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The queues stay consistent at every statement, so a panicking worker spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits, the author's waker without holding the lock.
    fn wake(&self, state: MutexGuard<'_, State>) {
        let waker = state.waker.clone();
        drop(state);
        self.notice.notify_all();
        self.space.notify_all();
        if let Some(waker) = waker {
            waker();
        }
    }
}

/// The worker's end. Clones share the queues; `Settled` and `Returned` go to whoever receives.
#[derive(Clone)]
pub struct Outbox {
    shared: Arc<Shared>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("limits", &self.shared.limits).finish_non_exhaustive()
    }
}

impl Outbox {
    /// Queues a batch; waits while the queue is full, for as long as the host is paused.
    ///
    /// While a [`Notice::Returned`] has not been received yet, batches are dropped: the notice
    /// covers them.
    ///
    /// # Errors
    /// The input is stopping.
    pub fn send(&self, batch: Batch) -> Result<(), Stopped> {
        let mut state = self.shared.lock();
        while !state.stopped && !state.returning && !has_room(&state, &self.shared.limits, &batch) {
            state = self.shared.space.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopped {
            return Err(Stopped);
        }
        self.put(state, batch);
        Ok(())
    }

    /// Queues a batch if there is room; see [`Outbox::send`].
    ///
    /// # Errors
    /// There is none, or the input is stopping. The batch comes back.
    #[allow(clippy::result_large_err)] // The batch is the point of the error.
    pub fn try_send(&self, batch: Batch) -> Result<(), TrySendError> {
        let state = self.shared.lock();
        if state.stopped {
            return Err(TrySendError::Stopped(batch));
        }
        if !state.returning && !has_room(&state, &self.shared.limits, &batch) {
            return Err(TrySendError::Full(batch));
        }
        self.put(state, batch);
        Ok(())
    }

    fn put(&self, mut state: MutexGuard<'_, State>, batch: Batch) {
        if !state.returning {
            state.queue_bytes += batch.msgpack.len();
            state.queue.push_back(batch);
            drop(state);
            self.shared.refill.notify_one();
        }
    }

    /// The next notice; waits for it. After [`Notice::Stop`] it returns `Stop` again and again.
    #[must_use]
    pub fn recv(&self) -> Notice {
        let mut state = self.shared.lock();
        loop {
            if let Some(notice) = take_notice(&mut state) {
                return notice;
            }
            state = self.shared.notice.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next notice, if one comes within `timeout`. A worker that polls sleeps with this.
    #[must_use]
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Notice> {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.shared.lock();
        loop {
            if let Some(notice) = take_notice(&mut state) {
                return Some(notice);
            }
            let Some(deadline) = deadline else {
                drop(state);
                return Some(self.recv());
            };
            let left = deadline.checked_duration_since(Instant::now())?;
            let waited = self.shared.notice.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next notice, if there is one.
    #[must_use]
    pub fn try_recv(&self) -> Option<Notice> {
        take_notice(&mut self.shared.lock())
    }

    /// Calls `waker` after every notice and whenever the queue gets room: for workers that wait
    /// for several things, such as an async runtime (`move || notify.notify_one()`). It runs on
    /// the host's thread: it must not block. Replaces the one before, and is called once now, so
    /// that nothing is missed.
    pub fn on_wake(&self, waker: impl Fn() + Send + Sync + 'static) {
        let mut state = self.shared.lock();
        state.waker = Some(Arc::new(waker));
        self.shared.wake(state);
    }

    /// Whether the input is stopping, even if notices are still waiting.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.lock().stopped
    }
}

fn has_room(state: &State, limits: &Limits, batch: &Batch) -> bool {
    state.queue.is_empty()
        || (state.queue.len() < limits.queue_batches
            && state.queue_bytes + batch.msgpack.len() <= limits.queue_bytes)
}

fn take_notice(state: &mut State) -> Option<Notice> {
    let notice = state.notices.pop_front();
    if let Some(Notice::Returned(_)) = notice {
        state.returning = false;
    }
    notice.or_else(|| state.stopped.then_some(Notice::Stop))
}

/// The input thread's end.
pub(crate) struct Inbox {
    shared: Arc<Shared>,
}

/// Both ends.
pub(crate) fn channel(limits: Limits) -> (Outbox, Inbox) {
    let state = State {
        queue: VecDeque::new(),
        queue_bytes: 0,
        notices: VecDeque::new(),
        returning: false,
        stopped: false,
        waker: None,
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        space: Condvar::new(),
        notice: Condvar::new(),
        refill: Condvar::new(),
        limits,
    });
    (Outbox { shared: Arc::clone(&shared) }, Inbox { shared })
}

impl Inbox {
    /// The next batch, waiting up to `patience` for a worker that is just refilling.
    pub(crate) fn take(&self, patience: Duration) -> Option<Batch> {
        let mut state = self.shared.lock();
        if state.queue.is_empty() && !patience.is_zero() {
            let waited = self.shared.refill.wait_timeout(state, patience);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let batch = state.queue.pop_front()?;
        state.queue_bytes -= batch.msgpack.len();
        self.shared.wake(state);
        Some(batch)
    }

    /// The next batch, if there is one and it is as wanted.
    pub(crate) fn take_if(&self, is_wanted: impl FnOnce(&Batch) -> bool) -> Option<Batch> {
        let mut state = self.shared.lock();
        if !state.queue.front().is_some_and(is_wanted) {
            return None;
        }
        let batch = state.queue.pop_front()?;
        state.queue_bytes -= batch.msgpack.len();
        self.shared.wake(state);
        Some(batch)
    }

    pub(crate) fn settled(&self, ticket: u64) {
        let mut state = self.shared.lock();
        state.notices.push_back(Notice::Settled(ticket));
        self.shared.wake(state);
    }

    /// Drops everything queued: it is covered by the notice.
    pub(crate) fn returned(&self, ticket: u64) {
        let mut state = self.shared.lock();
        state.queue.clear();
        state.queue_bytes = 0;
        state.returning = true;
        state.notices.push_back(Notice::Returned(ticket));
        self.shared.wake(state);
    }

    pub(crate) fn stop(&self) {
        let mut state = self.shared.lock();
        state.stopped = true;
        state.queue.clear();
        state.queue_bytes = 0;
        self.shared.wake(state);
    }

    /// Batches and bytes in the queue.
    pub(crate) fn queued(&self) -> (usize, usize) {
        let state = self.shared.lock();
        (state.queue.len(), state.queue_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    fn batch(ticket: u64, bytes: usize) -> Batch {
        Batch { ticket, tag: None, records: 1, msgpack: vec![0; bytes] }
    }

    fn small() -> (Outbox, Inbox) {
        channel(Limits { queue_batches: 2, queue_bytes: 100, ..Limits::default() })
    }

    #[test]
    fn the_queue_is_bounded_in_batches_and_in_bytes() {
        let (outbox, inbox) = small();
        outbox.try_send(batch(1, 60)).unwrap();
        assert_eq!(outbox.try_send(batch(2, 60)), Err(TrySendError::Full(batch(2, 60))));
        outbox.try_send(batch(2, 10)).unwrap();
        assert!(matches!(outbox.try_send(batch(3, 1)), Err(TrySendError::Full(_))));
        assert_eq!(inbox.queued(), (2, 70));
    }

    #[test]
    fn one_batch_may_exceed_the_bytes_alone() {
        let (outbox, inbox) = small();
        outbox.try_send(batch(1, 1_000)).unwrap();
        assert_eq!(inbox.take(Duration::ZERO), Some(batch(1, 1_000)));
    }

    #[test]
    fn a_blocked_sender_goes_on_when_there_is_room_and_fails_on_stop() {
        let (outbox, inbox) = small();
        let (done, results) = mpsc::channel();
        outbox.send(batch(1, 100)).unwrap();
        let worker = thread::spawn(move || {
            done.send(outbox.send(batch(2, 100))).unwrap();
            done.send(outbox.send(batch(3, 100))).unwrap();
        });
        assert_eq!(inbox.take(Duration::from_secs(60)).unwrap().ticket, 1);
        assert_eq!(results.recv().unwrap(), Ok(()));
        inbox.stop();
        assert_eq!(results.recv().unwrap(), Err(Stopped));
        worker.join().unwrap();
    }

    #[test]
    fn what_is_sent_before_a_return_is_received_is_covered_by_it() {
        let (outbox, inbox) = small();
        outbox.send(batch(1, 1)).unwrap();
        inbox.returned(0);
        outbox.send(batch(2, 1)).unwrap();
        assert_eq!(inbox.take(Duration::ZERO), None);
        assert_eq!(outbox.recv(), Notice::Returned(0));
        outbox.send(batch(0, 1)).unwrap();
        assert_eq!(inbox.take(Duration::ZERO).unwrap().ticket, 0);
    }

    #[test]
    fn stop_is_the_last_notice_and_never_ends() {
        let (outbox, inbox) = small();
        inbox.settled(7);
        inbox.stop();
        assert!(outbox.is_stopped());
        assert_eq!(outbox.recv(), Notice::Settled(7));
        assert_eq!(outbox.recv(), Notice::Stop);
        assert_eq!(outbox.recv_timeout(Duration::MAX), Some(Notice::Stop));
        assert_eq!(outbox.try_send(batch(1, 1)), Err(TrySendError::Stopped(batch(1, 1))));
    }

    #[test]
    fn a_waker_hears_of_notices_room_and_stop() {
        let (outbox, inbox) = small();
        let (wake, woken) = mpsc::channel();
        outbox.on_wake(move || wake.send(()).unwrap());
        woken.recv().unwrap();
        outbox.send(batch(1, 1)).unwrap();
        assert!(woken.try_recv().is_err());
        inbox.take(Duration::ZERO).unwrap();
        woken.recv().unwrap();
        inbox.settled(1);
        woken.recv().unwrap();
        inbox.stop();
        woken.recv().unwrap();
    }

    #[test]
    fn waiting_for_a_notice_ends_in_time() {
        let (outbox, _inbox) = small();
        assert_eq!(outbox.recv_timeout(Duration::from_millis(1)), None);
        assert_eq!(outbox.try_recv(), None);
    }
}
