//! A running instance: its thread, and the calls that thread makes (`flb_input_thread.c`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CString, c_int, c_void};
use std::ptr;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{mem, slice};

use fluent_bit_plugin_sys as sys;

use super::exports;
use super::host::{GoPlugin, Host, Shared, Version};
use super::input::FakeInput;
use super::plugin::Plugin;

thread_local! {
    /// Whose callbacks run here: `log_print` is told no instance.
    static LOGGING: RefCell<Option<Arc<FakeInput>>> = const { RefCell::new(None) };
}

/// A line for the instance of this thread. From elsewhere it would go to stderr: a fault.
pub(super) fn log(level: c_int, line: String) {
    LOGGING.with_borrow(|input| match input {
        Some(input) => input.print(level, line),
        None => panic!("logged on a foreign thread: {line}"),
    });
}

/// An `[INPUT]` section.
#[derive(Clone, Debug, Default)]
pub struct Section {
    properties: HashMap<String, CString>,
    alias: Option<String>,
    on_engine: bool,
    quiet: bool,
}

impl Section {
    /// A section without properties, on a thread of its own, logging everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a property.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        let value = CString::new(value).expect("a value has no NUL");
        self.properties.insert(name.to_owned(), value);
        self
    }

    /// Sets the alias.
    #[must_use]
    pub fn alias(mut self, alias: &str) -> Self {
        self.alias = Some(alias.to_owned());
        self
    }

    /// `threaded off`.
    #[must_use]
    pub fn on_engine(mut self) -> Self {
        self.on_engine = true;
        self
    }

    /// `log_level error`.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }
}

enum Message {
    Collect,
    OwnCollectors,
    Pause,
    Resume,
    Another(Box<Calls>, Sender<c_int>),
    Exit { hot_reload: bool },
}

/// One running input. Every method waits until the call on the input's thread has returned.
pub struct Instance {
    /// The host's side of it.
    pub input: Arc<FakeInput>,
    messages: Sender<Message>,
    done: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Host {
    fn keep(&self, input: &Arc<FakeInput>) {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(input));
    }

    /// Starts an instance as the engine does: Init and PreRun on the input's own thread, while
    /// the engine waits. `Err` holds Init's code and the input with its log.
    ///
    /// # Errors
    /// Init failed.
    pub fn start(&self, section: Section) -> Result<Instance, (c_int, Arc<FakeInput>)> {
        let name = section.alias.clone().unwrap_or_else(|| format!("{}.0", self.name()));
        let level = if section.quiet { sys::FLB_LOG_ERROR } else { sys::FLB_LOG_TRACE };
        let threaded = !section.on_engine;
        let pause = self.plugin.pause;
        let input = FakeInput::new(&name, section.properties, level, threaded, pause);
        let input = Arc::new(input);
        self.keep(&input);
        let (messages, inbox) = mpsc::channel();
        let (ready, done) = mpsc::channel();
        let (report, code) = mpsc::channel();
        let call = Calls::new(self, Arc::clone(&input));
        let comm =
            if section.on_engine { "flb-pipeline".to_owned() } else { format!("flb-in-{name}-w0") };
        let thread = thread::Builder::new()
            .name(comm)
            .spawn(move || call.run(&inbox, &ready, &report))
            .expect("a thread starts");
        match code.recv().expect("Init returns") {
            code if code > 0 => Ok(Instance { input, messages, done, thread }),
            code => {
                thread.join().expect("the thread ends");
                Err((code, input))
            }
        }
    }
}

impl Instance {
    fn call(&self, message: Message) {
        self.messages.send(message).expect("the input's thread runs");
        self.done.recv().expect("the input's thread answers");
    }

    /// The proxy's collector, once, unless it is stopped.
    pub fn collect(&self) {
        self.call(Message::Collect);
    }

    /// Collectors that the plugin asked for.
    pub fn own_collectors(&self) {
        self.call(Message::OwnCollectors);
    }

    /// A turn of the world: the engine empties the ring buffer, all collectors run.
    pub fn turn(&self) {
        self.input.engine();
        self.own_collectors();
        self.collect();
    }

    /// Whether the proxy's collector runs.
    #[must_use]
    pub fn is_collecting(&self) -> bool {
        self.input.is_collecting.load(Ordering::SeqCst)
    }

    /// The engine pauses the input, with the host's mistake about which one.
    pub fn pause(&self) {
        self.call(Message::Pause);
    }

    /// The engine resumes the input, with the same mistake.
    pub fn resume(&self) {
        self.call(Message::Resume);
    }

    /// With `threaded off` the engine's thread starts the next section too. Init's code and the
    /// log; the section does not stay.
    #[must_use]
    pub fn start_another_here(&self, host: &Host) -> (c_int, Vec<String>) {
        let name = format!("{}.1", host.name());
        let pause = host.plugin.pause;
        let input = FakeInput::new(&name, HashMap::new(), sys::FLB_LOG_TRACE, false, pause);
        let input = Arc::new(input);
        host.keep(&input);
        let (report, code) = mpsc::channel();
        self.call(Message::Another(Box::new(Calls::new(host, Arc::clone(&input))), report));
        (code.recv().expect("Init returns"), input.log())
    }

    /// The engine pauses and then ends the input, waiting for it. How long that took.
    pub fn exit(self, hot_reload: bool) -> Duration {
        let begin = Instant::now();
        self.pause();
        self.call(Message::Exit { hot_reload });
        self.thread.join().expect("the input's thread ends");
        begin.elapsed()
    }
}

/// What the input's thread needs to make its calls.
struct Calls {
    plugin: Plugin,
    version: Version,
    input: Arc<FakeInput>,
    proxy: Shared<sys::flb_plugin_proxy>,
    go: Shared<GoPlugin>,
    /// `flb_plugin_input_proxy_context`, or the older one.
    context: Shared<c_void>,
}

impl Calls {
    fn new(host: &Host, input: Arc<FakeInput>) -> Self {
        let context = if host.version.has_remote_context() {
            let context = sys::flb_plugin_input_proxy_context {
                coll_fd: 0,
                remote_context: ptr::null_mut(),
                proxy: host.proxy,
            };
            Box::into_raw(Box::new(context)).cast()
        } else {
            // Exactly 16 bytes, so that a tool sees who reads beyond.
            let context: [*mut c_void; 2] = [ptr::null_mut(), host.proxy.cast()];
            Box::into_raw(Box::new(context)).cast()
        };
        Self {
            plugin: host.plugin,
            version: host.version,
            input,
            proxy: Shared(host.proxy),
            go: Shared(host.go),
            context: Shared(context),
        }
    }

    fn run(self, inbox: &Receiver<Message>, ready: &Sender<()>, report: &Sender<c_int>) {
        self.input.run_on_this_thread();
        LOGGING.set(Some(Arc::clone(&self.input)));
        let code = self.init();
        if code > 0 {
            self.input.is_collecting.store(true, Ordering::SeqCst);
            if let Some(pre_run) = self.plugin.pre_run {
                // SAFETY: takes a number.
                unsafe { pre_run(0) };
            }
        }
        report.send(code).expect("the test waits");
        if code <= 0 {
            self.free_context();
            return;
        }
        for message in inbox {
            let is_exit = matches!(message, Message::Exit { .. });
            match message {
                Message::Collect if self.input.is_collecting.load(Ordering::SeqCst) => {
                    self.collect();
                }
                Message::Collect => {}
                Message::OwnCollectors => self.own_collectors(),
                Message::Pause => self.pause(self.plugin.pause, false),
                Message::Resume => self.pause(self.plugin.resume, true),
                Message::Another(other, report) => {
                    other.input.run_on_this_thread();
                    LOGGING.set(Some(Arc::clone(&other.input)));
                    report.send(other.init()).expect("the test waits");
                    other.free_context();
                    LOGGING.set(Some(Arc::clone(&self.input)));
                }
                Message::Exit { hot_reload } => self.exit(hot_reload),
            }
            ready.send(()).expect("the test waits");
            if is_exit {
                break;
            }
        }
    }

    fn instance(&self) -> *mut sys::flb_input_instance {
        Arc::as_ptr(&self.input).cast_mut().cast()
    }

    /// `flb_proxy_input_cb_init` and `proxy_go_input_init`.
    fn init(&self) -> c_int {
        let (proxy, go) = (self.proxy.0, self.go.0);
        // SAFETY: instances start one after the other, while everything else waits.
        unsafe { (*proxy).instance = self.instance().cast() };
        // SAFETY: as above.
        unsafe { (*go).head.i_ins = self.instance() };
        // SAFETY: as above.
        unsafe { (*go).head.context = self.context.0.cast() };
        // SAFETY: what the host passes.
        unsafe { (self.plugin.init)(go.cast()) }
    }

    fn remote_context(&self) -> *mut c_void {
        // SAFETY: the newer layout only.
        unsafe { (*self.context.0.cast::<sys::flb_plugin_input_proxy_context>()).remote_context }
    }

    /// `flb_proxy_input_cb_collect`.
    fn collect(&self) {
        let (mut data, mut len) = (ptr::null_mut(), 0);
        let has_context = self.version.has_remote_context();
        let code = match (self.plugin.collect_ctx, self.plugin.collect) {
            // SAFETY: what the host passes.
            (Some(collect), _) if has_context => unsafe {
                collect(self.remote_context(), &raw mut data, &raw mut len)
            },
            // SAFETY: what the host passes.
            (_, Some(collect)) => unsafe { collect(&raw mut data, &raw mut len) },
            (_, None) => panic!("no collect callback for this version"),
        };
        if len == 0 {
            if !data.is_null() {
                self.input.fault("data without length is never cleaned up");
            }
            return;
        }
        if code == -1 {
            self.input.fault("an error with data leaks it");
            return;
        }
        // SAFETY: the plugin vouches for the length.
        let events = unsafe { slice::from_raw_parts(data.cast::<u8>(), len) };
        self.input.append(None, events); // The host ignores the result.
        match (self.plugin.clean_up_ctx, self.plugin.clean_up) {
            // SAFETY: what the host passes.
            (Some(clean_up), _) if has_context => unsafe { clean_up(self.remote_context(), data) },
            // SAFETY: what the host passes.
            (_, Some(clean_up)) => unsafe { clean_up(data) },
            (_, None) => panic!("without cleanup the host would call free()"),
        };
    }

    fn own_collectors(&self) {
        let collectors =
            mem::take(&mut *self.input.collectors.lock().unwrap_or_else(PoisonError::into_inner));
        for collect in &collectors {
            // SAFETY: what the host passes to a collector of this instance.
            unsafe { collect(self.instance(), ptr::null_mut(), self.context.0) };
        }
        *self.input.collectors.lock().unwrap_or_else(PoisonError::into_inner) = collectors;
    }

    /// `flb_proxy_input_cb_pause` and `…_resume`: the callback, then the collector of whatever
    /// instance the proxy of this context names.
    fn pause(&self, callback: Option<unsafe extern "C" fn()>, is_collecting: bool) {
        if let Some(callback) = callback {
            // SAFETY: takes nothing.
            unsafe { callback() };
        }
        let at = if self.version.has_remote_context() { 2 } else { 1 };
        // SAFETY: pointers in both layouts; the proxy is at offset 16 or 8.
        let proxy = unsafe { self.context.0.cast::<*mut sys::flb_plugin_proxy>().add(at) };
        // SAFETY: as above.
        let proxy = unsafe { proxy.read() };
        // SAFETY: the host's own, or a copy that lives until exit.
        let named = unsafe { (*proxy).instance };
        // SAFETY: instances live as long as their registration.
        let named = unsafe { exports::input(named) };
        named.is_collecting.store(is_collecting, Ordering::SeqCst);
        self.input.is_paused.store(!is_collecting, Ordering::SeqCst);
    }

    /// `flb_proxy_input_cb_exit`.
    fn exit(&self, hot_reload: bool) {
        if let Some(pre_exit) = self.plugin.pre_exit {
            // SAFETY: takes a number.
            unsafe { pre_exit(c_int::from(hot_reload)) };
        }
        if let Some(exit) = self.plugin.exit {
            // SAFETY: takes nothing.
            unsafe { exit() };
        }
        self.free_context();
    }

    fn free_context(&self) {
        if self.version.has_remote_context() {
            // SAFETY: from a Box of this type.
            drop(unsafe {
                Box::from_raw(self.context.0.cast::<sys::flb_plugin_input_proxy_context>())
            });
        } else {
            // SAFETY: from a Box of this type.
            drop(unsafe { Box::from_raw(self.context.0.cast::<[*mut c_void; 2]>()) });
        }
    }
}
