//! A registration: what the host keeps for one loaded file (`flb_plugin_proxy.c`, `go.c`).

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::path::Path;
use std::ptr;
use std::sync::{Arc, Mutex};

use fluent_bit_plugin_sys as sys;

use super::exports;
use super::input::FakeInput;
use super::plugin::Plugin;

/// Which host to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 2.2.0 to 4.0.x: a definition of 32 bytes of garbage, an older context, no `Ctx` callbacks.
    V2_2,
    /// 4.2.3 to 5.1.0: a definition of 40 bytes.
    V5_0,
    /// 5.1.1: a definition of 48 bytes, with a config map.
    V5_1_1,
}

impl Version {
    fn def_bytes(self) -> usize {
        match self {
            Self::V2_2 => 32,
            Self::V5_0 => 40,
            Self::V5_1_1 => 48,
        }
    }

    pub(super) fn has_remote_context(self) -> bool {
        self != Self::V2_2
    }
}

/// The host's `flbgo_input_plugin`, with the callbacks that a plugin must not look at.
#[repr(C)]
pub(super) struct GoPlugin {
    pub(super) head: sys::flbgo_input_plugin,
    callbacks: [*mut c_void; 6],
}

/// A pointer that the host passes between its own threads.
pub(super) struct Shared<T>(pub(super) *mut T);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<T> {}

// SAFETY: the fake host uses them as the real one does: one thread at a time, in Init and Exit.
unsafe impl<T> Send for Shared<T> {}

/// One registered plugin. Dropped after its instances, as `FLBPluginUnregister` comes after Exit.
pub struct Host {
    pub(super) plugin: Plugin,
    pub(super) version: Version,
    pub(super) def: *mut sys::flb_plugin_proxy_def,
    pub(super) proxy: *mut sys::flb_plugin_proxy,
    pub(super) go: *mut GoPlugin,
    api: *mut ApiTable,
    /// All instances of this registration: an older host may pause any of them at any time.
    pub(super) inputs: Mutex<Vec<Arc<FakeInput>>>,
}

#[repr(C)]
struct ApiTable {
    head: sys::flb_api,
    custom: [*mut c_void; 2],
}

impl Host {
    /// Loads a file and registers it.
    #[must_use]
    pub fn load(path: &Path, version: Version) -> Self {
        Self::register(Plugin::load(path), version, false)
    }

    /// A hot reload registers again while everything still runs.
    #[must_use]
    pub fn reload(&self) -> Self {
        Self::register(self.plugin, self.version, true)
    }

    fn register(plugin: Plugin, version: Version, is_reload: bool) -> Self {
        if let Some(pre_register) = plugin.pre_register {
            // SAFETY: takes a number.
            let code = unsafe { pre_register(c_int::from(is_reload)) };
            assert_ne!(code, -1, "PreRegister refused");
        }
        // Exactly as large as the version's, and full of garbage as from its malloc.
        // SAFETY: not zero bytes.
        let def = unsafe { libc::malloc(version.def_bytes()) };
        let garbage = if version == Version::V2_2 { 0xa5 } else { 0 };
        // SAFETY: just allocated with that size.
        unsafe { ptr::write_bytes(def.cast::<u8>(), garbage, version.def_bytes()) };
        let def = def.cast::<sys::flb_plugin_proxy_def>();
        // SAFETY: `def` is what this version would pass.
        let code = unsafe { (plugin.register)(def) };
        assert_ne!(code, -1, "Register refused");
        let api = Box::into_raw(Box::new(ApiTable { head: api(), custom: [ptr::null_mut(); 2] }));
        let go = Box::into_raw(Box::new(GoPlugin {
            head: sys::flbgo_input_plugin {
                name: ptr::null_mut(),
                api: api.cast(),
                i_ins: ptr::null_mut(),
                context: ptr::null_mut(),
            },
            callbacks: [ptr::null_mut(); 6],
        }));
        let link = sys::mk_list { prev: ptr::null_mut(), next: ptr::null_mut() };
        let proxy = Box::into_raw(Box::new(sys::flb_plugin_proxy {
            def,
            api: api.cast(),
            instance: ptr::null_mut(),
            dso_handler: ptr::null_mut(),
            data: go.cast(),
            _head: link,
        }));
        let host = Self { plugin, version, def, proxy, go, api, inputs: Mutex::default() };
        assert_eq!(host.head().r#type, sys::FLB_PROXY_INPUT_PLUGIN);
        assert_eq!(host.head().proxy, sys::FLB_PROXY_GOLANG);
        host
    }

    fn head(&self) -> &sys::flb_plugin_proxy_def_head {
        // SAFETY: every version allocates this much, and Register has filled it in.
        unsafe { &*self.def.cast() }
    }

    /// The registered name.
    #[must_use]
    pub fn name(&self) -> String {
        // SAFETY: Register has set a C string.
        unsafe { exports::text(self.head().name) }
    }

    /// Names and defaults in the config map, if this version has one.
    #[must_use]
    pub fn options(&self) -> Option<Vec<(String, Option<String>)>> {
        if self.version.def_bytes() < size_of::<sys::flb_plugin_proxy_def>() {
            return None;
        }
        // SAFETY: large enough, see above.
        let mut entry = unsafe { (*self.def).config_map };
        let mut options = Vec::new();
        // SAFETY: the array ends with an entry without name.
        while let Some(option) = unsafe { entry.as_ref() }.filter(|option| !option.name.is_null()) {
            // SAFETY: a C string.
            let name = unsafe { exports::text(option.name) };
            let default = (!option.def_value.is_null()).then(|| {
                // SAFETY: a C string.
                unsafe { exports::text(option.def_value) }
            });
            options.push((name, default));
            // SAFETY: not the last entry, so there is a next.
            entry = unsafe { entry.add(1) };
        }
        Some(options)
    }
}

impl Drop for Host {
    /// `FLBPluginUnregister`.
    fn drop(&mut self) {
        if let Some(unregister) = self.plugin.unregister {
            // SAFETY: what Register was given.
            unsafe { unregister(self.def) };
        }
        // SAFETY: from malloc, above.
        unsafe { libc::free(self.def.cast()) };
        // SAFETY: from a Box, above.
        drop(unsafe { Box::from_raw(self.proxy) });
        // SAFETY: from a Box, above.
        drop(unsafe { Box::from_raw(self.go) });
        // SAFETY: from a Box, above.
        drop(unsafe { Box::from_raw(self.api) });
    }
}

fn api() -> sys::flb_api {
    // SAFETY: on the supported targets a variadic call of one string passes it as this function
    // takes it.
    let log_print = unsafe {
        std::mem::transmute::<
            unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, *const c_char),
            unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, ...),
        >(log_print)
    };
    sys::flb_api {
        output_get_property: None,
        input_get_property: Some(get_property),
        output_get_cmt_instance: None,
        input_get_cmt_instance: Some(get_cmt),
        log_print: Some(log_print),
        input_log_check: Some(log_check),
        output_log_check: None,
    }
}

unsafe extern "C" fn get_property(
    name: *const c_char,
    instance: *mut sys::flb_input_instance,
) -> *const c_char {
    // SAFETY: the plugin passes a C string.
    let name = unsafe { exports::text(name) }.to_ascii_lowercase();
    // SAFETY: the plugin passes its instance.
    let input = unsafe { exports::input(instance.cast()) };
    input.properties.get(&name).map_or(ptr::null(), |value| value.as_ptr())
}

unsafe extern "C" fn get_cmt(instance: *mut sys::flb_input_instance) -> *mut c_void {
    instance.cast()
}

unsafe extern "C" fn log_check(instance: *mut sys::flb_input_instance, level: c_int) -> c_int {
    // SAFETY: the plugin passes its instance.
    c_int::from(unsafe { exports::input(instance.cast()) }.log_level >= level)
}

unsafe extern "C" fn log_print(
    level: c_int,
    _file: *const c_char,
    _line: c_int,
    format: *const c_char,
    line: *const c_char,
) {
    // SAFETY: the plugin passes a C string.
    let format = unsafe { CStr::from_ptr(format) };
    assert_eq!(format, c"%s", "a format that could be attacked");
    // SAFETY: and one C string for it.
    let line = unsafe { exports::text(line) };
    super::instance::log(level, line);
}
