//! What is registered: name, description and the list of options, as C strings that live as long
//! as the process, because the host keeps references even beyond unloading.

use std::any::TypeId;
use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use fluent_bit_plugin_sys as sys;

use crate::options::{Kind, OptionSpec};

/// What an input's type says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// The type.
    pub input: TypeId,
    /// What users write.
    pub name: &'static str,
    /// One line.
    pub description: &'static str,
    /// All options.
    pub options: &'static [OptionSpec],
}

/// One input type's registration.
#[derive(Clone, Copy)]
struct Registration {
    input: TypeId,
    name: *const c_char,
    description: *const c_char,
    config_map: *mut sys::flb_config_map,
}

// SAFETY: the pointers lead to leaked memory that nobody writes after it was published; the host
// copies the config map before it changes anything (`flb_config_map_create`).
unsafe impl Send for Registration {}

/// One entry a type, so that a hot reload leaks nothing.
static REGISTRATIONS: Mutex<Vec<Registration>> = Mutex::new(Vec::new());

/// Fills in the host's definition.
///
/// # Safety
/// `def` comes from the host's `FLBPluginRegister` call: writable up to `flags`, `name` and
/// `description`, and allocated with `malloc`.
pub(super) unsafe fn fill(def: *mut sys::flb_plugin_proxy_def, registered: &Registered) {
    let registration = registration(registered);
    let head = sys::flb_plugin_proxy_def_head {
        r#type: sys::FLB_PROXY_INPUT_PLUGIN,
        proxy: sys::FLB_PROXY_GOLANG,
        flags: 0,
        name: registration.name,
        description: registration.description,
    };
    // SAFETY: the caller vouches for these fields, which every version has.
    unsafe { def.cast::<sys::flb_plugin_proxy_def_head>().write(head) };
    // SAFETY: the caller vouches that `def` came from malloc.
    let bytes = unsafe { libc::malloc_usable_size(def.cast::<c_void>()) };
    if bytes >= sys::FLB_PLUGIN_PROXY_DEF_SIZE_WITH_CONFIG_MAP {
        // SAFETY: only 5.1.1 and later allocate so much, and they know the field.
        unsafe { (*def).config_map = registration.config_map };
    }
}

fn registration(registered: &Registered) -> Registration {
    let mut all = REGISTRATIONS.lock().unwrap_or_else(PoisonError::into_inner);
    let input = registered.input;
    if let Some(known) = all.iter().find(|registration| registration.input == input) {
        return *known;
    }
    let mut map: Vec<sys::flb_config_map> = registered.options.iter().map(entry).collect();
    map.push(sys::flb_config_map::END);
    let new = Registration {
        input,
        name: leak(registered.name),
        description: leak(registered.description),
        config_map: map.leak().as_mut_ptr(),
    };
    all.push(new);
    new
}

fn entry(option: &OptionSpec) -> sys::flb_config_map {
    sys::flb_config_map {
        r#type: code(option.kind),
        name: leak(option.name),
        def_value: option.default.map_or(ptr::null(), leak),
        desc: leak(option.help),
        ..sys::flb_config_map::END
    }
}

fn code(kind: Kind) -> c_int {
    match kind {
        Kind::Str => sys::FLB_CONFIG_MAP_STR,
        Kind::Int => sys::FLB_CONFIG_MAP_INT,
        Kind::Bool => sys::FLB_CONFIG_MAP_BOOL,
        Kind::Double => sys::FLB_CONFIG_MAP_DOUBLE,
        Kind::Size => sys::FLB_CONFIG_MAP_SIZE,
        Kind::Time => sys::FLB_CONFIG_MAP_TIME,
        Kind::List => sys::FLB_CONFIG_MAP_CLIST,
    }
}

/// A C string for ever. `register_input!` has checked that there is no NUL inside.
fn leak(text: &str) -> *const c_char {
    CString::new(text).unwrap_or_default().into_raw()
}
