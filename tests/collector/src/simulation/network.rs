//! Carries requests to the simulator and answers back, piece by piece, as the core asks for them.

use std::collections::HashMap;

use bytes::Bytes;
use m365_audit_core::{Headers, Input, Request, RequestId, TransportError, TransportErrorKind};
use m365_sim::{Delivery, Microsoft, Piece};

use super::draw::Draw;

/// Answers under way. A process that crashes takes them with it.
#[derive(Debug, Default)]
pub struct Network {
    open: HashMap<RequestId, Open>,
}

#[derive(Debug)]
struct Open {
    delivery: Option<Delivery>,
    rest: Bytes,
    timeout_ms: i64,
}

/// What arrives, and after how many milliseconds.
pub type Arrival = (i64, Input);

impl Network {
    /// Sends a request. Answers what arrives without being asked for.
    pub fn send(
        &mut self,
        microsoft: &mut Microsoft,
        now_ms: i64,
        id: RequestId,
        request: &Request,
        timeout_ms: i64,
    ) -> Arrival {
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
        let reply = microsoft.handle(now_ms, &sent);
        let latency_ms = i64::try_from(reply.latency_ms).unwrap_or(i64::MAX);
        if !reply.answers() {
            return match reply.transport {
                m365_sim::Transport::Stall => (timeout_ms, lost(id, TransportErrorKind::Timeout)),
                _ => (latency_ms, lost(id, TransportErrorKind::Lost)),
            };
        }
        if latency_ms > timeout_ms {
            return (timeout_ms, lost(id, TransportErrorKind::Timeout));
        }
        let (status, headers) = (reply.status, reply.headers.clone());
        let headers: Headers =
            headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        let open = Open { delivery: Some(reply.deliver()), rest: Bytes::new(), timeout_ms };
        self.open.insert(id, open);
        (latency_ms, Input::Head { id, status, headers })
    }

    /// The next chunk of an answer, or its end.
    pub fn read(
        &mut self,
        id: RequestId,
        chunk_bytes_max: u64,
        draw: &mut Draw,
    ) -> Option<Arrival> {
        let open = self.open.get_mut(&id)?;
        let mut after_ms = 1;
        while open.rest.is_empty() {
            let piece = open.delivery.as_mut().and_then(Iterator::next);
            let ended = match piece {
                Some(Piece::Bytes(bytes)) => {
                    open.rest = bytes.into();
                    continue;
                }
                Some(Piece::Pause { ms }) => {
                    after_ms += i64::try_from(ms).unwrap_or(i64::MAX);
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
        let length = draw.between(1, chunk_bytes_max).min(open.rest.len() as u64);
        let chunk = open.rest.split_to(usize::try_from(length).unwrap_or(usize::MAX));
        Some((after_ms, Input::Body { id, chunk }))
    }

    /// Forgets an answer.
    pub fn cancel(&mut self, id: RequestId) {
        self.open.remove(&id);
    }

    /// How many answers are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

fn lost(id: RequestId, kind: TransportErrorKind) -> Input {
    Input::End { id, result: Err(TransportError { kind, message: "simulated".into() }) }
}
