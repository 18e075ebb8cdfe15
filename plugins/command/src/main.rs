//! The collector as a command of WASI, for whoever has a runtime and no host of components:
//! `wasmtime run -S http --dir state m365_audit_cli.wasm`. One host of the component, linked into
//! one file with it: records go to stdout, the state into a folder, words to stderr.
//!
//! State is stored when the records are written, never before. Must not know Microsoft.

#![forbid(unsafe_code)]

mod arguments;
mod state;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use m365_audit_component::Component;
use m365_audit_component::interface::{
    Batch, Cause, Entry, Failure, Guest, Level, Limits, Note, Outcome, Resume,
};

use crate::arguments::Arguments;
use crate::state::State;

/// What serves well everywhere: `wit/README.md`, "Back-pressure and limits".
const LIMITS: Limits = Limits { max_records: 10_000, max_bytes: 1 << 20, deadline_ms: 20_000 };

/// How long a failure is waited out that does not say.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// As those of `m365-audit run`.
const INCOMPLETE: u8 = 1;
const MISTAKEN: u8 = 2;

fn main() -> ExitCode {
    let arguments = match Arguments::read(env::args().skip(1), env::vars()) {
        Ok(arguments) => arguments,
        Err(why) => {
            say(&why.text);
            return ExitCode::from(if why.is_mistake { MISTAKEN } else { 0 });
        }
    };
    match collect(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            say(&format!("error: {error}; what is stored stays valid, and the next start goes on"));
            ExitCode::from(INCOMPLETE)
        }
    }
}

/// Collects until the end, if there is one. Answers the exit code.
fn collect(arguments: &Arguments) -> io::Result<u8> {
    let mut state = State::open(&arguments.state)?;
    if state.was_interrupted() {
        // What was killed may have left half a line. Its record comes again: on a line of its own.
        write(b"\n")?;
    }
    let mut resume = stored(&state);
    loop {
        let pause = match Component::poll(arguments.config.clone(), resume, LIMITS) {
            Ok(batch) => {
                let pause = take(&batch, &mut state)?;
                if let Some(outcome) = batch.finished {
                    state.close()?;
                    return Ok(if outcome == Outcome::Complete { 0 } else { INCOMPLETE });
                }
                resume = Resume::Committed;
                pause
            }
            Err(failure) => {
                told(&failure);
                resume = match failure.cause {
                    Cause::StateRequired => stored(&state),
                    Cause::Auth | Cause::Throttled | Cause::Transient => Resume::Committed,
                    Cause::Config | Cause::Permanent => {
                        state.close()?;
                        let is_mistake = failure.cause == Cause::Config;
                        return Ok(if is_mistake { MISTAKEN } else { INCOMPLETE });
                    }
                };
                let asked = failure.retry_after_ms.map(|ms| Duration::from_millis(ms.into()));
                asked.unwrap_or(RETRY_AFTER)
            }
        };
        thread::sleep(pause);
    }
}

/// Writes the records, then stores what follows from them. Answers how long nothing is to be done.
fn take(batch: &Batch, state: &mut State) -> io::Result<Duration> {
    batch.notes.iter().for_each(note);
    write(batch.ndjson.as_bytes())?;
    let changes = batch.changes.iter();
    state.store(changes.map(|change| (change.key.as_str(), change.value.as_deref())))?;
    let pause = if batch.more { 0 } else { batch.wait_ms };
    Ok(Duration::from_millis(pause.into()))
}

/// Writes lines and flushes them, so that they stay when this process is killed.
fn write(lines: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines)?;
    stdout.flush()
}

fn stored(state: &State) -> Resume {
    let entry = |(key, value): (&String, &String)| Entry { key: key.clone(), value: value.clone() };
    Resume::Stored(state.entries().iter().map(entry).collect())
}

fn told(failure: &Failure) {
    failure.notes.iter().for_each(note);
    say(&format!("error: {}", failure.message));
}

fn note(note: &Note) {
    let level = match note.level {
        Level::Error => "ERROR",
        Level::Warn => "WARN",
        Level::Info => "INFO",
        Level::Debug => return,
    };
    say(&format!("{level} {}: {}", note.code, note.message));
}

/// A line for people. Where stderr is gone nobody is left to tell.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
