//! A collector in virtual time, in front of a service that each test scripts: for answers that come
//! at one moment and not at another. What Microsoft would say is the simulator's part, not this
//! one's; see the ring in `tests`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use m365_audit_core::{
    BatchId, Collector, Config, ContentRef, ContentType, Event, Headers, Input, LaneMetrics, Level,
    Now, Operation, Output, Presented, RawOptions, Request, RequestId, Stored, TransportError,
    TransportErrorKind, Utc,
};

pub(crate) const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";
/// 2026-03-01T00:00:00Z, in milliseconds: when scripts begin.
pub(crate) const T0: i64 = 1_772_323_200_000;
pub(crate) const MIN: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MIN;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Outputs of one [`Bench::run`] at the most: what needs more turns in circles.
const OUTPUTS_MAX: u64 = 3_000_000;

/// What a scripted service says.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) chunks: Vec<Bytes>,
    /// Whether the connection breaks behind the last chunk.
    pub(crate) cut: bool,
    /// Beside the date.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// There is no answer, but this.
    pub(crate) error: Option<TransportErrorKind>,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Option<Self> {
        let chunks = vec![Bytes::from(body.into())];
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
        let chunks = body.chunks(16_000).map(Bytes::copy_from_slice).collect();
        Self::ok("").map(|answer| Self { chunks, cut, ..answer })
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
    born: i64,
    now: i64,
    agenda: BTreeMap<(i64, u64), Input>,
    planned: u64,
    open: HashMap<RequestId, (VecDeque<Bytes>, bool)>,
    held: Vec<BatchId>,
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
        let birth = Now { monotonic: Duration::ZERO, wall: Utc::from_millis(now) };
        let collector = Collector::new(config, &stored, 1, birth).unwrap();
        Self {
            collector,
            stored,
            sent: Vec::new(),
            events: Vec::new(),
            records: Vec::new(),
            takes: true,
            skew: 0,
            outputs_max: OUTPUTS_MAX,
            born: now,
            now,
            agenda: BTreeMap::new(),
            planned: 0,
            open: HashMap::new(),
            held: Vec::new(),
            over: false,
        }
    }

    /// Whether the collection has ended by itself.
    pub(crate) const fn is_over(&self) -> bool {
        self.over
    }

    fn at(&self) -> Now {
        let lived = u64::try_from(self.now - self.born).unwrap();
        Now { monotonic: Duration::from_millis(lived), wall: Utc::from_millis(self.now) }
    }

    fn plan(&mut self, after: i64, input: Input) {
        self.planned += 1;
        self.agenda.insert((self.now + after, self.planned), input);
    }

    /// Takes what waits, and whatever follows.
    pub(crate) fn deliver_held(&mut self) {
        self.takes = true;
        for id in std::mem::take(&mut self.held) {
            self.plan(0, Input::Delivered(id));
        }
    }

    pub(crate) fn input(&mut self, input: Input) {
        let at = self.at();
        self.collector.handle_input(at, input);
    }

    /// Lives until `until`, or to the end of the collection.
    #[track_caller]
    pub(crate) fn run(&mut self, until: i64, service: &mut Service<'_>) {
        let mut outputs = 0;
        while self.now < until {
            outputs += 1;
            assert!(outputs < self.outputs_max, "in circles: {} requests", self.sent.len());
            match self.collector.poll_output(self.at()) {
                Output::Request { id, request, timeout } => {
                    self.send(id, &request, timeout, service);
                }
                Output::Read(id) => self.read(id),
                Output::Cancel(id) => {
                    self.open.remove(&id);
                }
                Output::Credential => self.input(Input::Credential(Presented::unchanged([1; 32]))),
                Output::Batch(batch) => {
                    let text = |record: &m365_audit_core::Record| {
                        String::from_utf8_lossy(&record.raw).into_owned()
                    };
                    self.records.extend(batch.records.iter().map(text));
                    if self.takes {
                        self.plan(1, Input::Delivered(batch.id));
                    } else {
                        self.held.push(batch.id);
                    }
                }
                Output::Commit(commit) => commit.apply(&mut self.stored),
                Output::Event(event) => self.events.push((self.now, event)),
                Output::Wait(timeout) => self.wait(timeout, until),
                Output::Finished => {
                    self.over = true;
                    return;
                }
            }
        }
    }

    fn send(
        &mut self,
        id: RequestId,
        request: &Request,
        timeout: Duration,
        service: &mut Service<'_>,
    ) {
        let body = request.body.as_ref().map(|body| body.expose().clone()).unwrap_or_default();
        let (at, operation) = (self.now, request.operation);
        self.sent.push(Sent { at, operation, url: request.url.clone(), body });
        let Some(answer) = service(self.now, request) else {
            let error =
                TransportError { kind: TransportErrorKind::Timeout, message: "no answer".into() };
            let after = i64::try_from(timeout.as_millis()).unwrap();
            return self.plan(after, Input::End { id, result: Err(error) });
        };
        if let Some(kind) = answer.error {
            let error = TransportError { kind, message: "scripted".into() };
            return self.plan(20, Input::End { id, result: Err(error) });
        }
        let date = jiff::Timestamp::from_millisecond(self.now + self.skew).unwrap();
        let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        self.open.insert(id, (answer.chunks.into(), answer.cut));
        let headers = answer.headers.into_iter().chain([("Date", date)]);
        let headers: Headers = headers.collect();
        self.plan(20, Input::Head { id, status: answer.status, headers });
    }

    fn read(&mut self, id: RequestId) {
        let Some((chunks, cut)) = self.open.get_mut(&id) else { return };
        let input = match chunks.pop_front() {
            Some(chunk) if !chunk.is_empty() => Input::Body { id, chunk },
            _ if *cut => {
                let (kind, message) = (TransportErrorKind::Lost, "cut".into());
                Input::End { id, result: Err(TransportError { kind, message }) }
            }
            _ => Input::End { id, result: Ok(()) },
        };
        self.plan(1, input);
    }

    fn wait(&mut self, timeout: Option<Duration>, until: i64) {
        let timer = timeout
            .map(|timeout| self.now + i64::try_from(timeout.as_micros().div_ceil(1_000)).unwrap());
        let next = self.agenda.keys().next().map(|(at, _)| *at);
        let at = timer.into_iter().chain(next).min().expect("something is waited for");
        self.now = at.max(self.now).min(until);
        self.input(Input::Timeout);
        while let Some(entry) = self.agenda.first_entry() {
            if self.now < entry.key().0 {
                break;
            }
            let input = entry.remove();
            self.input(input);
        }
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

/// A blob: its name, when it was created by its own account, and since when it is listed.
pub(crate) type Blob<'a> = (&'a str, i64, i64);

/// The content of that name, as a notification describes it.
pub(crate) fn content(name: &str, created: i64) -> ContentRef {
    ContentRef {
        content_type: ContentType::AuditGeneral,
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
