//! The component: `m365-audit:source` of `wit/source.wit`, exported over the core.
//!
//! Thin. Everything about Microsoft is the core's; this crate answers calls (`session`), speaks
//! `wasi:http` (`http`) and converts values. It imports only `wasi:*`.
//!
//! It also compiles for the machine at hand, so that lints and tests need no WASM target; there the
//! calls to `wasi:*` do not work.

#![deny(unsafe_code)]

mod check;
mod describe;
mod fault;
mod http;
mod notes;
mod session;
mod settings;
#[cfg(test)]
mod simulated;

use std::cell::RefCell;

use m365_audit_core::{Collector, Stored};
use wasip2::random::random::get_random_bytes;

use crate::bindings::exports::m365_audit::source::source::{
    Batch, Cause, Entry, Failure, Guest, Limits, Resume,
};
use crate::http::Http;
use crate::session::{Session, Wire};
use crate::settings::Settings;

/// What wit-bindgen makes of the WIT.
#[allow(unsafe_code, missing_docs, unreachable_pub, reason = "generated")]
#[allow(clippy::all, clippy::pedantic, clippy::restriction, reason = "generated")]
mod bindings {
    // The macro, and with it what is said of exports, is for whoever calls it: see the feature.
    wit_bindgen::generate!({
        path: "../../wit",
        world: "log-source",
        generate_all,
        pub_export_macro: true,
    });
    // No linker but that for WASM takes such names. The others link, so that this crate is built
    // with all the rest: to leave it out would change features, and compile the rest again.
    #[cfg(all(target_arch = "wasm32", feature = "exports"))]
    export!(Component with_types_in self);
    #[cfg(all(target_arch = "wasm32", feature = "exports"))]
    use super::Component;
}

/// The interface as Rust has it, for whoever hosts the component in the same file.
pub use bindings::exports::m365_audit::source::source as interface;

/// Answers the host's calls.
#[derive(Debug)]
pub struct Component;

/// A session and the configuration that it was made from.
struct Held {
    config: String,
    session: Session<Http>,
}

thread_local! {
    /// What `committed` goes on with. A component has one thread, and calls do not overlap.
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

impl Guest for Component {
    fn describe() -> String {
        describe::describe()
    }

    fn check(config: String) -> Result<(), Failure> {
        let settings = Settings::parse(&config)?;
        check::check(settings.config, &mut Http::new(), seed())
    }

    fn poll(config: String, resume: Resume, limits: Limits) -> Result<Batch, Failure> {
        HELD.with_borrow_mut(|held| {
            let stored = match resume {
                Resume::Committed => return go_on(held, &config, &limits),
                Resume::Fresh => Stored::new(),
                Resume::Stored(entries) => stored(entries),
            };
            // First of all, so that nothing of it runs on should the rest fail.
            *held = None;
            let session = begin(&config, &stored, &limits)?;
            held.insert(Held { config, session }).session.poll(&limits)
        })
    }
}

/// One by one: to collect them would sort them first, which takes kilobytes of code.
fn stored(entries: Vec<Entry>) -> Stored {
    let mut stored = Stored::new();
    for Entry { key, value } in entries {
        stored.insert(key, value);
    }
    stored
}

/// Starts from what is stored.
fn begin(config: &str, stored: &Stored, limits: &Limits) -> Result<Session<Http>, Failure> {
    let settings = Settings::parse(config)?;
    let envelope = settings.config.envelope().clone();
    let config = settings.config.batch_bytes_max(session::bytes_max(limits));
    let mut http = Http::new();
    let collector = Collector::new(config, stored, seed(), http.now())
        .map_err(|error| fault::new(Cause::Permanent, error.to_string()))?;
    Ok(Session::new(collector, http, envelope))
}

/// A number that nobody can guess.
fn seed() -> u128 {
    get_random_bytes(16).first_chunk().map_or(0, |seed| u128::from_le_bytes(*seed))
}

/// Goes on with the session of the call before.
fn go_on(held: &mut Option<Held>, config: &str, limits: &Limits) -> Result<Batch, Failure> {
    let needed = match held {
        Some(held) if held.config == config => return held.session.poll(limits),
        Some(_) => "the configuration has changed",
        None => "this instance has nothing to go on from",
    };
    Err(fault::new(
        Cause::StateRequired,
        format!("{needed}; remedy: call poll with stored and the whole stored state"),
    ))
}
