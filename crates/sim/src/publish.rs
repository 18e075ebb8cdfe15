//! Publishing: decides which blobs come to be, when, and when they can be listed. Everything
//! follows from (seed, tenant, content type, hour); records are not touched.

use crate::blob::{Blob, Form, PHANTOM_SUB_MIN, Size};
use crate::config::{SimConfig, Span};
use crate::content_type::ContentType;
use crate::draw;
use crate::faults::{Fault, Faults};
use crate::time::{DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Stamp};

/// A client cannot list content older than seven days; history ends an hour before, so that one
/// that starts at once can have all of it.
const HISTORY_MAX_MS: i64 = 7 * DAY_MS - HOUR_MS;
/// The first stamp of an id lies at most this far before the second.
const FIRST_STAMP_AGE_MS: u64 = 50 * MINUTE_MS.unsigned_abs();
/// How often a taken stamp is moved before the blob is given up.
const STAMP_TRIES_MAX: u32 = 1_000;

/// The blobs of one content type of one tenant, by creation.
#[derive(Debug)]
pub(crate) struct Feed {
    content_type: ContentType,
    seed: u64,
    blobs: Vec<Blob>,
    next_hour_ms: i64,
    start_ms: i64,
    made: u64,
}

/// What the publisher needs of the world's settings.
pub(crate) struct Press<'a> {
    pub(crate) config: &'a SimConfig,
    pub(crate) faults: &'a mut Faults,
}

impl Feed {
    /// A feed with its history before `now_ms`.
    pub(crate) fn new(
        content_type: ContentType,
        seed: u64,
        now_ms: i64,
        press: &mut Press<'_>,
    ) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "the product is clamped")]
        let history_ms =
            (press.config.days * 86_400_000.0).clamp(0.0, HISTORY_MAX_MS as f64) as i64;
        let from_ms = now_ms - history_ms;
        let mut feed = Self {
            content_type,
            seed: draw::mix(seed, content_type.index() as u64),
            blobs: Vec::new(),
            next_hour_ms: from_ms.div_euclid(HOUR_MS) * HOUR_MS,
            start_ms: now_ms,
            made: 0,
        };
        if press.config.content_types.contains(&content_type) {
            feed.advance(now_ms, press);
            let aged = |blob: &Blob| blob.created.ms < from_ms;
            let keep = feed.blobs.iter().position(|blob| !aged(blob)).unwrap_or(feed.blobs.len());
            feed.blobs.drain(..keep);
        }
        feed
    }

    pub(crate) fn blobs(&self) -> &[Blob] {
        &self.blobs
    }

    /// Blobs created in `from_ms..to_ms`.
    pub(crate) fn created_within(&self, from_ms: i64, to_ms: i64) -> &[Blob] {
        let from = self.blobs.partition_point(|blob| blob.created.ms < from_ms);
        let to = self.blobs.partition_point(|blob| blob.created.ms < to_ms);
        &self.blobs[from.min(to)..to]
    }

    /// The blob created at a stamp.
    pub(crate) fn find(&self, created: Stamp) -> Option<&Blob> {
        let at = self.blobs.binary_search_by(|blob| blob.created.cmp(&created)).ok()?;
        Some(&self.blobs[at])
    }

    /// Publishes what is due in the hours up to `now_ms`.
    pub(crate) fn advance(&mut self, now_ms: i64, press: &mut Press<'_>) {
        while self.next_hour_ms <= now_ms {
            let hour_ms = self.next_hour_ms;
            self.next_hour_ms += HOUR_MS;
            let after_start = hour_ms + HOUR_MS > self.start_ms;
            if after_start && !press.config.live && hour_ms > self.start_ms {
                continue;
            }
            self.publish_hour(hour_ms, press);
        }
    }

    fn publish_hour(&mut self, hour_ms: i64, press: &mut Press<'_>) {
        let key = draw::mix(self.seed, hour_ms.unsigned_abs());
        let times = |span: Span, key: u64| {
            let at = move |n: u32| below(draw::mix(key, u64::from(n) + 1), HOUR_MS.unsigned_abs());
            (0..span.draw(key, 0)).map(move |n| hour_ms + at(n))
        };
        let (history, config) = (|ms: &i64| *ms < self.start_ms, press.config);
        let mut times: Vec<i64> = match config.live_blobs_per_hour {
            // The hour of the start has the old rate before it and the new one after it.
            Some(span) if config.live => {
                let before = times(config.blobs_per_hour, key).filter(history);
                let after = times(span, draw::mix(key, 0x11FE)).filter(|ms| !history(ms));
                before.chain(after).collect()
            }
            _ => {
                let all = times(config.blobs_per_hour, key);
                all.filter(|ms| config.live || history(ms)).collect()
            }
        };
        times.sort_unstable();
        for created_ms in times {
            let blob = self.draw_blob(created_ms, press);
            self.insert(blob);
        }
    }

    /// Publishes a blob now, available at once: of these records, or of such as are drawn.
    pub(crate) fn publish_now(
        &mut self,
        now_ms: i64,
        records: Option<Vec<Vec<u8>>>,
        press: &mut Press<'_>,
    ) -> Blob {
        let mut blob = self.draw_blob(now_ms, press);
        blob.available_ms = now_ms;
        blob.form = Form::Array;
        if let Some(records) = records {
            blob.size = Size::Given(records.into());
        } else if blob.size == Size::Records(0) {
            blob.size = Size::Records(1);
        }
        self.insert(blob)
    }

    /// Publishes the blob of `blob_bytes`.
    pub(crate) fn publish_big(&mut self, bytes: u64, now_ms: i64, press: &mut Press<'_>) {
        let mut blob = self.draw_blob(now_ms - HOUR_MS, press);
        blob.available_ms = now_ms;
        blob.form = Form::Array;
        blob.size = Size::Bytes(bytes);
        self.insert(blob);
    }

    fn insert(&mut self, mut blob: Blob) -> Blob {
        for _ in 0..STAMP_TRIES_MAX {
            match self.blobs.binary_search_by(|known| known.created.cmp(&blob.created)) {
                Err(at) => {
                    self.blobs.insert(at, blob.clone());
                    break;
                }
                Ok(_) => blob.created.sub = (blob.created.sub + 1) % PHANTOM_SUB_MIN,
            }
        }
        blob
    }

    fn draw_blob(&mut self, created_ms: i64, press: &mut Press<'_>) -> Blob {
        self.made += 1;
        let order = draw::mix(self.seed, self.made | 1 << 40);
        let Press { config, faults } = press;
        let sub = |key| u32::try_from(draw::mix(order, key) % u64::from(PHANTOM_SUB_MIN));
        let created = Stamp { ms: created_ms, sub: sub(1).expect("below 900,000") };
        let first = if draw::chance(0.4, order, 2) {
            created
        } else {
            let age = below(draw::mix(order, 3), FIRST_STAMP_AGE_MS);
            Stamp { ms: created_ms - age, sub: sub(4).expect("below 900,000") }
        };
        let days = match config.expiration_days.len() {
            0 => 7,
            count => {
                let at = draw::mix(order, 5) % count as u64;
                config.expiration_days[usize::try_from(at).expect("an index")]
            }
        };
        let mut blob = Blob {
            content_type: self.content_type,
            created,
            first,
            expires_ms: first.ms + i64::from(days) * DAY_MS,
            available_ms: created_ms + available_after(order, config, faults, created_ms),
            key: order,
            order,
            events_ms: created_ms,
            old_events: faults.hit(Fault::OldEvents, order, created_ms),
            size: Size::Records(config.records_per_blob.draw(order, 6)),
            form: Form::Array,
        };
        if faults.hit(Fault::EmptyBlob, order, created_ms) {
            blob.size = Size::Records(0);
        } else if faults.hit(Fault::NullBlob, order, created_ms) {
            blob.size = Size::Records(0);
            blob.form = Form::Null;
        } else if !self.blobs.is_empty() && faults.hit(Fault::RedeliveredBlob, order, created_ms) {
            let at = draw::mix(order, 7) % self.blobs.len() as u64;
            let original = &self.blobs[usize::try_from(at).expect("an index")];
            blob.key = original.key;
            blob.events_ms = original.events_ms;
            blob.old_events = original.old_events;
            blob.size = original.size.clone();
            blob.form = original.form;
        }
        blob
    }
}

/// How long after its creation a blob can be listed.
fn available_after(order: u64, config: &SimConfig, faults: &mut Faults, at_ms: i64) -> i64 {
    let minutes = if faults.hit(Fault::VeryLateBlob, order, at_ms) {
        faults.plan.very_late_minutes
    } else if faults.hit(Fault::LateBlob, order, at_ms) {
        faults.plan.late_minutes
    } else {
        return i64::from(config.lag_seconds.draw(order, 8)) * SECOND_MS;
    };
    below(draw::mix(order, 9), u64::from(minutes.max(1)) * MINUTE_MS.unsigned_abs())
}

/// A number below `bound`, which is at least 1.
fn below(drawn: u64, bound: u64) -> i64 {
    i64::try_from(drawn % bound).expect("bounds are days at most")
}
