//! The stored state: a collector that is stopped anywhere goes on from what it has stored, claims
//! only what was delivered, and survives damage.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::Unstructured;
use bytes::Bytes;
use m365_audit_core::{
    Batch, BatchId, Collector, Commit, Config, Event, Feed, Headers, Input, Io, Metrics, Now,
    Operation, Presented, RawOptions, Request, RequestId, Stored, Taken, TransportError,
    TransportErrorKind, Utc, Waits, run, summarize,
};

const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";
const API: &str = "https://manage.office.com";

/// 2026-11-30T06:00:00Z.
const START_MS: i64 = 1_796_018_400_000;

/// How often one life waits.
const WAITS_MAX: usize = 100;

/// Lives of a world.
const LIVES_MAX: usize = 4;

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let options: RawOptions = [
        ("tenant_id", TENANT),
        ("client_id", TENANT),
        ("client_secret", "s"),
        ("content_types", "Audit.General,DLP.All"),
        ("lookback", "2d"),
        ("dedupe_records", "1000"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    Config::parse(&options).expect("the options are right")
});

/// What the service has shown, and what became of it.
#[derive(Default)]
struct Truth {
    /// Blobs that there are: feed and creation by their ids. From then on every answer lists them.
    published: BTreeMap<String, (Feed, i64)>,
    /// Those that a whole answer has listed.
    listed: BTreeSet<String>,
    /// Blobs whose record a host has taken.
    delivered: BTreeSet<String>,
    /// Windows that were listed whole.
    windows: Vec<(Feed, i64, i64)>,
    next_blob: u64,
}

struct World<'u, 'd> {
    u: &'u mut Unstructured<'d>,
    truth: Truth,
    stored: Stored,
    /// Milliseconds since the start.
    now_ms: i64,
    /// What is stored is not what a collector has stored, and may claim anything.
    is_damaged: bool,
}

/// One life of a collector.
struct Life<'w, 'u, 'd> {
    world: &'w mut World<'u, 'd>,
    waits: usize,
    inputs: VecDeque<Input>,
    /// What is still to come of a body, whether it breaks off then, and what is true once it came.
    bodies: BTreeMap<RequestId, Body>,
    batches: Vec<(BatchId, Vec<String>)>,
}

/// A life is over: somebody pulled the plug.
#[derive(Debug)]
struct Over;

struct Body {
    rest: Option<Bytes>,
    breaks: bool,
    window: Option<(Feed, i64, i64)>,
    blobs: Vec<String>,
}

/// Bytes of an input that say what is damaged.
const DAMAGE_BYTES: usize = 12;

/// Runs a collector a few times from what it has stored, and perhaps from what is left of it.
pub(crate) fn check(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(shape) = u.arbitrary::<u8>() else { return };
    let damage = if shape & 1 == 1 { u.bytes(DAMAGE_BYTES).ok() } else { None };
    let (truth, stored) = (Truth::default(), Stored::new());
    let mut world = World { u: &mut u, truth, stored, now_ms: 0, is_damaged: false };
    for _ in 0..LIVES_MAX {
        if world.u.is_empty() {
            break;
        }
        let collector = Collector::new(CONFIG.clone(), &world.stored, 7, world.now());
        let collector = collector.expect("what was stored is read");
        world.live(collector);
        world.judge();
    }
    if let Some(damage) = damage {
        let World { truth, stored, now_ms, .. } = world;
        let mut u = Unstructured::new(data);
        let world = World { u: &mut u, truth, stored, now_ms, is_damaged: true };
        survive(world, &mut Unstructured::new(damage));
    }
}

/// Damage is told or survived.
fn survive(mut world: World<'_, '_>, u: &mut Unstructured<'_>) {
    let index = u.choose_index(world.stored.len().max(1)).unwrap_or(0);
    let Some(value) = world.stored.values_mut().nth(index) else { return };
    let mut bytes = std::mem::take(value).into_bytes();
    crate::json::damage(u, &mut bytes);
    *value = String::from_utf8_lossy(&bytes).into_owned();
    let _ = summarize(&world.stored);
    let collector = Collector::new(CONFIG.clone(), &world.stored, 7, world.now());
    let Ok(collector) = collector else { return };
    world.live(collector);
    let again = Collector::new(CONFIG.clone(), &world.stored, 7, world.now());
    assert_eq!(again.err(), None, "what was taken once is taken again");
}

impl World<'_, '_> {
    fn now(&self) -> Now {
        Now {
            monotonic: Duration::from_millis(u64::try_from(self.now_ms).unwrap_or(0)),
            wall: Utc::from_millis(START_MS + self.now_ms),
        }
    }

    fn chance(&mut self, one_in: u8) -> bool {
        self.u.ratio(1, one_in).unwrap_or(false)
    }

    fn live(&mut self, mut collector: Collector) {
        let mut life = Life {
            world: self,
            waits: 0,
            inputs: VecDeque::new(),
            bodies: BTreeMap::new(),
            batches: Vec::new(),
        };
        // However it ended.
        let _ = run(&mut collector, &mut life);
    }

    /// Time passes: as long as the collector wants, or hours.
    fn pass(&mut self, timeout: Option<Duration>) {
        let wanted = timeout.unwrap_or(Duration::from_secs(60)).min(Duration::from_secs(3_600));
        let wanted = i64::try_from(wanted.as_millis()).unwrap_or(0).max(1);
        let hours = if self.chance(8) { self.u.int_in_range(1..=12).unwrap_or(1) } else { 0 };
        self.now_ms += wanted + hours * 3_600_000;
    }

    /// What is stored claims no more than there was.
    fn judge(&self) {
        if self.is_damaged {
            return;
        }
        let lanes = summarize(&self.stored).expect("what was stored is shown");
        let mut covered: BTreeMap<Feed, Vec<(i64, i64)>> = BTreeMap::new();
        for lane in lanes {
            let mut last = i64::MIN;
            for (start, end) in &lane.delivered {
                let (start, end) = (start.as_millis(), end.as_millis());
                assert!(last <= start && start < end, "intervals are in order");
                last = end;
                for at in [start, start.midpoint(end), end - 1] {
                    let listed = self.truth.windows.iter();
                    let mut listed = listed.filter(|(feed, _, _)| *feed == lane.feed);
                    assert!(
                        listed.any(|(_, start, end)| *start <= at && at < *end),
                        "{} was never listed",
                        Utc::from_millis(at)
                    );
                }
                covered.entry(lane.feed).or_default().push((start, end));
            }
        }
        for id in &self.truth.listed {
            let (feed, at) = &self.truth.published[id];
            let mut covered = covered.get(feed).into_iter().flatten();
            if covered.any(|(start, end)| start <= at && at < end) {
                let name = id.replace('$', "_");
                assert!(self.truth.delivered.contains(&name), "{id} counts as delivered");
            }
        }
    }
}

impl Life<'_, '_, '_> {
    /// The host takes some batches, or gives them back.
    fn settle(&mut self) {
        while !self.batches.is_empty() && !self.world.chance(4) {
            if self.world.chance(8) {
                let (first, _) = self.batches[0];
                self.batches.clear();
                self.inputs.push_back(Input::Returned(first));
            } else {
                let (id, blobs) = self.batches.remove(0);
                self.world.truth.delivered.extend(blobs);
                self.inputs.push_back(Input::Delivered(id));
            }
        }
    }

    fn answer(&mut self, id: RequestId, request: &Request) {
        if self.world.chance(16) {
            let kind = TransportErrorKind::Lost;
            let error = TransportError { kind, message: "told to fail".into() };
            self.inputs.push_back(Input::End { id, result: Err(error) });
            return;
        }
        let mut body = Body { rest: None, breaks: false, window: None, blobs: Vec::new() };
        let failed = request.operation != Operation::Token && self.world.chance(16);
        let (status, text) = match request.operation {
            _ if failed => (503, "<html>".to_owned()),
            Operation::Token => {
                (200, r#"{"token_type":"Bearer","expires_in":3599,"access_token":"t"}"#.to_owned())
            }
            Operation::ListSubscriptions => {
                let status = |feed| format!(r#"{{"contentType":"{feed}","status":"enabled"}}"#);
                (200, format!("[{},{}]", status("Audit.General"), status("DLP.All")))
            }
            Operation::ListContent => (200, self.list(&request.url, &mut body)),
            Operation::GetBlob => {
                let blob = request.url.rsplit('/').next().unwrap_or_default();
                let blob = blob.split('?').next().unwrap_or_default();
                let id = blob.replace('$', "_");
                (
                    200,
                    format!(
                        r#"[{{"Id":"{id}","CreationTime":"2026-11-29T00:00:00","Operation":"x"}}]"#
                    ),
                )
            }
            _ => (200, r#"{"contentType":"Audit.General","status":"enabled"}"#.to_owned()),
        };
        if failed {
            body.window = None;
            body.blobs.clear();
        }
        body.breaks = self.world.chance(16);
        let length = if body.breaks { text.len() / 2 } else { text.len() };
        body.rest = (0 < length).then(|| Bytes::copy_from_slice(&text.as_bytes()[..length]));
        self.bodies.insert(id, body);
        let date = http_date(START_MS + self.world.now_ms);
        let headers: Headers = [("Date".to_owned(), date)].into_iter().collect();
        self.inputs.push_back(Input::Head { id, status, headers });
    }

    /// A listing of a window, with a blob now and then.
    fn list(&mut self, url: &str, body: &mut Body) -> String {
        let part = |name: &str| {
            url.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)).unwrap_or_default()
        };
        let moment = |name| Utc::parse(part(name)).expect("it is a moment").as_millis();
        let (start, end) = (moment("startTime="), moment("endTime="));
        let feed = Feed::parse(part("contentType=")).expect("it is a feed");
        assert!(start < end && end - start <= 24 * 3_600_000, "{url}");
        body.window = Some((feed, start, end));
        let old = self.world.truth.published.iter();
        let old = old.filter(|(_, (of, at))| *of == feed && start <= *at && *at < end);
        let mut blobs: Vec<_> = old.map(|(id, (_, at))| (id.clone(), *at)).collect();
        if self.world.chance(4) && blobs.len() < 3 {
            let number = self.world.truth.next_blob;
            self.world.truth.next_blob += 1;
            let name = feed.as_str().to_lowercase().replace('.', "_");
            // What is new is new: it lies where nothing was delivered from before, and where no
            // answer that is under way leaves it out. (What comes late is found by rounds; the
            // scripts of core look at those.)
            let at = end - 1;
            let under_way = self.bodies.values().filter_map(|body| body.window.as_ref());
            let mut known = self.world.truth.windows.iter().chain(under_way);
            let fresh = !known.any(|(of, s, e)| *of == feed && *s <= at && at < *e);
            if fresh {
                let id = format!("{number}$1${name}${name}$na");
                self.world.truth.published.insert(id.clone(), (feed, at));
                blobs.push((id, at));
            }
        }
        body.blobs = blobs.iter().map(|(id, _)| id.clone()).collect();
        let entry = |(id, at): &(String, i64)| {
            format!(
                r#"{{"contentType":"{feed}","contentId":"{id}","contentUri":"{API}/api/v1.0/{TENANT}/activity/feed/audit/{id}","contentCreated":"{}","contentExpiration":"{}"}}"#,
                Utc::from_millis(*at),
                Utc::from_millis(*at + 30 * 86_400_000),
            )
        };
        format!("[{}]", blobs.iter().map(entry).collect::<Vec<_>>().join(","))
    }

    fn body(&mut self, id: RequestId) {
        let Some(body) = self.bodies.get_mut(&id) else { return };
        if let Some(chunk) = body.rest.take() {
            self.inputs.push_back(Input::Body { id, chunk });
            return;
        }
        let Some(body) = self.bodies.remove(&id) else { return };
        let result = if body.breaks {
            let kind = TransportErrorKind::Lost;
            Err(TransportError { kind, message: "the body broke off".into() })
        } else {
            self.world.truth.windows.extend(body.window);
            self.world.truth.listed.extend(body.blobs);
            Ok(())
        };
        self.inputs.push_back(Input::End { id, result });
    }
}

impl Io for Life<'_, '_, '_> {
    type Error = Over;

    fn now(&mut self) -> Now {
        self.world.now()
    }

    fn send(&mut self, id: RequestId, request: Request, _: Duration) {
        self.answer(id, &request);
    }

    fn read(&mut self, id: RequestId) {
        self.body(id);
    }

    fn cancel(&mut self, id: RequestId) {
        self.bodies.remove(&id);
    }

    fn credential(&mut self) -> Presented {
        Presented::unchanged([7; 32])
    }

    fn emit(&mut self, batch: Batch) -> Result<Taken, Over> {
        self.batches.push((batch.id, ids(&batch)));
        Ok(Taken::Later)
    }

    fn commit(&mut self, commit: Commit) -> Result<(), Over> {
        commit.apply(&mut self.world.stored);
        if self.world.chance(8) {
            self.world.judge();
        }
        Ok(())
    }

    fn observe(&mut self, _: Event) {}
}

impl Waits for Life<'_, '_, '_> {
    fn wait(
        &mut self,
        timeout: Option<Duration>,
        _: &Metrics,
        inputs: &mut Vec<Input>,
    ) -> Result<(), Over> {
        self.waits += 1;
        if self.world.u.is_empty() || WAITS_MAX < self.waits {
            return Err(Over);
        }
        self.settle();
        inputs.extend(self.inputs.pop_front());
        if inputs.is_empty() {
            self.world.pass(timeout);
        }
        Ok(())
    }
}

/// The names of the blobs that a batch is of.
fn ids(batch: &Batch) -> Vec<String> {
    let id = |raw: &[u8]| {
        let value: serde_json::Value = serde_json::from_slice(raw).expect("our own record");
        value["Id"].as_str().expect("our own record").to_owned()
    };
    batch.records.iter().map(|record| id(&record.raw)).collect()
}

fn http_date(ms: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = Utc::from_millis(ms).to_string();
    let month = text[5..7].parse::<usize>().expect("digits");
    let day = usize::try_from(ms.div_euclid(86_400_000).rem_euclid(7)).expect("below 7");
    format!(
        "{}, {} {} {} {} GMT",
        DAYS[day],
        &text[8..10],
        MONTHS[month - 1],
        &text[..4],
        &text[11..19]
    )
}
