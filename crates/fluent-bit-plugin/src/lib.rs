//! Write Fluent Bit inputs in safe Rust.
//!
//! An input is a type that implements [`Input`]; [`register_input!`] makes the crate a plugin that
//! Fluent Bit 2.2 and later load (`-e ./in_heartbeat.so`). The SDK owns everything between: the C
//! interface, threads, pauses, hot reloads, the log, metrics, and the question whether what was
//! handed to Fluent Bit has arrived there.
//!
//! ```
//! #![forbid(unsafe_code)]
//! use std::time::{Duration, SystemTime};
//!
//! use fluent_bit_plugin::{
//!     Batch, EventWriter, Failure, Input, Kind, Notice, OptionSpec, Outbox, Setup, register_input,
//! };
//!
//! struct Heartbeat {
//!     greeting: String,
//!     interval: Duration,
//! }
//!
//! impl Input for Heartbeat {
//!     const NAME: &'static str = "heartbeat";
//!     const DESCRIPTION: &'static str = "Says something from time to time";
//!     const OPTIONS: &'static [OptionSpec] = &[
//!         OptionSpec::new("greeting", Kind::Str, Some("hello"), "What to say."),
//!         OptionSpec::new("interval_sec", Kind::Time, Some("1s"), "How often."),
//!     ];
//!
//!     fn new(setup: &mut Setup<'_>) -> Result<Self, Failure> {
//!         let properties = setup.properties();
//!         Ok(Self {
//!             greeting: properties.string("greeting").unwrap_or_default(),
//!             interval: properties.time("interval_sec")?.unwrap_or_default(),
//!         })
//!     }
//!
//!     fn run(self, outbox: Outbox) -> Result<(), Failure> {
//!         let mut ticket = 0;
//!         while outbox.recv_timeout(self.interval) != Some(Notice::Stop) {
//!             let mut events = EventWriter::default();
//!             events.event(
//!                 SystemTime::now().into(),
//!                 |metadata| metadata.map(0),
//!                 |body| {
//!                     body.map(1);
//!                     body.str("greeting");
//!                     body.str(&self.greeting);
//!                 },
//!             );
//!             let (msgpack, records) = events.take();
//!             ticket += 1;
//!             outbox.send(Batch { ticket, tag: None, records, msgpack })?;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! register_input!(Heartbeat);
//! # fn main() {}
//! ```
//!
//! # Threads
//!
//! [`Input::new`] runs on Fluent Bit's thread for this instance, [`Input::run`] on one of its own.
//! Between the two lie bounded queues: [`Outbox::send`] waits while Fluent Bit is slow or paused,
//! so back-pressure reaches the worker without further means.
//!
//! # Delivery
//!
//! Fluent Bit tells an input nothing about what became of its data. The SDK watches the instance's
//! `records_total` and `bytes_total`, which rise when the engine takes a batch, and answers each
//! batch with [`Notice::Settled`] or, if Fluent Bit lost it, [`Notice::Returned`]. The engine
//! filters and writes after it has counted. So a batch settles when a later one was counted or,
//! behind the last one, when the engine was seen to be idle again: some 0.3 s after it was sent, or
//! 6 s where `/proc` does not show what the engine's thread does. An input that
//! records its progress only on `Settled` delivers at least once. How safe a chunk is depends on
//! the user's `storage.type`: `filesystem` survives a crash of the agent; with `memory` see
//! [`Setup::commit_delay`].
//!
//! Processors (not filters) that change records, and conditional routes, leave counts ambiguous;
//! the SDK notices and then delivers one append at a time, two to four a second. It joins what is
//! queued into appends of up to 1 MiB a tag, so that many small batches are as fast as a large one.
//!
//! A write that fails, because the disk is full, is counted like one that succeeds: no input can
//! see it.
//!
//! # Building
//!
//! The plugin is a `cdylib`, linked with `-z nodelete`, because unloading code with threads and
//! thread-locals is unsound. In its `build.rs`:
//!
//! ```no_run
//! println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
//! ```
//!
//! Keep `panic = "unwind"`: a panic is then logged, instead of ending the agent. The file must not
//! be called `flb-…`, which Fluent Bit loads differently.
#![deny(unsafe_code)]

#[doc(hidden)]
pub mod abi;
mod engine;
mod entry;
mod event;
mod failure;
#[cfg(fuzzing)]
pub mod fuzzing;
mod given;
mod idle;
mod input;
mod instance;
mod ledger;
mod level;
mod log;
mod marks;
mod metrics;
pub mod msgpack;
pub mod options;
mod outbox;
mod parcel;
mod proof;
pub mod properties;
mod quiet;
mod reading;
#[doc(hidden)]
pub mod start;
mod storage;
mod terms;
mod trust;
mod widen;

#[doc(hidden)]
pub use fluent_bit_plugin_sys as sys;

pub use event::{EventTime, EventWriter};
pub use failure::Failure;
pub use input::{Input, Setup};
pub use level::Level;
pub use log::Logger;
pub use metrics::{Counter, Gauge};
pub use options::{Kind, OptionSpec};
pub use outbox::{Batch, Limits, Notice, Outbox, Stopped, TrySendError};
pub use properties::{Properties, PropertyError};

/// Makes the crate a Fluent Bit plugin with one [`Input`]: exports the `FLBPlugin*` functions, and
/// checks the input's name and options at compile time. Once a crate, in a `cdylib`.
#[macro_export]
macro_rules! register_input {
    ($input:ty) => {
        #[allow(non_snake_case, missing_docs, unreachable_pub)]
        const _: () = {
            use ::core::ffi::{c_int, c_void};
            use $crate::abi::exports;

            #[global_allocator]
            static ALLOCATOR: $crate::abi::alloc::HostAllocator =
                $crate::abi::alloc::HostAllocator(::std::alloc::System);

            const _: () = $crate::options::check_name(<$input as $crate::Input>::NAME);
            const _: () = $crate::options::check(<$input as $crate::Input>::OPTIONS);

            #[unsafe(no_mangle)]
            pub extern "C" fn FLBPluginPreRegister(_hot_reload: c_int) -> c_int {
                exports::pre_register()
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn FLBPluginRegister(
                def: *mut $crate::sys::flb_plugin_proxy_def,
            ) -> c_int {
                // SAFETY: called by the host.
                unsafe { exports::register(def, &$crate::start::registered::<$input>()) }
            }

            #[unsafe(no_mangle)]
            pub extern "C" fn FLBPluginUnregister(
                _def: *mut $crate::sys::flb_plugin_proxy_def,
            ) -> c_int {
                exports::unregister()
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn FLBPluginInit(
                plugin: *mut $crate::sys::flbgo_input_plugin,
            ) -> c_int {
                let name = <$input as $crate::Input>::NAME;
                // SAFETY: called by the host.
                unsafe { exports::init(plugin, name, $crate::start::start::<$input>) }
            }

            #[unsafe(no_mangle)]
            pub extern "C" fn FLBPluginInputPreRun(_hot_reload: c_int) -> c_int {
                exports::pre_run()
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn FLBPluginInputCallback(
                data: *mut *mut c_void,
                len: *mut usize,
            ) -> c_int {
                // SAFETY: called by the host.
                unsafe { exports::collect(data, len) }
            }

            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn FLBPluginInputCallbackCtx(
                _context: *mut c_void,
                data: *mut *mut c_void,
                len: *mut usize,
            ) -> c_int {
                // SAFETY: called by the host.
                unsafe { exports::collect(data, len) }
            }

            #[unsafe(no_mangle)]
            pub extern "C" fn FLBPluginInputCleanupCallback(_data: *mut c_void) -> c_int {
                exports::clean_up()
            }

            #[unsafe(no_mangle)]
            pub extern "C" fn FLBPluginInputCleanupCallbackCtx(
                _context: *mut c_void,
                _data: *mut c_void,
            ) -> c_int {
                exports::clean_up()
            }

            #[unsafe(no_mangle)]
            pub extern "C" fn FLBPluginInputPause() {
                exports::pause();
            }

            #[unsafe(no_mangle)]
            pub extern "C" fn FLBPluginInputResume() {
                exports::resume();
            }

            #[unsafe(no_mangle)]
            pub extern "C" fn FLBPluginInputPreExit(_hot_reload: c_int) {
                exports::pre_exit();
            }

            #[unsafe(no_mangle)]
            pub extern "C" fn FLBPluginExit() -> c_int {
                exports::exit()
            }
        };
    };
}
