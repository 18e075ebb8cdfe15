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

use m365_audit_core::Level;

use self::connection::{Connection, Connector, ForwardError};
use self::events::Events;
use self::options::is_this_machine;
use crate::lines::{Flow, Lines};
use crate::logger::Logger;
use crate::receiver::{Answer, Receiver, SinkError, Taken};

pub use self::options::{ForwardOptions, User};

/// Sends records as events, and waits until they are acknowledged.
#[derive(Debug)]
pub struct Forward {
    name: Box<str>,
    connector: Connector,
    events: Events,
    connection: Option<Connection>,
    logger: Logger,
}

impl Forward {
    /// Prepares everything; connects only when there is something to send.
    ///
    /// # Errors
    /// The TLS settings cannot be used.
    pub fn new(options: ForwardOptions, logger: Logger) -> Result<Self, SinkError> {
        let events = Events::new(&options.tag);
        let name = format!("forward to {}", options.address).into();
        if let Some(risk) = risk(&options) {
            logger.log(Level::Warn, &risk);
        }
        let connector = Connector::new(options).map_err(SinkError::lasting)?;
        Ok(Self { name, connector, events, connection: None, logger })
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

impl Receiver for Forward {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a mut self, flow: &'a Flow, lines: Lines<'a>) -> Answer<'a, Taken> {
        Box::pin(async move {
            self.events.encode(flow, lines)?;
            let reused = self.connection.is_some();
            match self.attempt().await {
                Ok(()) => Ok(Taken::default()),
                // Receivers close what was idle for a while; that is nobody's fault.
                Err(error) if reused => {
                    self.logger.log(Level::Debug, &format!("{error}; connecting anew"));
                    self.attempt().await.map(|()| Taken::default()).map_err(passing)
                }
                Err(error) => Err(passing(error)),
            }
        })
    }

    /// Connects and shakes hands.
    fn check(&mut self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.connection = Some(self.connector.connect().await.map_err(passing)?);
            Ok(())
        })
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
    SinkError::passing(error.to_string())
}
