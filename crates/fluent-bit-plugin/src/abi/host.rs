//! One instance's view of the host, as safe methods. Lives and dies on the input thread.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::fmt;
use std::fs;
use std::ptr::{self, NonNull};
use std::time::Duration;

use fluent_bit_plugin_sys as sys;

use super::pause::PrivateProxy;
use super::symbols::Symbols;
use crate::level::Level;
use crate::reading::Reading;

/// The host, as one instance sees it. The raw pointers keep it on its thread (`!Send`).
pub struct Host {
    plugin: &'static str,
    name: String,
    threaded: bool,
    instance: *mut sys::flb_input_instance,
    api: NonNull<sys::flb_api>,
    symbols: Symbols,
    /// Null without metrics.
    cmt: *mut c_void,
    private_proxy: Option<PrivateProxy>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the host has to create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricKind {
    Counter,
    Gauge,
}

/// A counter or gauge in the host's metrics.
#[derive(Clone, Debug)]
pub(crate) struct HostMetric {
    kind: MetricKind,
    handle: NonNull<c_void>,
}

/// Values of labels, the instance's name first, as C wants them.
#[derive(Debug)]
pub(crate) struct LabelValues {
    pointers: Vec<*const c_char>,
    /// What they point to.
    _owned: Vec<CString>,
}

/// Without NUL, which C strings cannot hold.
fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

impl LabelValues {
    fn new(first: &str, rest: &[&str]) -> Self {
        let owned: Vec<CString> =
            std::iter::once(first).chain(rest.iter().copied()).map(c_string).collect();
        Self { pointers: owned.iter().map(|value| value.as_ptr()).collect(), _owned: owned }
    }

    fn len(&self) -> c_int {
        c_int::try_from(self.pointers.len()).unwrap_or(c_int::MAX)
    }
}

impl Host {
    /// # Safety
    /// `plugin` is what the host passed to `FLBPluginInit`, which is running, and the result is
    /// dropped before the instance's exit callback returns or its thread ends.
    pub(super) unsafe fn new(
        plugin: *mut sys::flbgo_input_plugin,
        name: &'static str,
    ) -> Option<Self> {
        if plugin.is_null() {
            return None;
        }
        // SAFETY: the caller vouches for `plugin`; the field exists since 2.0.0.
        let api = NonNull::new(unsafe { (*plugin).api })?;
        // SAFETY: as above.
        let instance = unsafe { (*plugin).i_ins };
        if instance.is_null() {
            return None;
        }
        let mut host = Self {
            plugin: name,
            name: name.to_owned(),
            threaded: is_input_thread(),
            instance,
            api,
            symbols: Symbols::find(),
            cmt: ptr::null_mut(),
            private_proxy: None,
        };
        host.name = host.find_name().unwrap_or_else(|| name.to_owned());
        host.cmt = host.find_metrics();
        Some(host)
    }

    /// Answers the host's habit of pausing the wrong instance, and asks for more collects than
    /// one a second. Only after everything else in Init has succeeded.
    ///
    /// # Safety
    /// As for [`Host::new`], with the same `plugin`.
    pub(super) unsafe fn settle_in(
        &mut self,
        plugin: *mut sys::flbgo_input_plugin,
        collect: sys::flb_collect_cb,
        every: Duration,
    ) {
        // SAFETY: the caller vouches for it.
        self.private_proxy = unsafe { PrivateProxy::install(plugin) };
        if !self.threaded {
            return; // The collector would need the host's configuration, which is out of reach.
        }
        if let Some(set_collector) = self.symbols.set_collector {
            let seconds = c_long::try_from(every.as_secs()).unwrap_or(1);
            let nanos = c_long::from(every.subsec_nanos().cast_signed());
            // SAFETY: Init is running; the last argument is not used for threaded instances.
            unsafe { set_collector(self.instance, collect, seconds, nanos, ptr::null_mut()) };
        }
    }

    /// Gives back what was changed in the host. In the exit callback only.
    pub(crate) fn release(&mut self) {
        if let Some(private_proxy) = self.private_proxy.take() {
            // SAFETY: the exit callback is the only caller (`Instance::exit`).
            unsafe { private_proxy.release() };
        }
    }

    fn api(&self) -> &sys::flb_api {
        // SAFETY: the table lives as long as the plugin is registered, and nobody writes it.
        unsafe { self.api.as_ref() }
    }

    fn find_name(&self) -> Option<String> {
        let name = self.symbols.name?;
        // SAFETY: the instance is alive while its callbacks run.
        let name = unsafe { name(self.instance) };
        copy(name)
    }

    fn find_metrics(&self) -> *mut c_void {
        match self.api().input_get_cmt_instance {
            // SAFETY: a host with metrics fills in this field; the instance is alive.
            Some(get) if self.symbols.has_metrics() => unsafe { get(self.instance) },
            _ => ptr::null_mut(),
        }
    }

    pub(crate) fn plugin(&self) -> &'static str {
        self.plugin
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the instance has a thread of its own for sure.
    pub(crate) fn is_threaded(&self) -> bool {
        self.threaded
    }

    pub(crate) fn can_append(&self) -> bool {
        self.symbols.append.is_some()
    }

    pub(crate) fn can_count(&self) -> bool {
        self.counters().is_some()
    }

    /// What the user set; empty is absent.
    pub(crate) fn property(&self, name: &str) -> Option<String> {
        let get = self.api().input_get_property?;
        let name = c_string(name);
        // SAFETY: the instance is alive; the host returns null or a string of its own.
        let value = unsafe { get(name.as_ptr(), self.instance) };
        copy(value).filter(|value| !value.is_empty())
    }

    pub(crate) fn log_enabled(&self, level: Level) -> bool {
        let Some(check) = self.api().input_log_check else { return false };
        // SAFETY: the instance is alive.
        unsafe { check(self.instance, level.code()) != 0 }
    }

    /// Prints one line, prefixed. The level was checked before.
    pub(crate) fn print(&self, level: Level, line: &str) {
        let Some(print) = self.api().log_print else { return };
        let line = c_string(&format!("[input:{}:{}] {line}", self.plugin, self.name));
        // SAFETY: a constant format with one string; the file may be null.
        unsafe { print(level.code(), ptr::null(), 0, c"%s".as_ptr(), line.as_ptr()) };
    }

    /// Appends so many events under a tag; false if the ring buffer is full, after up to a second.
    pub(crate) fn append(&self, tag: Option<&str>, events: &[u8], records: u32) -> bool {
        let (tag, tag_bytes) = tag.map_or((ptr::null(), 0), |tag| (tag.as_ptr(), tag.len()));
        if let (Some(append), Ok(records)) = (self.symbols.append_records, records.try_into()) {
            let (data, bytes) = (events.as_ptr(), events.len());
            // SAFETY: as below. The host trusts the number of events, in its metrics only.
            let code = unsafe {
                append(self.instance, records, tag.cast(), tag_bytes, data.cast(), bytes)
            };
            return code == 0;
        }
        let Some(append) = self.symbols.append else { return false };
        // SAFETY: runs on the input thread (`Host` is not Send); the host copies both buffers.
        let code = unsafe {
            append(self.instance, tag.cast(), tag_bytes, events.as_ptr().cast(), events.len())
        };
        code == 0
    }

    /// The host's counters for this instance, if it shows them.
    pub(crate) fn counters(&self) -> Option<Reading> {
        let (encode, destroy) = (self.symbols.encode?, self.symbols.encode_destroy?);
        if self.cmt.is_null() {
            return None;
        }
        // SAFETY: the metrics live as long as the instance.
        let text = NonNull::new(unsafe { encode(self.cmt, 1) })?;
        // SAFETY: the host terminates it with NUL.
        let reading = parse_counters(unsafe { CStr::from_ptr(text.as_ptr()) }.to_bytes());
        // SAFETY: it came from the matching function, and nothing borrows from it any more.
        unsafe { destroy(text.as_ptr()) };
        reading
    }

    /// Creates a metric in the host. In Init only.
    pub(crate) fn create_metric(
        &self,
        kind: MetricKind,
        name: &str,
        help: &str,
        label_keys: &[&str],
    ) -> Option<HostMetric> {
        let create = match kind {
            MetricKind::Counter => self.symbols.counter_create?,
            MetricKind::Gauge => self.symbols.gauge_create?,
        };
        if self.cmt.is_null() {
            return None;
        }
        let keys = LabelValues::new("name", label_keys);
        let name = c_string(&format!("{}_{name}", self.plugin));
        let help = c_string(help);
        // SAFETY: the metrics are alive, and the host copies all strings.
        let handle = unsafe {
            create(
                self.cmt,
                c"fluentbit".as_ptr(),
                c"input".as_ptr(),
                name.as_ptr(),
                help.as_ptr(),
                keys.len(),
                keys.pointers.as_ptr(),
            )
        };
        Some(HostMetric { kind, handle: NonNull::new(handle)? })
    }

    pub(crate) fn label_values(&self, values: &[&str]) -> LabelValues {
        LabelValues::new(&self.name, values)
    }

    pub(crate) fn set_metric(&self, metric: &HostMetric, labels: &LabelValues, value: f64) {
        let set = match metric.kind {
            MetricKind::Counter => self.symbols.counter_set,
            MetricKind::Gauge => self.symbols.gauge_set,
        };
        let (Some(set), Some(time_now)) = (set, self.symbols.time_now) else { return };
        // SAFETY: takes nothing, reads a clock.
        let now = unsafe { time_now() };
        // SAFETY: handle and instance live equally long; the values are as many as their count.
        unsafe { set(metric.handle.as_ptr(), now, value, labels.len(), labels.pointers.as_ptr()) };
    }
}

/// A string of the host; null is absent.
fn copy(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the host's strings end with NUL and live as long as the instance.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// The host names an input's own thread `flb-in-<name>…`, cut at 15 bytes.
fn is_input_thread() -> bool {
    fs::read("/proc/thread-self/comm").is_ok_and(|name| name.starts_with(b"flb-in-"))
}

/// Finds what a ledger reads in the Prometheus text of one instance's metrics, with timestamps.
fn parse_counters(text: &[u8]) -> Option<Reading> {
    let (mut records, mut bytes, mut writes) = (None, None, None);
    let (mut pulse, mut chunks_up) = (None, None);
    for line in text.split(|byte| *byte == b'\n') {
        let Some(rest) = line.strip_prefix(b"fluentbit_input_") else { continue };
        if rest.starts_with(b"records_total{") {
            records = sample(line).map(|(value, _)| value);
        } else if rest.starts_with(b"bytes_total{") {
            bytes = sample(line).map(|(value, _)| value);
        } else if rest.starts_with(b"ring_buffer_writes_total{") {
            writes = sample(line).map(|(value, _)| value);
        } else if rest.starts_with(b"storage_chunks{") {
            pulse = sample(line).map(|(_, moment)| moment);
        } else if rest.starts_with(b"storage_chunks_up{") {
            chunks_up = sample(line);
        }
    }
    Some(Reading { records: records?, bytes, writes, pulse, chunks_up, waiting: None })
}

/// The two numbers at the end of a line, value and milliseconds. Values are doubles there, exact up
/// to 2^53.
fn sample(line: &[u8]) -> Option<(u64, u64)> {
    let mut words = line.rsplitn(3, |byte| *byte == b' ');
    let mut word = || std::str::from_utf8(words.next()?).ok();
    let moment = word()?.parse().ok()?;
    let number = word()?.parse::<f64>().ok()?;
    // Not negative and far below the bound: 2^53 records are 285 years at a million a second.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (0.0..9e15).contains(&number).then_some((number as u64, moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_are_found_among_others() {
        let text = b"# HELP fluentbit_input_records_total Number of input records.\n\
            # TYPE fluentbit_input_records_total counter\n\
            fluentbit_input_bytes_total{name=\"a b\"} 90000 1795793999000\n\
            fluentbit_input_records_total{name=\"a b\"} 1.5e+03 1795793999000\n\
            fluentbit_input_ring_buffer_writes_total{name=\"a b\"} 7 1795793998000\n\
            fluentbit_input_storage_chunks{name=\"a b\"} 2 1795793995000\n\
            fluentbit_input_storage_chunks_up{name=\"a b\"} 2 1795793994000\n\
            fluentbit_input_records_total_x{name=\"a\"} 9 1\n";
        let expected = Reading {
            records: 1_500,
            bytes: Some(90_000),
            writes: Some(7),
            pulse: Some(1_795_793_995_000),
            chunks_up: Some((2, 1_795_793_994_000)),
            waiting: None,
        };
        assert_eq!(parse_counters(text), Some(expected));
        assert_eq!(parse_counters(b"fluentbit_input_bytes_total{name=\"a\"} 1 1\n"), None);
    }
}
