//! The token machine: one access token per tenant, one request for it at a time, renewed ahead of
//! its end and after a refusal. Sends nothing itself.

use std::time::Duration;

use serde_json::Value;

use crate::access::contact::Contact;
use crate::access::expiry::ExpiryWatch;
use crate::access::foreign::Seen;
use crate::access::token_request::request;
use crate::base::random::Random;
use crate::base::secret::Secret;
use crate::base::time::Utc;
use crate::contract::event::Event;
use crate::contract::request::{Request, RequestId};
use crate::identity::credential::{Credential, CredentialKind, Presented};
use crate::identity::sign_in::SignIn;

/// A token is renewed this long before its end, or after two thirds of its life if that is later.
const RENEW_AHEAD: Duration = Duration::from_secs(300);

/// A token this young is not thrown away for a 401: the refusal has another reason.
const YOUNG: Duration = Duration::from_secs(2);

/// Lives beyond these are not believed: zero would mean a request without end.
const LIFETIME_MIN: Duration = Duration::from_secs(5);
const LIFETIME_MAX: Duration = Duration::from_secs(86_400);

/// The life of a token whose answer does not say.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(300);

/// Waits between attempts, for services that are down and for credentials that are refused.
const RETRY_BASE: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
const REFUSED_BASE: Duration = Duration::from_secs(30);
const REFUSED_MAX: Duration = Duration::from_secs(600);

/// After so many fresh tokens in a row that the API did not take, the next one is no remedy.
pub(crate) const REJECTED_MAX: u32 = 5;

/// Entra's descriptions are cut to this many characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// An assertion is outside its valid time.
const NOT_VALID_NOW: &str = "AADSTS700024";

#[derive(Clone, Debug)]
struct Valid {
    value: Secret<String>,
    acquired_at: Duration,
    renew_at: Duration,
    expires_at: Duration,
}

/// Names one token among all that were had, so that a late 401 cannot discard its successor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Generation(u64);

/// How a token request ended badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenFailure {
    /// Entra refuses this app or its credential.
    Refused { code: String, message: String },
    /// What answers is not Entra ID.
    Foreign { answer: String },
    /// Anything that may pass by itself.
    Transient { reason: String },
}

/// The tenant's token.
#[derive(Clone, Debug)]
pub(crate) struct TokenMachine {
    /// What the app signs in with, as the driver presented it last.
    credential: Credential,
    /// What tokens are asked for.
    resource: Box<str>,
    expiry: ExpiryWatch,
    current: Option<Valid>,
    generation: u64,
    request: Option<RequestId>,
    /// Whether the driver was asked for the credential and has not presented it.
    asked: bool,
    not_before: Duration,
    failures: u32,
    refused: Option<String>,
    contact: Contact,
    /// Tokens in a row that the API did not take once.
    rejected: u32,
    /// When the API last took the current token.
    proven_at: Option<Duration>,
}

/// What a refused token means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// It is not used any more; the same may be asked again after this wait.
    Discarded(Duration),
    /// It has just been good for others: the refusal is about what was asked.
    NotTheToken,
}

impl TokenMachine {
    /// A machine for tokens of `resource`.
    pub(crate) fn new(credential: Credential, resource: &str) -> Self {
        Self {
            credential,
            resource: resource.into(),
            expiry: ExpiryWatch::default(),
            current: None,
            generation: 0,
            request: None,
            asked: false,
            not_before: Duration::ZERO,
            failures: 0,
            refused: None,
            contact: Contact::default(),
            rejected: 0,
            proven_at: None,
        }
    }

    /// The token to send now, if there is a valid one, and when it expires.
    pub(crate) fn usable(&self, now: Duration) -> Option<(&Secret<String>, Duration)> {
        let valid = self.current.as_ref().filter(|valid| now < valid.expires_at)?;
        Some((&valid.value, valid.expires_at))
    }

    /// Whether no token was ever had.
    pub(crate) const fn is_untried(&self) -> bool {
        self.generation == 0
    }

    /// Whether the one that was had is the first.
    pub(crate) const fn is_first(&self) -> bool {
        self.generation == 1
    }

    /// Names the token that is sent now.
    pub(crate) const fn generation(&self) -> Generation {
        Generation(self.generation)
    }

    /// Whether a request should be sent now; otherwise when to ask again (`None`: when the
    /// request under way has ended).
    pub(crate) fn wants_request(&self, now: Duration) -> Result<(), Option<Duration>> {
        if self.request.is_some() || self.asked {
            return Err(None);
        }
        let due = self.current.as_ref().map_or(Duration::ZERO, |valid| valid.renew_at);
        let due = due.max(self.not_before);
        if now < due { Err(Some(due)) } else { Ok(()) }
    }

    /// Whether the driver was asked for the credential and has not presented it.
    pub(crate) const fn is_asked(&self) -> bool {
        self.asked
    }

    /// Takes a credential that was presented to another machine of the same app.
    pub(crate) fn learn(&mut self, credential: Credential) {
        if credential != self.credential {
            self.credential = credential;
            self.expiry = ExpiryWatch::default();
            self.forgive();
        }
    }

    /// The driver is asked for the credential.
    pub(crate) const fn ask(&mut self) {
        self.asked = true;
    }

    /// Takes what the driver presents. Answers what an operator should hear, and the request for a
    /// token if that is what the credential was asked for. `now` is the service's time, or the
    /// local clock's if no answer has told it yet: `certain` says which.
    pub(crate) fn present(
        &mut self,
        presented: Presented,
        sign_in: &SignIn,
        now: Utc,
        certain: bool,
    ) -> (Vec<Event>, Option<Request>) {
        let mut events = Vec::new();
        events.extend(presented.trouble.map(|problem| Event::CredentialUnreadable { problem }));
        if let Some(credential) = presented.credential
            && credential != self.credential
        {
            // Federated tokens change all the time; nobody needs to know.
            if credential.kind() != CredentialKind::WorkloadIdentity {
                events.push(Event::CredentialChanged { credential: credential.to_string() });
            }
            self.credential = credential;
            self.expiry = ExpiryWatch::default();
            self.forgive();
        }
        if !std::mem::replace(&mut self.asked, false) {
            return (events, None);
        }
        if certain {
            events.extend(self.look_at_validity(now));
        }
        (events, Some(request(sign_in, &self.resource, &self.credential, &presented.entropy, now)))
    }

    /// What there is to say of a certificate's validity, by the service's time: what the local
    /// clock says of it may be wrong, and is no reason not to try.
    pub(crate) fn look_at_validity(&mut self, now: Utc) -> Option<Event> {
        self.expiry.look(&self.credential, now)
    }

    /// When the credential ends, if it says so.
    pub(crate) fn credential_end(&self) -> Option<Utc> {
        let Credential::Certificate(certificate) = &self.credential else { return None };
        Some(certificate.not_after())
    }

    /// There is another credential: what the last one was refused for is over.
    fn forgive(&mut self) {
        if self.refused.take().is_some() || self.is_doubted() {
            self.failures = 0;
            self.rejected = 0;
            self.not_before = Duration::ZERO;
        }
    }

    pub(crate) const fn requested(&mut self, id: RequestId) {
        self.request = Some(id);
    }

    /// Whether there will be no token that is of use, until somebody acts.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.refused.is_some() || self.is_doubted() || self.contact.is_lost()
    }

    /// Whether so many tokens were of no use that one request has to find out about the next.
    pub(crate) const fn is_doubted(&self) -> bool {
        self.rejected >= REJECTED_MAX
    }

    /// What our name is for the place where tokens come from, if something else answers there.
    pub(crate) const fn address_code(&self) -> &'static str {
        match self.credential.kind() {
            CredentialKind::ManagedIdentity => "identity-address",
            CredentialKind::ClientSecret
            | CredentialKind::Certificate
            | CredentialKind::WorkloadIdentity => "login-address",
        }
    }

    /// Failed requests in a row.
    pub(crate) const fn failures(&self) -> u32 {
        self.failures
    }

    /// The API refused the token of a request that was sent at `sent_at`.
    pub(crate) fn reject(
        &mut self,
        generation: Generation,
        sent_at: Duration,
        now: Duration,
        random: &mut Random,
    ) -> Rejection {
        let Some(valid) = self.current.as_ref().filter(|_| generation == self.generation()) else {
            // It has been replaced, or is about to be.
            return Rejection::Discarded(Duration::ZERO);
        };
        // One feed's refusal must not cost the others their token.
        if self.proven_at.is_some_and(|proven_at| sent_at <= proven_at) {
            return Rejection::NotTheToken;
        }
        if now < valid.acquired_at + YOUNG && !self.is_doubted() {
            return Rejection::Discarded(YOUNG);
        }
        self.current = None;
        self.rejected = self.rejected.saturating_add(1);
        let wait = match self.rejected {
            // The first one is what a token that was withdrawn looks like.
            1 => return Rejection::Discarded(Duration::ZERO),
            mounting @ ..REJECTED_MAX => random.backoff(RETRY_BASE, RETRY_MAX, mounting - 1),
            beyond => random.backoff(REFUSED_BASE, REFUSED_MAX, beyond - REJECTED_MAX + 1),
        };
        self.not_before = self.not_before.max(now + wait);
        Rejection::Discarded(wait)
    }

    /// The API took a token.
    pub(crate) fn prove(&mut self, generation: Generation, now: Duration) {
        if generation == self.generation() {
            self.rejected = 0;
            self.proven_at = Some(now);
        }
    }

    /// Whether `generation` names the token that is used now, and when the API last took it.
    pub(crate) fn standing(&self, generation: Generation) -> (bool, Option<Duration>) {
        let current = self.current.is_some() && generation == self.generation();
        (current, self.proven_at.filter(|_| current))
    }

    /// Tokens in a row that the API did not take.
    pub(crate) const fn rejected(&self) -> u32 {
        self.rejected
    }

    /// A request was answered. Answers for how long the token is valid that came with it.
    pub(crate) fn accept(
        &mut self,
        seen: &Seen<'_>,
        now: Duration,
        server_now: Utc,
    ) -> Result<Duration, TokenFailure> {
        let ok = (200..300).contains(&seen.status);
        let parsed: Option<Value> =
            Some(seen.body).filter(|_| ok).and_then(|body| serde_json::from_slice(body).ok());
        let token = parsed.as_ref().and_then(|value| value.get("access_token")?.as_str());
        let (Some(token), Some(value)) = (token, &parsed) else {
            // A machine's metadata service answers 404 and 410 while it is being updated.
            let updates = self.credential.kind() == CredentialKind::ManagedIdentity
                && matches!(seen.status, 404 | 410);
            return Err(match failure_of(seen) {
                TokenFailure::Foreign { answer } if updates => {
                    TokenFailure::Transient { reason: answer }
                }
                failure @ (TokenFailure::Refused { .. }
                | TokenFailure::Foreign { .. }
                | TokenFailure::Transient { .. }) => failure,
            });
        };
        let lifetime = seconds(value.get("expires_in"))
            .or_else(|| until(value.get("expires_on"), server_now))
            .unwrap_or(LIFETIME_DEFAULT);
        let lifetime = lifetime.clamp(LIFETIME_MIN, LIFETIME_MAX);
        self.current = Some(Valid {
            value: Secret::new(token.to_owned()),
            acquired_at: now,
            renew_at: now + (lifetime * 2 / 3).max(lifetime.saturating_sub(RENEW_AHEAD)),
            expires_at: now + lifetime,
        });
        self.generation += 1;
        self.proven_at = None;
        self.request = None;
        self.failures = 0;
        self.refused = None;
        self.contact.note_proof();
        Ok(lifetime)
    }

    /// An assertion out of its time may have been dated by a wrong local clock. The answer has told
    /// the right time, so the next one tells.
    pub(crate) fn soften(&self, failure: TokenFailure) -> TokenFailure {
        match failure {
            TokenFailure::Refused { code, .. } if code == NOT_VALID_NOW && self.failures == 0 => {
                TokenFailure::Transient { reason: code }
            }
            TokenFailure::Refused { .. }
            | TokenFailure::Foreign { .. }
            | TokenFailure::Transient { .. } => failure,
        }
    }

    /// A request ended without a token. Answers the wait before the next, and whether it is to be
    /// told at once: a refusal that is new, or somebody else's answer.
    pub(crate) fn fail(
        &mut self,
        failure: &TokenFailure,
        retry_after: Option<Duration>,
        now: Duration,
        random: &mut Random,
    ) -> (Duration, bool) {
        self.request = None;
        self.failures = self.failures.saturating_add(1);
        let (wait, news) = match failure {
            TokenFailure::Refused { code, .. } => {
                let news = self.refused.as_ref() != Some(code);
                self.refused = Some(code.clone());
                (random.backoff(REFUSED_BASE, REFUSED_MAX, self.failures), news)
            }
            TokenFailure::Foreign { .. } => {
                let wait = random.backoff(RETRY_BASE, REFUSED_MAX, self.failures);
                (wait, self.contact.note_foreign())
            }
            TokenFailure::Transient { .. } => {
                let wait = random.backoff(RETRY_BASE, RETRY_MAX, self.failures);
                (wait.max(retry_after.unwrap_or_default().min(REFUSED_MAX)), false)
            }
        };
        self.not_before = now + wait;
        (wait, news)
    }
}

/// What an answer without a token says.
fn failure_of(seen: &Seen<'_>) -> TokenFailure {
    let status = seen.status;
    let parsed: Option<Value> = serde_json::from_slice(seen.body).ok();
    let error = parsed.as_ref().and_then(|value| value.get("error")?.as_str());
    let (Some(value), Some(error)) = (&parsed, error) else {
        // Of services that are down or busy, proxies speak as well as Entra ID's own front.
        let cut = parsed.is_none() && seen.body.trim_ascii_start().starts_with(b"{");
        let passing = cut || matches!(status, 408 | 429 | 500..=510 | 512..);
        return if passing {
            TokenFailure::Transient { reason: seen.describe() }
        } else {
            TokenFailure::Foreign { answer: seen.describe() }
        };
    };
    let transient = TokenFailure::Transient { reason: format!("HTTP status {status}, {error}") };
    let number = value.get("error_codes").and_then(|codes| codes.get(0)?.as_u64());
    // Microsoft's advice is to branch on `error` and `error_codes`, never on the text.
    let passing = matches!(error, "temporarily_unavailable" | "server_error")
        || matches!(number, Some(50_033 | 90_006 | 90_012 | 90_024 | 90_033 | 90_055));
    // A machine's metadata service answers 404 and 410 while it is being updated.
    if passing || matches!(status, 404 | 410 | 429) || status >= 500 {
        return transient;
    }
    let description = value.get("error_description").and_then(Value::as_str).unwrap_or_default();
    let line = description.lines().next().unwrap_or_default();
    let message = line.split(" Trace ID:").next().unwrap_or_default();
    let (named, message) = match message.split_once(": ") {
        Some((named, rest)) if named.starts_with("AADSTS") => (Some(named), rest),
        _ => (None, message),
    };
    TokenFailure::Refused {
        code: match (number, named) {
            (Some(number), _) => format!("AADSTS{number}"),
            (None, Some(named)) => named.to_owned(),
            (None, None) => error.chars().take(MESSAGE_CHARS_MAX).collect(),
        },
        message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
    }
}

/// Seconds as v2 (a number) or v1 (a string) writes them.
fn seconds(value: Option<&Value>) -> Option<Duration> {
    let value = value?;
    let seconds = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Duration::from_secs(seconds))
}

/// The time until a moment that is given in seconds since the epoch: all that App Service says.
fn until(value: Option<&Value>, now: Utc) -> Option<Duration> {
    let end = i64::try_from(seconds(value)?.as_secs()).ok()?;
    Some(Utc::from_millis(end.saturating_mul(1_000)).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::credential::ManagedIdentity;
    use crate::options::Reader;

    fn machine() -> TokenMachine {
        TokenMachine::new(Credential::ClientSecret(Secret::new("s3cret".into())), "r")
    }

    const NOW: Utc = Utc::from_millis(1_000_000);

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn seen(status: u16, body: &str) -> Seen<'_> {
        Seen { status, content_type: "", location: "", body: body.as_bytes() }
    }

    fn accept(
        tokens: &mut TokenMachine,
        body: &str,
        now: Duration,
    ) -> Result<Duration, TokenFailure> {
        tokens.accept(&seen(200, body), now, NOW)
    }

    #[test]
    fn every_form_of_the_expiry_is_read() {
        for body in [
            r#"{"access_token":"x","expires_in":3599}"#,
            r#"{"access_token":"x","expires_in":"3599"}"#,
            r#"{"access_token":"x","expires_on":"4599"}"#,
        ] {
            assert_eq!(accept(&mut machine(), body, at(0)), Ok(at(3_599)));
        }
    }

    #[test]
    fn an_absurd_lifetime_is_not_believed() {
        let lifetime = |seconds: &str| {
            let body = format!(r#"{{"access_token":"x","expires_in":{seconds}}}"#);
            accept(&mut machine(), &body, at(0)).unwrap()
        };
        assert_eq!(lifetime("0"), LIFETIME_MIN);
        assert_eq!(lifetime("18446744073709551615"), LIFETIME_MAX);
    }

    #[test]
    fn a_token_is_renewed_before_it_ends_and_used_until_then() {
        let mut tokens = machine();
        accept(&mut tokens, r#"{"access_token":"x","expires_in":3600}"#, at(0)).unwrap();
        assert_eq!(tokens.wants_request(at(3_299)), Err(Some(at(3_300))));
        assert_eq!(tokens.wants_request(at(3_300)), Ok(()));
        assert!(tokens.usable(at(3_599)).is_some());
        assert!(tokens.usable(at(3_600)).is_none());
    }

    #[test]
    fn only_the_token_that_was_refused_is_discarded() {
        let mut tokens = machine();
        accept(&mut tokens, r#"{"access_token":"a"}"#, at(0)).unwrap();
        let first = tokens.generation();
        accept(&mut tokens, r#"{"access_token":"b"}"#, at(10)).unwrap();
        let mut random = Random::new(1);
        let discarded = |wait| Rejection::Discarded(wait);
        assert_eq!(tokens.reject(first, at(9), at(20), &mut random), discarded(at(0)));
        assert_eq!(tokens.usable(at(20)).unwrap().0.expose(), "b");
        let second = tokens.generation();
        tokens.prove(second, at(15));
        // What was sent before it proved good is refused for another reason.
        assert_eq!(tokens.reject(second, at(15), at(20), &mut random), Rejection::NotTheToken);
        tokens.reject(second, at(16), at(20), &mut random);
        assert!(tokens.usable(at(20)).is_none());
        // A second token that is refused at once has another reason: ever slower from here.
        accept(&mut tokens, r#"{"access_token":"c"}"#, at(21)).unwrap();
        let third = tokens.generation();
        assert_eq!(tokens.reject(third, at(21), at(22), &mut random), discarded(YOUNG));
        assert_ne!(tokens.reject(third, at(21), at(30), &mut random), discarded(at(0)));
        assert_eq!(tokens.rejected(), 2);
    }

    #[test]
    fn a_refusal_is_told_from_trouble() {
        let refused = r#"{"error":"invalid_client","error_description":
            "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1","error_codes":[7000215]}"#;
        assert_eq!(
            failure_of(&seen(401, refused)),
            TokenFailure::Refused {
                code: "AADSTS7000215".into(),
                message: "Invalid client secret provided.".into(),
            }
        );
        let updating = r#"{"error":"not_found"}"#;
        let busy = r#"{"error":"invalid_grant","error_codes":[90033]}"#;
        for (status, body) in [
            (429, "Too Many Requests"),
            (503, "<html>"),
            (404, updating),
            (400, busy),
            (200, r#"{"access_token":"x"#),
        ] {
            let failure = failure_of(&seen(status, body));
            assert!(matches!(failure, TokenFailure::Transient { .. }), "{status} {body}");
        }
    }

    #[test]
    fn what_answers_in_the_place_of_entra_id_is_told_at_once() {
        for (status, body) in
            [(200, "<html>Sign in"), (200, r#"{"token":"x"}"#), (302, ""), (407, ""), (404, "")]
        {
            let mut tokens = machine();
            let failure = tokens.accept(&seen(status, body), at(1), NOW).unwrap_err();
            assert!(matches!(failure, TokenFailure::Foreign { .. }), "{status} {body}");
            let mut random = Random::new(1);
            let mut told = (0..9).map(|_| tokens.fail(&failure, None, at(1), &mut random).1);
            assert_eq!(told.next(), Some(true), "{status} {body}");
            assert!(!told.any(|told| told), "{status} {body}");
            assert!(tokens.is_hopeless());
        }
        // A machine's service that is being updated.
        let mut tokens = machine();
        let raw = [("managed_identity_endpoint", "http://127.0.0.1/token")];
        let raw = raw.map(|(name, value)| (name.into(), value.into())).into();
        let identity = ManagedIdentity::read(&mut Reader::new(&raw)).unwrap();
        tokens.credential = Credential::ManagedIdentity(identity);
        let failure = tokens.accept(&seen(404, ""), at(1), NOW).unwrap_err();
        assert!(matches!(failure, TokenFailure::Transient { .. }));
    }

    #[test]
    fn the_waits_grow_while_no_token_is_taken() {
        let (mut tokens, mut random) = (machine(), Random::new(1));
        let (mut now, mut asked) = (at(0), 0);
        while now < at(3_600) {
            accept(&mut tokens, r#"{"access_token":"x"}"#, now).unwrap();
            asked += 1;
            let generation = tokens.generation();
            while tokens.usable(now).is_some() {
                now += at(1);
                tokens.reject(generation, now, now, &mut random);
            }
            now = now.max(tokens.not_before);
            assert_eq!(tokens.is_doubted(), REJECTED_MAX <= asked);
        }
        assert!((10..20).contains(&asked), "{asked}");
        // Another credential may be better.
        tokens.learn(Credential::ClientSecret(Secret::new("another".into())));
        assert!(!tokens.is_doubted());
        assert_eq!(tokens.wants_request(at(3_600)), Ok(()));
    }
}
