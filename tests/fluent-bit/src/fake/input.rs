//! `struct flb_input_instance`, as far as a plugin can tell: properties, log, ring buffer, chunks
//! and metrics of one `[INPUT]`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::{CString, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use fluent_bit_plugin_sys as sys;
use rmpv::Value;

/// What was put into the ring buffer at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Appended {
    /// The tag; `None` for the instance's.
    pub tag: Option<String>,
    /// The events, decoded.
    pub events: Vec<Value>,
}

/// What input processors do to events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    /// Nothing.
    None,
    /// All events disappear.
    DropAll,
    /// Every second event disappears.
    DropHalf,
}

/// A counter or gauge.
pub(super) struct Metric {
    /// The instance.
    pub(super) cmt: *mut c_void,
    pub(super) name: String,
}

// SAFETY: the pointer is only an address; whoever follows it has to be on the input's thread.
unsafe impl Send for Metric {}

/// One input.
pub struct FakeInput {
    pub(super) name: CString,
    pub(super) properties: HashMap<String, CString>,
    pub(super) log_level: c_int,
    pub(super) threaded: bool,
    /// Of the proxy's own collector.
    pub(super) is_collecting: AtomicBool,
    pub(super) collectors: Mutex<Vec<sys::flb_collect_cb>>,
    thread: Mutex<Option<ThreadId>>,
    /// How many appends fit the ring buffer.
    pub ring_capacity: AtomicUsize,
    /// With their bytes.
    ring: Mutex<VecDeque<(Appended, usize)>>,
    chunks: Mutex<Vec<Appended>>,
    processor: Mutex<Processor>,
    /// With `threaded off`: at how many chunks the engine pauses this input, inside the append.
    pub pause_at: AtomicUsize,
    /// The plugin's pause callback.
    pub(super) pause: Option<unsafe extern "C" fn()>,
    pub(super) is_paused: AtomicBool,
    records: AtomicU64,
    bytes: AtomicU64,
    writes: AtomicU64,
    /// How often the engine has come back to its event loop.
    beats: AtomicU64,
    metrics: Mutex<BTreeMap<String, f64>>,
    /// Created metrics. The box's address is what the plugin holds, so it must not move.
    #[allow(clippy::vec_box)]
    created: Mutex<Vec<Box<Metric>>>,
    log: Mutex<Vec<(c_int, String)>>,
    /// What a real host would have suffered from.
    faults: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakeInput {
    pub(super) fn new(
        name: &str,
        properties: HashMap<String, CString>,
        log_level: c_int,
        threaded: bool,
        pause: Option<unsafe extern "C" fn()>,
    ) -> Self {
        Self {
            name: CString::new(name).expect("a name has no NUL"),
            properties,
            log_level,
            threaded,
            is_collecting: AtomicBool::new(false),
            collectors: Mutex::default(),
            thread: Mutex::default(),
            ring_capacity: AtomicUsize::new(1_024),
            ring: Mutex::default(),
            chunks: Mutex::default(),
            processor: Mutex::new(Processor::None),
            pause_at: AtomicUsize::new(usize::MAX),
            pause,
            is_paused: AtomicBool::new(false),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            beats: AtomicU64::new(0),
            metrics: Mutex::default(),
            created: Mutex::default(),
            log: Mutex::default(),
            faults: Mutex::default(),
        }
    }

    pub(super) fn run_on_this_thread(&self) {
        *lock(&self.thread) = Some(thread::current().id());
    }

    /// Everything but the engine has to stay on the input's thread.
    pub(super) fn check_thread(&self, what: &str) {
        if *lock(&self.thread) != Some(thread::current().id()) {
            self.fault(format!("{what} on a foreign thread"));
        }
    }

    pub(super) fn fault(&self, text: impl Into<String>) {
        lock(&self.faults).push(text.into());
    }

    /// Misuse of the host, which has to be empty at the end of every test.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        lock(&self.faults).clone()
    }

    /// Sets what processors do from now on.
    pub fn process(&self, processor: Processor) {
        *lock(&self.processor) = processor;
    }

    /// `flb_input_log_append`: processors, then the ring buffer or, with `threaded off`, a chunk.
    pub(super) fn append(&self, tag: Option<String>, bytes: &[u8]) -> c_int {
        if bytes.is_empty() {
            self.fault("an append of nothing");
            return -1;
        }
        let Some(mut events) = decode(bytes) else {
            self.fault("events that cannot be decoded");
            return 0; // The host does not notice either.
        };
        let mut length = bytes.len();
        match *lock(&self.processor) {
            Processor::None => {}
            Processor::DropAll => return 0,
            Processor::DropHalf => {
                length /= 2;
                let mut keep = false;
                events.retain(|_| {
                    keep = !keep;
                    keep
                });
            }
        }
        let appended = Appended { tag, events };
        if !self.threaded {
            if self.is_paused.load(Ordering::SeqCst) {
                return -1;
            }
            self.ingest(appended, length);
            self.protect();
            return 0;
        }
        let mut ring = lock(&self.ring);
        if ring.len() >= self.ring_capacity.load(Ordering::Relaxed) {
            return -1;
        }
        ring.push_back((appended, length));
        self.writes.fetch_add(1, Ordering::Relaxed);
        0
    }

    fn ingest(&self, appended: Appended, bytes: usize) {
        let records = u64::try_from(appended.events.len()).expect("a count fits u64");
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        lock(&self.chunks).push(appended);
    }

    /// `flb_input_chunk_protect`: with too much in chunks the input is paused, at once.
    fn protect(&self) {
        if lock(&self.chunks).len() == self.pause_at.load(Ordering::Relaxed) {
            self.is_paused.store(true, Ordering::SeqCst);
            self.is_collecting.store(false, Ordering::SeqCst);
            if let Some(pause) = self.pause {
                // SAFETY: takes nothing, and runs on the input's thread, which is the engine's.
                unsafe { pause() };
            }
        }
    }

    /// The engine moves everything from the ring buffer into chunks, as it does every 250 ms, and
    /// sets the gauges of the storage, as it does every 5 s.
    pub fn engine(&self) {
        let ring = std::mem::take(&mut *lock(&self.ring));
        ring.into_iter().for_each(|(appended, bytes)| self.ingest(appended, bytes));
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// The same, but the engine finds no chunk for some of it: dropped, and counted nowhere.
    pub fn engine_taking(&self, mut is_taken: impl FnMut(&Appended) -> bool) {
        lock(&self.ring).retain(|(appended, _)| is_taken(appended));
        self.engine();
    }

    /// The engine finds no chunk for what is in the ring buffer: lost.
    pub fn engine_loses(&self) {
        lock(&self.ring).clear();
    }

    /// How many appends wait in the ring buffer.
    #[must_use]
    pub fn ring_len(&self) -> usize {
        lock(&self.ring).len()
    }

    /// What is in chunks.
    #[must_use]
    pub fn chunks(&self) -> Vec<Appended> {
        lock(&self.chunks).clone()
    }

    /// All events in chunks, in order.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        self.chunks().into_iter().flat_map(|appended| appended.events).collect()
    }

    pub(super) fn print(&self, level: c_int, line: String) {
        self.check_thread("a log line");
        lock(&self.log).push((level, line));
    }

    /// All log lines so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        lock(&self.log).iter().map(|(_, line)| line.clone()).collect()
    }

    /// Whether a log line contains this text.
    #[must_use]
    pub fn logged(&self, text: &str) -> bool {
        lock(&self.log).iter().any(|(_, line)| line.contains(text))
    }

    /// Lines at error level.
    #[must_use]
    pub fn errors(&self) -> Vec<String> {
        let log = lock(&self.log);
        let errors = log.iter().filter(|(level, _)| *level == sys::FLB_LOG_ERROR);
        errors.map(|(_, line)| line.clone()).collect()
    }

    /// The address stands for the metric as long as the instance lives.
    pub(super) fn create_metric(&self, name: String, cmt: *mut c_void) -> *mut c_void {
        self.check_thread("a new metric");
        if self.is_collecting.load(Ordering::SeqCst) {
            self.fault("a metric created after Init");
        }
        let mut metric = Box::new(Metric { cmt, name });
        let address = &raw mut *metric;
        lock(&self.created).push(metric);
        address.cast()
    }

    pub(super) fn set_metric(&self, series: String, value: f64) {
        self.check_thread("a metric");
        lock(&self.metrics).insert(series, value);
    }

    /// The value of a metric that the plugin created, by `name{label,label}`.
    #[must_use]
    pub fn metric(&self, series: &str) -> Option<f64> {
        lock(&self.metrics).get(series).copied()
    }

    pub(super) fn prometheus(&self) -> String {
        let name = self.name.to_string_lossy();
        let records = self.records.load(Ordering::Relaxed);
        let bytes = self.bytes.load(Ordering::Relaxed);
        let writes = self.writes.load(Ordering::Relaxed);
        let beat = 5_000 * self.beats.load(Ordering::Relaxed);
        format!(
            "# HELP fluentbit_input_records_total Number of input records.\n\
             fluentbit_input_bytes_total{{name=\"{name}\"}} {bytes} 1\n\
             fluentbit_input_records_total{{name=\"{name}\"}} {records} 1\n\
             fluentbit_input_ring_buffer_writes_total{{name=\"{name}\"}} {writes} 1\n\
             fluentbit_input_storage_chunks{{name=\"{name}\"}} 1 {beat}\n"
        )
    }
}

/// The events in a buffer, if it holds nothing else.
fn decode(mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let event = rmpv::decode::read_value(&mut bytes).ok()?;
        if event.as_array()?.len() != 2 || !event[1].is_map() {
            return None;
        }
        events.push(event);
    }
    Some(events)
}
