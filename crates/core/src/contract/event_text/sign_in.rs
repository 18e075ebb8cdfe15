//! What is said of signing in.

use std::fmt;
use std::time::Duration;

use crate::base::text::spoken;
use crate::base::time::Utc;
use crate::contract::request::REACH_REMEDY;

pub(super) fn token_acquired(f: &mut fmt::Formatter<'_>, lifetime: Duration) -> fmt::Result {
    write!(f, "signed in; the token is valid for {}", spoken(lifetime))
}

pub(super) fn token_refused(
    f: &mut fmt::Formatter<'_>,
    code: &str,
    message: &str,
    remedy: &str,
) -> fmt::Result {
    // What Entra ID says ends with a full stop, and the sentence goes on.
    let message = message.trim_end_matches('.');
    write!(f, "sign-in refused: {code}: {message}; remedy: {remedy}")
}

pub(super) fn signing_in(f: &mut fmt::Formatter<'_>, credential: &str, auto: bool) -> fmt::Result {
    let how = if auto { " (auth auto)" } else { "" };
    write!(f, "signing in with {credential}{how}")
}

pub(super) fn credential_changed(f: &mut fmt::Formatter<'_>, credential: &str) -> fmt::Result {
    write!(f, "the credential has changed: now signing in with {credential}")
}

pub(super) fn credential_unreadable(f: &mut fmt::Formatter<'_>, problem: &str) -> fmt::Result {
    write!(f, "{problem}; keeping the previous credential")
}

pub(super) fn certificate_expiring(
    f: &mut fmt::Formatter<'_>,
    thumbprint: &str,
    until: Utc,
    days: u64,
) -> fmt::Result {
    let unit = if days == 1 { "day" } else { "days" };
    write!(
        f,
        "certificate {thumbprint} expires in {days} {unit}, at {until}; remedy: register \
         a new one with the app and replace it"
    )
}

pub(super) fn certificate_expired(
    f: &mut fmt::Formatter<'_>,
    thumbprint: &str,
    until: Utc,
) -> fmt::Result {
    write!(
        f,
        "certificate {thumbprint} expired at {until}; remedy: register a new one with \
         the app and replace it"
    )
}

pub(super) fn certificate_early(
    f: &mut fmt::Formatter<'_>,
    thumbprint: &str,
    from: Utc,
) -> fmt::Result {
    write!(
        f,
        "certificate {thumbprint} is not valid before {from}; remedy: wait until then, or \
         register another one with the app"
    )
}

pub(super) fn silent(f: &mut fmt::Formatter<'_>, reason: &str, retry_in: Duration) -> fmt::Result {
    write!(
        f,
        "no answer to the first sign-in, retrying in {}; {REACH_REMEDY}: {reason}",
        spoken(retry_in)
    )
}
