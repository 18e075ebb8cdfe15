//! When an operator is warned of a certificate's end.

use crate::base::time::Utc;
use crate::contract::event::Event;
use crate::identity::credential::Credential;

/// Remembers how an operator was last warned of a certificate's end.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExpiryWatch {
    /// The bracket of [`WARNED_DAYS`] that was told.
    told: Option<u64>,
    /// Whether it was told that it is not valid yet.
    early: bool,
}

/// Days before a certificate's end at which an operator is warned; 0 is the end itself.
const WARNED_DAYS: [u64; 4] = [0, 1, 7, 30];

impl ExpiryWatch {
    /// What there is to say about the credential's end, if it was not said before.
    pub(crate) fn look(&mut self, credential: &Credential, now: Utc) -> Option<Event> {
        const DAY: u64 = 86_400;
        let Credential::Certificate(certificate) = credential else { return None };
        let (from, until) = (certificate.not_before(), certificate.not_after());
        if now < from {
            let thumbprint = certificate.thumbprint();
            let told = std::mem::replace(&mut self.early, true);
            return (!told).then_some(Event::CertificateEarlyError { thumbprint, from });
        }
        let left = until.since(now);
        let days = left.as_secs().div_ceil(DAY);
        let bracket = WARNED_DAYS.into_iter().find(|warned| days <= *warned)?;
        if self.told.replace(bracket) == Some(bracket) {
            return None;
        }
        let thumbprint = certificate.thumbprint();
        Some(if days == 0 {
            Event::CertificateExpiredError { thumbprint, until }
        } else {
            Event::CertificateExpiring { thumbprint, until, days }
        })
    }
}
