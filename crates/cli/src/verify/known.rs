//! What the collector knows, and what it shares with whoever asks Microsoft beside it.

use m365_audit_client::{Settings, inspect_tenant};
use m365_audit_core::{KnownContents, Level, Stored};

use crate::calls::say;
use crate::log::Log;

/// What the collector has stored of the tenant, if a db is configured and can be read.
pub(super) fn stored(settings: &Settings, log: &Log) -> Option<Stored> {
    match inspect_tenant(settings.native.db.as_ref()?, settings.config.tenant_id()) {
        Ok(stored) => Some(stored).filter(|stored| !stored.is_empty()),
        Err(error) => {
            let told = format!("what the collector knows is not told: {error}");
            log.write(Level::Warn, &told);
            None
        }
    }
}

/// The contents that it knows of.
pub(super) fn contents(stored: &Stored, log: &Log) -> Option<KnownContents> {
    let read = KnownContents::read(stored);
    let told = |error| format!("what the collector knows is not told: {error}");
    read.map_err(|error| log.write(Level::Warn, &told(error))).ok()
}

/// Says whose requests these are.
pub(super) fn tell_of_quota(settings: &Settings, log: &Log) {
    let limit = settings.config.requests_per_minute();
    let words = format!(
        "asks Microsoft, with at most {limit} requests a minute (requests_per_minute); a running \
         collector of this tenant shares Microsoft's quota"
    );
    log.write(Level::Info, &words);
    if log.is_quiet() {
        say(&format!("{words}\n"));
    }
}
