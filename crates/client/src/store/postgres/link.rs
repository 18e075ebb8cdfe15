//! One connection to a PostgreSQL, made when it is needed and again when it has broken. Behind
//! pgbouncer each transaction may be another session: nothing is left behind in one, no statement
//! is prepared by name, and every lock ends with its transaction.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::schema;
use super::server::Server;
use super::trouble::Trouble;

/// A connection, or none at present.
#[derive(Debug)]
pub(super) struct Link {
    server: Arc<Server>,
    client: Option<Client>,
    /// Whether tables are created that are not there.
    creates: bool,
    /// How long an answer may take.
    patience: Duration,
}

impl Link {
    /// For a process that collects.
    pub(super) fn new(server: Arc<Server>) -> Self {
        let patience = server.lease;
        Self { server, client: None, creates: true, patience }
    }

    /// For a process that keeps its leases: what takes too long is tried again while they last.
    pub(super) fn keeping(server: Arc<Server>) -> Self {
        let patience = server.lease / 3;
        Self { patience, ..Self::new(server) }
    }

    /// For a look.
    pub(super) fn reading(server: Arc<Server>) -> Self {
        Self { creates: false, ..Self::new(server) }
    }

    /// Does something on a connection that works, as far as is known. What fails costs the
    /// connection, so that the next one begins with a new one.
    pub(super) async fn with<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Client) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let patience = self.patience;
        if self.client.as_ref().is_none_or(Client::is_closed) {
            self.client = None;
            self.client = Some(within(patience, self.connect()).await?);
        }
        let Some(client) = self.client.as_mut() else { return Err(Trouble::Late(patience)) };
        let result = within(patience, work(client)).await;
        if result.as_ref().is_err_and(|trouble| !trouble.is_about_data()) {
            self.client = None;
        }
        result
    }

    async fn connect(&self) -> Result<Client, Trouble> {
        let tls = MakeRustlsConnect::new((*self.server.tls).clone());
        let (mut client, connection) = self.server.config.connect(tls).await?;
        tokio::spawn(async move {
            // Whoever waits for an answer is told the same.
            drop(connection.await);
        });
        if self.creates {
            schema::prepare(&mut client).await?;
        }
        Ok(client)
    }
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, Trouble>>,
) -> Result<T, Trouble> {
    timeout(patience, work).await.unwrap_or(Err(Trouble::Late(patience)))
}

/// A runtime of one thread, on which connections live.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("m365-audit-db")
        .enable_io()
        .enable_time()
        .max_blocking_threads(2)
        .build()
}
