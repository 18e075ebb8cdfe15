//! Functions of the host found by name. Every one is optional: an executable need not export them.

use std::ffi::{CStr, c_void};
use std::mem;
use std::ptr::NonNull;

use fluent_bit_plugin_sys as sys;

/// What this host exports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbols {
    pub(super) append: Option<sys::flb_input_log_append>,
    pub(super) append_records: Option<sys::flb_input_log_append_records>,
    pub(super) name: Option<sys::flb_input_name>,
    pub(super) set_collector: Option<sys::flb_input_set_collector_time>,
    pub(super) counter_create: Option<sys::cmt_metric_create>,
    pub(super) counter_set: Option<sys::cmt_metric_set>,
    pub(super) gauge_create: Option<sys::cmt_metric_create>,
    pub(super) gauge_set: Option<sys::cmt_metric_set>,
    pub(super) encode: Option<sys::cmt_encode_prometheus_create>,
    pub(super) encode_destroy: Option<sys::cmt_encode_prometheus_destroy>,
    pub(super) time_now: Option<sys::cfl_time_now>,
}

/// Looks up one name and gives it the type that its constant's documentation states.
macro_rules! function {
    ($name:expr, $type:ty) => {
        find($name).map(|address| {
            // SAFETY: the host's function of this name has this signature, 2.0.0 to 5.1.1
            // (fluent-bit-plugin-sys, host.rs); code and data pointers have one size here.
            unsafe { mem::transmute::<NonNull<c_void>, $type>(address) }
        })
    };
}

impl Symbols {
    pub(super) fn find() -> Self {
        Self {
            append: function!(sys::FLB_INPUT_LOG_APPEND, sys::flb_input_log_append),
            append_records: function!(
                sys::FLB_INPUT_LOG_APPEND_RECORDS,
                sys::flb_input_log_append_records
            ),
            name: function!(sys::FLB_INPUT_NAME, sys::flb_input_name),
            set_collector: function!(
                sys::FLB_INPUT_SET_COLLECTOR_TIME,
                sys::flb_input_set_collector_time
            ),
            counter_create: function!(sys::CMT_COUNTER_CREATE, sys::cmt_metric_create),
            counter_set: function!(sys::CMT_COUNTER_SET, sys::cmt_metric_set),
            gauge_create: function!(sys::CMT_GAUGE_CREATE, sys::cmt_metric_create),
            gauge_set: function!(sys::CMT_GAUGE_SET, sys::cmt_metric_set),
            encode: function!(sys::CMT_ENCODE_PROMETHEUS_CREATE, sys::cmt_encode_prometheus_create),
            encode_destroy: function!(
                sys::CMT_ENCODE_PROMETHEUS_DESTROY,
                sys::cmt_encode_prometheus_destroy
            ),
            time_now: function!(sys::CFL_TIME_NOW, sys::cfl_time_now),
        }
    }

    /// Whether the host was built with metrics: only then are the `cmt` fields of its function
    /// table more than garbage.
    pub(super) fn has_metrics(&self) -> bool {
        self.counter_create.is_some() && self.encode.is_some()
    }
}

fn find(name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: dlsym reads a NUL-terminated name and returns null if it is unknown.
    NonNull::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
}
