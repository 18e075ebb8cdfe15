//! The log, usable from any thread. Queues lines; the input thread prints them, because the host
//! sends lines of threads it does not know to stderr instead of its log.

use std::collections::VecDeque;
use std::fmt::{self, Display};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fluent_bit_plugin_sys as sys;

use crate::abi::Host;
use crate::level::Level;

/// Lines that wait for the input thread, at most. Later ones are dropped and counted.
const LINES_MAX: usize = 1_024;

struct Shared {
    /// How many of [`Level::ALL`] the instance lets through.
    levels: AtomicU8,
    lines: Mutex<VecDeque<(Level, String)>>,
    dropped: AtomicU64,
}

/// Fluent Bit's log, for one instance. Lines are prefixed `[input:<plugin>:<instance>]` and appear
/// after the callback that is running, or with the next collect: within a second, or when the
/// input resumes.
#[derive(Clone)]
pub struct Logger {
    shared: Arc<Shared>,
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logger").finish_non_exhaustive()
    }
}

impl Logger {
    pub(crate) fn new() -> Self {
        let shared = Shared {
            levels: AtomicU8::new(u8::MAX),
            lines: Mutex::default(),
            dropped: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether lines of this level are printed, for work that only a line needs.
    #[must_use]
    pub fn enabled(&self, level: Level) -> bool {
        level.code() <= i32::from(self.shared.levels.load(Ordering::Relaxed))
    }

    /// A line. Formats only if the level is enabled. Several lines become several log lines.
    pub fn log(&self, level: Level, text: impl Display) {
        if !self.enabled(level) {
            return;
        }
        let text = text.to_string();
        let mut lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.lines() {
            if lines.len() == LINES_MAX {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            } else {
                lines.push_back((level, clean(line)));
            }
        }
    }

    /// A line at [`Level::Error`].
    pub fn error(&self, text: impl Display) {
        self.log(Level::Error, text);
    }

    /// A line at [`Level::Warn`].
    pub fn warn(&self, text: impl Display) {
        self.log(Level::Warn, text);
    }

    /// A line at [`Level::Info`].
    pub fn info(&self, text: impl Display) {
        self.log(Level::Info, text);
    }

    /// A line at [`Level::Debug`].
    pub fn debug(&self, text: impl Display) {
        self.log(Level::Debug, text);
    }

    /// A line at [`Level::Trace`].
    pub fn trace(&self, text: impl Display) {
        self.log(Level::Trace, text);
    }

    /// Prints what waits. On the input thread, at the end of every callback.
    pub(crate) fn print(&self, host: &Host) {
        let levels = Level::ALL.iter().filter(|level| host.log_enabled(**level)).count();
        self.shared.levels.store(u8::try_from(levels).unwrap_or(u8::MAX), Ordering::Relaxed);
        let lines = {
            let mut lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *lines)
        };
        for (level, line) in lines {
            if self.enabled(level) {
                host.print(level, &line);
            }
        }
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 && self.enabled(Level::Warn) {
            host.print(Level::Warn, &format!("{dropped} log lines were dropped: too many at once"));
        }
    }
}

/// Without control characters, with those spelt out that turn the order of letters or break a line,
/// and no longer than the host prints.
fn clean(line: &str) -> String {
    // The prefix and three bytes of dots come out of the same budget.
    let bytes_max = sys::FLB_LOG_BODY_BYTES_MAX - 128;
    let mut clean = String::with_capacity(line.len().min(bytes_max));
    for letter in line.chars() {
        let before = clean.len();
        match letter {
            '\t' => clean.push(letter),
            _ if letter.is_control() => clean.push(' '),
            // Of the bidirectional algorithm, and the separators of lines and paragraphs.
            '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                clean.extend(letter.escape_unicode());
            }
            _ => clean.push(letter),
        }
        if bytes_max < clean.len() {
            clean.truncate(before);
            clean.push_str("...");
            break;
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cannot_forge_another_and_fits_the_host() {
        assert_eq!(clean("a\u{0}b\rc\u{1b}[31m"), "a b c [31m");
        assert_eq!(clean("a\t\u{202e}b\u{2066}\u{2028}"), "a\t\\u{202e}b\\u{2066}\\u{2028}");
        let turned = clean(&"\u{202e}".repeat(5_000));
        assert!(turned.len() + 120 < sys::FLB_LOG_BODY_BYTES_MAX && turned.ends_with("..."));
        let long = clean(&"ä".repeat(5_000));
        assert!(long.len() + 120 < sys::FLB_LOG_BODY_BYTES_MAX && long.ends_with("..."));
    }

    #[test]
    fn waiting_lines_are_bounded_and_the_rest_is_counted() {
        let logger = Logger::new();
        for _ in 0..LINES_MAX + 5 {
            logger.info("x");
        }
        assert_eq!(logger.shared.lines.lock().unwrap().len(), LINES_MAX);
        assert_eq!(logger.shared.dropped.load(Ordering::Relaxed), 5);
    }
}
