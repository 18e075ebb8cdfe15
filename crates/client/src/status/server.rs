//! Answers over HTTP, on a thread of its own. Trusts nobody: what a caller may take is bounded in
//! connections, bytes and time.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::answer::Answering;
use super::board::Board;
use crate::guests::Guests;
use crate::runtime::Runtime;

/// Connections at once. When there are more, the oldest is closed.
pub(super) const CONNECTIONS_MAX: usize = 64;

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// Header fields of a request.
const HEADERS_MAX: usize = 64;

/// How long callers may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a request's head, and between two requests.
    pub(super) head: Duration,
    /// The longest that a connection may live.
    pub(super) connection: Duration,
}

const PATIENCE: Patience =
    Patience { head: Duration::from_secs(30), connection: Duration::from_secs(300) };

/// Pause after a failed accept, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that answers until it is dropped.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    task: AbortHandle,
    _runtime: Runtime,
}

impl Drop for Server {
    /// Closes the address at once: whoever comes next may want it.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Listens from now on.
    ///
    /// # Errors
    /// If the address cannot be listened at.
    pub(super) fn start(address: SocketAddr, board: Arc<Board>) -> io::Result<Self> {
        Self::start_with(address, board, PATIENCE)
    }

    pub(super) fn start_with(
        address: SocketAddr,
        board: Arc<Board>,
        patience: Patience,
    ) -> io::Result<Self> {
        let listener = StdListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = Runtime::shared()?;
        let spawner = runtime.spawner();
        let _guard = spawner.enter();
        let listener = TcpListener::from_std(listener)?;
        let answering = Arc::new(Answering::new(board, address.ip().is_loopback()));
        let task = spawner.spawn(accept(listener, answering, patience)).abort_handle();
        Ok(Self { address, task, _runtime: runtime })
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, answering: Arc<Answering>, patience: Patience) {
    let mut guests = Guests::new(CONNECTIONS_MAX);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Who says nothing must not keep others out. Nobody here is known better than others.
        if guests.make_room().is_none() {
            continue;
        }
        let answering = Arc::clone(&answering);
        let task = tokio::spawn(async move {
            // Who needs longer opens another connection.
            let _ = timeout(patience.connection, serve(stream, answering, patience.head)).await;
        });
        guests.welcome(task.abort_handle(), Arc::new(AtomicBool::new(false)));
    }
}

async fn serve(stream: TcpStream, answering: Arc<Answering>, patience: Duration) {
    let service = service_fn(|request| {
        let answer = answering.answer(&request);
        async { Ok::<_, std::convert::Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // What is no request has had its answer.
    let _ = connection.await;
}
