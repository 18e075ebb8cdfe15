//! What the options ask to be done to records before they leave: some are left out, values in
//! others are replaced, and what is no Unicode text. In this order, so that a filter sees what
//! Microsoft has written.

use std::sync::Arc;

use crate::contract::batch::Record;
use crate::json::SplitError;
use crate::options::Reader;
use crate::records::filter::Filter;
use crate::records::redact::{Redaction, Redactor};
use crate::records::unicode::replace_halves;

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub(crate) struct TreatmentConfig {
    /// Which records are handed over; `None`: all.
    pub filter: Option<Arc<Filter>>,
    /// What is replaced in records; `None`: nothing.
    pub redaction: Option<Arc<Redaction>>,
    /// Whether halves of surrogate pairs are replaced.
    pub replaces_halves: bool,
}

impl TreatmentConfig {
    /// Reads the options. Mistakes stay in `reader`.
    pub(crate) fn read(reader: &mut Reader<'_>) -> Self {
        let filter = Filter::read(reader).map(Arc::new);
        let redaction = Redaction::read(reader).map(Arc::new);
        let replaces_halves = reader.word("invalid_unicode") == "replace";
        Self { filter, redaction, replaces_halves }
    }

    /// Whether what Microsoft has written may be shown in messages.
    pub(crate) const fn may_show(&self) -> bool {
        self.redaction.is_none()
    }

    /// How a message tells the beginning of a body that should have held records and is no list of
    /// them. With redaction, that is not to be seen either.
    pub(crate) fn shown(&self, first: &[u8]) -> String {
        if self.may_show() {
            return SplitError::NotArray { first: first.into() }.to_string();
        }
        "the body is not a JSON array (redact is on: what it is is not shown)".into()
    }
}

/// What was done to the records of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TreatmentCounts {
    /// Left out by the filter.
    pub filtered: u64,
    /// Handed over with values replaced.
    pub redacted: u64,
    /// Handed over as a length and a hash.
    pub withheld: u64,
    /// Handed over although they are no valid JSON.
    pub malformed: u64,
}

/// Does it, to one batch after the other.
#[derive(Debug)]
pub(crate) struct Treatment {
    filter: Option<Arc<Filter>>,
    redactor: Option<Redactor>,
    replaces_halves: bool,
    /// Room for the filter to work in.
    scratch: String,
}

impl Treatment {
    pub(crate) fn new(config: &TreatmentConfig) -> Self {
        let redactor = config.redaction.as_deref().cloned().map(Redactor::new);
        let (filter, replaces_halves) = (config.filter.clone(), config.replaces_halves);
        Self { filter, redactor, replaces_halves, scratch: String::new() }
    }

    /// Filters and redacts. `filterable`: the filters speak of such records.
    pub(crate) fn treat(&mut self, records: &mut Vec<Record>, filterable: bool) -> TreatmentCounts {
        let mut treated = TreatmentCounts::default();
        let before = records.len();
        if let Some(filter) = self.filter.as_ref().filter(|_| filterable) {
            records.retain(|record| filter.passes(record, &mut self.scratch));
        }
        treated.filtered = (before - records.len()) as u64;
        if let Some(redactor) = &mut self.redactor {
            (treated.redacted, treated.withheld) = redactor.redact_all(records);
        }
        if self.replaces_halves {
            replace_halves(records);
        }
        treated.malformed = records.iter().filter(|record| !record.is_json).count() as u64;
        treated
    }
}
