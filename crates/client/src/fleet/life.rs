//! One run of one tenant's client, from its start to its end.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::thread;

use m365_audit_core::Outcome;

use crate::client::Client;
use crate::error::RunError;
use crate::sink::Sink;

/// How one run of a client ended.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    Complete,
    Incomplete,
    Failed(String),
}

/// Runs one tenant's client to its end, whatever that is. The client is gone then.
pub(super) async fn collect<S: Sink>(mut client: Client<S>, once: bool) -> Ended {
    let running =
        async { if once { client.collect().await } else { client.collect_until_shutdown().await } };
    match contained(running).await {
        Ok(Ok(Outcome::Complete)) => Ended::Complete,
        Ok(Ok(Outcome::Incomplete)) => Ended::Incomplete,
        Ok(Err(error)) => Ended::Failed(error.to_string()),
        Err(panic) => Ended::Failed(format!(
            "panic: {}; remedy: report this with the log before it",
            message(&*panic)
        )),
    }
}

type Ran = Result<Outcome, RunError>;

/// Lets a panic end this run and nothing else.
async fn contained(running: impl Future<Output = Ran>) -> thread::Result<Ran> {
    let mut running = pin!(running);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(ran)) => Poll::Ready(Ok(ran)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}
