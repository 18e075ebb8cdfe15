//! One request under way.

use std::time::Duration;

use bytes::Bytes;
use m365_audit_core::{Headers, TransportErrorKind};
use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{FutureIncomingResponse, IncomingBody, IncomingResponse};
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, StreamError};

use super::failure::{Fault, classify, of_stream};

/// Most bytes of one chunk.
const CHUNK_BYTES_MAX: u64 = 64 * 1024;

/// One request under way.
pub(crate) struct Flight {
    stage: Stage,
    origin: String,
    timeout: Duration,
    /// When the wait for the head or the chunk is over, on the monotonic clock.
    deadline: Duration,
}

/// Handles are dropped in the order in which they stand: children before parents, else the host
/// traps.
enum Stage {
    /// No response yet.
    Head { pollable: Pollable, future: FutureIncomingResponse },
    /// The response has come.
    Body {
        pollable: Pollable,
        stream: InputStream,
        _body: IncomingBody,
        /// Whether the next chunk is wanted.
        asked: bool,
        /// What is still to come, if the response said how long it is.
        left: Option<u64>,
    },
}

/// What has come.
pub(crate) enum Progress {
    /// Nothing yet.
    Nothing,
    /// Status and headers.
    Head { status: u16, headers: Headers },
    /// The next bytes.
    Chunk(Bytes),
    /// The whole body.
    End,
}

impl Flight {
    pub(crate) fn new(future: FutureIncomingResponse, origin: String, timeout: Duration) -> Self {
        let stage = Stage::Head { pollable: future.subscribe(), future };
        Self { stage, origin, timeout, deadline: from_now(timeout) }
    }

    /// Scheme and authority of the request.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The longest wait for the head and for each chunk.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When the present wait is over.
    pub(crate) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Wants the next chunk.
    pub(crate) fn ask(&mut self) {
        if let Stage::Body { asked, .. } = &mut self.stage {
            *asked = true;
            self.deadline = from_now(self.timeout);
        }
    }

    /// Whether something is waited for.
    pub(crate) const fn is_asked(&self) -> bool {
        match &self.stage {
            Stage::Head { .. } => true,
            Stage::Body { asked, .. } => *asked,
        }
    }

    /// Ready when something has come.
    pub(crate) const fn pollable(&self) -> &Pollable {
        match &self.stage {
            Stage::Head { pollable, .. } | Stage::Body { pollable, .. } => pollable,
        }
    }

    /// Takes what has come.
    ///
    /// # Errors
    /// If the exchange has failed.
    pub(crate) fn advance(&mut self) -> Result<Progress, Fault> {
        match &mut self.stage {
            Stage::Head { future, .. } => {
                let response = match future.get() {
                    None => return Ok(Progress::Nothing),
                    Some(Ok(result)) => result.map_err(|code| classify(&code))?,
                    Some(Err(())) => return Err(lost("the response was taken before")),
                };
                self.begin_body(&response)
            }
            Stage::Body { stream, asked, left, .. } => match stream.read(CHUNK_BYTES_MAX) {
                Ok(bytes) if bytes.is_empty() => Ok(Progress::Nothing),
                Ok(bytes) => {
                    *asked = false;
                    *left = left.map(|left| left.saturating_sub(bytes.len() as u64));
                    Ok(Progress::Chunk(bytes.into()))
                }
                // Not every host notices a connection that ends too soon.
                Err(StreamError::Closed) => match left {
                    Some(1..) => Err(lost("the body was cut short")),
                    Some(0) | None => Ok(Progress::End),
                },
                Err(error) => Err(of_stream(&error)),
            },
        }
    }

    fn begin_body(&mut self, response: &IncomingResponse) -> Result<Progress, Fault> {
        let status = response.status();
        let headers: Headers = response
            .headers()
            .entries()
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
            .collect();
        let coding = headers.value("content-encoding").unwrap_or("identity");
        if !coding.eq_ignore_ascii_case("identity") {
            return Err(lost("the response is compressed, which was not asked for"));
        }
        let left = headers.value("content-length").and_then(|length| length.trim().parse().ok());
        let body = response.consume().map_err(|()| lost("the response has no body"))?;
        let stream = body.stream().map_err(|()| lost("the body cannot be read"))?;
        let pollable = stream.subscribe();
        self.stage = Stage::Body { pollable, stream, _body: body, asked: false, left };
        Ok(Progress::Head { status, headers })
    }
}

fn from_now(timeout: Duration) -> Duration {
    Duration::from_nanos(monotonic_clock::now()) + timeout
}

fn lost(what: &str) -> Fault {
    Fault::new(TransportErrorKind::Lost, what.into())
}
