//! What the exported `FLBPlugin*` functions do: find the instance of this thread, contain panics,
//! translate to return codes. `register_input!` only gives these functions their C names.

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::time::Duration;

use fluent_bit_plugin_sys as sys;

use super::{Host, config_map, contain};
use crate::input::{Input, Setup};
use crate::instance::{Instance, Plan};
use crate::log::Logger;

/// What the host calls a failure in Register, PreRegister, collect and cleanup.
const REFUSED: c_int = -1;
/// What the host calls a failure in Init.
const NOT_STARTED: c_int = 0;

/// How often the host is asked to collect, where it can be asked. The proxy's own interval of 1 s
/// would need ten times the memory for the same throughput.
const COLLECT_EVERY: Duration = Duration::from_millis(100);

thread_local! {
    /// The instance of this thread. The host runs each input on a thread of its own and calls it
    /// only there, which makes this the one key that works in all callbacks of all versions.
    static CURRENT: RefCell<Option<Instance>> = const { RefCell::new(None) };

    /// Whether the host has paused that instance. Apart from it, because with `threaded off` the
    /// host pauses an input from inside its own append, while the instance is borrowed.
    static PAUSED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the host has paused the instance of this thread.
pub(crate) fn is_paused() -> bool {
    PAUSED.get()
}

/// Runs `f` on the instance of this thread, if there is one.
fn with_current<T>(callback: &str, f: impl FnOnce(&mut Instance) -> T) -> Option<T> {
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
pub unsafe fn register<I: Input>(def: *mut sys::flb_plugin_proxy_def) -> c_int {
    if def.is_null() {
        return REFUSED;
    }
    // SAFETY: the caller is the host.
    contain(|| unsafe { config_map::fill::<I>(def) }).map_or(REFUSED, |()| sys::FLB_OK)
}

/// `FLBPluginUnregister`: nothing, since what was registered lives for ever.
pub fn unregister() -> c_int {
    sys::FLB_OK
}

/// `FLBPluginInit`.
///
/// # Safety
/// To be called by the host, with its plugin, on the thread that makes all further calls.
pub unsafe fn init<I: Input>(plugin: *mut sys::flbgo_input_plugin) -> c_int {
    // SAFETY: the caller is the host; the instance that owns it is dropped with exit or thread.
    let Some(mut host) = (unsafe { Host::new(plugin, I::NAME) }) else {
        return NOT_STARTED;
    };
    let logger = Logger::new();
    let started = contain(|| {
        if CURRENT.with_borrow(Option::is_some) {
            logger.error("with `threaded off` there can be only one of this input: remove it");
            return None;
        }
        let mut setup = Setup::new(&host, I::OPTIONS, logger.clone());
        match I::new(&mut setup) {
            Ok(input) => Some((input, Plan::new(setup))),
            Err(failure) => {
                logger.error(failure);
                None
            }
        }
    });
    let started = started.unwrap_or_else(|panic| {
        logger.error(format_args!("panic while starting: {panic}"));
        None
    });
    logger.print(&host);
    let Some((input, plan)) = started else {
        return NOT_STARTED;
    };
    // SAFETY: the caller is the host, and this is its Init.
    unsafe { host.settle_in(plugin, collect_often, COLLECT_EVERY) };
    let instance = Instance::new(host, plan, Box::new(move |outbox| input.run(outbox)));
    PAUSED.set(false);
    CURRENT.set(Some(instance));
    sys::FLB_OK
}

/// `FLBPluginInputPreRun`: the collectors have started.
pub fn pre_run() -> c_int {
    with_current("pre-run", Instance::start);
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
    with_current("collect", Instance::tick);
    0
}

/// `FLBPluginInputCleanupCallback` and `FLBPluginInputCleanupCallbackCtx`.
pub fn clean_up() -> c_int {
    with_current("cleanup", Instance::clean_up);
    sys::FLB_OK
}

/// `FLBPluginInputPause`.
pub fn pause() {
    PAUSED.set(true);
    with_current("pause", Instance::pause_changed);
}

/// `FLBPluginInputResume`.
pub fn resume() {
    PAUSED.set(false);
    with_current("resume", Instance::pause_changed);
}

/// `FLBPluginInputPreExit` (2.2.0+).
pub fn pre_exit() {
    with_current("pre-exit", Instance::stop);
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
