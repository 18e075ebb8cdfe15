//! Functions of the host that an input may look up with `dlsym(RTLD_DEFAULT, …)`.
//!
//! The executable exports its symbols (`ENABLE_EXPORTS ON`), but nobody promises that: each of
//! them is optional. All signatures are the same from 2.0.0 to 5.1.1.

use core::ffi::{CStr, c_char, c_int, c_long, c_void};

use crate::{flb_config, flb_input_instance};

/// Symbol of [`flb_input_log_append`].
pub const FLB_INPUT_LOG_APPEND: &CStr = c"flb_input_log_append";
/// Appends concatenated events under a tag (null: the instance's). 0 or -1.
///
/// On a threaded instance it writes to the ring buffer and, while that is full, blocks for up to
/// 1 s (10 times 100 ms). Runs the input's processors: call it on the input thread only.
#[allow(non_camel_case_types)]
pub type flb_input_log_append = unsafe extern "C" fn(
    *mut flb_input_instance,
    *const c_char,
    usize,
    *const c_void,
    usize,
) -> c_int;

/// Symbol of [`flb_input_log_append_records`].
pub const FLB_INPUT_LOG_APPEND_RECORDS: &CStr = c"flb_input_log_append_records";
/// The same as [`flb_input_log_append`], told how many events there are (the second argument)
/// instead of decoding all of them only to count.
#[allow(non_camel_case_types)]
pub type flb_input_log_append_records = unsafe extern "C" fn(
    *mut flb_input_instance,
    usize,
    *const c_char,
    usize,
    *const c_void,
    usize,
) -> c_int;

/// Symbol of [`flb_input_name`].
pub const FLB_INPUT_NAME: &CStr = c"flb_input_name";
/// The alias of an instance, else its name (`name.0`). Owned by the host.
#[allow(non_camel_case_types)]
pub type flb_input_name = unsafe extern "C" fn(*mut flb_input_instance) -> *const c_char;

/// A collector's callback.
#[allow(non_camel_case_types)]
pub type flb_collect_cb =
    unsafe extern "C" fn(*mut flb_input_instance, *mut flb_config, *mut c_void) -> c_int;

/// Symbol of [`flb_input_set_collector_time`].
pub const FLB_INPUT_SET_COLLECTOR_TIME: &CStr = c"flb_input_set_collector_time";
/// Adds a timer (seconds, nanoseconds) to an instance; call it in Init only. Id or -1.
///
/// The last argument is used for instances that are NOT threaded, so it may be null for others.
#[allow(non_camel_case_types)]
pub type flb_input_set_collector_time = unsafe extern "C" fn(
    *mut flb_input_instance,
    flb_collect_cb,
    c_long,
    c_long,
    *mut flb_config,
) -> c_int;

/// Symbol that creates a counter; see [`cmt_metric_create`].
pub const CMT_COUNTER_CREATE: &CStr = c"cmt_counter_create";
/// Symbol that creates a gauge; see [`cmt_metric_create`].
pub const CMT_GAUGE_CREATE: &CStr = c"cmt_gauge_create";
/// `cmt, namespace, subsystem, name, help, label count, label keys` to a handle, or null.
#[allow(non_camel_case_types)]
pub type cmt_metric_create = unsafe extern "C" fn(
    *mut c_void,
    *const c_char,
    *const c_char,
    *const c_char,
    *const c_char,
    c_int,
    *const *const c_char,
) -> *mut c_void;

/// Symbol that sets a counter, which must not fall; see [`cmt_metric_set`].
pub const CMT_COUNTER_SET: &CStr = c"cmt_counter_set";
/// Symbol that sets a gauge; see [`cmt_metric_set`].
pub const CMT_GAUGE_SET: &CStr = c"cmt_gauge_set";
/// `handle, time in ns, value, label count, label values` to 0 or -1.
#[allow(non_camel_case_types)]
pub type cmt_metric_set =
    unsafe extern "C" fn(*mut c_void, u64, f64, c_int, *const *const c_char) -> c_int;

/// Symbol of [`cmt_encode_prometheus_create`].
pub const CMT_ENCODE_PROMETHEUS_CREATE: &CStr = c"cmt_encode_prometheus_create";
/// The metrics as text, NUL-terminated (`cfl_sds_t`), or null. The flag adds timestamps.
#[allow(non_camel_case_types)]
pub type cmt_encode_prometheus_create = unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_char;

/// Symbol of [`cmt_encode_prometheus_destroy`].
pub const CMT_ENCODE_PROMETHEUS_DESTROY: &CStr = c"cmt_encode_prometheus_destroy";
/// Frees what [`cmt_encode_prometheus_create`] returned.
#[allow(non_camel_case_types)]
pub type cmt_encode_prometheus_destroy = unsafe extern "C" fn(*mut c_char);

/// Symbol of [`cfl_time_now`].
pub const CFL_TIME_NOW: &CStr = c"cfl_time_now";
/// Wall clock in nanoseconds, as metrics want it.
#[allow(non_camel_case_types)]
pub type cfl_time_now = unsafe extern "C" fn() -> u64;
