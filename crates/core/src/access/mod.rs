//! What an API demands before it is asked: a token, and a place within the rate. And what its
//! answers say about both.

pub(crate) mod budget;
pub(crate) mod contact;
pub(crate) mod expiry;
pub(crate) mod foreign;
pub(crate) mod token;
mod token_request;

use std::time::Duration;

use crate::access::budget::{Budget, Slowed};
use crate::access::contact::Contact;
use crate::access::token::{Generation, Rejection, TokenMachine};
use crate::base::random::Random;
use crate::base::secret::Secret;
use crate::base::time::Utc;
use crate::contract::event::Event;
use crate::identity::sign_in::SignIn;

/// Our names, in the table of remedies, for what goes wrong at one API.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Troubles {
    /// Somebody else answers at its address.
    pub address: &'static str,
    /// It takes no token.
    pub rejected: &'static str,
}

/// How a request says who sends it.
#[derive(Clone, Debug)]
pub(crate) enum Authorization {
    /// An access token of Entra ID.
    Bearer(Secret<String>),
    /// A token that was given to us, of the service's own.
    Given(Secret<String>),
}

/// What lets us in.
#[derive(Clone, Debug)]
enum Pass {
    Entra(Box<TokenMachine>),
    Given(Secret<String>),
}

/// The account of one API. Answers what to tell as values and knows no desk, so that single calls
/// use the same one.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pass: Pass,
    budget: Budget,
    contact: Contact,
    troubles: Troubles,
}

impl Access {
    /// Access to an API whose tokens Entra ID gives, for `resource`.
    pub(crate) fn by_entra(
        sign_in: &SignIn,
        resource: &str,
        requests_per_minute: u32,
        troubles: Troubles,
        now: Duration,
    ) -> Self {
        let tokens = TokenMachine::new(sign_in.credential.clone(), resource);
        Self::new(Pass::Entra(Box::new(tokens)), requests_per_minute, troubles, now)
    }

    /// Access by a token that was given to us.
    pub(crate) fn given(
        token: Secret<String>,
        requests_per_minute: u32,
        troubles: Troubles,
        now: Duration,
    ) -> Self {
        Self::new(Pass::Given(token), requests_per_minute, troubles, now)
    }

    fn new(pass: Pass, requests_per_minute: u32, troubles: Troubles, now: Duration) -> Self {
        let budget = Budget::new(requests_per_minute, now);
        Self { pass, budget, contact: Contact::default(), troubles }
    }

    /// Our names for what goes wrong here.
    pub(crate) const fn troubles(&self) -> Troubles {
        self.troubles
    }

    // Tokens.

    /// The machine that gets tokens; `None`: none are got.
    pub(crate) const fn tokens(&mut self) -> Option<&mut TokenMachine> {
        match &mut self.pass {
            Pass::Entra(tokens) => Some(tokens),
            Pass::Given(_) => None,
        }
    }

    const fn machine(&self) -> Option<&TokenMachine> {
        match &self.pass {
            Pass::Entra(tokens) => Some(tokens),
            Pass::Given(_) => None,
        }
    }

    /// Whether a token was given to us, so that there is no other.
    pub(crate) const fn is_given(&self) -> bool {
        matches!(self.pass, Pass::Given(_))
    }

    /// Whether a token is wanted, which then counts as asked for; otherwise when to look again.
    pub(crate) fn asks(&mut self, now: Duration) -> Result<(), Option<Duration>> {
        let tokens = self.tokens().ok_or(None)?;
        tokens.wants_request(now)?;
        tokens.ask();
        Ok(())
    }

    /// Whether the credential was asked for on its behalf and has not come.
    pub(crate) fn is_asked(&self) -> bool {
        self.machine().is_some_and(TokenMachine::is_asked)
    }

    /// What to send now, and when it expires, if it does.
    pub(crate) fn authorization(&self, now: Duration) -> Option<(Authorization, Option<Duration>)> {
        match &self.pass {
            Pass::Entra(tokens) => {
                let (token, expires_at) = tokens.usable(now)?;
                Some((Authorization::Bearer(token.clone()), Some(expires_at)))
            }
            Pass::Given(token) => Some((Authorization::Given(token.clone()), None)),
        }
    }

    /// Names the token that is sent now.
    pub(crate) fn generation(&self) -> Generation {
        self.machine().map(TokenMachine::generation).unwrap_or_default()
    }

    /// The API took a token.
    pub(crate) fn prove(&mut self, generation: Generation, now: Duration) {
        if let Some(tokens) = self.tokens() {
            tokens.prove(generation, now);
        }
    }

    /// The API refused the token of a request that was sent at `sent_at`. Answers how many it has
    /// refused in a row as well, if this one counts.
    pub(crate) fn reject(
        &mut self,
        generation: Generation,
        sent_at: Duration,
        now: Duration,
        random: &mut Random,
    ) -> (Rejection, Option<u32>) {
        let Some(tokens) = self.tokens() else { return (Rejection::NotTheToken, None) };
        let before = tokens.rejected();
        let rejection = tokens.reject(generation, sent_at, now, random);
        let rejected = tokens.rejected();
        (rejection, Some(rejected).filter(|rejected| before < *rejected))
    }

    /// Whether `generation` names the token that is used now, and when the API last took it.
    pub(crate) fn standing(&self, generation: Generation) -> (bool, Option<Duration>) {
        self.machine().map_or((true, None), |tokens| tokens.standing(generation))
    }

    /// Whether so many tokens were of no use that one request has to find out about the next.
    pub(crate) fn is_doubted(&self) -> bool {
        self.machine().is_some_and(TokenMachine::is_doubted)
    }

    /// Whether there will be no token that is of use, until somebody acts.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.machine().is_some_and(TokenMachine::is_hopeless)
    }

    /// What there is to say of a certificate's validity, by the service's time.
    pub(crate) fn look_at_validity(&mut self, now: Utc) -> Option<Event> {
        self.tokens()?.look_at_validity(now)
    }

    // The rate.

    /// Takes one request if there is one; otherwise says when to ask again.
    pub(crate) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        self.budget.take(now)
    }

    /// Requests a minute at present.
    pub(crate) const fn rate(&self) -> u32 {
        self.budget.rate()
    }

    /// A request was answered as it should be.
    pub(crate) const fn note_success(&mut self) {
        self.budget.note_success();
    }

    /// An answer asked for fewer requests.
    pub(crate) fn throttle(&mut self, now: Duration, retry_after: Option<Duration>) -> Slowed {
        self.budget.throttle(now, retry_after)
    }

    // Whether it is there.

    /// The account of whether the API was ever reached.
    pub(crate) const fn contact(&mut self) -> &mut Contact {
        &mut self.contact
    }

    /// Whether so many answers were somebody else's that no other can be expected.
    pub(crate) const fn is_lost(&self) -> bool {
        self.contact.is_lost()
    }
}
