//! A loaded `.so` and its symbols, looked up as the host does.

use std::ffi::{CStr, CString, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::NonNull;
use std::{mem, ptr};

use fluent_bit_plugin_sys as sys;

/// The exported functions. All of the host's optional ones may be missing.
#[derive(Clone, Copy)]
pub(super) struct Plugin {
    pub(super) pre_register: Option<unsafe extern "C" fn(c_int) -> c_int>,
    pub(super) register: unsafe extern "C" fn(*mut sys::flb_plugin_proxy_def) -> c_int,
    pub(super) unregister: Option<unsafe extern "C" fn(*mut sys::flb_plugin_proxy_def)>,
    pub(super) init: unsafe extern "C" fn(*mut sys::flbgo_input_plugin) -> c_int,
    pub(super) pre_run: Option<unsafe extern "C" fn(c_int) -> c_int>,
    pub(super) collect: Option<unsafe extern "C" fn(*mut *mut c_void, *mut usize) -> c_int>,
    pub(super) collect_ctx:
        Option<unsafe extern "C" fn(*mut c_void, *mut *mut c_void, *mut usize) -> c_int>,
    pub(super) clean_up: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
    pub(super) clean_up_ctx: Option<unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int>,
    pub(super) pause: Option<unsafe extern "C" fn()>,
    pub(super) resume: Option<unsafe extern "C" fn()>,
    pub(super) pre_exit: Option<unsafe extern "C" fn(c_int)>,
    pub(super) exit: Option<unsafe extern "C" fn() -> c_int>,
}

macro_rules! symbol {
    ($handle:expr, $name:literal) => {
        // SAFETY: dlsym reads a C string; function pointers are as large as data pointers here,
        // and the plugin declares the function with the ABI's signature.
        unsafe {
            mem::transmute::<*mut c_void, Option<_>>(libc::dlsym($handle.as_ptr(), $name.as_ptr()))
        }
    };
}

impl Plugin {
    pub(super) fn load(path: &Path) -> Self {
        let path = CString::new(path.as_os_str().as_bytes()).expect("a path has no NUL");
        // SAFETY: loading runs the file's constructors, which a Rust cdylib has none of.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_LAZY) };
        let handle = NonNull::new(handle).unwrap_or_else(|| panic!("{}", error()));
        Self {
            pre_register: symbol!(handle, c"FLBPluginPreRegister"),
            register: symbol!(handle, c"FLBPluginRegister").expect("Register is exported"),
            unregister: symbol!(handle, c"FLBPluginUnregister"),
            init: symbol!(handle, c"FLBPluginInit").expect("Init is exported"),
            pre_run: symbol!(handle, c"FLBPluginInputPreRun"),
            collect: symbol!(handle, c"FLBPluginInputCallback"),
            collect_ctx: symbol!(handle, c"FLBPluginInputCallbackCtx"),
            clean_up: symbol!(handle, c"FLBPluginInputCleanupCallback"),
            clean_up_ctx: symbol!(handle, c"FLBPluginInputCleanupCallbackCtx"),
            pause: symbol!(handle, c"FLBPluginInputPause"),
            resume: symbol!(handle, c"FLBPluginInputResume"),
            pre_exit: symbol!(handle, c"FLBPluginInputPreExit"),
            exit: symbol!(handle, c"FLBPluginExit"),
        }
    }
}

fn error() -> String {
    // SAFETY: returns null or a message of this thread's last error.
    let text = unsafe { libc::dlerror() };
    if ptr::eq(text, ptr::null()) {
        return "dlopen failed".to_owned();
    }
    // SAFETY: not null, so a C string.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
