//! The service on loopback, over http and https, for collectors that are tested from outside.
//! Only carries: what is answered is decided by [`Microsoft`]. Refuses addresses that are not
//! loopback.

mod connection;
mod control;
mod response;
mod shared;
mod tls;
mod webhook;

use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};

use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::config::SimConfig;
use crate::service::Microsoft;

use self::shared::{Shared, system_ms};
use self::tls::Authority;

/// Where the server listens.
#[derive(Clone, Debug)]
pub struct Listen {
    /// For http. Port 0 takes any.
    pub http: SocketAddr,
    /// For https. Port 0 takes any.
    pub https: SocketAddr,
    /// Where the certificate of the authority is written; none: a temporary file that is removed
    /// when the server ends.
    pub ca_file: Option<PathBuf>,
}

impl Default for Listen {
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { http: any, https: any, ca_file: None }
    }
}

/// A running server. It ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    http: SocketAddr,
    https: SocketAddr,
    authority: Authority,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
    stop: watch::Sender<bool>,
}

/// What went wrong, with the option of the program that is to blame, and its value.
fn named(option: &str, value: impl Display, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{option} {value}: {error}"))
}

impl Server {
    /// Starts a world whose history ends now. Hosts and audiences of `config` are replaced by
    /// the addresses of the server, beside Microsoft's own audiences.
    ///
    /// # Errors
    /// When an address is not loopback or cannot be bound, or the certificate cannot be written.
    pub fn start(config: SimConfig, listen: &Listen) -> io::Result<Self> {
        Self::start_at(config, listen, system_ms())
    }

    /// As [`Server::start`], with a history that ends at `start_ms` (ms since the epoch), where the
    /// world's clock begins: the same world each time, for whoever compares runs.
    ///
    /// # Errors
    /// See [`Server::start`].
    pub fn start_at(mut config: SimConfig, listen: &Listen, start_ms: i64) -> io::Result<Self> {
        for address in [listen.http, listen.https] {
            if !address.ip().is_loopback() {
                let why =
                    format!("{address} is not a loopback address: the simulator is for tests");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("m365-sim")
            .enable_all()
            .build()?;
        let bind = |option: &str, address: SocketAddr| {
            runtime.block_on(TcpListener::bind(address)).map_err(|e| named(option, address, &e))
        };
        let plain = bind("--listen", listen.http)?;
        let secure = bind("--listen-tls", listen.https)?;
        let (http, https) = (plain.local_addr()?, secure.local_addr()?);
        let hosts = [http, https]
            .into_iter()
            .flat_map(|address| [address.to_string(), format!("localhost:{}", address.port())]);
        let hosts: Vec<String> = hosts.collect();
        let origins = ["http", "https"].into_iter();
        let origins = origins.flat_map(|s| hosts.iter().map(move |host| format!("{s}://{host}")));
        config.resources.extend(origins);
        config.api_hosts.clone_from(&hosts);
        config.portal_hosts.clone_from(&hosts);
        config.login_hosts = hosts;
        let ca_file = listen.ca_file.as_deref();
        let authority = Authority::new(ca_file).map_err(|error| match ca_file {
            Some(path) => named("--ca-file", path.display(), &error),
            None => error,
        })?;
        let acceptor = authority.acceptor()?;
        let mut microsoft = Microsoft::new(config, start_ms);
        microsoft.allow_plain_webhooks();
        let shared = Arc::new(Shared::new(microsoft, start_ms));
        let (stop, stopped) = watch::channel(false);
        runtime.spawn(connection::accept(plain, None, Arc::clone(&shared), stopped.clone()));
        runtime.spawn(connection::accept(secure, Some(acceptor), Arc::clone(&shared), stopped));
        runtime.spawn(webhook::notify(Arc::clone(&shared)));
        Ok(Self { http, https, authority, shared, runtime: Some(runtime), stop })
    }

    /// `http://127.0.0.1:PORT`
    pub fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }

    /// `https://127.0.0.1:PORT`
    pub fn https_url(&self) -> String {
        format!("https://{}", self.https)
    }

    /// The file that holds the authority's certificate.
    pub fn ca_file(&self) -> &Path {
        self.authority.path()
    }

    /// The authority's certificate.
    pub fn ca_pem(&self) -> &str {
        self.authority.pem()
    }

    /// The service, to look into it or to heal it. Holding it holds up every request.
    pub fn microsoft(&self) -> MutexGuard<'_, Microsoft> {
        self.shared.microsoft()
    }

    /// Connections that were opened so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections()
    }

    /// Catches SIGTERM and SIGINT from now on, for a program to call before it says it is ready.
    ///
    /// # Errors
    /// When the signals cannot be caught.
    pub fn catch_signals(&self) -> io::Result<Signals> {
        let runtime = self.runtime.as_ref().expect("a server has its runtime until it is dropped");
        let _guard = runtime.enter();
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            runtime: runtime.handle().clone(),
        })
    }
}

/// Signals that end a program.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    runtime: Handle,
}

impl Signals {
    /// Waits for the first.
    pub fn wait(mut self) {
        self.runtime.block_on(async {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
            }
        });
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(runtime) = self.runtime.take() {
            // Not `drop`: that would block, and panic inside an asynchronous test.
            runtime.shutdown_background();
        }
    }
}
