//! Trying until records are safe: pauses, what is told of failures, and when it is enough.

use std::future::Future;
use std::time::Duration;

use m365_audit_core::Level;

use crate::logger::Logger;
use crate::receiver::SinkError;
use crate::stop::{Stop, unless};

/// What is attempted again and again until it succeeds.
pub trait Attempt {
    /// What a success has to say.
    type Done;

    /// Tries once. May be dropped half-way.
    ///
    /// # Errors
    /// It has not succeeded.
    fn attempt(&mut self) -> impl Future<Output = Result<Self::Done, SinkError>> + Send;
}

/// The longest pause that anybody may ask for.
const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// How to go on after failures.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The second pause before another attempt; the first attempt is made at once, and pauses
    /// double. Default: 1 s.
    pub pause_min: Duration,
    /// The longest pause, unless the service asks for more. Default: 60 s.
    pub pause_max: Duration,
    /// Attempts in a row without success, after which a collection that has an end gives up.
    /// Default: 5.
    pub attempts_max: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            pause_min: Duration::from_secs(1),
            pause_max: Duration::from_secs(60),
            attempts_max: 5,
        }
    }
}

impl Patience {
    /// The pause before another attempt: none, then doubling; or what the service asks for.
    #[must_use]
    pub fn pause(&self, failures: u32, after: Option<Duration>) -> Duration {
        let doubled = match failures {
            0 | 1 => Duration::ZERO,
            more => self.pause_min.saturating_mul(1 << (more - 2).min(16)).min(self.pause_max),
        };
        doubled.max(after.unwrap_or_default().min(WAIT_MAX))
    }
}

/// Who tries until records are safe.
#[derive(Clone, Debug)]
pub struct Insistence {
    /// How to go on after failures.
    pub patience: Patience,
    /// Whether the collection has an end, so that [`Patience::attempts_max`] counts.
    pub once: bool,
    /// Who ends it.
    pub stop: Stop,
    /// Where failures are told.
    pub logger: Logger,
}

/// Why records are not safe, and nobody tries any more.
#[derive(Debug)]
pub enum Ended {
    /// Somebody has asked for the end, and the grace is over.
    Stopped,
    /// Trying again does not help, or was tried often enough.
    Refused(SinkError),
}

impl Insistence {
    /// Whether a collection that has an end has failed often enough.
    #[must_use]
    pub const fn gives_up(&self, failures: u32) -> bool {
        self.once && self.patience.attempts_max <= failures
    }

    /// Makes attempts with `count` records until one succeeds. A failure that lasts is told once,
    /// and again only when it becomes another.
    ///
    /// # Errors
    /// See [`Ended`].
    pub async fn insist<A: Attempt>(&self, count: u32, mut attempt: A) -> Result<A::Done, Ended> {
        let (mut failures, mut told) = (0, None);
        loop {
            let made = unless(self.stop.over(), attempt.attempt()).await.ok_or(Ended::Stopped)?;
            failures += 1;
            let error = match made {
                Ok(done) => {
                    if told.is_some() {
                        self.logger.log(Level::Info, "records are taken again");
                    }
                    return Ok(done);
                }
                Err(error) if error.passing && !self.gives_up(failures) => error,
                Err(error) => return Err(Ended::Refused(error)),
            };
            let pause = self.patience.pause(failures + 1, error.after);
            let seconds = pause.as_secs();
            let level = match &told {
                // A disk that is full for a night is told once.
                Some(told) if *told == error.message => Level::Debug,
                // Who says when to come again is at work.
                _ if error.after.is_some() => Level::Warn,
                _ => Level::Error,
            };
            self.logger.log(
                level,
                &format!("{count} records were not taken: {error}; trying again in {seconds} s"),
            );
            told = Some(error.message);
            let paused = unless(self.stop.asked(), tokio::time::sleep(pause)).await;
            paused.ok_or(Ended::Stopped)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn the_first_attempt_is_made_at_once_and_later_ones_ever_later() {
        let seconds = |failures, after: Option<u64>| {
            Patience::default().pause(failures, after.map(Duration::from_secs)).as_secs()
        };
        assert_eq!([1, 2, 3, 4, 5].map(|failures| seconds(failures, None)), [0, 1, 2, 4, 8]);
        assert_eq!(seconds(100, None), 60);
        assert_eq!(seconds(1, Some(90)), 90);
        assert_eq!(seconds(1, Some(1_000_000)), 3_600);
    }

    /// Each attempt has the next of them.
    struct Answers(std::vec::IntoIter<Result<u8, SinkError>>);

    impl Attempt for Answers {
        type Done = u8;

        async fn attempt(&mut self) -> Result<u8, SinkError> {
            self.0.next().unwrap()
        }
    }

    /// What becomes of these answers, and what is told meanwhile, in virtual time.
    fn insist(
        once: bool,
        answers: Vec<Result<u8, SinkError>>,
    ) -> (Result<u8, String>, Vec<(Level, String)>) {
        let told = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&told);
        let insistence = Insistence {
            patience: Patience { pause_min: Duration::ZERO, ..Patience::default() },
            once,
            stop: Stop::new(),
            logger: Logger::new(move |level, line| {
                lines.lock().unwrap().push((level, line.to_owned()));
            }),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let answers = answers.into_iter();
        let ended = runtime.block_on(insistence.insist(7, Answers(answers)));
        let ended = ended.map_err(|ended| match ended {
            Ended::Refused(error) => error.message,
            Ended::Stopped => "stopped".into(),
        });
        let told = told.lock().unwrap().clone();
        (ended, told)
    }

    #[test]
    fn a_failure_that_lasts_is_told_once() {
        let down = || Err(SinkError::passing("down"));
        let busy = || Err(SinkError { after: Some(Duration::ZERO), ..SinkError::passing("busy") });
        let (ended, told) = insist(false, vec![down(), down(), busy(), busy(), down(), Ok(1)]);
        assert_eq!(ended, Ok(1));
        let levels: Vec<_> = told.iter().map(|(level, _)| *level).collect();
        use Level::{Debug, Error, Info, Warn};
        assert_eq!(levels, [Error, Debug, Warn, Debug, Error, Info]);
        assert_eq!(told[0].1, "7 records were not taken: down; trying again in 0 s");
        assert_eq!(told[5].1, "records are taken again");
    }

    #[test]
    fn what_lasts_ends_it_and_so_do_five_failures_of_what_has_an_end() {
        let down = || Err(SinkError::passing("down"));
        assert_eq!(insist(false, vec![Err(SinkError::lasting("no"))]).0, Err("no".into()));
        assert_eq!(insist(true, vec![down(), down(), down(), down(), Ok(1)]).0, Ok(1));
        assert_eq!(insist(true, (0..5).map(|_| down()).collect()).0, Err("down".into()));
    }
}
