//! Text for people, on stdout.

use std::io::Write;

/// Shows it at once. Nothing can be told any more if stdout is gone.
pub(super) fn say(text: &str) {
    let mut stdout = std::io::stdout();
    drop(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
}
