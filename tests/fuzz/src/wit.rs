//! Values of the WIT as any component may return them, whatever its memory holds: what the host
//! lifts is what the canonical ABI says is there, what breaks the contract is refused, and the host
//! goes on.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use m365_audit_host::fuzzing::Caller;
use m365_audit_host::{
    AllowList, Batch, CallError, Component, Failure, Logger, NoteLevel, Sandbox,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where the result of a call begins, and what is ours up to where the host puts its texts.
const RESULT: usize = 1_024;
const HEAP: usize = 8_192;
const MEMORY: usize = 65_536;

/// A component that decodes its configuration, two letters a byte, into its own memory, and answers
/// that its result is there.
const GUEST: &str = r#"(module
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 8192))
  (global $used (mut i32) (i32.const 8192))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.set $free (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (func (export "m365-audit:source/source@0.1.0#describe") (result i32) (i32.const 1024))
  (func (export "m365-audit:source/source@0.1.0#check") (param i32 i32) (result i32)
    (i32.const 1024))
  (func (export "m365-audit:source/source@0.1.0#poll")
    (param $config i32) (param $length i32) (param i32 i32 i32 i32 i32 i32) (result i32)
    (local $from i32) (local $to i32)
    (memory.fill (i32.const 0) (i32.const 0) (i32.const 8192))
    (local.set $from (i32.add (local.get $config) (local.get $length)))
    (if (i32.gt_u (global.get $free) (global.get $used))
      (then (global.set $used (global.get $free))))
    (if (i32.gt_u (global.get $used) (local.get $from))
      (then (memory.fill (local.get $from) (i32.const 0)
        (i32.sub (global.get $used) (local.get $from)))))
    (global.set $used (local.get $from))
    (local.set $from (local.get $config))
    (local.set $to (i32.const 1024))
    (block $done (loop $next
      (br_if $done (i32.ge_u (local.get $from)
        (i32.add (local.get $config) (local.get $length))))
      (i32.store8 (local.get $to) (i32.or
        (i32.shl (i32.sub (i32.load8_u (local.get $from)) (i32.const 97)) (i32.const 4))
        (i32.sub (i32.load8_u offset=1 (local.get $from)) (i32.const 97))))
      (local.set $from (i32.add (local.get $from) (i32.const 2)))
      (local.set $to (i32.add (local.get $to) (i32.const 1)))
      (br $next)))
    (global.set $free (i32.const 8192))
    (i32.const 1024)))"#;

thread_local! {
    static CALLER: RefCell<Caller> = RefCell::new(caller());
}

fn caller() -> Caller {
    let mut resolve = Resolve::default();
    resolve.push_str("source.wit", include_str!("../../../wit/source.wit")).expect("our WIT");
    let text = "package test:guest; world guest { export m365-audit:source/source@0.1.0; }";
    let package = resolve.push_str("guest.wit", text).expect("a world");
    let world = resolve.select_world(&[package], Some("guest")).expect("that world");
    let mut module = wat::parse_str(GUEST).expect("a module");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a world");
    let mut encoder = ComponentEncoder::default().module(&module).expect("a module");
    let bytes = encoder.encode().expect("a component");
    let component = Component::from_bytes(&bytes, "guest.wasm").expect("it is taken");
    let ample = Duration::from_secs(60);
    Caller::new(
        component,
        Sandbox {
            clients: None,
            allowed: Arc::new(AllowList::new(std::iter::empty())),
            memory_bytes_max: 1 << 20,
            batch_bytes_max: 1 << 20,
            call_timeout: ample,
            check_timeout: ample,
            logger: Logger::new(|_, _| {}),
        },
    )
}

/// Calls the component that returns these bytes.
pub(crate) fn check(data: &[u8]) {
    let data = &data[..data.len().min(HEAP - RESULT)];
    let config: String =
        data.iter().flat_map(|byte| [byte >> 4, byte & 15].map(|n| char::from(b'a' + n))).collect();
    let mut memory = vec![0; MEMORY];
    memory[HEAP..HEAP + config.len()].copy_from_slice(config.as_bytes());
    memory[RESULT..RESULT + data.len()].copy_from_slice(data);
    let expected = result(&Memory(&memory));
    let found = CALLER.with_borrow_mut(|caller| caller.poll(config));
    match (expected, found) {
        (None, Err(CallError::Trap(_))) => {}
        (Some(Ok(expected)), Ok(Ok(batch))) => {
            assert!(expected.keeps_contract(), "a broken contract was let in: {batch:?}");
            assert_eq!(expected, Plain::of_batch(&batch));
        }
        (Some(Ok(expected)), Err(CallError::Contract(_))) => assert!(!expected.keeps_contract()),
        (Some(Err(expected)), Ok(Err(failure))) => {
            assert_eq!(expected, Plain::of_failure(&failure))
        }
        (expected, found) => panic!("{expected:?}, but {found:?}"),
    }
}

/// Name, kind, labels, and the bits of the value.
type PlainMetric = (String, u8, Vec<(String, String)>, u64);

/// What was lifted, without the generated types.
#[derive(Debug, Default, PartialEq)]
struct Plain {
    text: String,
    /// `count` and `wait-ms`, or the cause and `retry-after-ms`.
    numbers: (u32, Option<u32>),
    more: bool,
    changes: Vec<(String, Option<String>)>,
    finished: Option<u8>,
    notes: Vec<(u8, String, String)>,
    metrics: Vec<PlainMetric>,
}

impl Plain {
    fn of_batch(batch: &Batch) -> Self {
        Self {
            text: batch.ndjson.clone(),
            numbers: (batch.count, Some(batch.wait_ms)),
            more: batch.more,
            changes: batch.changes.iter().map(|c| (c.key.clone(), c.value.clone())).collect(),
            finished: batch.finished.map(|outcome| outcome as u8),
            notes: batch.notes.iter().map(note).collect(),
            metrics: batch
                .metrics
                .iter()
                .map(|metric| {
                    let labels = metric.labels.iter();
                    let labels = labels.map(|l| (l.name.clone(), l.value.clone())).collect();
                    (metric.name.clone(), metric.kind as u8, labels, bits(metric.value))
                })
                .collect(),
        }
    }

    fn of_failure(failure: &Failure) -> Self {
        Self {
            text: failure.message.clone(),
            numbers: (failure.cause as u32, failure.retry_after_ms),
            notes: failure.notes.iter().map(note).collect(),
            ..Self::default()
        }
    }

    /// What a host relies on.
    fn keeps_contract(&self) -> bool {
        let lines = self.text.split_inclusive('\n').filter(|line| line.ends_with('\n')).count();
        (self.text.is_empty() || self.text.ends_with('\n'))
            && lines as u64 == u64::from(self.numbers.0)
    }
}

fn note(note: &m365_audit_host::Note) -> (u8, String, String) {
    let level: NoteLevel = note.level;
    (level as u8, note.code.clone(), note.message.clone())
}

/// All numbers that are none are one.
fn bits(value: f64) -> u64 {
    if value.is_nan() { u64::MAX } else { value.to_bits() }
}

/// A memory, read as the canonical ABI says: `None` is a trap.
struct Memory<'a>(&'a [u8]);

impl Memory<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    fn number(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*self.0.get(at..)?.first_chunk()?))
    }

    fn case(&self, at: usize, cases: u8) -> Option<u8> {
        self.byte(at).filter(|case| *case < cases)
    }

    fn text(&self, at: usize) -> Option<String> {
        let (start, length) = (self.number(at)? as usize, self.number(at + 4)? as usize);
        let bytes = self.0.get(start..start.checked_add(length)?)?;
        String::from_utf8(bytes.to_vec()).ok()
    }

    fn list<T>(
        &self,
        at: usize,
        (size, align): (usize, usize),
        element: impl Fn(usize) -> Option<T>,
    ) -> Option<Vec<T>> {
        let (start, count) = (self.number(at)? as usize, self.number(at + 4)? as usize);
        let end = start.checked_add(count.checked_mul(size)?)?;
        if !start.is_multiple_of(align) || self.0.len() < end {
            return None;
        }
        (0..count).map(|index| element(start + index * size)).collect()
    }

    fn option<T>(&self, at: usize, value: impl FnOnce() -> Option<T>) -> Option<Option<T>> {
        match self.byte(at)? {
            0 => Some(None),
            1 => value().map(Some),
            _ => None,
        }
    }

    fn notes(&self, at: usize) -> Option<Vec<(u8, String, String)>> {
        self.list(at, (20, 4), |at| {
            Some((self.case(at, 4)?, self.text(at + 4)?, self.text(at + 12)?))
        })
    }
}

fn result(memory: &Memory<'_>) -> Option<Result<Plain, Plain>> {
    let at = RESULT + 4;
    match memory.byte(RESULT)? {
        0 => Some(Ok(Plain {
            text: memory.text(at)?,
            numbers: (memory.number(at + 8)?, Some(memory.number(at + 24)?)),
            changes: memory.list(at + 12, (20, 4), |at| {
                let value = memory.option(at + 8, || memory.text(at + 12))?;
                Some((memory.text(at)?, value))
            })?,
            more: memory.byte(at + 20)? != 0,
            finished: memory.option(at + 28, || memory.case(at + 29, 2))?,
            notes: memory.notes(at + 32)?,
            metrics: memory.list(at + 40, (32, 8), |at| {
                let labels = memory
                    .list(at + 12, (16, 4), |at| Some((memory.text(at)?, memory.text(at + 8)?)))?;
                let value = f64::from_le_bytes(*memory.0.get(at + 24..)?.first_chunk()?);
                Some((memory.text(at)?, memory.case(at + 8, 2)?, labels, bits(value)))
            })?,
        })),
        1 => Some(Err(Plain {
            numbers: (
                memory.case(at, 6)?.into(),
                memory.option(at + 12, || memory.number(at + 16))?,
            ),
            text: memory.text(at + 4)?,
            notes: memory.notes(at + 20)?,
            ..Plain::default()
        })),
        _ => None,
    }
}
