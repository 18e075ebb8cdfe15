//! The functions that Fluent Bit's executable exports and plugins find with `dlsym`: one function
//! each, that [`export_host_functions!`](crate::export_host_functions) gives its C name.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::slice;
use std::sync::PoisonError;

use fluent_bit_plugin_sys as sys;

use super::input::{FakeInput, Metric};

/// # Safety
/// The pointer was handed to the plugin as its instance (or metrics), and the instance lives.
pub(super) unsafe fn input<'a>(instance: *mut c_void) -> &'a FakeInput {
    // SAFETY: the caller vouches for it.
    unsafe { &*instance.cast::<FakeInput>() }
}

/// # Safety
/// Null or a C string.
pub(super) unsafe fn text(text: *const c_char) -> String {
    // SAFETY: the caller vouches for it.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// `flb_input_log_append`.
///
/// # Safety
/// As in the host.
pub unsafe fn append(
    instance: *mut c_void,
    tag: *const c_char,
    tag_len: usize,
    data: *const c_void,
    len: usize,
) -> c_int {
    // SAFETY: the plugin passes the instance it got.
    let input = unsafe { input(instance) };
    input.check_thread("an append");
    let tag = (!tag.is_null()).then(|| {
        // SAFETY: the plugin vouches for the length.
        let tag = unsafe { slice::from_raw_parts(tag.cast::<u8>(), tag_len) };
        String::from_utf8_lossy(tag).into_owned()
    });
    // SAFETY: the plugin vouches for the length.
    input.append(tag, unsafe { slice::from_raw_parts(data.cast::<u8>(), len) })
}

/// `flb_input_name`.
///
/// # Safety
/// As in the host.
pub unsafe fn name(instance: *mut c_void) -> *const c_char {
    // SAFETY: the plugin passes the instance it got.
    unsafe { input(instance) }.name.as_ptr()
}

/// `flb_input_set_collector_time`.
///
/// # Safety
/// As in the host.
pub unsafe fn set_collector_time(
    instance: *mut c_void,
    collect: sys::flb_collect_cb,
    _seconds: c_long,
    _nanos: c_long,
    config: *mut c_void,
) -> c_int {
    // SAFETY: the plugin passes the instance it got.
    let input = unsafe { input(instance) };
    if !input.threaded && config.is_null() {
        input.fault("a collector without configuration on the engine: the host would crash");
        return -1;
    }
    input.collectors.lock().unwrap_or_else(PoisonError::into_inner).push(collect);
    1
}

/// `cmt_counter_create` and `cmt_gauge_create`.
///
/// # Safety
/// As in the host.
pub unsafe fn metric_create(
    cmt: *mut c_void,
    namespace: *const c_char,
    subsystem: *const c_char,
    name: *const c_char,
) -> *mut c_void {
    // SAFETY: the plugin passes C strings.
    let parts = [namespace, subsystem, name].map(|part| unsafe { text(part) });
    // SAFETY: the metrics of an instance are the instance here.
    unsafe { input(cmt) }.create_metric(parts.join("_"), cmt)
}

/// `cmt_counter_set` and `cmt_gauge_set`.
///
/// # Safety
/// As in the host.
pub unsafe fn metric_set(
    metric: *mut c_void,
    value: f64,
    labels_len: c_int,
    labels: *const *const c_char,
) -> c_int {
    // SAFETY: the plugin passes what `metric_create` returned.
    let metric = unsafe { &*metric.cast::<Metric>() };
    let len = usize::try_from(labels_len).expect("a count is not negative");
    // SAFETY: the plugin vouches for the length.
    let labels = unsafe { slice::from_raw_parts(labels, len) };
    // SAFETY: the plugin passes C strings.
    let labels: Vec<String> = labels.iter().map(|label| unsafe { text(*label) }).collect();
    // SAFETY: the metrics of an instance are the instance here.
    let input = unsafe { input(metric.cmt) };
    input.set_metric(format!("{}{{{}}}", metric.name, labels.join(",")), value);
    0
}

/// `cmt_encode_prometheus_create`.
///
/// # Safety
/// As in the host.
pub unsafe fn encode(cmt: *mut c_void) -> *mut c_char {
    // SAFETY: the metrics of an instance are the instance here.
    let text = unsafe { input(cmt) }.prometheus();
    CString::new(text).expect("metrics have no NUL").into_raw()
}

/// `cmt_encode_prometheus_destroy`.
///
/// # Safety
/// As in the host.
pub unsafe fn encode_destroy(text: *mut c_char) {
    // SAFETY: the plugin passes what `encode` returned.
    drop(unsafe { CString::from_raw(text) });
}

/// Exports the host's functions from this executable, so that a plugin finds them as it finds
/// those of Fluent Bit. Once a test crate that is linked with `-rdynamic`.
#[macro_export]
macro_rules! export_host_functions {
    () => {
        /// The host's functions, by name.
        #[allow(missing_docs, unsafe_code, clippy::missing_safety_doc, unreachable_pub)]
        mod host_functions {
            use std::ffi::{c_char, c_int, c_long, c_void};

            use $crate::fake::exports;

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn flb_input_log_append(
                instance: *mut c_void,
                tag: *const c_char,
                tag_len: usize,
                data: *const c_void,
                len: usize,
            ) -> c_int {
                // SAFETY: called by a plugin, as the host would be.
                unsafe { exports::append(instance, tag, tag_len, data, len) }
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn flb_input_name(instance: *mut c_void) -> *const c_char {
                // SAFETY: called by a plugin, as the host would be.
                unsafe { exports::name(instance) }
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn flb_input_set_collector_time(
                instance: *mut c_void,
                collect: $crate::fake::exports::CollectCallback,
                seconds: c_long,
                nanos: c_long,
                config: *mut c_void,
            ) -> c_int {
                // SAFETY: called by a plugin, as the host would be.
                unsafe { exports::set_collector_time(instance, collect, seconds, nanos, config) }
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn cmt_counter_create(
                cmt: *mut c_void,
                namespace: *const c_char,
                subsystem: *const c_char,
                name: *const c_char,
                _help: *const c_char,
                _labels_len: c_int,
                _labels: *const *const c_char,
            ) -> *mut c_void {
                // SAFETY: called by a plugin, as the host would be.
                unsafe { exports::metric_create(cmt, namespace, subsystem, name) }
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn cmt_gauge_create(
                cmt: *mut c_void,
                namespace: *const c_char,
                subsystem: *const c_char,
                name: *const c_char,
                _help: *const c_char,
                _labels_len: c_int,
                _labels: *const *const c_char,
            ) -> *mut c_void {
                // SAFETY: called by a plugin, as the host would be.
                unsafe { exports::metric_create(cmt, namespace, subsystem, name) }
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn cmt_counter_set(
                metric: *mut c_void,
                _time: u64,
                value: f64,
                labels_len: c_int,
                labels: *const *const c_char,
            ) -> c_int {
                // SAFETY: called by a plugin, as the host would be.
                unsafe { exports::metric_set(metric, value, labels_len, labels) }
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn cmt_gauge_set(
                metric: *mut c_void,
                _time: u64,
                value: f64,
                labels_len: c_int,
                labels: *const *const c_char,
            ) -> c_int {
                // SAFETY: called by a plugin, as the host would be.
                unsafe { exports::metric_set(metric, value, labels_len, labels) }
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn cmt_encode_prometheus_create(
                cmt: *mut c_void,
                _add_timestamp: c_int,
            ) -> *mut c_char {
                // SAFETY: called by a plugin, as the host would be.
                unsafe { exports::encode(cmt) }
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn cmt_encode_prometheus_destroy(text: *mut c_char) {
                // SAFETY: called by a plugin, as the host would be.
                unsafe { exports::encode_destroy(text) }
            }

            #[unsafe(no_mangle)]
            pub extern "C" fn cfl_time_now() -> u64 {
                1
            }
        }
    };
}

#[doc(hidden)]
pub use sys::flb_collect_cb as CollectCallback;
