//! What the exported `FLBPlugin*` functions do: find the instance of this thread, contain panics,
//! translate to return codes. `register_input!` only gives these functions their C names.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::time::Duration;

use fluent_bit_plugin_sys as sys;

use super::config_map::{self, Registered};
use super::contain::contain;
use super::host::Host;

/// What the host calls a failure in Register, PreRegister, collect and cleanup.
const REFUSED: c_int = -1;
/// What the host calls a failure in Init.
const NOT_STARTED: c_int = 0;

/// How often the host is asked to collect, where it can be asked. The proxy's own interval of 1 s
/// would need ten times the memory for the same throughput.
const COLLECT_EVERY: Duration = Duration::from_millis(100);

/// What the host's calls lead to: one running instance.
pub trait Served {
    /// The collectors have started.
    fn start(&mut self);
    /// Once a collect.
    fn tick(&mut self);
    /// What the host shall append; it reads that until `clean_up`.
    fn hand_over(&mut self) -> Option<&[u8]>;
    /// The host has copied what it was given.
    fn clean_up(&mut self);
    /// The host has paused or resumed it.
    fn pause_changed(&mut self);
    /// The end is near.
    fn stop(&mut self);
    /// The host's last call.
    fn exit(self: Box<Self>);
    /// A call of the host's ended in a panic.
    fn panicked(&mut self, callback: &str, panic: &str);
}

/// Makes an instance, once its host is all that it needs to be.
pub type Start = Box<dyn FnOnce(Host) -> Box<dyn Served>>;

thread_local! {
    /// The instance of this thread. The host runs each input on a thread of its own and calls it
    /// only there, which makes this the one key that works in all callbacks of all versions.
    static CURRENT: RefCell<Option<Box<dyn Served>>> = const { RefCell::new(None) };

    /// Whether the host has paused that instance. Apart from it, because with `threaded off` the
    /// host pauses an input from inside its own append, while the instance is borrowed.
    static PAUSED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the host has paused the instance of this thread.
pub(crate) fn is_paused() -> bool {
    PAUSED.get()
}

/// Runs `f` on the instance of this thread, if there is one.
fn with_current<T>(callback: &str, f: impl FnOnce(&mut Box<dyn Served>) -> T) -> Option<T> {
    let result = contain(|| {
        CURRENT.try_with(|current| {
            let mut current = current.try_borrow_mut().ok()?;
            current.as_mut().map(f)
        })
    });
    match result {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => None, // The thread is ending.
        Err(panic) => {
            report(callback, &panic);
            None
        }
    }
}

fn report(callback: &str, panic: &str) {
    // If even this panics, there is nobody left to tell.
    let _ = contain(|| {
        CURRENT.try_with(|current| {
            if let Ok(mut current) = current.try_borrow_mut()
                && let Some(instance) = current.as_mut()
            {
                instance.panicked(callback, panic);
            }
        })
    });
}

/// `FLBPluginPreRegister`.
pub fn pre_register() -> c_int {
    sys::FLB_OK
}

/// `FLBPluginRegister`. Runs again at each hot reload, while old instances still run.
///
/// # Safety
/// To be called by the host, with its definition.
pub unsafe fn register(def: *mut sys::flb_plugin_proxy_def, registered: &Registered) -> c_int {
    if def.is_null() {
        return REFUSED;
    }
    // SAFETY: the caller is the host.
    contain(|| unsafe { config_map::fill(def, registered) }).map_or(REFUSED, |()| sys::FLB_OK)
}

/// `FLBPluginUnregister`: nothing, since what was registered lives for ever.
pub fn unregister() -> c_int {
    sys::FLB_OK
}

/// `FLBPluginInit`. `start` reads the configuration, or says what is wrong with it; it is told
/// whether this thread has an instance already.
///
/// # Safety
/// To be called by the host, with its plugin, on the thread that makes all further calls.
pub unsafe fn init(
    plugin: *mut sys::flbgo_input_plugin,
    name: &'static str,
    start: fn(&Host, bool) -> Option<Start>,
) -> c_int {
    // SAFETY: the caller is the host; the instance that owns it is dropped with exit or thread.
    let Some(mut host) = (unsafe { Host::new(plugin, name) }) else {
        return NOT_STARTED;
    };
    let started = contain(|| start(&host, CURRENT.with_borrow(Option::is_some)));
    let Ok(Some(start)) = started else {
        return NOT_STARTED;
    };
    // SAFETY: the caller is the host, and this is its Init.
    unsafe { host.settle_in(plugin, collect_often, COLLECT_EVERY) };
    let Ok(instance) = contain(|| start(host)) else {
        return NOT_STARTED;
    };
    PAUSED.set(false);
    CURRENT.set(Some(instance));
    sys::FLB_OK
}

/// `FLBPluginInputPreRun`: the collectors have started.
pub fn pre_run() -> c_int {
    with_current("pre-run", |instance| instance.start());
    sys::FLB_OK
}

/// `FLBPluginInputCallback` and `FLBPluginInputCallbackCtx`.
///
/// # Safety
/// To be called by the host: both pointers are writable.
pub unsafe fn collect(data: *mut *mut c_void, len: *mut usize) -> c_int {
    if data.is_null() || len.is_null() {
        return REFUSED;
    }
    let handed = with_current("collect", |instance| {
        instance.tick();
        instance.hand_over().map(|bytes| (bytes.as_ptr(), bytes.len()))
    });
    // Nothing is `null, 0, OK`: with -1 the host would log an error each second.
    let (pointer, bytes) = handed.flatten().unwrap_or((std::ptr::null(), 0));
    // SAFETY: the caller vouches for it. The host only reads the events, until the cleanup.
    unsafe { data.write(pointer.cast_mut().cast()) };
    // SAFETY: as above.
    unsafe { len.write(bytes) };
    sys::FLB_OK
}

/// A timer of our own, where the host's API allows it: the same as a collect without events.
unsafe extern "C" fn collect_often(
    _instance: *mut sys::flb_input_instance,
    _config: *mut sys::flb_config,
    _context: *mut c_void,
) -> c_int {
    with_current("collect", |instance| instance.tick());
    0
}

/// `FLBPluginInputCleanupCallback` and `FLBPluginInputCleanupCallbackCtx`.
pub fn clean_up() -> c_int {
    with_current("cleanup", |instance| instance.clean_up());
    sys::FLB_OK
}

/// `FLBPluginInputPause`.
pub fn pause() {
    PAUSED.set(true);
    with_current("pause", |instance| instance.pause_changed());
}

/// `FLBPluginInputResume`.
pub fn resume() {
    PAUSED.set(false);
    with_current("resume", |instance| instance.pause_changed());
}

/// `FLBPluginInputPreExit` (2.2.0+).
pub fn pre_exit() {
    with_current("pre-exit", |instance| instance.stop());
}

/// `FLBPluginExit`: the last call for this instance.
pub fn exit() -> c_int {
    let instance = CURRENT.try_with(|current| current.try_borrow_mut().ok()?.take());
    if let Ok(Some(instance)) = instance {
        // A panic here has nowhere to be reported: the instance is gone.
        let _ = contain(|| instance.exit());
    }
    sys::FLB_OK
}
