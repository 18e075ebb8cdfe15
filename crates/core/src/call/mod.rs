//! Single operations of the Management Activity API and of the Activities API, each asked once and
//! answered as data: for commands, for checks of a configuration, for a doctor.
//!
//! A [`Caller`] is a machine like the [`Collector`](crate::Collector) and shares with it the
//! token, the spelling of requests, the pinning of addresses, the judgement of answers, the request
//! budget and the drivers. It keeps no state. What differs is patience: a collector tries for ever,
//! a call ends after [`ATTEMPTS_MAX`] attempts with a [`CallError`] that says what to do.
//!
//! ```no_run
//! use m365_audit_core::call::{Call, Caller, Reply};
//! # use m365_audit_core::{Config, Io, Now};
//! # fn example<I: Io>(config: Config, now: Now, io: &mut I) -> Result<(), I::Error> {
//! let mut caller = Caller::new(config, 1, now);
//! caller.begin(Call::ListSubscriptions);
//! m365_audit_core::run(&mut caller, io)?;
//! match caller.take_outcome() {
//!     Ok(Reply::Subscriptions(subscriptions)) => println!("{subscriptions:?}"),
//!     Ok(_) => unreachable!("a list was asked for"),
//!     Err(error) => println!("{error}"),
//! }
//! // The same caller makes the next call with the same token.
//! println!("{:?}", caller.claims());
//! # Ok(())
//! # }
//! ```

mod activities;
mod address;
mod audit;
mod caller;
mod calls;
mod claims;
mod ending;
mod failure;
mod range;
mod reply;
mod search;
mod task;
#[cfg(test)]
mod tests;

pub use address::BlobAddress;
pub use caller::Caller;
pub use calls::{Call, Pages};
pub use claims::Claims;
pub use failure::{CallError, CallErrorKind};
pub use range::{Range, RangeError};
pub use reply::Reply;
pub use task::{ATTEMPTS_MAX, ENTRIES_MAX};

pub use crate::activities::id::{ActivityId, Feedback, NoActivityId};
pub use crate::audit::answers::{
    Content, DlpType, Notification, Subscription, Webhook, WebhookRequest,
};
