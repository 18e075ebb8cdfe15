//! Guests that trap, loop, eat memory, ask for other hosts or break the contract: the host
//! survives, says what is wrong, and nothing is lost.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod support;

use std::time::Duration;

use m365_audit_core::Level;
use m365_audit_host::{Outcome, RunError};
use m365_audit_wasm_tests::guest::Recipe;
use support::{Setting, everything, load};

/// Does `what` on every third call of an instance.
fn on_third_call(what: &str) -> String {
    format!("(if (i32.eq (local.get $calls) (i32.const 3)) (then {what}))")
}

/// Endless.
const LOOP: &str = "(loop $for_ever (br $for_ever))";

/// Takes pages until there are no more.
const EAT: &str = "(loop $more (drop (memory.grow (i32.const 16))) (br $more))";

#[track_caller]
fn all_arrives_once(setting: Setting, misbehaviour: &str, said: &str) {
    let guest = Recipe { misbehaviour, ..Recipe::default() }.make();
    let (ended, log, lines) = setting.run(&guest);
    assert!(matches!(ended, Ok(Some(Outcome::Complete))), "{ended:?}");
    assert_eq!(lines, everything());
    let errors = log.at(Level::Error);
    assert!(errors.iter().all(|line| line.contains(said)), "{errors:?}");
    // Two of three calls get on, the third costs the instance.
    assert_eq!(errors.len(), everything().len() / 2 - 1);
}

#[test]
fn a_guest_that_behaves_leaves_no_error() {
    let (ended, log, lines) = Setting::new().run(&Recipe::default().make());
    assert!(matches!(ended, Ok(Some(Outcome::Complete))), "{ended:?}");
    assert_eq!(lines, everything());
    assert_eq!(log.at(Level::Error), Vec::<String>::new());
}

#[test]
fn a_guest_that_traps_at_every_third_call_loses_nothing() {
    all_arrives_once(
        Setting::new(),
        &on_third_call("unreachable"),
        "wasm `unreachable` instruction executed; a fresh instance goes on from the stored state",
    );
}

#[test]
fn a_guest_that_never_returns_is_stopped_and_loses_nothing() {
    let mut setting = Setting::new();
    setting.sandbox.call_timeout = Duration::from_secs(2);
    all_arrives_once(setting, &on_third_call(LOOP), "did not return within 2 s (call_timeout)");
}

#[test]
fn a_guest_that_eats_memory_is_stopped_and_loses_nothing() {
    all_arrives_once(
        Setting::new(),
        &on_third_call(EAT),
        "it asked for 16908288 bytes of memory and may have 16000000; remedy: raise memory_max",
    );
}

#[test]
fn a_guest_that_always_traps_is_given_up_if_there_is_an_end() {
    let guest = Recipe { misbehaviour: "unreachable", ..Recipe::default() }.make();
    let mut setting = Setting::new();
    setting.attempts_max = 3;
    let (ended, log, lines) = setting.run(&guest);
    let error = ended.unwrap_err().to_string();
    assert!(
        error.starts_with("given up after 3 attempts in a row: the component failed"),
        "{error}"
    );
    // The last failure is the answer itself: nothing follows from it any more.
    assert_eq!(log.at(Level::Error).len(), 2);
    assert_eq!(lines, Vec::<String>::new());
}

#[test]
fn a_guest_that_says_another_count_than_there_is_is_not_believed() {
    let (ended, _, lines) = Setting::new().run(&Recipe { count: 2, ..Recipe::default() }.make());
    let error = ended.unwrap_err().to_string();
    assert!(error.contains("broke its contract: a batch has 1 lines and says 2"), "{error}");
    assert_eq!(lines, Vec::<String>::new());
}

#[test]
fn a_guest_that_asks_another_host_is_denied_in_words() {
    let imports = (
        "import wasi:http/types@0.2.0; import wasi:http/outgoing-handler@0.2.0;",
        r#"(import "wasi:http/types@0.2.0" "[constructor]fields" (func $fields (result i32)))
           (import "wasi:http/types@0.2.0" "[constructor]outgoing-request"
             (func $request (param i32) (result i32)))
           (import "wasi:http/types@0.2.0" "[method]outgoing-request.set-authority"
             (func $authority (param i32 i32 i32 i32) (result i32)))
           (import "wasi:http/types@0.2.0" "[method]outgoing-request.set-path-with-query"
             (func $path (param i32 i32 i32 i32) (result i32)))
           (import "wasi:http/outgoing-handler@0.2.0" "handle"
             (func $handle (param i32 i32 i32 i32)))
           (data (i32.const 3584) "evil.example/")"#,
    );
    // Asks in every call, and goes on.
    let misbehaviour = "(local.set $i (call $request (call $fields)))
        (drop (call $authority (local.get $i) (i32.const 1) (i32.const 3584) (i32.const 12)))
        (drop (call $path (local.get $i) (i32.const 1) (i32.const 3596) (i32.const 1)))
        (call $handle (local.get $i) (i32.const 0) (i32.const 0) (i32.const 3840))
        ;; A future came back: the denial is in it.
        (if (i32.ne (i32.load8_u (i32.const 3840)) (i32.const 0)) (then unreachable))";
    let guest = Recipe { misbehaviour, imports, ..Recipe::default() }.make();
    let (ended, log, lines) = Setting::new().run(&guest);
    assert!(matches!(ended, Ok(Some(Outcome::Complete))), "{ended:?}");
    assert_eq!(lines, everything());
    let denial = "request to https://evil.example denied: the component may reach \
                  http://127.0.0.1:9 only, the addresses of the configuration (cloud, login_url, \
                  api_url, portal_url)";
    assert_eq!(log.at(Level::Error), [denial]);
}

#[test]
fn a_sink_that_fails_for_a_while_is_given_the_same_records_again() {
    let mut setting = Setting::new();
    setting.sink.failures = vec![(1, true), (7, true), (8, true)];
    let (ended, log, lines) = setting.run(&Recipe::default().make());
    assert!(matches!(ended, Ok(Some(Outcome::Complete))), "{ended:?}");
    assert_eq!(lines, everything());
    // Twice it failed for a while; what fails again is told at ERROR only once.
    let not_taken = |level| {
        let lines = log.at(level).into_iter();
        lines.filter(|line| line.starts_with("1 records were not taken: told to fail")).count()
    };
    assert_eq!((not_taken(Level::Error), not_taken(Level::Debug)), (2, 1));
    assert_eq!(log.at(Level::Error).len(), 2);
    assert_eq!(
        log.at(Level::Info).iter().filter(|line| *line == "records are taken again").count(),
        2
    );
}

#[test]
fn a_sink_that_cannot_recover_ends_the_run() {
    let mut setting = Setting::new();
    setting.sink.failures = vec![(3, false)];
    let (ended, _, lines) = setting.run(&Recipe::default().make());
    assert!(matches!(ended, Err(RunError::Sink(_))), "{ended:?}");
    assert_eq!(lines, everything()[..2]);
}

#[test]
fn what_is_no_component_of_this_contract_is_refused_in_words() {
    let version = |version| Recipe { version, ..Recipe::default() }.make();
    let good = version("0.1.0");
    let core = wat::parse_str("(module)").unwrap();
    let empty = wat::parse_str("(component)").unwrap();
    let import = wat::parse_str("(component (import \"other:host/api\" (instance)))").unwrap();
    let cases: [(&[u8], &str); 8] = [
        (b"", "not a WebAssembly file"),
        (b"#!/bin/sh\n", "not a WebAssembly file"),
        (&core, "a core WebAssembly module, not a component"),
        (&good[..good.len() / 2], "not a usable component"),
        (&empty, "does not export m365-audit:source/source@0.1.0"),
        (&import, "does not export m365-audit:source/source@0.1.0"),
        (
            &version("0.2.0"),
            "speaks m365-audit:source/source@0.2.0, this host m365-audit:source/source@0.1.0",
        ),
        (&version("1.0.0"), "speaks m365-audit:source/source@1.0.0"),
    ];
    for (bytes, said) in cases {
        let error = load(bytes).unwrap_err().to_string();
        assert!(error.starts_with("guest.wasm: ") && error.contains(said), "{error}");
    }
    assert!(load(&good).is_ok());
    let missing = m365_audit_host::Component::from_file("/none.wasm".as_ref()).unwrap_err();
    assert!(missing.to_string().contains("cannot be read"), "{missing}");
}

#[test]
fn a_guest_that_wants_more_than_wasi_is_refused_in_words() {
    let imports = ("import beyond: func();", r#"(import "$root" "beyond" (func $beyond))"#);
    let guest = Recipe { misbehaviour: "(call $beyond)", imports, ..Recipe::default() }.make();
    let error = load(&guest).unwrap_err().to_string();
    assert!(error.contains("wants what this host does not give"), "{error}");
    assert!(error.contains("beyond"), "{error}");
}
