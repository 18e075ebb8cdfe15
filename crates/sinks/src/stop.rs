//! How who insists, or a running host, is asked to end, from any thread.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Asks whoever works for long to end. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<Option<Instant>>);

impl Stop {
    /// Nobody has asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// No further call is made, and one under way is given up. Records that the sink was given
    /// already may still become safe for `grace`.
    pub fn stop(&self, grace: Duration) {
        let at = Instant::now() + grace;
        self.0.send_if_modified(|asked| {
            let earlier = asked.is_none_or(|asked| at < asked);
            if earlier {
                *asked = Some(at);
            }
            earlier
        });
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits until somebody asks.
    pub async fn asked(&self) {
        // The sender is held here, so that the channel stays open.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }

    /// Waits until somebody has asked and the grace is over.
    pub async fn over(&self) {
        let mut asked = self.0.subscribe();
        loop {
            let at = *asked.borrow_and_update();
            let changed = asked.changed();
            match at {
                Some(at) => {
                    let left = at.saturating_duration_since(Instant::now());
                    if tokio::time::timeout(left, changed).await.is_err() {
                        return;
                    }
                }
                None => drop(changed.await),
            }
        }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

/// Does `work`; gives it up, with `None`, once `stop` comes first.
pub async fn unless<T>(stop: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    let (mut stop, mut work) = (pin!(stop), pin!(work));
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Some(done));
        }
        stop.as_mut().poll(context).map(|()| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_grace_counts() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let stop = Stop::new();
        assert!(!stop.is_asked());
        stop.stop(Duration::from_secs(3_600));
        stop.stop(Duration::ZERO);
        stop.stop(Duration::from_secs(3_600));
        assert!(stop.is_asked());
        runtime.block_on(async {
            stop.asked().await;
            stop.over().await;
        });
    }
}
