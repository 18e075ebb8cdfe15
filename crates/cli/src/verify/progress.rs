//! How far a comparison is: a bar if stderr is a terminal, else a line now and then.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use m365_audit_core::Level;

use crate::log::Log;

/// How often a line is written where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows how far it is.
#[derive(Debug)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    log: Log,
    /// Whether lines are written whatever level is shown.
    always: bool,
    silent: bool,
    last: Instant,
}

impl Progress {
    /// As `--progress` says.
    pub(super) fn new(word: &str, bars: &MultiProgress, log: Log) -> Self {
        let drawn = word != "never" && io::stderr().is_terminal();
        let bar = drawn.then(|| {
            let style = ProgressStyle::with_template("{spinner} {percent:>3} % {wide_msg}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            bars.add(ProgressBar::new(1).with_style(style))
        });
        let (always, silent) = (word == "always", word == "never");
        Self { bar, log, always, silent, last: Instant::now() }
    }

    /// How many steps there are.
    pub(super) fn steps(&self, steps: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(steps.max(1));
        }
    }

    /// One step is done.
    pub(super) fn step(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// What is going on now.
    pub(super) fn say(&mut self, words: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(words());
        } else if !self.silent && LINE_EVERY <= self.last.elapsed() {
            self.last = Instant::now();
            if self.always {
                self.log.write_always(Level::Info, &words());
            } else {
                self.log.write(Level::Info, &words());
            }
        }
    }

    /// All is done.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
