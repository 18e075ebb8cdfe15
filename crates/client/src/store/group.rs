//! One writer a database for all tenants of this process: what they commit within a few
//! milliseconds is one transaction and one sync. Knows no SQL: that is a [`Backend`]'s.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::{Context, Poll, Wake};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use m365_audit_core::{Commit, Stored};
use tokio::sync::oneshot;

use super::error::StoreError;

/// How long the first of a group waits for the others. Less than a sync takes on most disks, and
/// nothing where there is one tenant.
const GATHER: Duration = Duration::from_millis(4);

/// Commits of one transaction.
const GROUP_MAX: usize = 1_024;

/// What one tenant wants stored.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) tenant: Arc<str>,
    pub(super) commit: Commit,
}

/// Where the states of many tenants are kept for good. Asked by one thread.
pub(super) trait Backend: Send {
    /// What is stored for a tenant and a collector goes on from.
    fn load(&self, tenant: &str) -> Result<Stored, StoreError>;

    /// The keys of a tenant that begin with `prefix`, which is ASCII.
    fn keys_below(&self, tenant: &str, prefix: &str) -> Result<Vec<String>, StoreError>;

    /// Stores the changes of each, all of them or none, and answers for each in the same order.
    /// What is answered with `Ok` is durable; what fails of one is not the others' failure, if
    /// that can be helped.
    fn commit(&mut self, group: &[Change]) -> Vec<Result<(), StoreError>>;
}

/// How much was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// What collectors have committed.
    pub commits: u64,
    /// In so many transactions, with one sync each.
    pub transactions: u64,
}

/// Counts what is written to a database. Does not keep it open.
#[derive(Clone, Debug)]
pub struct Tally(Arc<Shared>);

impl Tally {
    /// How much that is by now.
    #[must_use]
    pub fn written(&self) -> Written {
        Written {
            commits: self.0.commits.load(Ordering::Relaxed),
            transactions: self.0.transactions.load(Ordering::Relaxed),
        }
    }
}

impl PartialEq for Tally {
    /// Whether it is the same database, open for the same time.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The writer of a database, for as long as somebody uses it.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Tenants that may commit.
    members: AtomicUsize,
    commits: AtomicU64,
    transactions: AtomicU64,
}

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

enum Job {
    Load { tenant: Arc<str>, answer: Answer<Stored> },
    Keys { tenant: Arc<str>, prefix: Box<str>, answer: Answer<Vec<String>> },
    Commit { change: Change, answer: Answer<()> },
}

impl Writer {
    /// Starts it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(backend: Box<dyn Backend>) -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel();
        let shared = Arc::<Shared>::default();
        let its = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("m365-audit-store".into())
            .spawn(move || work(backend, &inbox, &its))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), shared })
    }

    /// Whether it still works: it ends before its time only by a defect.
    pub(super) fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    pub(super) fn tally(&self) -> Tally {
        Tally(Arc::clone(&self.shared))
    }

    pub(super) fn enter(&self) {
        self.shared.members.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.shared.members.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) async fn load(&self, tenant: &Arc<str>) -> Result<Stored, StoreError> {
        let tenant = Arc::clone(tenant);
        self.ask(|answer| Job::Load { tenant, answer }).await
    }

    pub(super) async fn keys_below(
        &self,
        tenant: &Arc<str>,
        prefix: &str,
    ) -> Result<Vec<String>, StoreError> {
        let (tenant, prefix) = (Arc::clone(tenant), prefix.into());
        self.ask(|answer| Job::Keys { tenant, prefix, answer }).await
    }

    /// Is ready when the changes are durable, or will not be.
    pub(super) async fn commit(&self, tenant: &Arc<str>, commit: Commit) -> Result<(), StoreError> {
        let change = Change { tenant: Arc::clone(tenant), commit };
        self.ask(|answer| Job::Commit { change, answer }).await
    }

    async fn ask<T>(&self, job: impl FnOnce(Answer<T>) -> Job) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.jobs.as_ref().map(|jobs| jobs.send(job(answer)));
        if !matches!(sent, Some(Ok(()))) {
            return Err(StoreError::Gone);
        }
        answered.await.unwrap_or(Err(StoreError::Gone))
    }
}

impl Drop for Writer {
    /// Waits until the database is closed: whoever comes next may open it.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // What it has to say, it has answered.
            let _ = thread.join();
        }
    }
}

/// Waits for an answer on the calling thread, whatever runs on it otherwise.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn work(mut backend: Box<dyn Backend>, inbox: &Receiver<Job>, shared: &Shared) {
    while let Ok(job) = inbox.recv() {
        if let Some(first) = read(&*backend, job) {
            let alone = shared.members.load(Ordering::Relaxed) < 2;
            let patience = if alone { Duration::ZERO } else { GATHER };
            let (group, answers) = gather(&*backend, first, inbox, patience);
            let results = backend.commit(&group);
            shared.commits.fetch_add(group.len() as u64, Ordering::Relaxed);
            shared.transactions.fetch_add(1, Ordering::Relaxed);
            for (answer, result) in answers.into_iter().zip(results) {
                // Who does not wait any more finds out at its next start.
                let _ = answer.send(result);
            }
        }
    }
}

/// Answers what only reads; what is to be written comes back.
fn read(backend: &dyn Backend, job: Job) -> Option<(Change, Answer<()>)> {
    match job {
        Job::Load { tenant, answer } => drop(answer.send(backend.load(&tenant))),
        Job::Keys { tenant, prefix, answer } => {
            drop(answer.send(backend.keys_below(&tenant, &prefix)));
        }
        Job::Commit { change, answer } => return Some((change, answer)),
    }
    None
}

/// What else is committed in time.
fn gather(
    backend: &dyn Backend,
    first: (Change, Answer<()>),
    inbox: &Receiver<Job>,
    patience: Duration,
) -> (Vec<Change>, Vec<Answer<()>>) {
    let until = Instant::now() + patience;
    let (mut group, mut answers) = (vec![first.0], vec![first.1]);
    while group.len() < GROUP_MAX {
        let left = until.saturating_duration_since(Instant::now());
        let Ok(job) = inbox.recv_timeout(left) else { break };
        if let Some((change, answer)) = read(backend, job) {
            group.push(change);
            answers.push(answer);
        }
    }
    (group, answers)
}

#[cfg(test)]
mod tests;
