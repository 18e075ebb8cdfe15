//! Counters and gauges: numbers that any thread sets and the input thread carries to the host.
//! They appear in Fluent Bit's own metrics as `fluentbit_input_<plugin>_<name>`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::abi::{Host, HostMetric, LabelValues, MetricKind};

/// A number that never falls.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Adds 1.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Raises it to a total that is counted elsewhere. Less than its value changes nothing.
    pub fn raise_to(&self, total: u64) {
        self.0.fetch_max(total, Ordering::Relaxed);
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
enum Number {
    Counter(Counter),
    Gauge(Gauge),
}

impl Number {
    #[allow(clippy::cast_precision_loss)] // The host keeps doubles.
    fn value(&self) -> f64 {
        match self {
            Self::Counter(counter) => counter.value() as f64,
            Self::Gauge(gauge) => gauge.value(),
        }
    }
}

#[derive(Debug)]
struct Series {
    metric: HostMetric,
    labels: LabelValues,
    number: Number,
    pushed: f64,
}

/// All numbers of one instance that the host shows. Empty if the host shows none.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    series: Vec<Series>,
}

/// A metric's name, help and labels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metric<'a> {
    pub(crate) name: &'a str,
    pub(crate) help: &'a str,
    pub(crate) label_keys: &'a [&'a str],
    pub(crate) label_values: &'a [&'a [&'a str]],
}

impl Registry {
    pub(crate) fn counters(&mut self, host: &Host, metric: Metric<'_>) -> Vec<Counter> {
        let counters: Vec<Counter> =
            metric.label_values.iter().map(|_| Counter::default()).collect();
        let numbers = counters.iter().cloned().map(Number::Counter);
        self.add(host, MetricKind::Counter, metric, numbers);
        counters
    }

    pub(crate) fn gauges(&mut self, host: &Host, metric: Metric<'_>) -> Vec<Gauge> {
        let gauges: Vec<Gauge> = metric.label_values.iter().map(|_| Gauge::default()).collect();
        let numbers = gauges.iter().cloned().map(Number::Gauge);
        self.add(host, MetricKind::Gauge, metric, numbers);
        gauges
    }

    /// Creates the metric and touches all its label sets: in Init, the only moment at which no
    /// other thread walks the host's lists.
    fn add(
        &mut self,
        host: &Host,
        kind: MetricKind,
        metric: Metric<'_>,
        numbers: impl Iterator<Item = Number>,
    ) {
        let handle = host.create_metric(kind, metric.name, metric.help, metric.label_keys);
        let Some(handle) = handle else { return };
        for (values, number) in metric.label_values.iter().zip(numbers) {
            assert_eq!(values.len(), metric.label_keys.len(), "{}: one value a label", metric.name);
            let labels = host.label_values(values);
            host.set_metric(&handle, &labels, 0.0);
            self.series.push(Series { metric: handle.clone(), labels, number, pushed: 0.0 });
        }
    }

    /// Carries changed numbers to the host. On the input thread.
    pub(crate) fn push(&mut self, host: &Host) {
        for series in &mut self.series {
            let value = series.number.value();
            if value.to_bits() != series.pushed.to_bits() {
                host.set_metric(&series.metric, &series.labels, value);
                series.pushed = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_never_falls() {
        let counter = Counter::default();
        counter.add(5);
        counter.raise_to(3);
        counter.inc();
        assert_eq!(counter.value(), 6);
    }

    #[test]
    fn clones_of_a_gauge_are_one_number() {
        let gauge = Gauge::default();
        gauge.clone().set(-0.5);
        assert_eq!(gauge.value(), -0.5);
    }
}
