//! Components that misbehave, made from WebAssembly text without a toolchain.
//!
//! All of them count: poll returns `{"n":0000}`, `{"n":0001}` … one a call, and keeps the next
//! number as the length of the one value of its state. So a host that goes on from the stored state
//! gets every number, and one that commits too early misses some.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{Resolve, WorldId};

/// How many records a counting guest has.
pub const RECORDS: u32 = 20;

/// The version of the WIT package that the host speaks.
const VERSION: &str = "0.1.0";

/// What a guest is made of.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// Instructions at the beginning of every `poll`. The local `$calls` counts calls of this
    /// instance, from 1.
    pub misbehaviour: &'a str,
    /// What `count` says beside the one line that there is.
    pub count: u32,
    /// The version that it claims to speak.
    pub version: &'a str,
    /// A world's further imports, and the core imports for them.
    pub imports: (&'a str, &'a str),
}

impl Default for Recipe<'_> {
    fn default() -> Self {
        Self { misbehaviour: "", count: 1, version: VERSION, imports: ("", "") }
    }
}

impl Recipe<'_> {
    /// The component.
    ///
    /// # Panics
    /// The recipe is no WebAssembly.
    #[must_use]
    pub fn make(&self) -> Vec<u8> {
        let (resolve, world) = self.world();
        let mut module = wat::parse_str(self.text()).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
    }

    fn world(&self) -> (Resolve, WorldId) {
        let wit = include_str!("../../../wit/source.wit").replace(VERSION, self.version);
        let mut resolve = Resolve::default();
        resolve.push_str("http.wit", include_str!("http.wit")).unwrap();
        resolve.push_str("source.wit", &wit).unwrap();
        let (version, imports) = (self.version, self.imports.0);
        let text = format!(
            "package test:guest; world guest {{ {imports} export m365-audit:source/source@{version}; }}"
        );
        let package = resolve.push_str("guest.wit", &text).unwrap();
        let world = resolve.select_world(&[package], Some("guest")).unwrap();
        (resolve, world)
    }

    fn text(&self) -> String {
        let Self { misbehaviour, count, version, imports: (_, imports) } = self;
        let interface = format!("m365-audit:source/source@{version}");
        // Where results stand: 1024 a result of poll, 1536 one of check, 2048 the line, 2304 the
        // change, 2560 its key, 4096 the letters of its value, 8192 and on what the host puts.
        format!(
            r#"(module
  {imports}
  (memory (export "memory") 2)
  (global $free (mut i32) (i32.const 8192))
  (global $calls (mut i32) (i32.const 0))
  (global $next (mut i32) (i32.const 0))
  (data (i32.const 2048) "{{\"n\":0000}}\n")
  (data (i32.const 2560) "n")
  (data (i32.const 3072) "{{\"name\":\"counting guest\"}}")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "{interface}#describe") (result i32)
    (i32.store (i32.const 1536) (i32.const 3072))
    (i32.store (i32.const 1540) (i32.const 25))
    (i32.const 1536))
  (func (export "{interface}#check") (param i32 i32) (result i32)
    (i32.store8 (i32.const 1536) (i32.const 0))
    (i32.const 1536))
  (func $digit (param $at i32) (param $part i32)
    (i32.store8 (local.get $at)
      (i32.add (i32.const 48)
        (i32.rem_u (i32.div_u (global.get $next) (local.get $part)) (i32.const 10)))))
  (func (export "{interface}#poll")
    (param $config i32) (param $config_length i32)
    (param $resume i32) (param $entries i32) (param $entries_length i32)
    (param i32 i32 i32) (result i32)
    (local $calls i32) (local $i i32)
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
    (local.set $calls (global.get $calls))
    {misbehaviour}
    (if (i32.eq (local.get $resume) (i32.const 0)) (then (global.set $next (i32.const 0))))
    ;; An entry is key and value, each a pointer and a length.
    (if (i32.eq (local.get $resume) (i32.const 1))
      (then (global.set $next
        (if (result i32) (local.get $entries_length)
          (then (i32.load offset=12 (local.get $entries))) (else (i32.const 0))))))
    (memory.fill (i32.const 1024) (i32.const 0) (i32.const 64))
    (call $digit (i32.const 2053) (i32.const 1000))
    (call $digit (i32.const 2054) (i32.const 100))
    (call $digit (i32.const 2055) (i32.const 10))
    (call $digit (i32.const 2056) (i32.const 1))
    (global.set $next (i32.add (global.get $next) (i32.const 1)))
    (memory.fill (i32.const 4096) (i32.const 120) (global.get $next))
    (i32.store offset=4 (i32.const 1024) (i32.const 2048))
    (i32.store offset=8 (i32.const 1024) (i32.const 11))
    (i32.store offset=12 (i32.const 1024) (i32.const {count}))
    ;; One change: key, and some(value).
    (i32.store (i32.const 2304) (i32.const 2560))
    (i32.store (i32.const 2308) (i32.const 1))
    (i32.store8 (i32.const 2312) (i32.const 1))
    (i32.store (i32.const 2316) (i32.const 4096))
    (i32.store (i32.const 2320) (global.get $next))
    (i32.store offset=16 (i32.const 1024) (i32.const 2304))
    (i32.store offset=20 (i32.const 1024) (i32.const 1))
    (i32.store8 offset=24 (i32.const 1024) (i32.const 1))
    (if (i32.ge_u (global.get $next) (i32.const {RECORDS}))
      (then (i32.store8 offset=32 (i32.const 1024) (i32.const 1))))
    (global.set $free (i32.const 8192))
    (i32.const 1024))
)"#
        )
    }
}
