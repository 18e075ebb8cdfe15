//! Bodies on the wire: made chunk by chunk as the client takes them, cut, slowed and compressed
//! as their transport says.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::{Body, Frame};
use hyper::{Response, StatusCode};
use tokio::time::Sleep;

use crate::http::{Delivery, Piece, Reply};

/// Before a cut, so that what went before it leaves the server.
const FLUSH: Duration = Duration::from_millis(5);

/// A body of the server.
pub(super) struct ServerBody {
    source: Source,
    gzip: Option<GzEncoder<Vec<u8>>>,
    sleep: Option<Pin<Box<Sleep>>>,
    then: Option<io::ErrorKind>,
}

enum Source {
    Whole(Option<Vec<u8>>),
    Reply(Box<Delivery>),
    Lines(Box<dyn Iterator<Item = Vec<u8>> + Send>),
    Over,
}

impl ServerBody {
    pub(super) fn whole(bytes: Vec<u8>) -> Self {
        Self::new(Source::Whole(Some(bytes)), false)
    }

    pub(super) fn reply(reply: Reply, gzip: bool) -> Self {
        Self::new(Source::Reply(Box::new(reply.deliver())), gzip)
    }

    pub(super) fn lines(lines: impl Iterator<Item = Vec<u8>> + Send + 'static) -> Self {
        Self::new(Source::Lines(Box::new(lines)), false)
    }

    fn new(source: Source, gzip: bool) -> Self {
        let gzip = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        Self { source, gzip, sleep: None, then: None }
    }

    /// Bytes to send for bytes of the body.
    fn encode(&mut self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        let Some(gzip) = &mut self.gzip else {
            return Ok(bytes);
        };
        gzip.write_all(&bytes)?;
        gzip.flush()?;
        Ok(std::mem::take(gzip.get_mut()))
    }

    fn end(&mut self) -> Option<io::Result<Vec<u8>>> {
        self.source = Source::Over;
        self.gzip.take().map(GzEncoder::finish)
    }

    fn wait(&mut self, time: Duration) {
        self.sleep = Some(Box::pin(tokio::time::sleep(time)));
    }
}

impl Body for ServerBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let frame = |bytes: io::Result<Vec<u8>>| bytes.map(|bytes| Frame::data(bytes.into()));
        loop {
            if let Some(sleep) = &mut self.sleep {
                std::task::ready!(sleep.as_mut().poll(cx));
                self.sleep = None;
            }
            if let Some(kind) = self.then.take() {
                self.source = Source::Over;
                return Poll::Ready(Some(Err(kind.into())));
            }
            let piece = match &mut self.source {
                Source::Over => return Poll::Ready(None),
                Source::Whole(bytes) => bytes.take().map(Piece::Bytes),
                Source::Lines(lines) => lines.next().map(Piece::Bytes),
                Source::Reply(delivery) => delivery.next(),
            };
            match piece {
                None => return Poll::Ready(self.end().map(frame)),
                Some(Piece::Bytes(bytes)) => {
                    let bytes = self.encode(bytes);
                    // The compressor may hold everything back: then there is nothing to send yet.
                    if bytes.as_ref().is_ok_and(Vec::is_empty) {
                        continue;
                    }
                    return Poll::Ready(Some(frame(bytes)));
                }
                Some(Piece::Pause { ms }) => self.wait(Duration::from_millis(ms)),
                Some(Piece::Reset) => {
                    self.then = Some(io::ErrorKind::ConnectionReset);
                    self.wait(FLUSH);
                }
                Some(Piece::Truncated) => {
                    self.then = Some(io::ErrorKind::UnexpectedEof);
                    self.wait(FLUSH);
                }
                // Until the client gives up: nothing wakes this body again.
                Some(Piece::Stalled) => {
                    self.source = Source::Whole(None);
                    return Poll::Pending;
                }
            }
        }
    }
}

/// A text answer of the server itself.
pub(super) fn plain(status: StatusCode, text: &str) -> Response<ServerBody> {
    let mut response = Response::new(ServerBody::whole(text.to_owned().into_bytes()));
    *response.status_mut() = status;
    response
}
