//! The asynchronous runtime: one client's own, which runs only while it waits, or those that the
//! clients of a fleet share.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Name resolution is the only blocking work; a few at once are enough.
const RESOLVER_THREADS_MAX: usize = 4;

/// How long closing waits for a name resolution that is under way. The system's resolver cannot be
/// interrupted, and may take longer than a shutdown is allowed to.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(300);

/// A runtime that never holds up its owner's end.
#[derive(Clone, Debug)]
pub struct Runtime(Option<Arc<tokio::runtime::Runtime>>);

impl Runtime {
    /// Starts no thread.
    ///
    /// # Errors
    /// The system gives no event queue.
    pub fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(RESOLVER_THREADS_MAX)
            .build()?;
        Ok(Self(Some(Arc::new(runtime))))
    }

    /// One thread for the requests of many clients, which [`Runtime::workers`] drive: an output
    /// that blocks them does not make their requests stand still.
    pub(crate) fn shared() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("m365-audit-net")
            .enable_io()
            .enable_time()
            .max_blocking_threads(RESOLVER_THREADS_MAX)
            .build()?;
        Ok(Self(Some(Arc::new(runtime))))
    }

    /// So many threads that drive clients, each of them many in turn.
    pub(crate) fn workers(threads: usize) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("m365-audit-work")
            // Components send their requests here.
            .enable_io()
            .enable_time()
            .max_blocking_threads(RESOLVER_THREADS_MAX)
            .build()?;
        Ok(Self(Some(Arc::new(runtime))))
    }

    /// Runs until `future` is ready, and everything that was spawned meanwhile.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.inner().block_on(future)
    }

    pub(crate) fn spawner(&self) -> tokio::runtime::Handle {
        self.inner().handle().clone()
    }

    fn inner(&self) -> &tokio::runtime::Runtime {
        self.0.as_ref().expect("the runtime is taken only when it is dropped")
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take().and_then(Arc::into_inner) {
            runtime.shutdown_timeout(CLOSE_TIMEOUT);
        }
    }
}
