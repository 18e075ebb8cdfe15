//! How other threads reach a running fleet. Sending never blocks.

use std::sync::mpsc::Sender;
use std::time::Duration;

use m365_audit_core::ContentRef;

use super::life::Ended;

#[derive(Debug)]
pub(super) enum Message {
    Ended { name: Box<str>, start: u64, how: Ended },
    Hint { tenant_id: Box<str>, content: ContentRef },
    LookAgain,
    Shutdown(Duration),
}

/// Reaches a [`Fleet`](crate::Fleet) from any thread, also after it has gone.
#[derive(Clone, Debug)]
pub struct FleetHandle(Sender<Message>);

impl FleetHandle {
    pub(super) const fn new(sender: Sender<Message>) -> Self {
        Self(sender)
    }

    /// Ends all runs, as [`Handle::shutdown`](crate::Handle::shutdown) does.
    pub fn shutdown(&self, grace: Duration) {
        // Fails only if the fleet has gone.
        let _ = self.0.send(Message::Shutdown(grace));
    }

    /// Reads the file of the tenants again, and each one's credential: see
    /// [`Handle::look_again`](crate::Handle::look_again).
    pub fn look_again(&self) {
        let _ = self.0.send(Message::LookAgain);
    }

    /// Somebody says that this content of this tenant exists. See
    /// [`Handle::hint`](crate::Handle::hint).
    pub fn hint(&self, tenant_id: &str, content: ContentRef) {
        let _ = self.0.send(Message::Hint { tenant_id: tenant_id.into(), content });
    }
}
