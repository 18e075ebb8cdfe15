//! SIGINT and SIGTERM: the first one ends cleanly, the second one at once. SIGHUP: whoever has
//! renamed the output, or changed a file that is read, asks for it to be opened or read again.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use m365_audit_core::Level;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator;

use crate::exit::INCOMPLETE;
use crate::log::Log;
use crate::output::{SharedOutput, lock};
use crate::service;

/// How long what was emitted may take to be written.
const GRACE: Duration = Duration::from_millis(1_200);

/// After this the process ends wherever it stands, for example in a write to a pipe that nobody
/// reads. Nothing is lost by it: what was not confirmed is collected again.
const PATIENCE: Duration = Duration::from_millis(1_700);

/// How long the last word may take.
const LAST_WORD: Duration = Duration::from_millis(100);

const STUCK: &str = "stopped in the middle: the output, or the network, did not come to an end; \
                     with the same db the next run goes on";

/// Whether a signal has come.
#[derive(Debug)]
pub(crate) struct Signals(Arc<AtomicBool>);

impl Signals {
    /// Watches from a thread of its own until the process ends.
    /// `stop` asks for a clean end within the given time, `look_again` for files of credentials and
    /// tenants to be read again. SIGHUP ends nothing, unless the output is a terminal, which is
    /// gone then.
    pub(crate) fn watch(
        stop: impl Fn(Duration) + Send + 'static,
        look_again: impl Fn() + Send + 'static,
        output: Option<&SharedOutput>,
        log: Log,
    ) -> io::Result<Self> {
        let mut signals = iterator::Signals::new([SIGINT, SIGTERM])?;
        let reopening = output.filter(|output| lock(output).is_file()).cloned().map(Reopening::new);
        if !output.is_some_and(|output| lock(output).is_terminal()) {
            signals.add_signal(SIGHUP)?;
        }
        let came = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&came);
        thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                if signal == SIGHUP {
                    service::tell_reloading();
                    look_again();
                    match &reopening {
                        Some(reopening) => reopening.begin(),
                        None => {
                            log.write(Level::Info, "SIGHUP: there is no file to open again");
                            service::tell_reloaded();
                        }
                    }
                    continue;
                }
                if flag.swap(true, Ordering::SeqCst) {
                    process::exit(INCOMPLETE.into());
                }
                service::tell_stopping();
                stop(GRACE);
                let last = log.clone();
                thread::spawn(move || {
                    thread::sleep(PATIENCE);
                    // From a thread of its own: perhaps nobody reads stderr either.
                    thread::spawn(move || last.write(Level::Warn, STUCK));
                    thread::sleep(LAST_WORD);
                    process::exit(INCOMPLETE.into());
                });
                log.write(Level::Info, "stopping; once more to stop at once");
            }
        })?;
        Ok(Self(came))
    }

    /// Ends as SIGTERM does when nobody holds the other end of stdin any more. What is written to
    /// it is of no meaning.
    #[expect(clippy::unused_self, reason = "only what is watched may be raised")]
    pub(crate) fn raise_when_stdin_closes(&self, log: &Log) {
        let log = log.clone();
        thread::spawn(move || {
            // Whatever goes wrong with it, it is no more.
            drop(io::copy(&mut io::stdin().lock(), &mut io::sink()));
            log.write(Level::Info, "stdin was closed");
            // That raising a signal of one's own fails is not known to happen.
            drop(signal_hook::low_level::raise(SIGTERM));
        });
    }

    pub(crate) fn came(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Opens the output again, from a thread of its own: it may be in use for a while, and the signals
/// after this one must not wait.
struct Reopening {
    output: SharedOutput,
    under_way: Arc<AtomicBool>,
}

impl Reopening {
    fn new(output: SharedOutput) -> Self {
        Self { output, under_way: Arc::new(AtomicBool::new(false)) }
    }

    fn begin(&self) {
        if self.under_way.swap(true, Ordering::SeqCst) {
            return;
        }
        let (output, under_way) = (Arc::clone(&self.output), Arc::clone(&self.under_way));
        thread::spawn(move || {
            let mut output = lock(&output);
            under_way.store(false, Ordering::SeqCst);
            output.reopen();
            service::tell_reloaded();
        });
    }
}
