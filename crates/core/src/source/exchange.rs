//! Requests under way: what each is for, and where its answer goes. Decides nothing.

use std::time::Duration;

use crate::access::contact::Contact;
use crate::access::foreign::Seen;
use crate::access::token::Generation;
use crate::base::flat_map::FlatMap;
use crate::base::time::Utc;
use crate::contract::request::{Headers, Operation, RequestId};

/// The longest body of a token, of the list of subscriptions, or of an error that is kept.
const SMALL_BODY_BYTES_MAX: usize = 1 << 20;

/// A `Retry-After` beyond this is not believed.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// What is kept of a header that is shown to people.
const HEADER_CHARS_MAX: usize = 300;

/// How much more of an answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appetite {
    /// The next bytes.
    More,
    /// The next bytes, when there is room for what they hold.
    WhenThereIsRoom,
    /// Nothing.
    Enough,
}

impl Appetite {
    /// This much, unless it is enough.
    pub(crate) const fn unless(enough: bool, more: Self) -> Self {
        if enough { Self::Enough } else { more }
    }
}

/// A body that is kept whole.
#[derive(Debug, Default)]
pub(crate) struct SmallBody {
    bytes: Vec<u8>,
}

impl SmallBody {
    /// Keeps what fits. Answers how much more is wanted.
    pub(crate) fn extend(&mut self, chunk: &[u8]) -> Appetite {
        let room = SMALL_BODY_BYTES_MAX - self.bytes.len();
        self.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        Appetite::unless(chunk.len() >= room, Appetite::More)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What matters of the head of an answer. All empty until it arrives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub next_page: Option<String>,
    /// Of an answer that may be somebody else's: its type, and where it leads to.
    content_type: Box<str>,
    location: Box<str>,
}

impl Head {
    pub(crate) fn read(status: u16, headers: &Headers) -> Self {
        let next_page = headers.value("nextpageuri").map(str::trim);
        let short = |name: &str| -> Box<str> {
            let text = headers.value(name).unwrap_or_default();
            text.chars().take(HEADER_CHARS_MAX).collect::<String>().into()
        };
        Self {
            status,
            retry_after: retry_after(headers).map(|wait| wait.min(RETRY_AFTER_MAX)),
            next_page: next_page.filter(|address| !address.is_empty()).map(str::to_owned),
            content_type: short("content-type"),
            location: short("location"),
        }
    }

    /// The answer with this body, or the beginning of one.
    pub(crate) fn with<'a>(&'a self, body: &'a [u8]) -> Seen<'a> {
        let (content_type, location) = (&self.content_type, &self.location);
        Seen { status: self.status, content_type, location, body }
    }
}

/// The wait that `Retry-After` names, in seconds or as a moment. The latter by the answer's own
/// clock.
fn retry_after(headers: &Headers) -> Option<Duration> {
    let text = headers.value("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = Utc::parse_http_date(headers.value("date")?)?;
    Some(Utc::parse_http_date(text)?.since(date))
}

/// What was sent: enough to tell what an answer says of the token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub operation: Operation,
    /// The token it was sent with.
    pub generation: Generation,
    /// On the monotonic clock.
    pub at: Duration,
}

/// One request under way, of a source whose requests have this purpose and whose answers this body.
#[derive(Debug)]
pub(crate) struct Exchange<P, B> {
    pub sent: Sent,
    pub purpose: P,
    pub head: Head,
    pub body: B,
}

/// All requests under way of one source.
#[derive(Debug)]
pub(crate) struct Exchanges<P, B>(FlatMap<RequestId, Box<Exchange<P, B>>>);

impl<P, B> Default for Exchanges<P, B> {
    fn default() -> Self {
        Self(FlatMap::default())
    }
}

impl<P, B> Exchanges<P, B> {
    /// Notes a request that was sent.
    pub(crate) fn insert(&mut self, id: RequestId, exchange: Exchange<P, B>) {
        self.0.insert(id, Box::new(exchange));
    }

    /// An answer of an API begins, which proves that there is one. Answers the request if a body
    /// follows whose form is its own; what is said of a failure is small, and kept whole.
    pub(crate) fn begin_answer(
        &mut self,
        contact: &mut Contact,
        id: RequestId,
        status: u16,
        headers: &Headers,
    ) -> Result<&mut Exchange<P, B>, Appetite> {
        let Some(exchange) = self.0.get_mut(&id) else { return Err(Appetite::Enough) };
        exchange.head = Head::read(status, headers);
        contact.note_answer();
        if (200..300).contains(&status) { Ok(&mut **exchange) } else { Err(Appetite::More) }
    }

    /// Takes out a request that has ended, or is not wanted any more.
    pub(crate) fn remove(&mut self, id: RequestId) -> Option<Exchange<P, B>> {
        self.0.remove(&id).map(|exchange| *exchange)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Exchange<P, B>> {
        self.0.values().map(|exchange| &**exchange)
    }
}
