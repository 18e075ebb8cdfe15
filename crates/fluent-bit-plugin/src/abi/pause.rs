//! Keeps the host from stopping the wrong instance.
//!
//! `flb_proxy_input_cb_pause` stops the timer of `context->proxy->instance`, which is the instance
//! initialised last, because all share one `flb_plugin_proxy`. With a private copy per instance
//! it stops the right one. Only done where everything that is known about the layout holds.

use fluent_bit_plugin_sys as sys;

/// An instance's private copy of its `flb_plugin_proxy`, in place until dropped or released.
#[derive(Debug)]
pub(super) struct PrivateProxy {
    context: *mut sys::flb_plugin_input_proxy_context,
    original: *mut sys::flb_plugin_proxy,
    copy: *mut sys::flb_plugin_proxy,
}

impl PrivateProxy {
    /// # Safety
    /// `plugin` is what the host passed to `FLBPluginInit`, and that call has not returned yet.
    pub(super) unsafe fn install(plugin: *mut sys::flbgo_input_plugin) -> Option<Self> {
        // SAFETY: the caller vouches for `plugin`; the field exists since 2.0.0.
        let context = unsafe { (*plugin).context };
        if context.is_null() {
            return None;
        }
        // SAFETY: both layouts of the context are at least 16 bytes long. 4.1.0+ keeps the remote
        // context here, null during Init; earlier ones the proxy, never null.
        let remote = unsafe { (*context).remote_context };
        if !remote.is_null() {
            return None;
        }
        // SAFETY: so the layout is that of 4.1.0+, 24 bytes.
        let original = unsafe { (*context).proxy };
        if original.is_null() {
            return None;
        }
        // SAFETY: a proxy has had this layout from 2.0.0 to 5.1.1.
        let proxy = unsafe { original.read() };
        // SAFETY: as above, for `plugin`.
        let instance = unsafe { (*plugin).i_ins };
        if proxy.instance != instance.cast() || proxy.data != plugin.cast() {
            return None;
        }
        let copy = Box::into_raw(Box::new(proxy));
        // SAFETY: the host reads this field again at pause, resume and exit only.
        unsafe { (*context).proxy = copy };
        Some(Self { context, original, copy })
    }

    /// Puts the original back. In the exit callback: the context is still there, and the host
    /// does not look at the proxy afterwards.
    ///
    /// # Safety
    /// The host's exit callback for this instance is running.
    pub(super) unsafe fn release(self) {
        // SAFETY: the host frees the context after the callback.
        unsafe { (*self.context).proxy = self.original };
        // SAFETY: `install` made it with Box, and nobody else keeps it now.
        drop(unsafe { Box::from_raw(self.copy) });
    }
}
