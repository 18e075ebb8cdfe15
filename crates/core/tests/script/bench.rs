//! A collector in virtual time, in front of a service that each test scripts: for answers that come
//! at one moment and not at another. What Microsoft would say is the simulator's part, not this
//! one's; see the ring in `tests`.

use m365_audit_core::{
    Collector, Config, ContentRef, ContentType, Event, Feed, Input, LaneMetrics, Level, Operation,
    RawOptions, Record, Request, Stored, TransportErrorKind, Utc,
};
use m365_audit_world::{End, Passing, Piece, Said, Setting, World};

pub(crate) const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";
/// When scripts begin.
pub(crate) const T0: i64 = m365_audit_world::START_MS;
pub(crate) const MIN: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MIN;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Outputs of one [`Bench::run`] at the most: what needs more turns in circles.
const OUTPUTS_MAX: u64 = 3_000_000;

/// How long the service takes for an answer, and the host for a batch.
const ANSWERS_MS: i64 = 20;
const TAKES_MS: u64 = 1;

/// What a scripted service says.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) chunks: Vec<Vec<u8>>,
    /// Whether the connection breaks behind the last chunk.
    pub(crate) cut: bool,
    /// Beside the date.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// There is no answer, but this.
    pub(crate) error: Option<TransportErrorKind>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Option<Self> {
        let chunks = vec![body.into()];
        Some(Self { status, chunks, cut: false, headers: Vec::new(), error: None })
    }

    pub(crate) fn failed(kind: TransportErrorKind) -> Option<Self> {
        Self::new(0, "").map(|answer| Self { error: Some(kind), ..answer })
    }

    /// The same with a header.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Option<Self> {
        self.headers.push((name, value.to_owned()));
        Some(self)
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Option<Self> {
        Self::new(200, body)
    }

    /// In pieces, as a network brings it.
    pub(crate) fn pieces(body: &[u8], cut: bool) -> Option<Self> {
        let chunks = body.chunks(16_000).map(<[u8]>::to_vec).collect();
        Self::ok("").map(|answer| Self { chunks, cut, ..answer })
    }

    /// As it arrives, said at this moment of the service's clock.
    fn said(self, date: i64) -> Said {
        let date = jiff::Timestamp::from_millisecond(date).unwrap();
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let headers = self.headers.into_iter().chain([("Date", date)]).collect();
        let pieces = self.chunks.into_iter().map(Piece::Bytes);
        let body = Box::new(pieces.chain(self.cut.then_some(Piece::Reset)));
        Said::Head { status: self.status, headers, body }
    }
}

/// Answers a request at a moment, in milliseconds; `None` is no answer until the timeout.
pub(crate) type Service<'a> = dyn FnMut(i64, &Request) -> Option<Answer> + 'a;

/// A request that was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: i64,
    pub(crate) operation: Operation,
    pub(crate) url: String,
    pub(crate) body: String,
}

impl Sent {
    fn new(at: i64, request: &Request) -> Self {
        let body = request.body.as_ref().map(|body| body.expose().clone()).unwrap_or_default();
        Self { at, operation: request.operation, url: request.url.clone(), body }
    }
}

/// One life of a collector.
pub(crate) struct Bench {
    pub(crate) collector: Collector,
    pub(crate) stored: Stored,
    pub(crate) sent: Vec<Sent>,
    pub(crate) events: Vec<(i64, Event)>,
    /// Every record handed over, in order.
    pub(crate) records: Vec<String>,
    /// Whether batches are taken at once. Else they wait for [`Bench::deliver_held`].
    pub(crate) takes: bool,
    /// By how much the service's clock is ahead, in milliseconds.
    pub(crate) skew: i64,
    pub(crate) outputs_max: u64,
    world: World,
    over: bool,
}

/// `Audit.General` of one tenant, and `options` on top or instead.
pub(crate) fn config(options: &[(&str, &str)]) -> Config {
    let mut raw = RawOptions::new();
    let usual = [
        ("tenant_id", TENANT),
        ("client_id", "5af4b3e9-0bd1-4f5b-8fd1-6a8a3a1c1d11"),
        ("client_secret", "s"),
        ("content_types", "Audit.General"),
    ];
    for (name, value) in usual.iter().chain(options) {
        raw.insert((*name).to_owned(), (*value).to_owned());
    }
    if raw.get("source").is_some_and(|source| !source.contains("management_activity")) {
        raw.remove("content_types");
    }
    Config::parse(&raw).unwrap()
}

impl Bench {
    /// Born at `now`, with what an earlier life has stored.
    pub(crate) fn new(options: &[(&str, &str)], stored: Stored, now: i64) -> Self {
        Self::with(config(options), stored, now)
    }

    /// Born at [`T0`] with nothing stored, to collect what there is and end.
    pub(crate) fn once(options: &[(&str, &str)]) -> Self {
        Self::once_from(options, Stored::new(), T0)
    }

    /// Born at `now` with what an earlier life has stored, to collect what there is and end.
    pub(crate) fn once_from(options: &[(&str, &str)], stored: Stored, now: i64) -> Self {
        Self::with(config(options).once(true), stored, now)
    }

    fn with(config: Config, stored: Stored, now: i64) -> Self {
        let world = World::new(Setting { habits: TAKES_MS.into(), ..Setting::calm(now, 1) });
        let collector = Collector::new(config, &stored, 1, world.now()).unwrap();
        Self {
            collector,
            stored,
            sent: Vec::new(),
            events: Vec::new(),
            records: Vec::new(),
            takes: true,
            skew: 0,
            outputs_max: OUTPUTS_MAX,
            world,
            over: false,
        }
    }

    /// Whether the collection has ended by itself.
    pub(crate) const fn is_over(&self) -> bool {
        self.over
    }

    /// Takes what waits, and whatever follows.
    pub(crate) fn deliver_held(&mut self) {
        self.takes = true;
        self.world.take_held();
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.collector.handle_input(self.world.now(), input);
    }

    /// Lives until `until`, or to the end of the collection.
    #[track_caller]
    pub(crate) fn run(&mut self, until: i64, service: &mut Service<'_>) {
        let Self { collector, sent, events, records, world, .. } = self;
        let mut scripted = Scripted { service, skew: self.skew };
        let mut write_down = |world: &World, passing: Passing<'_>| {
            match passing {
                Passing::Request(request) => sent.push(Sent::new(world.now_ms(), request)),
                Passing::Batch(batch) => records.extend(batch.records.iter().map(text)),
                Passing::Event(event) => events.push((world.now_ms(), event.clone())),
                Passing::Commit(_) | Passing::Wait(_) => {}
            }
            Ok(())
        };
        world.habits.holds = !self.takes;
        world.outputs_max = self.outputs_max;
        std::mem::swap(&mut world.stored, &mut self.stored);
        let end = world.live(collector, &mut scripted, &mut write_down, until);
        std::mem::swap(&mut world.stored, &mut self.stored);
        self.over |= end.unwrap() == End::Finished;
    }

    /// How many requests of this kind had `part` in their address.
    pub(crate) fn count(&self, operation: Operation, part: &str) -> usize {
        let like = |sent: &&Sent| sent.operation == operation && sent.url.contains(part);
        self.sent.iter().filter(like).count()
    }

    /// What was told at WARN and above.
    pub(crate) fn loud(&self) -> Vec<String> {
        self.told(Level::Warn)
    }

    /// What was told at this level and above.
    pub(crate) fn told(&self, level: Level) -> Vec<String> {
        let told = self.events.iter().filter(|(_, event)| event.level() <= level);
        told.map(|(_, event)| event.to_string()).collect()
    }

    /// The figures of the first feed.
    pub(crate) fn lane(&self) -> &LaneMetrics {
        &self.collector.metrics().lanes[0]
    }
}

/// A script as the world's service: it answers quickly, and says what time it is by its clock.
struct Scripted<'a, 's> {
    service: &'a mut Service<'s>,
    skew: i64,
}

impl m365_audit_world::Service for Scripted<'_, '_> {
    fn answer(&mut self, now: i64, request: &Request) -> m365_audit_world::Answer {
        let Some(answer) = (self.service)(now, request) else {
            return m365_audit_world::Answer { after_ms: ANSWERS_MS, said: Said::Nothing };
        };
        let said = answer.error.map_or_else(|| answer.said(now + self.skew), Said::Lost);
        m365_audit_world::Answer { after_ms: ANSWERS_MS, said }
    }
}

/// A record as text.
pub(crate) fn text(record: &Record) -> String {
    String::from_utf8_lossy(&record.raw).into_owned()
}

/// A blob: its name, when it was created by its own account, and since when it is listed.
pub(crate) type Blob<'a> = (&'a str, i64, i64);

/// The content of that name, as a notification describes it.
pub(crate) fn content(name: &str, created: i64) -> ContentRef {
    ContentRef {
        feed: Feed::Audit(ContentType::AuditGeneral),
        id: id(name).into(),
        uri: uri(name).into(),
        created: Utc::from_millis(created),
        expiration: Utc::from_millis(created + 21 * DAY),
    }
}

fn id(name: &str) -> String {
    format!("20260301000100000000000$20260301000100000000000$audit_general$Audit_General${name}")
}

fn uri(name: &str) -> String {
    format!("https://manage.office.com/api/v1.0/{TENANT}/activity/feed/audit/{}", id(name))
}

/// The window of a listing, in milliseconds.
pub(crate) fn window(request: &Request) -> (i64, i64) {
    let part = |name: &str| {
        let text = request.url.split(name).nth(1).unwrap().split('&').next().unwrap();
        Utc::parse(text).unwrap().as_millis()
    };
    (part("startTime="), part("endTime="))
}

/// An entry of a listing.
fn entry(name: &str, created: i64) -> String {
    format!(
        "{{\"contentUri\":\"{}\",\"contentId\":\"{}\",\"contentType\":\"Audit.General\",\
         \"contentCreated\":\"{}\",\"contentExpiration\":\"{}\"}}",
        uri(name),
        id(name),
        Utc::from_millis(created),
        Utc::from_millis(created + 21 * DAY)
    )
}

/// A healthy service that lists `blobs`; each of them answers `blob`.
pub(crate) fn healthy(
    now: i64,
    request: &Request,
    blobs: &[Blob<'_>],
    blob: impl FnOnce() -> Option<Answer>,
) -> Option<Answer> {
    match request.operation {
        Operation::Token => Answer::ok(r#"{"access_token":"x","expires_in":3599}"#),
        Operation::ListSubscriptions => {
            Answer::ok(r#"[{"contentType":"Audit.General","status":"enabled","webhook":null}]"#)
        }
        Operation::StartSubscription => {
            Answer::ok(r#"{"contentType":"Audit.General","status":"enabled","webhook":null}"#)
        }
        Operation::ListContent => {
            let (start, end) = window(request);
            let is_listed = |(_, created, listed): &&Blob<'_>| {
                (start..end).contains(created) && *listed <= now && now - 7 * DAY <= *created
            };
            let found = blobs.iter().filter(is_listed);
            let found: Vec<_> = found.map(|(name, created, _)| entry(name, *created)).collect();
            Answer::ok(format!("[{}]", found.join(",")))
        }
        _ => blob(),
    }
}

/// A record that is no other.
pub(crate) fn record(n: usize) -> String {
    format!(r#"{{"Id":"{n}","CreationTime":"2026-03-01T00:00:00","Operation":"x"}}"#)
}
