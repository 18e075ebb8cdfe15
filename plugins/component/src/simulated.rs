//! The simulated Microsoft as a session's way to the world, in virtual time.

use std::time::Duration;

use m365_audit_core::{
    Config, Input, Now, Operation, RawOptions, Request, RequestId, TransportError,
    TransportErrorKind,
};
use m365_audit_world::{Chunks, START_MS, Setting, World};
use m365_sim::{Microsoft, SimConfig};

use crate::session::Wire;

/// The simulator as a session's way to the world.
pub(crate) struct Simulated {
    pub(crate) microsoft: Microsoft,
    pub(crate) world: World,
    pub(crate) sent: Vec<Operation>,
    /// Where the host lets nothing go, and whether that was found out.
    pub(crate) denies: Option<&'static str>,
    denied: bool,
    /// Whether nothing gets through at the moment.
    pub(crate) cut: bool,
}

impl Simulated {
    pub(crate) fn new(config: SimConfig) -> Self {
        let chunks = Chunks::Drawn { bytes_max: 16_384 };
        Self {
            microsoft: Microsoft::new(config, START_MS),
            world: World::new(Setting { chunks, ..Setting::calm(START_MS, 1) }),
            sent: Vec::new(),
            denies: None,
            denied: false,
            cut: false,
        }
    }
}

impl Wire for Simulated {
    fn now(&mut self) -> Now {
        self.world.now()
    }

    fn entropy(&mut self) -> [u8; 32] {
        self.world.entropy()
    }

    fn send(&mut self, id: RequestId, request: Request, timeout: Duration) {
        self.sent.push(request.operation);
        if self.denies.is_some() || self.cut {
            self.denied = self.denies.is_some();
            let kind = TransportErrorKind::Connect;
            let message = if self.denied { "denied" } else { "network is unreachable" };
            let error = TransportError { kind, message: message.into() };
            return self.world.tell(0, Input::End { id, result: Err(error) });
        }
        self.world.send(&mut self.microsoft, id, &request, timeout);
    }

    fn read(&mut self, id: RequestId) {
        self.world.read(id);
    }

    fn cancel(&mut self, id: RequestId) {
        self.world.cancel(id);
    }

    fn is_idle(&self) -> bool {
        self.world.is_idle()
    }

    fn denied(&self) -> Option<&str> {
        self.denies.filter(|_| self.denied)
    }

    fn wait(&mut self, timeout: Duration, inputs: &mut Vec<Input>) {
        self.world.pass(Some(timeout), i64::MAX, inputs);
    }
}

pub(crate) fn world() -> SimConfig {
    SimConfig { seed: 7, days: 0.1, live: false, ..SimConfig::default() }
}

pub(crate) fn config(wire: &Simulated, changes: &[(&str, &str)]) -> Config {
    let tenant = wire.microsoft.tenants()[0].clone();
    let mut raw: RawOptions = [
        ("tenant_id", tenant.id.to_string()),
        ("client_id", tenant.apps[0].client_id.to_string()),
        ("client_secret", tenant.apps[0].secret().unwrap().to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect();
    raw.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Config::parse(&raw).unwrap()
}
