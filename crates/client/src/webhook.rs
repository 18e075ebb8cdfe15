//! Receives Microsoft's notifications over HTTP and turns them into hints.
//!
//! Runs on the client's runtime, and so on its thread. Trusts nobody: a call needs the
//! authentication id, is bounded in size and time, and can do no more than name content of this
//! tenant, which the core checks again and reads from the configured origin. What is lost or
//! refused here is found by polling.

mod answer;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod limits;
mod metrics;
mod options;
mod shared;

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use m365_audit_core::Config;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::guests::{Guests, Room};
use crate::handle::Handle;
use crate::runtime::Runtime;

use self::limits::{Bucket, Quiet};
use self::metrics::Counts;
use self::shared::{Patience, Shared};

pub use self::metrics::{REFUSALS, Refusal, WebhookMetrics};
pub use self::options::WebhookOptions;

/// Connections at once. Microsoft uses a few. When there are more, the oldest is closed of those
/// that have not brought the authentication id yet; only if all have is the new one.
const CONNECTIONS_MAX: usize = 256;

const PATIENCE: Patience = Patience {
    head: Duration::from_secs(10),
    body: Duration::from_secs(10),
    connection: Duration::from_secs(300),
};

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Requests a second, on average and at once: far more than one tenant's notifications.
const CALLS_PER_SECOND: u32 = 50;
const CALLS_BURST: u32 = 500;

/// Pause after a failed accept, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A receiver that listens for as long as its runtime lives.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Receiver {
    /// Others may use the runtime for longer.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    /// Listens from now on, whenever `runtime` runs.
    ///
    /// # Errors
    /// If the address cannot be listened at.
    pub(crate) fn start(
        options: &WebhookOptions,
        config: &Config,
        handle: Handle,
        runtime: &Runtime,
    ) -> io::Result<Self> {
        Self::start_with(options, config, handle, runtime, PATIENCE)
    }

    fn start_with(
        options: &WebhookOptions,
        config: &Config,
        handle: Handle,
        runtime: &Runtime,
        patience: Patience,
    ) -> io::Result<Self> {
        let listener = StdListener::bind(options.listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let spawner = runtime.spawner();
        let _guard = spawner.enter();
        let listener = TcpListener::from_std(listener)?;
        let now = Instant::now();
        let shared = Arc::new(Shared {
            config: config.clone(),
            auth_id: options.auth_id.clone(),
            handle,
            counts: Counts::default(),
            calls: Bucket::new(CALLS_PER_SECOND, CALLS_BURST, now),
            quiet: Quiet::new(now),
            patience,
        });
        let acceptor = options.tls.clone().map(TlsAcceptor::from);
        let task = spawner.spawn(accept(listener, acceptor, Arc::clone(&shared))).abort_handle();
        Ok(Self { address, shared, task })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What calls there were.
    pub(crate) fn metrics(&self) -> WebhookMetrics {
        self.shared.counts.read()
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut guests = Guests::new(CONNECTIONS_MAX);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Who says nothing must not keep others out.
        let Some(room) = guests.make_room() else {
            shared.refuse(Refusal::Flood);
            continue;
        };
        if room == Room::Evicted {
            shared.refuse(Refusal::Flood);
        }
        let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
        let known = Arc::new(AtomicBool::new(false));
        let proof = Arc::clone(&known);
        let task = tokio::spawn(async move {
            let patience = shared.patience;
            let served = timeout(patience.connection, async {
                match acceptor {
                    None => serve(stream, shared, proof).await,
                    Some(acceptor) => match timeout(patience.head, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => serve(stream, shared, proof).await,
                        // Scanners and clients that do not trust the certificate go away here.
                        Ok(Err(_)) => {}
                        Err(_) => shared.refuse(Refusal::Slow),
                    },
                }
            });
            // A connection that lives too long is closed; Microsoft opens another.
            let _ = served.await;
        });
        guests.welcome(task.abort_handle(), known);
    }
}

async fn serve<S>(stream: S, shared: Arc<Shared>, proof: Arc<AtomicBool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let patience = shared.patience.head;
    let service =
        service_fn(|request| answer::answer(request, Arc::clone(&shared), Arc::clone(&proof)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        if error.is_parse() {
            shared.refuse(Refusal::Malformed);
        } else if error.is_timeout() && !error.is_closed() {
            shared.refuse(Refusal::Slow);
        }
    }
}

#[cfg(test)]
mod tests;
