//! From the core's events and numbers to the WIT's notes and metrics.

use m365_audit_core::{Event, Level, Metrics, NameTaken, samples};

use crate::bindings::exports::m365_audit::source::source::{
    Label, Level as NoteLevel, Metric, MetricKind, Note,
};

/// One event.
pub(crate) fn note(event: &Event) -> Note {
    let level = match event.level() {
        Level::Error => NoteLevel::Error,
        Level::Warn => NoteLevel::Warn,
        Level::Info => NoteLevel::Info,
        Level::Debug => NoteLevel::Debug,
    };
    Note { level, code: event.code().into(), message: event.to_string() }
}

/// A name that a record had already.
pub(crate) fn taken(taken: &NameTaken) -> Note {
    Note { level: NoteLevel::Warn, code: "member-taken".into(), message: taken.to_string() }
}

/// What does not get through, since when, and when it is tried next; or that it does again.
pub(crate) fn outage(line: String) -> Note {
    Note { level: NoteLevel::Info, code: "Outage".into(), message: line }
}

/// Every number.
pub(crate) fn metrics(metrics: &Metrics) -> Vec<Metric> {
    let label = |(name, value): (&str, &str)| Label { name: name.into(), value: value.into() };
    samples(metrics)
        .into_iter()
        .map(|sample| Metric {
            name: sample.name.into(),
            kind: if sample.counter { MetricKind::Counter } else { MetricKind::Gauge },
            labels: sample
                .label
                .into_iter()
                .chain(sample.le.map(|le| ("le", le)))
                .map(label)
                .collect(),
            value: sample.value,
        })
        .collect()
}
