//! One instance of a component in its sandbox: no file, no variable of the environment, no socket;
//! HTTP to the allowed origins, bounded memory, bounded time.
//!
//! A guest that has failed once is spent: whoever calls it drops it and makes another.
//!
//! One mechanism for a guest that computes for ever and for one that waits for ever: it gives way
//! at every tick of an epoch, and a timer drops the call. So requests get their turn on the one
//! thread while it computes.

use std::time::Duration;

use m365_audit_core::Secret;
use tokio::time::error::Elapsed;
use wasmtime::Store;

use crate::bindings::{self, Batch, Failure, LogSource, Resume};
use crate::component::{Component, words};
use crate::sandbox::{Sandbox, State};

/// Why a call has failed. The guest is spent.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It did not return in time.
    #[error("the component did not return within {} s (call_timeout) and was stopped", .0.as_secs())]
    Timeout(Duration),
    /// It trapped, or went beyond a limit.
    #[error("the component failed: {0}")]
    Trap(String),
    /// What it returned breaks the contract.
    #[error("the component broke its contract: {0}")]
    Contract(String),
}

/// One instance.
pub struct Guest {
    store: Store<State>,
    source: LogSource,
    call_timeout: Duration,
    check_timeout: Duration,
}

impl Guest {
    /// Makes an instance.
    ///
    /// # Errors
    /// It traps, or does not come to an end.
    pub async fn new(component: &Component, sandbox: &Sandbox) -> Result<Self, CallError> {
        let mut store = Store::new(component.engine(), State::new(sandbox));
        store.limiter(|state| state.limits());
        // A guest that computes gives way at every tick: to its own requests, to its deadline.
        store.epoch_deadline_async_yield_and_update(1);
        let _running = component.running();
        let limit = sandbox.call_timeout;
        let instance = component.pre().instantiate_async(&mut store);
        let source = ended(limit, tokio::time::timeout(limit, instance).await)?;
        let (call_timeout, check_timeout) = (sandbox.call_timeout, sandbox.check_timeout);
        Ok(Self { store, source, call_timeout, check_timeout })
    }

    /// What the component says about itself, as JSON.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn describe(&mut self, component: &Component) -> Result<String, CallError> {
        let _running = component.running();
        let limit = self.call_timeout;
        let call = self.source.m365_audit_source_source().call_describe(&mut self.store);
        let result = tokio::time::timeout(limit, call).await;
        self.finish(limit, result)
    }

    /// Tries a configuration.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn check(
        &mut self,
        component: &Component,
        config: &Secret<String>,
    ) -> Result<Result<(), Failure>, CallError> {
        let _running = component.running();
        let limit = self.check_timeout;
        let source = self.source.m365_audit_source_source();
        let call = source.call_check(&mut self.store, config.expose());
        let result = tokio::time::timeout(limit, call).await;
        self.finish(limit, result)
    }

    /// Collects.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) async fn poll(
        &mut self,
        component: &Component,
        config: &Secret<String>,
        resume: &Resume,
        limits: bindings::Limits,
    ) -> Result<Result<Batch, Failure>, CallError> {
        let _running = component.running();
        let limit = self.call_timeout;
        let source = self.source.m365_audit_source_source();
        let call = source.call_poll(&mut self.store, config.expose(), resume, limits);
        let result = tokio::time::timeout(limit, call).await;
        let result = self.finish(limit, result)?;
        if let Ok(batch) = &result {
            check_contract(batch).map_err(CallError::Contract)?;
        }
        Ok(result)
    }

    /// Bytes of linear memory that it has taken.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes()
    }

    fn finish<T>(
        &self,
        limit: Duration,
        result: Result<wasmtime::Result<T>, Elapsed>,
    ) -> Result<T, CallError> {
        self.store.data().finish_outputs();
        ended(limit, result)
    }
}

fn ended<T>(limit: Duration, result: Result<wasmtime::Result<T>, Elapsed>) -> Result<T, CallError> {
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(CallError::Trap(words(&error))),
        Err(_) => Err(CallError::Timeout(limit)),
    }
}

/// What a host relies on in a batch, whoever made the component.
fn check_contract(batch: &Batch) -> Result<(), String> {
    if !batch.ndjson.is_empty() && !batch.ndjson.ends_with('\n') {
        return Err("the last line of a batch has no end".into());
    }
    let lines = batch.ndjson.bytes().filter(|byte| *byte == b'\n').count();
    if u32::try_from(lines) != Ok(batch.count) {
        return Err(format!("a batch has {lines} lines and says {}", batch.count));
    }
    Ok(())
}

impl std::fmt::Debug for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guest")
    }
}
