//! Loads a component: from a file or from bytes, compiled for this machine, checked to be a source
//! of the one WIT version that this host speaks.
//!
//! A component is compiled at each start. A cache of machine code would be a file that is executed,
//! and loading one is `unsafe`: too much for a process that starts once a month.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::component::{Component as Compiled, Linker};
use wasmtime::{Config, Engine, EngineWeak};

use crate::bindings::LogSourcePre;
use crate::sandbox::State;

/// What a component exports, without its version.
const INTERFACE: &str = "m365-audit:source/source";

/// The version that this host speaks.
const VERSION: &str = "0.1.0";

/// The first bytes of everything that is WebAssembly.
const MAGIC: &[u8; 4] = b"\0asm";

/// The two bytes that tell a component from a core module, behind a version of two bytes.
const LAYER_COMPONENT: [u8; 2] = [1, 0];

/// How often a guest that computes is interrupted, so that requests and deadlines get a turn.
const EPOCH_TICK: Duration = Duration::from_millis(20);

/// Largest file that is read as a component; ours has less than a megabyte.
const COMPONENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A component that is ready to make guests.
pub struct Component {
    engine: Engine,
    pre: LogSourcePre<State>,
    ticker: Ticker,
}

/// Why something is not a component that this host can run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {error}; remedy: name the component's .wasm file",
        path = .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// It is no WebAssembly at all.
    #[error("{name}: not a WebAssembly file; remedy: name the component's .wasm file")]
    NotWasm {
        /// What it is called.
        name: String,
    },
    /// It is WebAssembly, but not a component.
    #[error(
        "{name}: a core WebAssembly module, not a component; remedy: build it for the target \
        wasm32-wasip2"
    )]
    CoreModule {
        /// What it is called.
        name: String,
    },
    /// It is damaged, or uses what this host's wasmtime does not know.
    #[error("{name}: not a usable component: {problem}; remedy: build it or fetch it anew")]
    Broken {
        /// What it is called.
        name: String,
        /// What wasmtime says.
        problem: String,
    },
    /// It wants something of its host that this host does not give.
    #[error(
        "{name}: wants what this host does not give: {problem}; a source may import wasi:* of \
        version 0.2 only"
    )]
    Imports {
        /// What it is called.
        name: String,
        /// What wasmtime says.
        problem: String,
    },
    /// It is a component for something else.
    #[error(
        "{name}: not a source: it does not export {INTERFACE}@{VERSION}; remedy: name a \
        component of the world m365-audit:source/log-source"
    )]
    NotSource {
        /// What it is called.
        name: String,
    },
    /// It speaks another version.
    #[error(
        "{name}: speaks {INTERFACE}@{found}, this host {INTERFACE}@{VERSION}; remedy: use a \
        host and a component of the same release"
    )]
    Version {
        /// What it is called.
        name: String,
        /// Its version.
        found: String,
    },
    /// It says the right version, but its functions are others.
    #[error("{name}: does not keep to {INTERFACE}@{VERSION}: {problem}")]
    Contract {
        /// What it is called.
        name: String,
        /// What wasmtime says.
        problem: String,
    },
    /// None is inside this program.
    #[error(
        "no component was built into this program; remedy: name one with --component, or take \
        a released program (`cargo xtask dist` builds one with its component inside)"
    )]
    NotBuiltIn,
    /// wasmtime does not run on this machine.
    #[error("wasmtime cannot be set up: {0}")]
    Engine(String),
}

/// The component that was built into this program, if there is one.
#[cfg(builtin_component)]
const BUILTIN: Option<&[u8]> = Some(include_bytes!(env!("M365_AUDIT_COMPONENT_FILE")));
#[cfg(not(builtin_component))]
const BUILTIN: Option<&[u8]> = None;

impl Component {
    /// Compiles the component that was built into this program.
    ///
    /// # Errors
    /// There is none, or see [`LoadError`].
    pub fn builtin() -> Result<Self, LoadError> {
        Self::from_bytes(BUILTIN.ok_or(LoadError::NotBuiltIn)?, "the built-in component")
    }

    /// Reads and compiles the component in a file.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn from_file(path: &Path) -> Result<Self, LoadError> {
        let unreadable = |error| LoadError::Unreadable { path: path.into(), error };
        let length = fs::metadata(path).map_err(unreadable)?.len();
        if COMPONENT_BYTES_MAX < length {
            let problem = format!("it has {length} bytes, at most {COMPONENT_BYTES_MAX} are read");
            return Err(LoadError::Broken { name: path.display().to_string(), problem });
        }
        let bytes = fs::read(path).map_err(unreadable)?;
        Self::from_bytes(&bytes, &path.display().to_string())
    }

    /// Compiles a component that messages call `name`.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self, LoadError> {
        let name = || name.to_owned();
        if !bytes.starts_with(MAGIC) || bytes.len() < 8 {
            return Err(LoadError::NotWasm { name: name() });
        }
        if bytes[6..8] != LAYER_COMPONENT {
            return Err(LoadError::CoreModule { name: name() });
        }
        let engine = engine().map_err(|error| LoadError::Engine(words(&error)))?;
        let compiled = Compiled::from_binary(&engine, bytes)
            .map_err(|error| LoadError::Broken { name: name(), problem: words(&error) })?;
        let exports = compiled.component_type();
        let exports: Vec<_> =
            exports.exports(&engine).map(|(export, _)| export.to_owned()).collect();
        check_version(&exports, name)?;
        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)
            .and_then(|()| wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker))
            .map_err(|error| LoadError::Engine(words(&error)))?;
        let pre = linker
            .instantiate_pre(&compiled)
            .map_err(|error| LoadError::Imports { name: name(), problem: words(&error) })?;
        let pre = LogSourcePre::new(pre)
            .map_err(|error| LoadError::Contract { name: name(), problem: words(&error) })?;
        let ticker = Ticker::start(engine.weak())
            .map_err(|error| LoadError::Engine(format!("no thread for its clock: {error}")))?;
        Ok(Self { engine, pre, ticker })
    }

    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) const fn pre(&self) -> &LogSourcePre<State> {
        &self.pre
    }

    /// The clock runs while what this returns lives.
    pub(crate) fn running(&self) -> Running {
        self.ticker.running()
    }
}

fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    Engine::new(&config)
}

/// Says clearly what wasmtime would call a missing export.
fn check_version(exports: &[String], name: impl Fn() -> String) -> Result<(), LoadError> {
    let mut versions = exports.iter().filter_map(|export| {
        export.strip_prefix(INTERFACE).map(|rest| rest.strip_prefix('@').unwrap_or("none"))
    });
    match versions.next() {
        Some(VERSION) => Ok(()),
        Some(found) if versions.all(|version| version != VERSION) => {
            Err(LoadError::Version { name: name(), found: found.to_owned() })
        }
        Some(_) => Ok(()),
        None => Err(LoadError::NotSource { name: name() }),
    }
}

/// An error and its causes, in one line.
pub(crate) fn words(error: &wasmtime::Error) -> String {
    let mut words: Vec<String> = Vec::new();
    for cause in error.chain() {
        // Behind the first line stand the frames of the guest.
        let text = cause.to_string();
        let line = text.lines().next().unwrap_or_default().to_owned();
        let is_place = line.starts_with("error while executing at wasm backtrace");
        if !is_place && words.last() != Some(&line) {
            words.push(line);
        }
    }
    words.join(": ")
}

/// Advances the engine's epoch while calls are under way.
struct Ticker {
    calls: Arc<AtomicUsize>,
    thread: Thread,
}

impl Ticker {
    fn start(engine: EngineWeak) -> io::Result<Self> {
        let calls = Arc::new(AtomicUsize::new(0));
        let running = Arc::clone(&calls);
        let thread = thread::Builder::new().name("epoch".into()).spawn(move || {
            loop {
                if running.load(Ordering::Acquire) == 0 {
                    thread::park();
                }
                // Ends with the last user of the engine.
                let Some(engine) = engine.upgrade() else { return };
                engine.increment_epoch();
                drop(engine);
                thread::sleep(EPOCH_TICK);
            }
        })?;
        Ok(Self { calls, thread: thread.thread().clone() })
    }

    fn running(&self) -> Running {
        self.calls.fetch_add(1, Ordering::AcqRel);
        self.thread.unpark();
        Running(Arc::clone(&self.calls))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // So that it sees that the engine has gone.
        self.thread.unpark();
    }
}

/// A call is under way.
pub(crate) struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Component")
    }
}
