//! Events as Fluent Bit stores them, one after the other: `[[time, {metadata}], {body}]`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::msgpack::Writer;

/// When an event happened, to the nanosecond, as Fluent Bit keeps it: 1970 to 2106.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventTime {
    seconds: u32,
    nanos: u32,
}

/// Seconds from here on mark groups inside Fluent Bit (0xffffffff and 0xfffffffe).
const SECONDS_MAX: u32 = 0xffff_fffd;

impl EventTime {
    /// A time since 1970 UTC. Times that Fluent Bit cannot hold become its first or last second.
    #[must_use]
    pub fn from_unix(seconds: i64, nanos: u32) -> Self {
        match u32::try_from(seconds) {
            Ok(seconds) if seconds <= SECONDS_MAX => {
                Self { seconds, nanos: nanos.min(999_999_999) }
            }
            Ok(_) => Self { seconds: SECONDS_MAX, nanos: 0 },
            Err(_) if seconds < 0 => Self::default(),
            Err(_) => Self { seconds: SECONDS_MAX, nanos: 0 },
        }
    }
}

impl From<Duration> for EventTime {
    /// A time since 1970 UTC.
    fn from(since_1970: Duration) -> Self {
        let seconds = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
        Self::from_unix(seconds, since_1970.subsec_nanos())
    }
}

impl From<SystemTime> for EventTime {
    fn from(time: SystemTime) -> Self {
        time.duration_since(UNIX_EPOCH).unwrap_or_default().into()
    }
}

/// Encodes events into one buffer and counts them: what a [`Batch`](crate::Batch) carries.
#[derive(Debug, Default)]
pub struct EventWriter {
    msgpack: Vec<u8>,
    records: u32,
}

impl EventWriter {
    /// An empty writer that has room for this many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self { msgpack: Vec::with_capacity(bytes), records: 0 }
    }

    /// Appends one event. `metadata` and `body` each have to write exactly one map, for which
    /// `|writer| writer.map(0)` is the shortest; no deeper than
    /// [`BODY_DEPTH_MAX`](crate::msgpack::BODY_DEPTH_MAX).
    #[inline]
    pub fn event(
        &mut self,
        time: EventTime,
        metadata: impl FnOnce(&mut Writer<'_>),
        body: impl FnOnce(&mut Writer<'_>),
    ) {
        let start = self.begin(time);
        let mut writer = Writer::new(&mut self.msgpack);
        metadata(&mut writer);
        debug_assert!(is_map(&self.msgpack, start), "metadata has to be a map");
        let start = self.msgpack.len();
        body(&mut Writer::new(&mut self.msgpack));
        debug_assert!(is_map(&self.msgpack, start), "a body has to be a map");
        self.records += 1;
    }

    /// Like [`EventWriter::event`], but takes the event back if `body` fails.
    ///
    /// # Errors
    /// Those of `body`.
    #[inline]
    pub fn try_event<E>(
        &mut self,
        time: EventTime,
        metadata: impl FnOnce(&mut Writer<'_>),
        body: impl FnOnce(&mut Writer<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = self.msgpack.len();
        self.begin(time);
        metadata(&mut Writer::new(&mut self.msgpack));
        let result = body(&mut Writer::new(&mut self.msgpack));
        match result {
            Ok(()) => self.records += 1,
            Err(_) => self.msgpack.truncate(before),
        }
        result
    }

    #[inline]
    fn begin(&mut self, time: EventTime) -> usize {
        // Two arrays of two, then an extension of type 0 with 8 bytes.
        let mut head = [0x92, 0x92, 0xd7, 0x00, 0, 0, 0, 0, 0, 0, 0, 0];
        head[4..8].copy_from_slice(&time.seconds.to_be_bytes());
        head[8..].copy_from_slice(&time.nanos.to_be_bytes());
        self.msgpack.extend_from_slice(&head);
        self.msgpack.len()
    }

    /// Events so far.
    #[must_use]
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Bytes so far. Send a batch before it exceeds about 1 MiB: the host makes no chunk smaller
    /// than a batch.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.msgpack.len()
    }

    /// The buffer and its number of events; the writer starts over, empty.
    #[must_use]
    pub fn take(&mut self) -> (Vec<u8>, u32) {
        (std::mem::take(&mut self.msgpack), std::mem::take(&mut self.records))
    }
}

fn is_map(buffer: &[u8], at: usize) -> bool {
    matches!(buffer.get(at), Some(0x80..=0x8f | 0xde | 0xdf))
}

#[cfg(test)]
mod tests {
    use rmpv::Value;

    use super::*;

    #[test]
    fn an_event_has_the_v2_form() {
        let mut events = EventWriter::default();
        events.event(
            EventTime::from_unix(0x0102_0304, 5),
            |writer| writer.map(0),
            |writer| {
                writer.map(1);
                writer.str("a");
                writer.uint(1);
            },
        );
        let (msgpack, records) = events.take();
        assert_eq!(records, 1);
        assert_eq!(&msgpack[..12], &[0x92, 0x92, 0xd7, 0, 1, 2, 3, 4, 0, 0, 0, 5]);
        let decoded = rmpv::decode::read_value(&mut msgpack.as_slice()).unwrap();
        assert_eq!(decoded[1]["a"], Value::from(1));
        assert_eq!(decoded[0][1], Value::Map(Vec::new()));
    }

    #[test]
    fn an_event_that_fails_leaves_nothing_behind() {
        let mut events = EventWriter::default();
        let result = events.try_event(
            EventTime::default(),
            |w| w.map(0),
            |writer| {
                writer.map(3);
                Err("broken")
            },
        );
        assert_eq!(result, Err("broken"));
        assert_eq!(events.take(), (Vec::new(), 0));
    }

    #[test]
    fn times_beyond_the_host_are_clamped_and_never_become_group_marks() {
        assert_eq!(EventTime::from_unix(-5, 7), EventTime::default());
        for beyond in [0xffff_fffe, 0xffff_ffff, i64::MAX] {
            assert_eq!(EventTime::from_unix(beyond, 0).seconds, SECONDS_MAX);
        }
    }
}
