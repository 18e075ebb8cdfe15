//! Carries requests to a service and answers back, piece by piece, as the core asks for them: with
//! latency, cuts, and answers that never come.

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use m365_audit_core::{Headers, Input, Request, RequestId, TransportError, TransportErrorKind};
use m365_sim::{Microsoft, Piece, Transport};

use crate::draw::Draw;

/// Whoever answers requests.
pub trait Service {
    /// What is said to a request that was sent at this moment.
    fn answer(&mut self, now_ms: i64, request: &Request) -> Answer;
}

/// What a service says.
pub struct Answer {
    /// How long it takes.
    pub after_ms: i64,
    /// What arrives then.
    pub said: Said,
}

/// What arrives of an answer.
pub enum Said {
    /// A head, and a body behind it.
    Head {
        /// The HTTP status.
        status: u16,
        /// All headers.
        headers: Headers,
        /// The body, as it arrives.
        body: Box<dyn Iterator<Item = Piece>>,
    },
    /// Nothing but the end of the connection.
    Lost(TransportErrorKind),
    /// Nothing, until the collector has waited for long enough.
    Nothing,
}

/// What arrives, and after how many milliseconds.
type Arrival = (i64, Input);

/// How a body is cut into chunks.
#[derive(Clone, Copy, Debug)]
pub enum Chunks {
    /// As the service sends its pieces.
    AsSent,
    /// At random, up to so many bytes.
    Drawn {
        /// The longest chunk.
        bytes_max: u64,
    },
}

/// Answers under way. A process that crashes takes them with it.
#[derive(Debug, Default)]
pub(crate) struct Network {
    open: HashMap<RequestId, Open>,
}

struct Open {
    body: Box<dyn Iterator<Item = Piece>>,
    rest: Bytes,
    timeout_ms: i64,
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("rest", &self.rest.len()).finish_non_exhaustive()
    }
}

impl Network {
    /// Sends a request. Answers what arrives without being asked for.
    pub(crate) fn send(
        &mut self,
        service: &mut dyn Service,
        now_ms: i64,
        id: RequestId,
        request: &Request,
        timeout_ms: i64,
    ) -> Arrival {
        let Answer { after_ms, said } = service.answer(now_ms, request);
        match said {
            Said::Nothing => (timeout_ms, lost(id, TransportErrorKind::Timeout)),
            Said::Lost(kind) => (after_ms, lost(id, kind)),
            Said::Head { .. } if timeout_ms < after_ms => {
                (timeout_ms, lost(id, TransportErrorKind::Timeout))
            }
            Said::Head { status, headers, body } => {
                self.open.insert(id, Open { body, rest: Bytes::new(), timeout_ms });
                (after_ms, Input::Head { id, status, headers })
            }
        }
    }

    /// The next chunk of an answer, or its end.
    pub(crate) fn read(
        &mut self,
        id: RequestId,
        chunks: Chunks,
        draw: &mut Draw,
    ) -> Option<Arrival> {
        let open = self.open.get_mut(&id)?;
        let mut after_ms = 1;
        while open.rest.is_empty() {
            let ended = match open.body.next() {
                Some(Piece::Bytes(bytes)) => {
                    open.rest = bytes.into();
                    continue;
                }
                Some(Piece::Pause { ms }) => {
                    after_ms += millis(ms);
                    continue;
                }
                None => (after_ms, Input::End { id, result: Ok(()) }),
                // Whether a missing end is noticed depends on how the body was framed.
                Some(Piece::Truncated) if draw.chance(500) => {
                    (after_ms, Input::End { id, result: Ok(()) })
                }
                Some(Piece::Reset | Piece::Truncated) => {
                    (after_ms, lost(id, TransportErrorKind::Lost))
                }
                Some(Piece::Stalled) => (open.timeout_ms, lost(id, TransportErrorKind::Timeout)),
            };
            self.open.remove(&id);
            return Some(ended);
        }
        let length = match chunks {
            Chunks::AsSent => open.rest.len(),
            Chunks::Drawn { bytes_max } => {
                let length = draw.between(1, bytes_max);
                usize::try_from(length).unwrap_or(usize::MAX).min(open.rest.len())
            }
        };
        Some((after_ms, Input::Body { id, chunk: open.rest.split_to(length) }))
    }

    pub(crate) fn cancel(&mut self, id: RequestId) {
        self.open.remove(&id);
    }

    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }
}

fn lost(id: RequestId, kind: TransportErrorKind) -> Input {
    Input::End { id, result: Err(TransportError { kind, message: "simulated".into() }) }
}

fn millis(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

impl Service for Microsoft {
    fn answer(&mut self, now_ms: i64, request: &Request) -> Answer {
        let reply = self.handle(now_ms, &carried(request));
        let after_ms = millis(reply.latency_ms);
        let said = match reply.transport {
            Transport::Stall => Said::Nothing,
            _ if !reply.answers() => Said::Lost(TransportErrorKind::Lost),
            _ => {
                let headers = reply.headers.iter();
                let headers = headers.map(|(name, value)| (name.as_ref(), value.as_ref()));
                let (status, headers) = (reply.status, headers.collect());
                Said::Head { status, headers, body: Box::new(reply.deliver()) }
            }
        };
        Answer { after_ms, said }
    }
}

/// The request as it goes over the wire.
fn carried(request: &Request) -> m365_sim::Request {
    let mut sent = m365_sim::Request::new(request.method.as_str(), &request.url);
    if let Some(token) = &request.bearer {
        sent = sent.header("Authorization", &format!("Bearer {}", token.expose()));
    }
    for (name, value) in &request.headers {
        sent = sent.header(name, value.expose());
    }
    if let Some(body) = &request.body {
        let length = body.expose().len().to_string();
        sent = sent.body(body.expose().clone()).header("Content-Length", &length);
    }
    if let Some(content_type) = request.content_type {
        sent = sent.header("Content-Type", content_type);
    }
    sent
}
