//! The webhook of a subscription: what there is, and what is to be asked for.
//!
//! Only with the option `webhook_address`; without it no webhook is ever touched. Since a start
//! without a webhook removes the one there is, a disabled subscription is started again with the
//! webhook that the list showed. A webhook that cannot be had costs nothing but time: content is
//! polled in any case.
//!
//! It is asked for in the start of a subscription, and if that is refused, the subscription is
//! started without it at once: set later, it would have to wait for the cool-down between two
//! starts. One that has expired is not revived.

use std::time::Duration;

use crate::audit::answers::WebhookRequest;
use crate::base::origin::Origin;
use crate::base::secret::Secret;
use crate::options::{ConfigError, Reader};

/// How long a webhook is left alone that Microsoft has refused.
pub(super) const REFUSED_RETRY: Duration = Duration::from_secs(60 * 60);

/// The code with which Microsoft says that a webhook did not answer its validation.
const NOT_VALIDATED: &str = "AF20021";

/// The codes with which Microsoft refuses a start for the sake of its webhook: beside that one, a
/// parameter that it cannot read, and an expiration that has passed.
const WEBHOOK_REFUSED: [&str; 3] = [NOT_VALIDATED, "AF20002", "AF20003"];

/// Lengths of an authentication id: what is shorter can be guessed.
const AUTH_ID_CHARS: std::ops::RangeInclusive<usize> = 16..=256;

/// The webhook that is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// It is as it should be, or none is wanted.
    Settled,
    /// It is to be asked for, not before then.
    Due(Duration),
    /// A start asks for it.
    Asked,
}

/// The webhook that a subscription has, whoever set it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Existing {
    /// None, as far as the list shows; or one that has expired, which could only be lost or
    /// revived.
    #[default]
    Nothing,
    /// The list shows it.
    Shown(WebhookRequest),
    /// A start asks for it again.
    Asked(WebhookRequest),
}

/// What became of the webhook that a start asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The start asked for none.
    Nothing,
    /// The one that is configured.
    Own,
    /// The one that the subscription had, at this address.
    Kept(String),
}

/// The webhook of one subscription.
#[derive(Clone, Debug)]
pub(super) struct Webhook {
    wanted: Wanted,
    existing: Existing,
}

impl Default for Webhook {
    fn default() -> Self {
        Self { wanted: Wanted::Settled, existing: Existing::Nothing }
    }
}

impl Webhook {
    /// The webhook with which a subscription that is not enabled is started: `own`, the one that is
    /// configured, or else the one that it had.
    pub(super) fn of_start(
        &mut self,
        own: Option<WebhookRequest>,
        now: Duration,
    ) -> Option<WebhookRequest> {
        let may_ask = match self.wanted {
            Wanted::Settled | Wanted::Asked => true,
            Wanted::Due(not_before) => not_before <= now,
        };
        if let Some(own) = own.filter(|_| may_ask) {
            self.wanted = Wanted::Asked;
            return Some(own);
        }
        let Existing::Shown(kept) = self.existing.clone() else { return None };
        self.existing = Existing::Asked(kept.clone());
        Some(kept)
    }

    /// The list of subscriptions has arrived: it shows what a start would have to keep.
    pub(super) fn note_kept(&mut self, shown: Option<WebhookRequest>) {
        // A start that is under way ends as it was asked for.
        if !matches!(self.existing, Existing::Asked(_)) {
            self.existing = shown.map_or(Existing::Nothing, Existing::Shown);
        }
    }

    /// The list of subscriptions has arrived: whether the one that is configured is there; `None`:
    /// the list does not name the feed.
    pub(super) fn note_there(&mut self, there: Option<bool>, enabled: bool, now: Duration) {
        match (there, self.wanted) {
            (Some(true), Wanted::Due(_)) => self.wanted = Wanted::Settled,
            (Some(false), Wanted::Settled) if enabled => self.wanted = Wanted::Due(now),
            (Some(_) | None, _) => {}
        }
    }

    /// When it is to be asked for.
    pub(super) const fn due(&self) -> Option<Duration> {
        match self.wanted {
            Wanted::Due(not_before) => Some(not_before),
            Wanted::Settled | Wanted::Asked => None,
        }
    }

    /// It is to be asked for, not before `moment`.
    pub(super) const fn wait_until(&mut self, moment: Duration) {
        self.wanted = Wanted::Due(moment);
    }

    /// A start asks for it.
    pub(super) const fn note_asked(&mut self) {
        self.wanted = Wanted::Asked;
    }

    /// Takes out what a start asked to keep; what the list shows stays.
    fn take_kept(&mut self) -> Option<WebhookRequest> {
        match std::mem::take(&mut self.existing) {
            Existing::Asked(kept) => Some(kept),
            shown @ (Existing::Nothing | Existing::Shown(_)) => {
                self.existing = shown;
                None
            }
        }
    }

    /// Whether a start failed because its webhook was refused, and which one. Then the subscription
    /// was not started either, and is to be started without.
    pub(super) fn refused(&mut self, code: Option<&str>) -> Outcome {
        let Some(code) = code.filter(|code| WEBHOOK_REFUSED.contains(code)) else {
            return Outcome::Nothing;
        };
        if let Some(kept) = self.take_kept() {
            return Outcome::Kept(kept.address);
        }
        if self.wanted == Wanted::Asked && code == NOT_VALIDATED {
            Outcome::Own
        } else {
            Outcome::Nothing
        }
    }

    /// Microsoft has accepted a start. Answers which webhook it asked for.
    pub(super) fn accept(&mut self) -> Outcome {
        if let Some(kept) = self.take_kept() {
            let address = kept.address.clone();
            self.existing = Existing::Shown(kept);
            return Outcome::Kept(address);
        }
        if self.wanted != Wanted::Asked {
            return Outcome::Nothing;
        }
        self.wanted = Wanted::Settled;
        Outcome::Own
    }

    /// A start that asked for a webhook has come to nothing.
    pub(super) fn want_again(&mut self, now: Duration) {
        if let Some(kept) = self.take_kept() {
            self.existing = Existing::Shown(kept);
        }
        if self.wanted == Wanted::Asked {
            self.wanted = Wanted::Due(now);
        }
    }
}

/// Reads the options; `None` without `webhook_address`. `starts` says whether subscriptions are
/// started. Mistakes stay in `reader`.
pub(crate) fn read(reader: &mut Reader<'_>, starts: bool) -> Option<WebhookRequest> {
    let auth_id = reader.optional("webhook_auth_id");
    let legal = |text: &String| {
        AUTH_ID_CHARS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if auth_id.as_ref().is_some_and(|auth_id| !legal(auth_id)) {
        reader.report(ConfigError::new(
            "webhook_auth_id",
            None,
            "not 16 to 256 letters, digits and signs without spaces",
            "write random ones, for example from: openssl rand -hex 32",
        ));
    }
    let address = reader.optional("webhook_address")?;
    let mut refuse = |problem: &str, remedy: &str| {
        reader.report(ConfigError::new("webhook_address", Some(&address), problem, remedy));
    };
    let path = address.find("://").and_then(|at| address[at + 3..].find(['/', '?', '#']));
    let origin_end = path.map_or(address.len(), |path| address.find("://").unwrap_or(0) + 3 + path);
    if let Err(problem) = Origin::parse(&address[..origin_end]) {
        refuse(&problem.to_string(), "write the https:// address at which Microsoft reaches you");
    }
    if auth_id.is_none() {
        refuse(
            "webhook_auth_id is missing",
            "set it to random characters, for example from: openssl rand -hex 32",
        );
    }
    if !starts {
        refuse(
            "without effect, because start_subscriptions is off",
            "set start_subscriptions on: a webhook is set by starting the subscription",
        );
    }
    Some(WebhookRequest { address, auth_id: auth_id.map(Secret::new), expiration: None })
}
