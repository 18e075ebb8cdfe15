//! What a component counts, as the core counts it: for the progress that both kinds of run show.
//! The names are those of the core's table; others, of other components, are left out.

use m365_audit_core::{HISTOGRAMS, METRICS, Metrics};
use m365_audit_host::Metric;

/// Translates by name. What does not occur is zero.
pub(crate) fn of_component(metrics: &[Metric]) -> Metrics {
    let mut all = Metrics::default();
    for metric in metrics {
        let label = |name: &str| {
            metric.labels.iter().find(|label| label.name == name).map(|label| &*label.value)
        };
        for histogram in &HISTOGRAMS {
            let (feed, le) = (label("content_type"), label("le"));
            histogram.read(&mut all, &metric.name, feed, le, metric.value);
        }
        let known = METRICS.iter().find(|known| known.name() == &*metric.name);
        let Some(known) = known else { continue };
        known.read(&mut all, known.scope().label().and_then(label), metric.value);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use m365_audit_core::{Feed, MetricScope, Operation, Sample, samples};
    use m365_audit_host::{Label, MetricKind};

    /// As `m365_audit.wasm` hands them over.
    fn of_core(metrics: &Metrics) -> Vec<Metric> {
        let label = |(name, value): (&str, &str)| Label { name: name.into(), value: value.into() };
        let metric = |sample: Sample| Metric {
            name: sample.name.into(),
            kind: if sample.counter { MetricKind::Counter } else { MetricKind::Gauge },
            labels: sample
                .label
                .into_iter()
                .chain(sample.le.map(|le| ("le", le)))
                .map(label)
                .collect(),
            value: sample.value,
        };
        samples(metrics).into_iter().map(metric).collect()
    }

    #[test]
    fn every_figure_of_every_feed_comes_through() {
        let mut metrics = Metrics::default();
        let mut value = 0.0;
        let mut read = |metric: &m365_audit_core::Metric, label: Option<&str>| {
            value += 1.0;
            metric.read(&mut metrics, label, value);
        };
        for metric in METRICS {
            match metric.scope() {
                MetricScope::Collector => read(metric, None),
                MetricScope::Operation => {
                    Operation::ALL.iter().for_each(|of| read(metric, Some(of.as_str())));
                }
                MetricScope::Feed => {
                    Feed::ALL.iter().for_each(|of| read(metric, Some(of.as_str())))
                }
            }
        }
        assert_eq!(metrics.lanes.len(), Feed::ALL.len());
        let other = Metric { name: "of_another_total".into(), ..of_core(&metrics)[0].clone() };
        let mut shown = of_core(&metrics);
        shown.push(other);
        assert_eq!(of_component(&shown), metrics);
    }
}
