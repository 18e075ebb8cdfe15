//! One connection to a receiver: TCP, TLS, the handshake; a chunk out, its acknowledgement back.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use m365_audit_core::Secret;
use rmpv::Value;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::events::Chunk;
use super::handshake::{Handshake, Helo};
use super::message;
use super::options::{ForwardOptions, host_and_port};

/// Bytes of a message that a receiver may send. Its longest are a few hundred.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// A chunk beyond this is more than a Fluent Bit takes by default (`Buffer_Max_Size`).
const CHUNK_BYTES_USUAL: usize = 6_000_000;

/// Why a chunk was not acknowledged.
#[derive(Debug, thiserror::Error)]
#[error("forward to {address}: {problem}")]
pub(super) struct ForwardError {
    address: Box<str>,
    problem: String,
}

/// Makes connections.
pub(super) struct Connector {
    options: ForwardOptions,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An established connection.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// What was received and not read yet. At most [`MESSAGE_BYTES_MAX`].
    received: Vec<u8>,
    address: Box<str>,
    timeout: Duration,
}

impl Connector {
    pub(super) fn new(options: ForwardOptions) -> Result<Self, String> {
        let tls = if options.tls { Some(tls(&options)?) } else { None };
        Ok(Self { options, tls })
    }

    /// Connects and, if there is a key, shakes hands.
    pub(super) async fn connect(&self) -> Result<Connection, ForwardError> {
        let options = &self.options;
        let stream = within(options.timeout, "no connection", self.open()).await;
        let stream = stream.map_err(|problem| refused(&options.address, problem))?;
        let mut connection = Connection {
            stream,
            received: Vec::new(),
            address: options.address.clone(),
            timeout: options.timeout,
        };
        if let Some(key) = &options.shared_key {
            let hands = connection.shake_hands(options, key).await;
            hands.map_err(|problem| refused(&options.address, problem))?;
        }
        Ok(connection)
    }

    async fn open(&self) -> Result<Box<dyn Stream>, String> {
        let stream = TcpStream::connect(&*self.options.address).await;
        let stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
        // A chunk's last bytes must not wait for company: its acknowledgement waits for them.
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                Ok(Box::new(stream.map_err(|error| {
                    format!(
                        "no TLS: {error}; remedy: look at forward.tls, forward.ca_file, and the \
                         receiver's TLS settings"
                    )
                })?))
            }
        }
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("options", &self.options).finish_non_exhaustive()
    }
}

fn tls(options: &ForwardOptions) -> Result<(TlsConnector, ServerName<'static>), String> {
    let config: ClientConfig =
        m365_audit_client::tls_config(&options.roots, options.verify_tls, b"")
            .map_err(|error| format!("forward.ca_file: {error}"))?;
    let host = host_and_port(&options.address).map_or("", |(host, _)| host);
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| format!("forward.address: {host:?} is no name that a certificate can have"))?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

impl Connection {
    /// Sends a chunk and waits for its acknowledgement.
    pub(super) async fn send(&mut self, chunk: &Chunk) -> Result<(), ForwardError> {
        let sent = self.try_send(chunk).await;
        sent.map_err(|mut problem| {
            if CHUNK_BYTES_USUAL < chunk.bytes.len() {
                let bytes = chunk.bytes.len();
                problem.push_str(&format!(
                    "; remedy: the chunk has {bytes} bytes, see to it that the receiver takes \
                     them (Buffer_Max_Size of Fluent Bit's input forward)"
                ));
            }
            refused(&self.address, problem)
        })
    }

    async fn try_send(&mut self, chunk: &Chunk) -> Result<(), String> {
        self.write(&chunk.bytes).await?;
        loop {
            let answer = self.read("no acknowledgement").await?;
            match message::acknowledged(&answer) {
                Some(id) if id == chunk.id => return Ok(()),
                // Of another chunk: cannot be, and harms nobody.
                Some(_) => {}
                None if Helo::read(&answer).is_some() => {
                    return Err("the receiver wants a shared key; remedy: set forward.shared_key \
                                to what it calls Shared_Key or shared_key"
                        .into());
                }
                None => return Err("the receiver answers something else than ack".into()),
            }
        }
    }

    async fn shake_hands(
        &mut self,
        options: &ForwardOptions,
        key: &Secret<String>,
    ) -> Result<(), String> {
        let helo = self.read("no handshake").await.map_err(|problem| {
            format!(
                "{problem}; remedy: give the receiver the same shared key, or remove \
                 forward.shared_key"
            )
        })?;
        let helo = Helo::read(&helo).ok_or("the receiver does not begin with a handshake")?;
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)
            .map_err(|error| format!("the system gives no random numbers: {error}"))?;
        let (hostname, user) = (&options.self_hostname, options.user.as_ref());
        // Five random bits in each character.
        let salt = salt.map(|byte: u8| b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(byte & 31)]);
        let handshake = Handshake { hostname, key, user, salt };
        let mut ping = Vec::new();
        rmpv::encode::write_value(&mut ping, &handshake.ping(&helo))
            .map_err(|error| error.to_string())?;
        self.write(&ping).await?;
        let pong = self.read("no end of the handshake").await.map_err(|problem| {
            format!("{problem}; remedy: see that forward.shared_key is the receiver's")
        })?;
        handshake.verify(&helo, &pong)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let stream = &mut self.stream;
        let write = async {
            stream.write_all(bytes).await.map_err(closed)?;
            stream.flush().await.map_err(closed)
        };
        within(self.timeout, "it takes no data", write).await
    }

    /// The next message. `missing` says what is awaited.
    async fn read(&mut self, missing: &str) -> Result<Value, String> {
        within(self.timeout, missing, self.next()).await
    }

    async fn next(&mut self) -> Result<Value, String> {
        loop {
            if let Some((value, length)) = message::read(&self.received)? {
                self.received.drain(..length);
                return Ok(value);
            }
            if MESSAGE_BYTES_MAX <= self.received.len() {
                return Err("the receiver answers without an end".into());
            }
            let read = self.stream.read_buf(&mut self.received).await.map_err(closed)?;
            if read == 0 {
                return Err("the receiver closed the connection".into());
            }
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("address", &self.address).finish_non_exhaustive()
    }
}

fn closed(error: io::Error) -> String {
    format!("the connection broke: {error}")
}

fn refused(address: &str, problem: String) -> ForwardError {
    ForwardError { address: address.into(), problem }
}

async fn within<T>(
    timeout: Duration,
    missing: &str,
    step: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    match tokio::time::timeout(timeout, step).await {
        Ok(result) => result,
        Err(_) => Err(format!("{missing} within {} s (forward.timeout)", timeout.as_secs())),
    }
}
