//! A terminal on which each row is a line of its own. Left to itself, indicatif fills rows with
//! blanks and lets the terminal wrap: to one that fits its lines to a new width, all rows are one
//! long line, which it breaks elsewhere, so that parts of it stay and lines above it go.

use std::fmt::Debug;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use console::Term;
use indicatif::{MultiProgress, ProgressDrawTarget, TermLike};

use crate::terminal::is_dumb;

/// How often rows are drawn at the most.
const HZ: u8 = 10;

/// Rows on stderr.
pub(crate) fn bars() -> MultiProgress {
    let term = Term::buffered_stderr();
    if !term.is_term() || is_dumb() {
        return MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
    }
    let own = Box::new(OwnLines::new(term));
    MultiProgress::with_draw_target(ProgressDrawTarget::term_like_with_hz(own, HZ))
}

/// Ends a row where indicatif fills it.
#[derive(Debug)]
pub(super) struct OwnLines<T> {
    term: T,
    /// Whether a row has ended, and the next one begins a line.
    ended: AtomicBool,
}

impl<T: TermLike> OwnLines<T> {
    pub(super) const fn new(term: T) -> Self {
        Self { term, ended: AtomicBool::new(false) }
    }

    fn moved(&self) -> &T {
        self.ended.store(false, Ordering::Relaxed);
        &self.term
    }
}

impl<T: TermLike> TermLike for OwnLines<T> {
    fn width(&self) -> u16 {
        self.term.width()
    }

    fn height(&self) -> u16 {
        self.term.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.moved().move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.moved().move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.moved().move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.moved().move_cursor_left(n)
    }

    fn write_line(&self, s: &str) -> io::Result<()> {
        self.moved().write_line(s)
    }

    fn write_str(&self, s: &str) -> io::Result<()> {
        if !s.is_empty() && s.bytes().all(|byte| byte == b' ') {
            self.ended.store(true, Ordering::Relaxed);
            // What stood behind the row.
            return self.term.write_str("\x1b[K");
        }
        if !s.is_empty() && self.ended.swap(false, Ordering::Relaxed) && s != "\r" {
            self.term.write_str("\r\n")?;
        }
        self.term.write_str(s)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.moved().clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.term.flush()
    }
}

/// Lines that rows of so many columns take in a terminal of a new width, beyond one each.
pub(super) fn wrapped(rows: impl Iterator<Item = usize>, width: usize) -> usize {
    rows.map(|columns| columns.div_ceil(width.max(1)).saturating_sub(1)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_too_long_for_the_new_width_takes_more_lines() {
        assert_eq!(wrapped([80, 59, 60, 61, 0].into_iter(), 60), 2);
        assert_eq!(wrapped([80].into_iter(), 120), 0);
        assert_eq!(wrapped([80].into_iter(), 0), 79);
    }
}
