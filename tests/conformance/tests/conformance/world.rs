//! One world and what is asked of it: the same for every driver.

use m365_audit_core::{Batch, LineWriter, RawOptions};
use m365_audit_world::START_MS;
use m365_sim::{ContentType, Listen, Microsoft, Server, SimConfig};

use crate::envelope::Envelope;

/// Small batches, so that a world has many.
pub(crate) const BATCH_BYTES: u32 = 20_000;

pub(crate) struct World {
    pub(crate) sim: SimConfig,
    pub(crate) activities: bool,
    /// In what records leave; `None`: as they are, and not as lines.
    pub(crate) envelope: Option<&'static Envelope>,
    /// The batch that the host does not take, and after which a new process goes on.
    pub(crate) fails_at: Option<usize>,
}

/// Everything that was published, and from when to when.
pub(crate) struct Truth {
    pub(crate) microsoft: Microsoft,
    pub(crate) history_ms: i64,
    pub(crate) activities: bool,
    pub(crate) envelope: Option<&'static Envelope>,
}

/// What a driver has collected.
pub(crate) struct Collected {
    /// Records, or lines with one each; with duplicates.
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) stored: m365_audit_core::Stored,
}

impl World {
    pub(crate) const fn new(sim: SimConfig) -> Self {
        Self { sim, activities: false, envelope: None, fails_at: None }
    }

    /// Collects Defender's activities, too.
    pub(crate) const fn with_activities(mut self) -> Self {
        self.activities = true;
        self
    }

    /// Records leave as lines in this envelope.
    pub(crate) const fn in_envelope(mut self, envelope: &'static Envelope) -> Self {
        self.envelope = Some(envelope);
        self
    }

    pub(crate) const fn restarted_after(mut self, batches: usize) -> Self {
        self.fails_at = Some(batches);
        self
    }

    pub(crate) fn microsoft(&self) -> Microsoft {
        Microsoft::new(self.sim.clone(), START_MS)
    }

    pub(crate) fn serve(&self) -> Server {
        Server::start_at(self.sim.clone(), &Listen::default(), START_MS).unwrap()
    }

    #[allow(clippy::cast_possible_truncation, reason = "some days")]
    pub(crate) fn truth(&self) -> Truth {
        let history_ms = (self.sim.days * 86_400_000.0) as i64;
        let &Self { activities, envelope, .. } = self;
        Truth { microsoft: self.microsoft(), history_ms, activities, envelope }
    }

    /// The options of the core; `url` is the server's, if there is one.
    pub(crate) fn options(&self, microsoft: &Microsoft, url: Option<&str>) -> RawOptions {
        let tenant = &microsoft.tenants()[0];
        let mut options = RawOptions::new();
        let mut set = |name: &str, value: &str| {
            options.insert(name.into(), value.into());
        };
        set("tenant_id", &tenant.id.to_string());
        set("client_id", &tenant.apps[0].client_id.to_string());
        set("client_secret", tenant.apps[0].secret().unwrap());
        set("content_types", &ContentType::ALL.map(ContentType::name).join(", "));
        set("lookback", "2d");
        set("batch_bytes", &BATCH_BYTES.to_string());
        // Faults that never answer cost this long.
        set("request_timeout", "3s");
        for (name, value) in self.envelope.into_iter().flat_map(|envelope| envelope.options) {
            set(name, value);
        }
        if self.activities {
            set("source", "management_activity, cloud_app_activities");
            set("activities_lookback", "2d");
            let portal = microsoft.portal_url(tenant.id).unwrap();
            set("portal_url", url.unwrap_or(&portal));
        }
        if let Some(url) = url {
            for option in ["login_url", "api_url", "resource"] {
                set(option, url);
            }
        }
        options
    }
}

/// The records of a batch as they are, or as lines.
pub(crate) fn records_of(batch: &Batch, writer: Option<&mut LineWriter>) -> Vec<Vec<u8>> {
    let Some(writer) = writer else {
        return batch.records.iter().map(|record| record.raw.to_vec()).collect();
    };
    let mut lines = Vec::new();
    writer.write(batch, &mut lines);
    lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}
