//! What is shown in numbers, and of whom: of each collector, or of those together that are counted
//! together.

use std::fmt::Write;
use std::time::Instant;

use m365_audit_core::{DELAY_STEPS, HISTOGRAMS, METRICS, MetricScope, Metrics};

use super::board::{Beside, Board, View};
use super::options::MetricsDetail;
use super::ready::reasons;
use crate::webhook::REFUSALS;

/// Bytes of a line beside the labels that all of a collector have.
const LINE_BYTES: usize = 96;

/// What one collector shows, or several together.
#[derive(Default)]
pub(super) struct Shown {
    /// The labels that all its numbers have, without braces.
    pub(super) labels: String,
    /// Whether its feeds are told apart. Otherwise there is but one.
    pub(super) per_feed: bool,
    pub(super) ready: bool,
    pub(super) metrics: Option<Metrics>,
    pub(super) beside: Beside,
}

/// Everybody on the board.
pub(super) fn of(board: &Board, now: Instant) -> Vec<Shown> {
    let mut each: Vec<Shown> = Vec::new();
    let mut total: Option<Shown> = None;
    let gone = board.look(now, |view| match view.subject.detail {
        MetricsDetail::ContentType | MetricsDetail::Tenant => each.push(Shown::of(view)),
        MetricsDetail::Total => match &mut total {
            Some(total) => total.add(view),
            None => total = Some(Shown::first(view)),
        },
    });
    if let Some(mut total) = total {
        total.beside.add(&gone.beside);
        if let Some(metrics) = &mut total.metrics {
            metrics.count_on(&gone.metrics);
            metrics.merge_feeds();
        }
        each.push(total);
    }
    each
}

impl Shown {
    fn of(view: &View<'_>) -> Self {
        let mut labels = format!("tenant_id=\"{}\"", escaped(&view.subject.tenant_id));
        if !view.name.is_empty() {
            // Writing to a string does not fail.
            let _ = write!(labels, ",name=\"{}\"", escaped(view.name));
        }
        let mut shown = Self { labels, ..Self::first(view) };
        shown.per_feed = view.subject.detail == MetricsDetail::ContentType;
        if let Some(metrics) = shown.metrics.as_mut().filter(|_| !shown.per_feed) {
            metrics.merge_feeds();
        }
        shown
    }

    /// The first of those who are counted together.
    fn first(view: &View<'_>) -> Self {
        let mut shown = Self { ready: true, ..Self::default() };
        shown.add(view);
        shown
    }

    /// Another of them. All are ready if each is.
    fn add(&mut self, view: &View<'_>) {
        self.ready &= reasons(view).is_empty();
        if let Some(metrics) = view.numbers() {
            self.metrics.get_or_insert_default().add(metrics);
        }
        self.beside.add(&view.state.beside());
    }

    /// How long its lines will be, rather too long than too short.
    pub(super) fn bytes(&self) -> usize {
        let feeds = self.metrics.as_ref().map_or(0, |metrics| metrics.lanes.len());
        let of_feed = METRICS.iter().filter(|metric| metric.scope() == MetricScope::Feed).count();
        let steps = HISTOGRAMS.len() * (DELAY_STEPS.len() + 2);
        let lines = feeds * (of_feed + steps) + METRICS.len() + REFUSALS.len();
        lines * (self.labels.len() + LINE_BYTES)
    }
}

/// A label's value. Names of tenants are what users write.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
