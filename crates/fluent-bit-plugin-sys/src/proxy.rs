//! What the host hands to the exported `FLBPlugin*` functions. Layouts only.

use core::ffi::{c_char, c_int, c_void};
use core::mem::{offset_of, size_of};

use crate::{flb_api, flb_config_map};

/// `flb_plugin_proxy_def.type` of an input. 2.0.0+.
pub const FLB_PROXY_INPUT_PLUGIN: c_int = 1;
/// `flb_plugin_proxy_def.type` of an output.
pub const FLB_PROXY_OUTPUT_PLUGIN: c_int = 2;
/// `flb_plugin_proxy_def.type` of a custom plugin. 4.0.3+.
pub const FLB_PROXY_CUSTOM_PLUGIN: c_int = 3;
/// `flb_plugin_proxy_def.proxy`: the only proxy there is. Fluent Bit cannot tell Rust from Go.
pub const FLB_PROXY_GOLANG: c_int = 11;

/// Return code of the Go SDK. For inputs only -1 means anything; see `SAFETY.md`, "Collect".
pub const FLB_ERROR: c_int = 0;
/// Return code for success, everywhere.
pub const FLB_OK: c_int = 1;
/// Return code of the Go SDK. An input gets no retry from it.
pub const FLB_RETRY: c_int = 2;

/// What `FLBPluginRegister` fills in (`flb_plugin_proxy.h`).
///
/// Allocated and freed by the host: 32 bytes up to 4.2.2, 40 bytes from 4.2.3 (`event_type`),
/// 48 bytes from 5.1.1 (`config_map`). Before 4.2.3 it comes from `malloc`, that is with garbage.
/// A field beyond the host's size must be neither read nor written.
#[repr(C)]
#[derive(Debug)]
#[allow(non_camel_case_types)]
pub struct flb_plugin_proxy_def {
    /// [`FLB_PROXY_INPUT_PLUGIN`].
    pub r#type: c_int,
    /// [`FLB_PROXY_GOLANG`].
    pub proxy: c_int,
    /// Plugin flags; the host adds `FLB_INPUT_THREADED`.
    pub flags: c_int,
    /// The name users write. The host copies it.
    pub name: *const c_char,
    /// One line for `--help`. Kept by reference until the host exits.
    pub description: *const c_char,
    /// 4.2.3+. Ignored for inputs: never write it.
    pub event_type: c_int,
    /// 5.1.1+. An array that ends with a zeroed entry, kept by reference.
    pub config_map: *mut flb_config_map,
}

/// The part of [`flb_plugin_proxy_def`] that every version from 2.0.0 allocates: 32 bytes.
#[repr(C)]
#[derive(Debug)]
#[allow(non_camel_case_types)]
pub struct flb_plugin_proxy_def_head {
    /// [`FLB_PROXY_INPUT_PLUGIN`].
    pub r#type: c_int,
    /// [`FLB_PROXY_GOLANG`].
    pub proxy: c_int,
    /// Plugin flags; the host adds `FLB_INPUT_THREADED`.
    pub flags: c_int,
    /// The name users write. The host copies it.
    pub name: *const c_char,
    /// One line for `--help`. Kept by reference until the host exits.
    pub description: *const c_char,
}

const _: () = {
    assert!(size_of::<flb_plugin_proxy_def_head>() == 32);
    assert!(offset_of!(flb_plugin_proxy_def_head, name) == offset_of!(flb_plugin_proxy_def, name));
};

/// The host allocated at least this much if it knows `config_map`.
pub const FLB_PLUGIN_PROXY_DEF_SIZE_WITH_CONFIG_MAP: usize = size_of::<flb_plugin_proxy_def>();

const _: () = {
    assert!(size_of::<flb_plugin_proxy_def>() == 48);
    assert!(offset_of!(flb_plugin_proxy_def, flags) == 8);
    assert!(offset_of!(flb_plugin_proxy_def, name) == 16);
    assert!(offset_of!(flb_plugin_proxy_def, description) == 24);
    assert!(offset_of!(flb_plugin_proxy_def, event_type) == 32);
    assert!(offset_of!(flb_plugin_proxy_def, config_map) == 40);
};

/// What `FLBPluginInit` receives (`go.h`): its first four fields, stable since 2.0.0.
///
/// The host's struct is longer (callbacks that moved in 4.1.0), so this is only ever used behind
/// a pointer. There is ONE per registration, shared by all instances: `i_ins` and `context` are
/// overwritten at the next instance's Init and must be copied.
#[repr(C)]
#[derive(Debug)]
#[allow(non_camel_case_types)]
pub struct flbgo_input_plugin {
    /// The registered name.
    pub name: *mut c_char,
    /// Functions of the host.
    pub api: *mut flb_api,
    /// The instance that is being initialised.
    pub i_ins: *mut flb_input_instance,
    /// Its context; see [`flb_plugin_input_proxy_context`].
    pub context: *mut flb_plugin_input_proxy_context,
}

const _: () = {
    assert!(offset_of!(flbgo_input_plugin, api) == 8);
    assert!(offset_of!(flbgo_input_plugin, i_ins) == 16);
    assert!(offset_of!(flbgo_input_plugin, context) == 24);
};

/// One per instance, zeroed by the host (`flb_plugin_proxy.h`), from 4.1.0.
///
/// Up to 4.0.x the same pointer leads to `{ remote_context, proxy }`, so that offset 8 holds the
/// PROXY pointer and offset 16 lies outside. Offset 8 is null during Init on 4.1.0+ only, which
/// makes it the test for the newer layout.
#[repr(C)]
#[derive(Debug)]
#[allow(non_camel_case_types)]
pub struct flb_plugin_input_proxy_context {
    /// Written by the host after Init.
    pub coll_fd: c_int,
    /// The plugin's pointer for the `Ctx` callbacks.
    pub remote_context: *mut c_void,
    /// The registration this instance belongs to.
    pub proxy: *mut flb_plugin_proxy,
}

const _: () = {
    assert!(size_of::<flb_plugin_input_proxy_context>() == 24);
    assert!(offset_of!(flb_plugin_input_proxy_context, remote_context) == 8);
    assert!(offset_of!(flb_plugin_input_proxy_context, proxy) == 16);
};

/// Intrusive list link (`monkey/mk_core/mk_list.h`).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct mk_list {
    /// Previous link.
    pub prev: *mut Self,
    /// Next link.
    pub next: *mut Self,
}

/// The host's record of one loaded file (`flb_plugin_proxy.h`). Unchanged from 2.0.0 to 5.1.1.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct flb_plugin_proxy {
    /// What was registered.
    pub def: *mut flb_plugin_proxy_def,
    /// Functions of the host.
    pub api: *mut flb_api,
    /// The instance initialised last, whichever is meant; see `SAFETY.md`, "Pause".
    pub instance: *mut c_void,
    /// `dlopen` handle.
    pub dso_handler: *mut c_void,
    /// `flbgo_input_plugin*`.
    pub data: *mut c_void,
    /// Link to the host's list of proxies.
    pub _head: mk_list,
}

const _: () = {
    assert!(size_of::<flb_plugin_proxy>() == 56);
    assert!(offset_of!(flb_plugin_proxy, instance) == 16);
    assert!(offset_of!(flb_plugin_proxy, data) == 32);
    assert!(offset_of!(flb_plugin_proxy, _head) == 40);
};

/// `struct flb_input_instance`: its layout changes with nearly every minor version. Opaque.
#[repr(C)]
#[derive(Debug)]
#[allow(non_camel_case_types)]
pub struct flb_input_instance {
    _opaque: [u8; 0],
}

/// `struct flb_config`. Opaque.
#[repr(C)]
#[derive(Debug)]
#[allow(non_camel_case_types)]
pub struct flb_config {
    _opaque: [u8; 0],
}
