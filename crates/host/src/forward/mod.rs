//! The sink for Fluent Bit and Fluentd: the `forward` protocol, with acknowledgement.
//!
//! Every batch is one chunk with an id; it counts as delivered only when the receiver has sent
//! that id back. A connection that fails is made anew, and the chunk is sent again: a receiver may
//! see it twice, and never not at all.
//!
//! The protocol is Fluentd's "Forward Protocol Specification v1", a page of its wiki.

mod connection;
mod events;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod handshake;
mod message;
mod options;

use m365_audit_core::{Envelope, Level};

use self::connection::{Connection, Connector, ForwardError};
use self::events::Events;
use self::options::is_this_machine;
use crate::logger::Logger;
use crate::sink::{Lines, Sink, SinkError};

pub use self::options::{ForwardOptions, User};

/// Sends records as events, and waits until they are acknowledged.
#[derive(Debug)]
pub struct ForwardSink {
    connector: Connector,
    events: Events,
    connection: Option<Connection>,
    logger: Logger,
}

impl ForwardSink {
    /// Prepares everything; connects only when there is something to send. `envelope`:
    /// the form in which lines hold their records.
    ///
    /// # Errors
    /// The TLS settings cannot be used.
    pub fn new(
        options: ForwardOptions,
        envelope: &Envelope,
        logger: Logger,
    ) -> Result<Self, SinkError> {
        let events = Events::new(&options.tag, envelope);
        if let Some(risk) = risk(&options) {
            logger.log(Level::Warn, &risk);
        }
        let connector =
            Connector::new(options).map_err(|message| SinkError { message, passing: false })?;
        Ok(Self { connector, events, connection: None, logger })
    }

    /// Connects and shakes hands, and sends nothing: for a try of the configuration.
    ///
    /// # Errors
    /// What is in the way.
    pub async fn check(&mut self) -> Result<(), SinkError> {
        self.connection = Some(self.connector.connect().await.map_err(passing)?);
        Ok(())
    }

    /// Sends the chunk that is ready over one connection.
    async fn attempt(&mut self) -> Result<(), ForwardError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connector.connect().await?,
        };
        connection.send(self.events.chunk()).await?;
        // Only a connection that has just worked is used again.
        self.connection = Some(connection);
        Ok(())
    }
}

impl Sink for ForwardSink {
    async fn deliver(&mut self, lines: Lines<'_>) -> Result<(), SinkError> {
        self.events.encode(lines)?;
        let reused = self.connection.is_some();
        match self.attempt().await {
            Ok(()) => Ok(()),
            // Receivers close what was idle for a while; that is nobody's fault.
            Err(error) if reused => {
                self.logger.log(Level::Debug, &format!("{error}; connecting anew"));
                self.attempt().await.map_err(passing)
            }
            Err(error) => Err(passing(error)),
        }
    }
}

/// What the options leave open to whoever is on the way to another machine. A shared key does not
/// help: it proves who begins a connection, and nothing after that.
fn risk(options: &ForwardOptions) -> Option<String> {
    let address = &options.address;
    if is_this_machine(address) || (options.tls && options.verify_tls) {
        return None;
    }
    let (is, remedy) = if options.tls {
        ("forward.verify_tls", "set it to on, and forward.ca_file to your authority's certificate")
    } else {
        ("forward.tls", "set it to on")
    };
    Some(format!(
        "forward to {address}: {is} is off, so anyone on the way can read the records and \
         acknowledge some that never arrived, which then count as delivered; remedy: {remedy}"
    ))
}

fn passing(error: ForwardError) -> SinkError {
    SinkError { message: error.to_string(), passing: true }
}
