//! Receives Microsoft's notifications over HTTP and turns them into hints.
//!
//! Runs on the client's runtime, and so on its thread. Trusts nobody: a call needs the
//! authentication id, is bounded in size and time, and can do no more than name content of this
//! tenant, which the core checks again and reads from the configured origin. What is lost or
//! refused here is found by polling.

mod answer;
mod guests;
mod limits;
mod options;

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use m365_audit_core::{Config, Level, Secret};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::handle::{Handle, Message};
use crate::runtime::Runtime;
use guests::{Guests, Room};
use limits::{Bucket, Quiet};

/// Connections at once. Microsoft uses a few. When there are more, the oldest is closed of those
/// that have not brought the authentication id yet; only if all have is the new one.
const CONNECTIONS_MAX: usize = 256;

/// How long callers may take.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// For a TLS handshake, and for a request's head. Also how long a connection may wait for its
    /// next request.
    head: Duration,
    /// For a body. Microsoft waits about five seconds for an answer.
    body: Duration,
    /// The longest a connection may live.
    connection: Duration,
}

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

/// What to listen with.
#[derive(Clone, Debug)]
pub struct WebhookOptions {
    /// Where.
    pub listen: SocketAddr,
    /// What every call must bring along.
    pub auth_id: Secret<String>,
    /// The certificate to show; `None`: plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// What calls there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookMetrics {
    /// Notifications that were accepted.
    pub notifications: u64,
    /// Contents in them that were handed on as hints.
    pub hints: u64,
    /// Entries in them for somebody else, of other feeds, or beyond what can wait.
    pub ignored: u64,
    /// Validations by Microsoft that were answered.
    pub validations: u64,
    /// Calls that were refused, in the order of [`REFUSALS`].
    pub refused: [u64; REFUSALS.len()],
}

impl WebhookMetrics {
    /// Adds those of another webhook.
    pub fn add(&mut self, other: &Self) {
        self.notifications += other.notifications;
        self.hints += other.hints;
        self.ignored += other.ignored;
        self.validations += other.validations;
        for (sum, count) in self.refused.iter_mut().zip(other.refused) {
            *sum += count;
        }
    }
}

/// Why calls are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Without the right `Webhook-AuthID`.
    Forged,
    /// Too large.
    Oversized,
    /// Not complete in time.
    Slow,
    /// Neither a notification nor a validation.
    Malformed,
    /// Too many, or too many connections.
    Flood,
    /// Not a POST: a health probe, a browser. Nobody need hear of it.
    Method,
}

/// Every reason, with its name in metrics.
pub const REFUSALS: [(Refusal, &str); 6] = [
    (Refusal::Forged, "forged"),
    (Refusal::Oversized, "oversized"),
    (Refusal::Slow, "slow"),
    (Refusal::Malformed, "malformed"),
    (Refusal::Flood, "flood"),
    (Refusal::Method, "method"),
];

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

/// What all connections share.
#[derive(Debug)]
struct Shared {
    config: Config,
    auth_id: Secret<String>,
    handle: Handle,
    counts: Counts,
    calls: Bucket,
    quiet: Quiet,
    patience: Patience,
}

/// [`WebhookMetrics`], as they are counted.
#[derive(Debug, Default)]
struct Counts {
    notifications: AtomicU64,
    hints: AtomicU64,
    ignored: AtomicU64,
    validations: AtomicU64,
    refused: [AtomicU64; REFUSALS.len()],
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
        let counts = &self.shared.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        WebhookMetrics {
            notifications: read(&counts.notifications),
            hints: read(&counts.hints),
            ignored: read(&counts.ignored),
            validations: read(&counts.validations),
            refused: counts.refused.each_ref().map(read),
        }
    }
}

impl Shared {
    /// Counts a refusal, and says so now and then.
    fn refuse(&self, refusal: Refusal) {
        let count = &self.counts.refused[refusal as usize];
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(calls) = self.quiet.note(refusal, Instant::now()) {
            let (level, why) = match refusal {
                Refusal::Forged => (Level::Warn, "without the right Webhook-AuthID"),
                Refusal::Oversized => (Level::Warn, "that were too large"),
                Refusal::Slow => (Level::Warn, "that took too long"),
                Refusal::Malformed => {
                    (Level::Warn, "that were neither notification nor validation")
                }
                Refusal::Flood => (Level::Warn, "beyond the limits of rate or connections"),
                // A load balancer asks several times a minute, for ever.
                Refusal::Method => (Level::Debug, "that were no POST"),
            };
            let line =
                format!("webhook: refused {calls} calls {why}; nothing is lost, content is polled");
            self.handle.send(Message::Log(level, line));
        }
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
