//! `struct flb_config_map`: the list of options an input declares. Layout of 5.0.3 and later.

use core::ffi::{c_char, c_int, c_void};
use core::mem::{offset_of, size_of};
use core::ptr;

use crate::mk_list;

/// A string.
pub const FLB_CONFIG_MAP_STR: c_int = 0;
/// An integer.
pub const FLB_CONFIG_MAP_INT: c_int = 2;
/// on, off, true, false, yes, no.
pub const FLB_CONFIG_MAP_BOOL: c_int = 3;
/// A floating-point number.
pub const FLB_CONFIG_MAP_DOUBLE: c_int = 4;
/// A size such as `512K`.
pub const FLB_CONFIG_MAP_SIZE: c_int = 5;
/// A time such as `10m`.
pub const FLB_CONFIG_MAP_TIME: c_int = 6;
/// A list separated by commas.
pub const FLB_CONFIG_MAP_CLIST: c_int = 30;
/// A list separated by spaces.
pub const FLB_CONFIG_MAP_SLIST: c_int = 40;

/// `struct flb_config_map_val`. Filled by the host in its own copies; zero in ours.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct flb_config_map_val {
    /// A union of 8 bytes.
    pub val: u64,
    /// 5.0.3+.
    pub raw: *mut c_char,
    /// For options given several times.
    pub mult: *mut c_void,
    /// Link to `mult`.
    pub _head: mk_list,
}

/// `struct flb_config_map`. An array of these ends with [`flb_config_map::END`].
///
/// Only handed over through `flb_plugin_proxy_def.config_map`, that is to hosts from 5.1.1; the
/// shorter stride of 5.0.2 and earlier never matters. The host copies `name` and `def_value` and
/// keeps `desc` by reference.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct flb_config_map {
    /// One of the `FLB_CONFIG_MAP_*` constants.
    pub r#type: c_int,
    /// The option.
    pub name: *const c_char,
    /// Default, for `--help` only: `input_get_property` does not return it.
    pub def_value: *const c_char,
    /// 0.
    pub flags: c_int,
    /// 0: the host must not write the value into our memory.
    pub set_property: c_int,
    /// 0.
    pub offset: usize,
    /// One sentence for `--help`.
    pub desc: *const c_char,
    /// Zero.
    pub value: flb_config_map_val,
    /// Zero.
    pub _head: mk_list,
}

impl flb_config_map {
    /// The entry that ends an array.
    pub const END: Self = Self {
        r#type: 0,
        name: ptr::null(),
        def_value: ptr::null(),
        flags: 0,
        set_property: 0,
        offset: 0,
        desc: ptr::null(),
        value: flb_config_map_val {
            val: 0,
            raw: ptr::null_mut(),
            mult: ptr::null_mut(),
            _head: mk_list { prev: ptr::null_mut(), next: ptr::null_mut() },
        },
        _head: mk_list { prev: ptr::null_mut(), next: ptr::null_mut() },
    };
}

const _: () = {
    assert!(size_of::<flb_config_map_val>() == 40);
    assert!(size_of::<flb_config_map>() == 104);
    assert!(offset_of!(flb_config_map, name) == 8);
    assert!(offset_of!(flb_config_map, def_value) == 16);
    assert!(offset_of!(flb_config_map, set_property) == 28);
    assert!(offset_of!(flb_config_map, offset) == 32);
    assert!(offset_of!(flb_config_map, desc) == 40);
    assert!(offset_of!(flb_config_map, value) == 48);
    assert!(offset_of!(flb_config_map, _head) == 88);
};
