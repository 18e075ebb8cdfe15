//! What a guest is let have: its ways to the network, its memory, its time, where its outputs go.
//! And what wasmtime keeps of that for one instance.

use std::sync::Arc;
use std::time::Duration;

use m365_audit_core::Level;
use m365_audit_sinks::Logger;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::allow::AllowList;
use crate::http::{Clients, GuestHttp};
use crate::limits::Limits;
use crate::stdio::GuestOutput;

/// What guests are given.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// The ways to the network; `None` for none.
    pub clients: Option<Clients>,
    /// Where it may lead.
    pub allowed: Arc<AllowList>,
    /// Most bytes of linear memory.
    pub memory_bytes_max: usize,
    /// Most bytes of records that a call of `poll` is asked to return. Of a batch that is delivered
    /// and not recorded yet, all is delivered again after a crash.
    pub batch_bytes_max: u32,
    /// Longest time of one call of `poll` or `describe`, instantiation included.
    pub call_timeout: Duration,
    /// Longest time of one call of `check`, which makes two requests.
    pub check_timeout: Duration,
    /// Where stdout, stderr and denials go.
    pub logger: Logger,
}

/// What hosts of instances share with them. Opaque.
pub(crate) struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    http_context: WasiHttpCtx,
    http: GuestHttp,
    limits: Limits,
    outputs: [GuestOutput; 2],
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.http,
            table: &mut self.table,
            ctx: &mut self.http_context,
        }
    }
}

impl State {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        let output = |level| GuestOutput::new(sandbox.logger.clone(), level);
        let [stdout, stderr] = [output(Level::Info), output(Level::Warn)];
        // Nothing is inherited: no environment, no arguments, no files, no sockets, no stdin.
        let wasi = WasiCtx::builder()
            .stdout(stdout.clone())
            .stderr(stderr.clone())
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        let allowed = Arc::clone(&sandbox.allowed);
        Self {
            wasi,
            table: ResourceTable::new(),
            http_context: WasiHttpCtx::new(),
            http: GuestHttp::new(sandbox.clients.clone(), allowed, sandbox.logger.clone()),
            limits: Limits::new(sandbox.memory_bytes_max),
            outputs: [stdout, stderr],
        }
    }

    /// What is asked before its memory grows.
    pub(crate) const fn limits(&mut self) -> &mut Limits {
        &mut self.limits
    }

    /// Bytes of linear memory that the guest has taken.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.limits.memory_bytes()
    }

    /// Hands on what was written without a line feed: a panic's last words may lack one.
    pub(crate) fn finish_outputs(&self) {
        self.outputs.iter().for_each(GuestOutput::finish);
    }
}
