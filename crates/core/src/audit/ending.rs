//! How an exchange ended: the verdict, and what is told of it. Decides nothing else.

use std::borrow::Cow;

use crate::audit::judge::Verdict;
use crate::contract::remedy::{FORBIDDEN, UNAUTHORIZED, remedy};
use crate::contract::request::{CANNOT_CONNECT, REACH_REMEDY};

/// How an exchange ended.
pub(crate) struct Ending {
    pub(crate) verdict: Verdict,
    pub(crate) code: Option<Cow<'static, str>>,
    /// What happened, in full.
    pub(crate) reason: String,
    /// The part of it that Microsoft, or whoever answered, has written; perhaps nothing.
    pub(crate) words: String,
    /// Whether a blob was there and had nothing in it.
    pub(crate) hollow: bool,
    /// What it is, if it is not Microsoft's answer.
    pub(crate) foreign: Option<String>,
}

impl Ending {
    pub(crate) const fn retry(reason: String) -> Self {
        let verdict = Verdict::Retry(None);
        let words = String::new();
        Self { verdict, code: None, reason, words, hollow: false, foreign: None }
    }

    pub(crate) fn hollow(reason: &str) -> Self {
        Self { hollow: true, ..Self::retry(reason.into()) }
    }
}

/// What to do about failures of which no code says why.
pub(crate) const NO_CODE_REMEDY: &str =
    "check the network, the proxy and Microsoft's service health";

impl Ending {
    /// The code, or what happened without anybody's words: two that are alike have the same.
    pub(crate) fn kind(&self) -> &str {
        let bare = self.reason.strip_suffix(&self.words).unwrap_or(&self.reason);
        self.code.as_deref().unwrap_or_else(|| bare.trim_end_matches(": "))
    }

    /// Whether it passes by itself as a rule.
    pub(crate) fn passes(&self) -> bool {
        let asked_wrong = self.code.as_ref().is_some_and(|code| code.starts_with("AF2"));
        match &self.verdict {
            Verdict::Retry(_) | Verdict::CoolDown(_) => !asked_wrong,
            Verdict::Accept
            | Verdict::Reauthenticate
            | Verdict::Resubscribe
            | Verdict::Replan
            | Verdict::Throttle(_)
            | Verdict::Gone
            | Verdict::Deny
            | Verdict::Forbid => false,
        }
    }

    /// What to do about it.
    pub(crate) fn remedy(&self) -> &'static str {
        match (&self.code, &self.verdict) {
            (Some(code), _) => remedy(code),
            (None, Verdict::Reauthenticate) => remedy(UNAUTHORIZED),
            (None, Verdict::Forbid) => remedy(FORBIDDEN),
            (None, _) if self.reason.starts_with(CANNOT_CONNECT) => REACH_REMEDY,
            (None, _) => NO_CODE_REMEDY,
        }
    }
}
