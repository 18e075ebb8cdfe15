//! The numbers as text: OpenMetrics, or the older form of Prometheus that node_exporter reads.

use std::fmt::Write;
use std::time::Instant;

use m365_audit_core::{HISTOGRAMS, METRICS, Sample};

use super::board::{Board, Label, View};
use super::ready::reasons;
use crate::webhook::{REFUSALS, WebhookMetrics};

/// What all names begin with.
pub(super) const PREFIX: &str = "m365_audit_";

/// How they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// OpenMetrics 1.0: a counter's family has no `_total`, and the end is marked.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
}

impl Form {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// All of one name.
struct Family {
    name: &'static str,
    kind: &'static str,
    lines: String,
}

/// Families in the order in which they came up.
#[derive(Default)]
struct Families {
    families: Vec<Family>,
    /// Where the next number probably belongs: those of one tenant come in the same order as those
    /// of another.
    next: usize,
}

/// Everything on the board.
pub(super) fn write(board: &Board, now: Instant, form: Form) -> String {
    let mut families = Families::default();
    let version = env!("CARGO_PKG_VERSION");
    let packaging = board.packaging();
    let labels = format!("{{version=\"{version}\",packaging=\"{packaging}\"");
    families.add("build_info", "info", &labels, None, 1.0);
    board.look(now, |view| families.add_all(view));
    families.write(form)
}

impl Families {
    fn add_all(&mut self, view: &View<'_>) {
        let mut own = format!("{{tenant_id=\"{}\"", escaped(&view.subject.tenant_id));
        if !view.name.is_empty() {
            // Writing to a string does not fail.
            let _ = write!(own, ",name=\"{}\"", escaped(view.name));
        }
        let ready = f64::from(u8::from(reasons(view).is_empty()));
        self.add("ready", "gauge", &own, None, ready);
        #[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
        self.add("restarts_total", "counter", &own, None, view.state.restarts as f64);
        for sample in view.samples() {
            let kind = if sample.counter { "counter" } else { "gauge" };
            match HISTOGRAMS.iter().find(|histogram| histogram.parts().contains(&sample.name)) {
                None => self.add(sample.name, kind, &own, sample.label, sample.value),
                Some(histogram) => self.add_part(histogram.name(), &own, &sample),
            }
        }
        if let Some(webhook) = &view.state.webhook {
            self.add_webhook(&own, webhook);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "metrics are doubles")]
    fn add_webhook(&mut self, own: &str, webhook: &WebhookMetrics) {
        for (name, value) in [
            ("webhook_notifications_total", webhook.notifications),
            ("webhook_hints_total", webhook.hints),
            ("webhook_ignored_total", webhook.ignored),
            ("webhook_validations_total", webhook.validations),
        ] {
            self.add(name, "counter", own, None, value as f64);
        }
        for ((_, reason), value) in REFUSALS.into_iter().zip(webhook.refused) {
            let label = Some(("reason", reason));
            self.add("webhook_refused_total", "counter", own, label, value as f64);
        }
    }

    /// Adds a number. `labels` lacks its closing brace.
    fn add(
        &mut self,
        name: &'static str,
        kind: &'static str,
        labels: &str,
        label: Label,
        value: f64,
    ) {
        let at = self.place_of(name, kind);
        let lines = &mut self.families[at].lines;
        for part in [PREFIX, name, labels] {
            lines.push_str(part);
        }
        if let Some((key, text)) = label {
            for part in [",", key, "=\"", text, "\""] {
                lines.push_str(part);
            }
        }
        // Writing to a string does not fail.
        let _ = writeln!(lines, "}} {value}");
    }

    /// Adds a number of a histogram.
    fn add_part(&mut self, histogram: &'static str, labels: &str, sample: &Sample) {
        let at = self.place_of(histogram, "histogram");
        let lines = &mut self.families[at].lines;
        for part in [PREFIX, sample.name, labels] {
            lines.push_str(part);
        }
        for (key, text) in sample.label.into_iter().chain(sample.le.map(|le| ("le", le))) {
            for part in [",", key, "=\"", text, "\""] {
                lines.push_str(part);
            }
        }
        // Writing to a string does not fail.
        let _ = writeln!(lines, "}} {}", sample.value);
        // Another number of the same one is likely to follow.
        self.next = at;
    }

    fn place_of(&mut self, name: &'static str, kind: &'static str) -> usize {
        let is_it = |family: &Family| std::ptr::eq(family.name, name) || family.name == name;
        let near = [self.next, self.next.saturating_sub(1)];
        let near = near.into_iter().find(|at| self.families.get(*at).is_some_and(is_it));
        let at = near.or_else(|| self.families.iter().position(is_it)).unwrap_or_else(|| {
            self.families.push(Family { name, kind, lines: String::new() });
            self.families.len() - 1
        });
        self.next = at + 1;
        at
    }

    fn write(self, form: Form) -> String {
        let lines: usize = self.families.iter().map(|family| family.lines.len() + 256).sum();
        let mut text = String::with_capacity(lines);
        for Family { name, kind, lines } in self.families {
            let (family, kind) = match (form, kind) {
                (Form::OpenMetrics, "counter") => (name.trim_end_matches("_total"), kind),
                (Form::OpenMetrics, "info") => (name.trim_end_matches("_info"), kind),
                (Form::Prometheus, "info") => (name, "gauge"),
                _ => (name, kind),
            };
            let help = help(name);
            let _ = writeln!(text, "# TYPE {PREFIX}{family} {kind}");
            let unit = ["seconds", "bytes"].into_iter().find(|unit| family.ends_with(unit));
            if let (Form::OpenMetrics, Some(unit)) = (form, unit)
                && family.as_bytes()[family.len() - unit.len() - 1] == b'_'
            {
                let _ = writeln!(text, "# UNIT {PREFIX}{family} {unit}");
            }
            let _ = writeln!(text, "# HELP {PREFIX}{family} {help}");
            text.push_str(&lines);
        }
        if form == Form::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }
}

/// What a number says.
fn help(name: &str) -> &'static str {
    let metrics = METRICS.iter().map(|metric| (metric.name(), metric.help()));
    let histograms = HISTOGRAMS.iter().map(|histogram| (histogram.name(), histogram.help()));
    let mut all = metrics.chain(histograms).chain(OTHERS);
    let found = all.find(|(known, _)| *known == name);
    found.map_or("", |(_, help)| help)
}

/// Those that the core does not count.
pub(super) const OTHERS: [(&str, &str); 8] = [
    ("build_info", "1; which version collects, in which packaging."),
    ("ready", "1 while everything is collected that should be, 0 for the reasons of /readyz."),
    ("restarts_total", "Times that the collector started again."),
    ("webhook_notifications_total", "Notifications that were accepted."),
    ("webhook_hints_total", "Contents that notifications named."),
    ("webhook_ignored_total", "Contents of others, of other feeds, or beyond what can wait."),
    ("webhook_validations_total", "Validations by Microsoft answered."),
    ("webhook_refused_total", "Calls of the webhook that were refused."),
];

/// A label's value. Names of tenants are what users write.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
