//! A third source, that counts: what a source has to be, and that nothing else need know of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Collector, Outcome};
use crate::access::{Access, Troubles};
use crate::base::secret::Secret;
use crate::base::time::{Now, Utc};
use crate::config::{Config, RawOptions};
use crate::contract::batch::{BatchId, ContentRef, Record};
use crate::contract::feed::Feed;
use crate::contract::io::{Input, Output};
use crate::contract::metrics::LaneMetrics;
use crate::contract::request::{Headers, Method, Operation, Request, RequestId};
use crate::contract::state::Stored;
use crate::json::{Lifted, RecordKind};
use crate::source::desk::{Desk, Emission};
use crate::source::exchange::{Appetite, Exchange, Exchanges, Head, Sent, SmallBody};
use crate::source::ledger::{Entry, SourceId};
use crate::source::requests::Asker;
use crate::source::urgency::{Urgency, Wake};
use crate::source::{Corrected, Ended, Source, Standing};

/// How far it counts.
const END: u64 = 20;

/// As what its records go out: a test declares no feed of its own.
const FEED: Feed = Feed::CloudAppActivities;

/// Where it keeps how far it has come.
const KEY: &str = "count/Numbers";

/// Asks for one number after the other, each of which is a record.
#[derive(Debug)]
struct Counting {
    id: SourceId,
    access: Access,
    exchanges: Exchanges<u64, SmallBody>,
    parts: VecDeque<(BatchId, u64)>,
    /// Numbers that the host has taken, and those that were asked for.
    counted: u64,
    asked: u64,
    metrics: LaneMetrics,
}

impl Counting {
    fn new(id: SourceId, stored: &Stored, now: Now) -> Self {
        let counted = stored.get(KEY).map_or(0, |text| text.parse().unwrap());
        let troubles = Troubles { address: "", rejected: "" };
        Self {
            id,
            access: Access::given(Secret::new("t".into()), 60_000, troubles, now.monotonic),
            exchanges: Exchanges::default(),
            parts: VecDeque::new(),
            counted,
            asked: counted,
            metrics: LaneMetrics::new(FEED),
        }
    }
}

impl Source for Counting {
    fn access(&mut self) -> &mut Access {
        &mut self.access
    }

    fn schedule(&mut self, desk: &mut Desk, now: Now, wake: &mut Wake) {
        while self.asked < END && desk.has_place(Urgency::Fresh) && desk.has_room() {
            if let Err(at) = self.access.take(now.monotonic) {
                return wake.at(at);
            }
            let (operation, number) = (Operation::GetBlob, self.asked);
            let request = Request {
                operation,
                method: Method::Get,
                url: format!("https://numbers.example/{number}"),
                bearer: None,
                direct: false,
                body: None,
                content_type: None,
                headers: Vec::new(),
            };
            let id = desk.send(Asker::Source(self.id), request, Urgency::Fresh);
            let sent = Sent { operation, generation: self.access.generation(), at: now.monotonic };
            let (head, body) = (Head::default(), SmallBody::default());
            self.exchanges.insert(id, Exchange { sent, purpose: number, head, body });
            self.asked += 1;
        }
    }

    fn head(
        &mut self,
        _desk: &mut Desk,
        _now: Now,
        id: RequestId,
        status: u16,
        headers: &Headers,
    ) -> Appetite {
        match self.exchanges.begin_answer(self.access.contact(), id, status, headers) {
            Ok(_) => Appetite::WhenThereIsRoom,
            Err(appetite) => appetite,
        }
    }

    fn body(&mut self, _desk: &mut Desk, _now: Now, id: RequestId, chunk: Bytes) -> Appetite {
        let Some(mut exchange) = self.exchanges.remove(id) else { return Appetite::Enough };
        let enough = exchange.body.extend(&chunk) == Appetite::Enough;
        self.exchanges.insert(id, exchange);
        Appetite::unless(enough, Appetite::WhenThereIsRoom)
    }

    fn end(&mut self, desk: &mut Desk, _now: Now, id: RequestId, _ended: Ended) {
        let Some(exchange) = self.exchanges.remove(id) else { return };
        let raw = Bytes::copy_from_slice(exchange.body.bytes());
        let content = Arc::new(ContentRef {
            feed: FEED,
            id: exchange.purpose.to_string().into(),
            uri: "".into(),
            created: Utc::default(),
            expiration: Utc::default(),
        });
        let records = vec![Record {
            fields: Lifted::of(&raw, false),
            kind: RecordKind::Object,
            redacted: false,
            is_json: true,
            happened: None,
            raw,
        }];
        let emission = Emission { content, records, last: true, dropped: 0, filterable: false };
        self.parts.push_back((desk.emit(self.id, emission), exchange.purpose));
    }

    fn delivered(&mut self, desk: &mut Desk, _now: Now, entry: &Entry) {
        let part = self.parts.pop_front_if(|part| part.0 == entry.id);
        let (_, number) = part.expect("its own entries, in their order");
        assert_eq!(number, self.counted, "in the order of emission");
        self.counted += 1;
        desk.changes().put(KEY.into(), self.counted.to_string());
    }

    fn returned(&mut self, _desk: &mut Desk, from: BatchId) {
        let at = self.parts.partition_point(|part| part.0 < from);
        if let Some((_, first)) = self.parts.split_off(at).front() {
            self.asked = *first;
        }
    }

    fn correct_time(&mut self, _time: Corrected) {}

    fn flush(&mut self, _desk: &mut Desk, _now: Now) {}

    fn standing(&self, _target: Option<Utc>, _now: Utc) -> Standing {
        if self.counted < END { Standing::Working } else { Standing::Done }
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn measure(&mut self, _now: Utc) -> Vec<&LaneMetrics> {
        vec![&self.metrics]
    }
}

/// A collector with that source alone.
fn collector(stored: &Stored, now: Now) -> Collector {
    let guid = "41463f53-8812-40f4-890f-865bf6e35190";
    let raw: RawOptions = [("tenant_id", guid), ("client_id", guid), ("client_secret", "s")]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    let config = Config::parse(&raw).unwrap().once(true);
    let mut collector = Collector::new(config, stored, 1, now).unwrap();
    collector.sources = vec![Box::new(Counting::new(SourceId(0), stored, now))];
    collector
}

/// Answers each number with a record of it. Loses the batch with this id, once; stops when `until`
/// numbers have come. Answers which have.
fn drive(stored: &mut Stored, lost: Option<u64>, until: usize) -> Vec<String> {
    let mut now = Now { monotonic: Duration::ZERO, wall: Utc::default() };
    let mut collector = collector(stored, now);
    let (mut lost, mut came, mut urls) = (lost, Vec::new(), BTreeMap::new());
    while came.len() < until {
        match collector.poll_output(now) {
            Output::Request { id, request, .. } => {
                urls.insert(id, request.url.rsplit('/').next().unwrap().to_owned());
                let headers = Headers::default();
                collector.handle_input(now, Input::Head { id, status: 200, headers });
            }
            Output::Read(id) => match urls.remove(&id) {
                Some(number) => {
                    let chunk = Bytes::from(format!("{{\"n\":{number}}}"));
                    collector.handle_input(now, Input::Body { id, chunk });
                }
                None => collector.handle_input(now, Input::End { id, result: Ok(()) }),
            },
            Output::Batch(batch) if lost == Some(batch.id.0) => {
                lost = None;
                collector.handle_input(now, Input::Returned(batch.id));
            }
            Output::Batch(batch) => {
                came.push(String::from_utf8(batch.records[0].raw.to_vec()).unwrap());
                collector.handle_input(now, Input::Delivered(batch.id));
            }
            Output::Commit(commit) => commit.apply(stored),
            Output::Wait(wait) => now.monotonic += wait.expect("it is not done"),
            Output::Finished => {
                assert_eq!(collector.outcome(), Outcome::Complete);
                break;
            }
            Output::Credential | Output::Cancel(_) | Output::Event(_) => {}
        }
    }
    came
}

fn numbers(range: std::ops::Range<u64>) -> Vec<String> {
    range.map(|number| format!("{{\"n\":{number}}}")).collect()
}

#[test]
fn a_third_source_is_collected_by_what_all_share() {
    let mut stored = Stored::new();
    assert_eq!(drive(&mut stored, None, usize::MAX), numbers(0..END));
    assert_eq!(stored[KEY], END.to_string());
}

#[test]
fn what_the_host_has_lost_of_a_third_source_comes_again() {
    for lost in [0, 7, END - 1] {
        let mut stored = Stored::new();
        assert_eq!(drive(&mut stored, Some(lost), usize::MAX), numbers(0..END), "{lost}");
    }
}

#[test]
fn a_third_source_goes_on_where_the_host_had_taken_it() {
    let mut stored = Stored::new();
    let mut came = drive(&mut stored, None, 9);
    assert_eq!(came, numbers(0..9));
    let counted = stored.get(KEY).map_or(0, |text| text.parse().unwrap());
    assert!(counted <= 9, "nothing counts before it is taken");
    came.truncate(usize::try_from(counted).unwrap());
    came.extend(drive(&mut stored, None, usize::MAX));
    assert_eq!(came, numbers(0..END));
}
