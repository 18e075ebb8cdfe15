//! What the simulated Microsoft has published, walked once for all checks of a moment: to make the
//! records again for each of them took a third of the ring's time.

use std::ops::Deref;

use m365_sim::{Microsoft, Owed, OwedActivity};

use super::wanted::Wanted;

/// Everything that was published up to now.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) records: Vec<Record>,
    pub(super) activities: Vec<OwedActivity>,
}

/// A record, without its bytes.
#[derive(Debug)]
pub(super) struct Record {
    owed: Owed,
    /// See [`Wanted::judge`].
    wanted: Option<bool>,
}

impl Published {
    /// Walks it.
    pub(super) fn walk(microsoft: &Microsoft, wanted: Wanted) -> Self {
        let records = microsoft.owed().map(|mut owed| {
            let wanted = wanted.judge(&owed);
            owed.bytes = Vec::new();
            Record { owed, wanted }
        });
        Self { records: records.collect(), activities: microsoft.owed_activities().collect() }
    }
}

impl Record {
    /// Whether it has to be handed over.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted == Some(true)
    }

    /// Whether it must not be handed over.
    pub(super) fn is_unwanted(&self) -> bool {
        self.wanted == Some(false)
    }
}

impl Deref for Record {
    type Target = Owed;

    fn deref(&self) -> &Owed {
        &self.owed
    }
}
