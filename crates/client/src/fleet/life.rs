//! How a run of a tenant ends, and a client's run from its start to its end.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use m365_audit_core::Outcome;

use crate::client::Client;
use crate::sink::Sink;

/// How one run of a tenant ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// It has delivered everything that there was.
    Complete,
    /// It was stopped, or could not read everything.
    Incomplete,
    /// It has failed, for this reason.
    Failed(String),
}

/// Runs one tenant's client to its end, whatever that is. The client is gone then.
pub(super) async fn collect<S: Sink>(mut client: Client<S>, once: bool) -> Ended {
    let ran = if once { client.collect().await } else { client.collect_until_shutdown().await };
    match ran {
        Ok(Outcome::Complete) => Ended::Complete,
        Ok(Outcome::Incomplete) => Ended::Incomplete,
        Err(error) => Ended::Failed(error.to_string()),
    }
}

/// Lets a panic end this run and nothing else.
pub(super) async fn contained(running: impl Future<Output = Ended>) -> Ended {
    let mut running = pin!(running);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context))) {
        Ok(polled) => polled,
        Err(panic) => Poll::Ready(Ended::Failed(format!(
            "panic: {}; remedy: report this with the log before it",
            message(&*panic)
        ))),
    })
    .await
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}
