//! What a receiver is: one message out, one answer back.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use m365_audit_core::{Level, MissingOutput, OutputShort};
use tokio::sync::Mutex;

use crate::lines::{Flow, Lines};
use crate::logger::Logger;

/// What a receiver will have answered.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, SinkError>> + Send + 'a>>;

/// Takes records over a network, and answers only when they are safe: the answer is what lets the
/// state advance. Tries once; whoever asks decides whether to try again.
pub trait Receiver: fmt::Debug + Send {
    /// Who it is, for people.
    fn name(&self) -> &str;

    /// Sends these lines of one tenant in one message, and waits for what is answered.
    ///
    /// May be dropped half-way; what was not answered for is sent again.
    ///
    /// # Errors
    /// They are not safe, and some of them may be there all the same.
    fn deliver<'a>(&'a mut self, flow: &'a Flow, lines: Lines<'a>) -> Answer<'a, Taken>;

    /// Reaches it and brings nothing: for a try of the configuration.
    ///
    /// # Errors
    /// What is in the way.
    fn check(&mut self) -> Answer<'_, ()>;
}

/// One receiver for several who bring it records, one after the other. Clones are the same one.
#[derive(Clone, Debug)]
pub struct SharedReceiver {
    name: Arc<str>,
    receiver: Arc<Mutex<Box<dyn Receiver>>>,
}

impl SharedReceiver {
    /// Shares it.
    #[must_use]
    pub fn new(receiver: Box<dyn Receiver>) -> Self {
        Self { name: receiver.name().into(), receiver: Arc::new(Mutex::new(receiver)) }
    }
}

impl Receiver for SharedReceiver {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a mut self, flow: &'a Flow, lines: Lines<'a>) -> Answer<'a, Taken> {
        Box::pin(async move { self.receiver.lock().await.deliver(flow, lines).await })
    }

    fn check(&mut self) -> Answer<'_, ()> {
        Box::pin(async move { self.receiver.lock().await.check().await })
    }
}

/// A receiver has taken a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Records that it refused for good, and will not take however often they are sent.
    pub rejected: u32,
    /// Why, in its words.
    pub said: Box<str>,
}

impl Taken {
    /// What is missing at this receiver, if something is. A warning without a loss is told.
    #[must_use]
    pub fn missing(self, flow: &Flow, receiver: &str, logger: &Logger) -> Option<OutputShort> {
        let Self { rejected, said } = self;
        if 0 < rejected {
            flow.count_rejected(rejected);
            let missing = MissingOutput::Records { count: rejected.into(), said };
            return Some(OutputShort { output: receiver.into(), missing });
        }
        if !said.is_empty() {
            let line = format!("{receiver}: all records were taken, with a warning: {said:?}");
            logger.log(Level::Warn, &line);
        }
        None
    }
}

/// Why records were not made safe.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    /// What went wrong, in words.
    pub message: String,
    /// Whether another attempt may fare better without anybody's help.
    pub passing: bool,
    /// How long to wait before it, if the receiver has said that.
    pub after: Option<Duration>,
}

impl SinkError {
    /// Another attempt may fare better.
    #[must_use]
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), passing: true, after: None }
    }

    /// Somebody has to do something first.
    #[must_use]
    pub fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), passing: false, after: None }
    }
}
