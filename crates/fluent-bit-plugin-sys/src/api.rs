//! The function table that the host hands to `FLBPluginInit`. Layout only.

use core::ffi::{c_char, c_int, c_void};
use core::mem::offset_of;

use crate::flb_input_instance;

/// Level of `log_print`: an error.
pub const FLB_LOG_ERROR: c_int = 1;
/// Level of `log_print`: a warning.
pub const FLB_LOG_WARN: c_int = 2;
/// Level of `log_print`: the default level of the host.
pub const FLB_LOG_INFO: c_int = 3;
/// Level of `log_print`: for debugging.
pub const FLB_LOG_DEBUG: c_int = 4;
/// Level of `log_print`: only in hosts that were built with it.
pub const FLB_LOG_TRACE: c_int = 5;

/// A log line longer than this is cut by the host (`src/flb_log.c`, `flb_log_construct`).
pub const FLB_LOG_BODY_BYTES_MAX: usize = 4087;

/// `struct flb_api` (`flb_api.h`): its first seven fields, the ones that exist since 2.0.0.
///
/// 4.0.3 appended two for custom plugins; an input needs neither, so they are left out and the
/// table is only ever used behind a pointer. The two `cmt` fields hold GARBAGE if the host was
/// built without `FLB_HAVE_METRICS` (the table comes from `malloc`): call them only where the
/// host exports `cmt_*`.
#[repr(C)]
#[derive(Debug)]
#[allow(non_camel_case_types)]
pub struct flb_api {
    /// For outputs.
    pub output_get_property:
        Option<unsafe extern "C" fn(*const c_char, *mut c_void) -> *const c_char>,
    /// The value of an option, `${ENV}` expanded; null if it was not set. Owned by the host.
    pub input_get_property:
        Option<unsafe extern "C" fn(*const c_char, *mut flb_input_instance) -> *const c_char>,
    /// For outputs.
    pub output_get_cmt_instance: Option<unsafe extern "C" fn(*mut c_void) -> *mut c_void>,
    /// The instance's metrics (`struct cmt*`).
    pub input_get_cmt_instance:
        Option<unsafe extern "C" fn(*mut flb_input_instance) -> *mut c_void>,
    /// `printf`-like and without a level check of its own: always pass `"%s"` and one string.
    pub log_print: Option<unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, ...)>,
    /// 1 if the instance's `log_level` lets the level through.
    pub input_log_check: Option<unsafe extern "C" fn(*mut flb_input_instance, c_int) -> c_int>,
    /// For outputs.
    pub output_log_check: Option<unsafe extern "C" fn(*mut c_void, c_int) -> c_int>,
}

const _: () = {
    assert!(offset_of!(flb_api, input_get_property) == 8);
    assert!(offset_of!(flb_api, input_get_cmt_instance) == 24);
    assert!(offset_of!(flb_api, log_print) == 32);
    assert!(offset_of!(flb_api, input_log_check) == 40);
};
