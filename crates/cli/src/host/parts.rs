//! What a host is made of, of one tenant or of many, and how it ends.

use std::fmt::Display;
use std::sync::{Arc, OnceLock};

use m365_audit_client::{Settings, Slot};
use m365_audit_core::{Level, MetadataPlace, Secret};
use m365_audit_host::{AllowList, Clients, HostSettings, Sandbox};
use m365_audit_sinks::Logger;

use crate::exit::{INCOMPLETE, MISCONFIGURED};
use crate::log::Log;
use crate::run;

/// An exit code and the last words.
pub(super) struct Ending {
    pub(super) code: u8,
    pub(super) level: Level,
    pub(super) words: String,
}

impl Ending {
    /// The same, with the losses that nobody has acknowledged.
    pub(super) fn with_losses(mut self, losses: u64) -> Self {
        if losses > 0 {
            self.level = self.level.min(Level::Warn);
            self.words.push_str(&run::losses_words(losses));
        }
        self
    }

    pub(super) fn failed(words: impl Display) -> Self {
        Self { code: INCOMPLETE, level: Level::Error, words: words.to_string() }
    }

    pub(super) fn misconfigured(words: impl Display) -> Self {
        Self { code: MISCONFIGURED, ..Self::failed(words) }
    }
}

/// What guests are let have.
pub(super) fn sandbox(
    host: &HostSettings,
    clients: Option<Clients>,
    allowed: AllowList,
    logger: Logger,
) -> Sandbox {
    Sandbox {
        clients,
        allowed: allowed.into(),
        memory_bytes_max: host.memory_bytes_max,
        batch_bytes_max: host.batch_bytes_max,
        call_timeout: host.call_timeout,
        check_timeout: host.check_timeout,
        logger,
    }
}

/// Where the component may go, by its configuration.
pub(super) fn allowed(settings: &Settings) -> AllowList {
    AllowList::new(settings.config.origins()).with_direct(settings.config.identity_address())
}

/// Where the host's and the component's lines go: into the log, and to whoever looks.
pub(super) fn logger(log: &Log, status: &Arc<OnceLock<Slot>>) -> Logger {
    let (lines, told) = (log.clone(), Arc::clone(status));
    Logger::new(move |level, message| {
        told.get().into_iter().for_each(|status| status.tell(level, message));
        lines.write(level, message);
    })
}

/// The options of the core as the component takes them: an object, its values as text. `metadata`:
/// where they are if nobody has said it.
pub(super) fn config_json(
    settings: &Settings,
    once: bool,
    metadata: MetadataPlace,
) -> Secret<String> {
    let options = settings.core_options.expose().iter();
    let mut object: serde_json::Map<_, _> =
        options.map(|(name, text)| (name.clone(), text.as_str().into())).collect();
    if once {
        object.insert("once".into(), true.into());
    }
    if metadata == MetadataPlace::Event {
        object.entry("metadata").or_insert_with(|| "event".into());
    }
    Secret::new(serde_json::Value::Object(object).to_string())
}
