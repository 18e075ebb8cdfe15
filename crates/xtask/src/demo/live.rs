//! New content while the demo goes on, and how long it takes to arrive.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::simulator::{CONTENT_TYPES, Simulator};

/// How often a blob is published, the content types in turn.
const PERIOD: Duration = Duration::from_secs(1);
/// Blobs that the lag shown is taken over.
const RECENT: usize = 20;

/// What is published now and what has arrived of it.
#[derive(Debug)]
pub(crate) struct Live {
    begun: Instant,
    lasts: Option<Duration>,
    next: Instant,
    closed: bool,
    published: usize,
    waiting: HashMap<Box<str>, Instant>,
    lags: Vec<Duration>,
}

impl Live {
    /// Begins now, lasts so long or until it is stopped.
    pub(crate) fn new(lasts: Option<Duration>) -> Self {
        let begun = Instant::now();
        Self {
            begun,
            lasts,
            next: begun,
            closed: false,
            published: 0,
            waiting: HashMap::new(),
            lags: Vec::new(),
        }
    }

    /// Whether nothing more is to be published.
    pub(crate) fn is_over(&self, stopped: bool) -> bool {
        stopped || self.closed || self.lasts.is_some_and(|lasts| lasts <= self.begun.elapsed())
    }

    /// Whether that was taken note of.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes note of the end.
    pub(crate) const fn close(&mut self) {
        self.closed = true;
    }

    /// Publishes a blob if it is time to.
    ///
    /// # Errors
    /// The simulator does not answer.
    pub(crate) fn publish(&mut self, simulator: &Simulator) -> Result<()> {
        if Instant::now() < self.next {
            return Ok(());
        }
        self.next += PERIOD;
        let content_type = CONTENT_TYPES[self.published % CONTENT_TYPES.len()];
        let published = Instant::now();
        let answer = simulator.publish(content_type)?;
        self.published += 1;
        if let Some(content_id) = answer["content_id"].as_str() {
            self.waiting.insert(content_id.into(), published);
        }
        Ok(())
    }

    /// An event of a blob arrived.
    pub(crate) fn arrive(&mut self, content_id: &str) {
        if let Some(published) = self.waiting.remove(content_id) {
            self.lags.push(published.elapsed());
        }
    }

    /// Where things stand.
    pub(crate) fn text(&self) -> String {
        let recent = &self.lags[self.lags.len().saturating_sub(RECENT)..];
        let Some((median, max)) = median_and_max(recent) else { return String::new() };
        format!(
            "; live: {} of {} blobs, lag {:.1} s (median), {:.1} s (longest of the last {RECENT})",
            self.lags.len(),
            self.published,
            median.as_secs_f64(),
            max.as_secs_f64()
        )
    }

    /// The lag of all.
    pub(crate) fn last_words(&self) -> String {
        let Some((median, max)) = median_and_max(&self.lags) else {
            return "No live blob arrived.".into();
        };
        format!(
            "{} of {} live blobs arrived; from publication to arrival {:.1} s in the median, {:.1} s \
             at most",
            self.lags.len(),
            self.published,
            median.as_secs_f64(),
            max.as_secs_f64()
        )
    }
}

fn median_and_max(times: &[Duration]) -> Option<(Duration, Duration)> {
    let mut times = times.to_vec();
    times.sort_unstable();
    Some((*times.get(times.len() / 2)?, *times.last()?))
}
