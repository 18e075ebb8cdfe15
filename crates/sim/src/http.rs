//! Requests and replies as plain values, and how a reply travels. No sockets.

use std::borrow::Cow;

use crate::body::Body;

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// `https` or `http`; addresses in the reply use it too.
    pub scheme: String,
    /// `host` or `host:port`, as addressed.
    pub authority: String,
    /// Path and query, exactly as sent.
    pub path_and_query: String,
    /// Headers, names in any case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A request for an absolute address, without headers and body.
    ///
    /// # Panics
    /// When `url` is not absolute: a mistake of the test that wrote it.
    pub fn new(method: &str, url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").expect("the address is absolute");
        let slash = rest.find('/').unwrap_or(rest.len());
        Self {
            method: method.to_owned(),
            scheme: scheme.to_owned(),
            authority: rest[..slash].to_owned(),
            path_and_query: if slash == rest.len() { "/".into() } else { rest[slash..].into() },
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.path_and_query.split('?').next().expect("split yields at least one part")
    }

    pub(crate) fn query(&self) -> &str {
        self.path_and_query.split_once('?').map_or("", |(_, query)| query)
    }

    /// Scheme and authority.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

/// The parameters of a query; names in any case. A `+` that was not escaped is a space.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: &[u8]) -> Self {
        Self(form_urlencoded::parse(query).into_owned().collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A header: name in the case in which it is to be sent, and value.
pub type Header = (Cow<'static, str>, Cow<'static, str>);

/// An answer, and how it travels.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers. `Content-Length` is among them exactly when the length is known.
    pub headers: Vec<Header>,
    /// The body, generated as it is read.
    pub body: Body,
    /// Time that the answer takes.
    pub latency_ms: u64,
    /// How it travels. [`Reply::deliver`] applies it.
    pub transport: Transport,
    /// Whether the server compresses the body for clients that accept gzip.
    pub gzip: bool,
}

/// What happens to an answer on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// It arrives.
    Whole,
    /// The connection is reset before any answer.
    Refuse,
    /// The connection is reset after so many body bytes.
    Reset {
        /// Body bytes that arrive.
        after: u64,
    },
    /// The connection is closed in order, but after so many body bytes.
    Truncate {
        /// Body bytes that arrive.
        after: u64,
    },
    /// No answer ever comes.
    Stall,
    /// Head and so many body bytes arrive, then nothing.
    StallBody {
        /// Body bytes that arrive.
        after: u64,
    },
    /// The body comes in small pieces.
    Slow {
        /// Bytes in a piece.
        piece: u64,
        /// Pause before each piece.
        pause_ms: u64,
    },
}

/// A step in the arrival of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes arrive.
    Bytes(Vec<u8>),
    /// Nothing arrives for a while.
    Pause {
        /// How long.
        ms: u64,
    },
    /// The connection is reset.
    Reset,
    /// The connection is closed too early.
    Truncated,
    /// Nothing arrives any more.
    Stalled,
}

/// Pieces of a body, as its transport lets them arrive.
#[derive(Debug)]
pub struct Delivery {
    body: Body,
    transport: Transport,
    arrived: u64,
    pending: Vec<u8>,
    paused: bool,
    over: bool,
}

impl Reply {
    /// Whether a head arrives at all.
    pub fn answers(&self) -> bool {
        !matches!(self.transport, Transport::Refuse | Transport::Stall)
    }

    /// The value of a header, by name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }

    /// The body as it arrives. It ends clean when the iterator ends without
    /// [`Piece::Reset`], [`Piece::Truncated`] or [`Piece::Stalled`].
    pub fn deliver(self) -> Delivery {
        Delivery {
            body: self.body,
            transport: self.transport,
            arrived: 0,
            pending: Vec::new(),
            paused: false,
            over: false,
        }
    }
}

impl Delivery {
    fn end(&mut self, piece: Piece) -> Option<Piece> {
        self.over = true;
        Some(piece)
    }

    /// Bytes that may still arrive, and what comes after them.
    fn allowed(&self) -> (u64, Option<Piece>) {
        let left = |after: u64| after - self.arrived.min(after);
        match self.transport {
            Transport::Whole => (u64::MAX, None),
            Transport::Refuse => (0, Some(Piece::Reset)),
            Transport::Stall => (0, Some(Piece::Stalled)),
            Transport::Reset { after } => (left(after), Some(Piece::Reset)),
            Transport::Truncate { after } => (left(after), Some(Piece::Truncated)),
            Transport::StallBody { after } => (left(after), Some(Piece::Stalled)),
            Transport::Slow { piece, .. } => (piece.max(1), None),
        }
    }
}

impl Iterator for Delivery {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.over {
            return None;
        }
        let (allowed, then) = self.allowed();
        if allowed == 0
            && let Some(piece) = then
        {
            return self.end(piece);
        }
        if self.pending.is_empty() {
            match self.body.next_chunk() {
                Some(chunk) => self.pending = chunk,
                // A body shorter than its cut: the cut comes at its end.
                None => match then {
                    Some(piece) => return self.end(piece),
                    None => {
                        self.over = true;
                        return None;
                    }
                },
            }
        }
        if let Transport::Slow { pause_ms, .. } = self.transport
            && !std::mem::replace(&mut self.paused, true)
        {
            return Some(Piece::Pause { ms: pause_ms });
        }
        self.paused = false;
        let take = usize::try_from(allowed).unwrap_or(usize::MAX).min(self.pending.len());
        let rest = self.pending.split_off(take);
        let bytes = std::mem::replace(&mut self.pending, rest);
        self.arrived += bytes.len() as u64;
        Some(Piece::Bytes(bytes))
    }
}
