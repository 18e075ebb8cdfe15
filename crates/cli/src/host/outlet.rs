//! What the tenants of a host bring records to: one output, or connections to one receiver.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use m365_audit_core::{Config, MetadataPlace};
use m365_audit_sinks::{Flow, Logger, SharedReceiver};

use crate::host::sink::{Network, Target};
use crate::output::{Memory, SharedOutput};
use crate::run::Destination;

/// Where records go, of one tenant or of many.
#[derive(Debug)]
pub(super) enum Outlet {
    /// A file or stdout.
    Lines(SharedOutput),
    /// Connections to a receiver, each of some of the tenants.
    Network {
        receivers: Vec<SharedReceiver>,
        /// Where metadata are if nobody has said it.
        metadata: MetadataPlace,
    },
}

impl Outlet {
    /// With so many connections, if it is over a network.
    pub(super) fn new(
        destination: Destination,
        connections: usize,
        logger: &Logger,
    ) -> Result<Self, String> {
        let options = match destination {
            Destination::Lines(output) => return Ok(Self::Lines(Arc::new(Mutex::new(*output)))),
            Destination::Network(options) => options,
        };
        let mut receivers = Vec::new();
        while receivers.len() < connections {
            let receiver = options.receiver(logger).map_err(|error| error.to_string())?;
            let receiver = receiver.ok_or("sink: none over a network")?;
            receivers.push(SharedReceiver::new(receiver));
        }
        Ok(Self::Network { receivers, metadata: options.metadata() })
    }

    /// The output, if it is one of lines.
    pub(super) const fn output(&self) -> Option<&SharedOutput> {
        match self {
            Self::Lines(output) => Some(output),
            Self::Network { .. } => None,
        }
    }

    /// Where metadata are if nobody has said it.
    pub(super) const fn metadata(&self) -> MetadataPlace {
        match self {
            Self::Lines(_) => MetadataPlace::Off,
            Self::Network { metadata, .. } => *metadata,
        }
    }

    /// What one tenant brings its records to.
    pub(super) fn target(&self, config: &Config) -> Target {
        match self {
            Self::Lines(output) => Target::Lines(Arc::clone(output), Memory::new()),
            Self::Network { receivers, metadata } => {
                let envelope = config.envelope().clone().or(*metadata);
                let flow = Flow::new(config.tenant_id(), &envelope);
                let mut hasher = DefaultHasher::new();
                flow.tenant_id.hash(&mut hasher);
                // Which one it is does not matter, only that it stays the same.
                let lane = usize::try_from(hasher.finish() >> 33).unwrap_or(0);
                let receiver = receivers[lane % receivers.len()].clone();
                Target::Network(Box::new(Network::new(Box::new(receiver), flow)))
            }
        }
    }
}
