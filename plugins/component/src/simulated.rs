//! The simulated Microsoft as a session's way to the world, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use m365_audit_core::{
    Config, Input, Now, Operation, RawOptions, Request, RequestId, TransportError,
    TransportErrorKind, Utc,
};
use m365_audit_tests::simulation::{Arrival, Draw, Network};
use m365_sim::{Microsoft, SimConfig};

use crate::session::Wire;

/// 2026-07-15T12:00:00Z.
const START_MS: i64 = 1_784_116_800_000;

/// The simulator as a session's way to the world.
pub(crate) struct Simulated {
    pub(crate) microsoft: Microsoft,
    network: Network,
    draw: Draw,
    pub(crate) now_ms: i64,
    arrivals: BTreeMap<(i64, u64), Input>,
    arrived: u64,
    pub(crate) sent: Vec<Operation>,
    /// Where the host lets nothing go, and whether that was found out.
    pub(crate) denies: Option<&'static str>,
    denied: bool,
}

impl Simulated {
    pub(crate) fn new(config: SimConfig) -> Self {
        Self {
            microsoft: Microsoft::new(config, START_MS),
            network: Network::default(),
            draw: Draw::new(1),
            now_ms: START_MS,
            arrivals: BTreeMap::new(),
            arrived: 0,
            sent: Vec::new(),
            denies: None,
            denied: false,
        }
    }

    fn arrive(&mut self, (after_ms, input): Arrival) {
        self.arrivals.insert((self.now_ms + after_ms, self.arrived), input);
        self.arrived += 1;
    }
}

impl Wire for Simulated {
    fn now(&mut self) -> Now {
        let since = (self.now_ms - START_MS).unsigned_abs();
        Now { monotonic: Duration::from_millis(since), wall: Utc::from_millis(self.now_ms) }
    }

    fn entropy(&mut self) -> [u8; 32] {
        [7; 32]
    }

    fn send(&mut self, id: RequestId, request: Request, timeout: Duration) {
        self.sent.push(request.operation);
        if self.denies.is_some() {
            self.denied = true;
            let kind = TransportErrorKind::Connect;
            let error = TransportError { kind, message: "denied".into() };
            return self.arrive((0, Input::End { id, result: Err(error) }));
        }
        let timeout_ms = i64::try_from(timeout.as_millis()).unwrap();
        let (network, microsoft) = (&mut self.network, &mut self.microsoft);
        let arrival = network.send(microsoft, self.now_ms, id, &request, timeout_ms);
        self.arrive(arrival);
    }

    fn read(&mut self, id: RequestId) {
        if let Some(arrival) = self.network.read(id, 16_384, &mut self.draw) {
            self.arrive(arrival);
        }
    }

    fn cancel(&mut self, id: RequestId) {
        self.network.cancel(id);
    }

    fn is_idle(&self) -> bool {
        self.network.is_empty() && self.arrivals.is_empty()
    }

    fn denied(&self) -> Option<&str> {
        self.denies.filter(|_| self.denied)
    }

    fn wait(&mut self, timeout: Duration, inputs: &mut Vec<Input>) {
        let until_ms = self.now_ms + i64::try_from(timeout.as_millis()).unwrap().max(1);
        let next_ms = self.arrivals.first_key_value().map_or(until_ms, |((at, _), _)| *at);
        self.now_ms = self.now_ms.max(next_ms.min(until_ms));
        while let Some(entry) = self.arrivals.first_entry()
            && entry.key().0 <= self.now_ms
        {
            inputs.push(entry.remove());
        }
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
