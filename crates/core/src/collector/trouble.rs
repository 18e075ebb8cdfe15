//! Tells of trouble, and of both sources alike: nothing answers, somebody else answers, tokens are
//! refused, fewer requests are asked for, requests fail again and again. What follows from an
//! answer otherwise is decided by whoever asked.

use std::time::Duration;

use crate::access::budget::Budget;
use crate::access::contact::Contact;
use crate::access::token::{REJECTED_MAX, Rejection, TokenMachine};
use crate::audit::exchange::Exchange;
use crate::base::time::Now;
use crate::collector::Collector;
use crate::contract::batch::ContentType;
use crate::contract::event::Event;
use crate::contract::remedy::remedy;
use crate::contract::request::Operation;

/// Failures in a row after which an operator hears of it.
pub(crate) const MOUNTING: u32 = 5;

impl Collector {
    fn tokens_of(&mut self, operation: Operation) -> &mut TokenMachine {
        match (&mut self.activities, operation) {
            (Some(lane), Operation::ListActivities) => &mut lane.tokens,
            _ => &mut self.tokens,
        }
    }

    fn budget_of(&mut self, operation: Operation) -> &mut Budget {
        match (&mut self.activities, operation) {
            (Some(lane), Operation::ListActivities) => &mut lane.budget,
            _ => &mut self.budget,
        }
    }

    /// The account of the API that an operation is one of.
    pub(crate) fn contact_of(&mut self, operation: Operation) -> &mut Contact {
        match (&mut self.activities, operation) {
            (Some(lane), Operation::ListActivities) => &mut lane.contact,
            _ => &mut self.contact,
        }
    }

    /// Nothing answered. While nothing ever has, that is told at once.
    pub(crate) fn note_silence(&mut self, operation: Operation, reason: &str) {
        if operation != Operation::Token && self.contact_of(operation).note_silence() {
            self.event(Event::ApiUnreachable { operation, reason: reason.to_owned() });
        }
    }

    /// Somebody else answered in the place of an API. Told at once while it was never reached.
    pub(crate) fn note_foreign(
        &mut self,
        operation: Operation,
        content_type: Option<ContentType>,
        answer: &str,
    ) {
        if self.contact_of(operation).note_foreign() {
            let portal = operation == Operation::ListActivities;
            let code = if portal { "portal-address" } else { "api-address" };
            let (answer, remedy) = (answer.to_owned(), remedy(code));
            let event = Event::ForeignAnswerError { operation, content_type, answer, code, remedy };
            self.event(event);
        }
    }

    /// An answer found the token no good. `answer` is what it said.
    pub(crate) fn reject_token(
        &mut self,
        now: Now,
        exchange: &Exchange,
        content_type: Option<ContentType>,
        answer: &str,
    ) -> Rejection {
        let operation = exchange.operation;
        // Not through `tokens_of`, which borrows all.
        let mut random = self.random.clone();
        let tokens = self.tokens_of(operation);
        let before = tokens.rejected();
        let (generation, sent_at) = (exchange.generation, exchange.sent_at);
        let rejection = tokens.reject(generation, sent_at, now.monotonic, &mut random);
        let rejected = tokens.rejected();
        self.random = random;
        if let Rejection::Discarded(wait) = rejection
            && rejected > before
        {
            if rejected == REJECTED_MAX {
                let portal = operation == Operation::ListActivities;
                self.event(Event::TokensRejectedError {
                    operation,
                    content_type,
                    tokens: rejected,
                    answer: answer.to_owned(),
                    remedy: remedy(if portal { "portal-rejected" } else { "token-rejected" }),
                });
            } else {
                let reason = format!("{answer}: the token was refused");
                self.report_retry(operation, content_type, rejected, &reason, wait);
            }
        }
        rejection
    }

    /// Fewer requests are asked for.
    pub(crate) fn throttle(
        &mut self,
        now: Now,
        operation: Operation,
        content_type: Option<ContentType>,
        retry_after: Option<Duration>,
    ) {
        self.metrics.throttled += 1;
        let budget = self.budget_of(operation);
        let slowed = budget.throttle(now.monotonic, retry_after);
        let requests_per_minute = budget.rate();
        let (pause, server_now) = (slowed.pause, self.clock.at(now));
        let told = self.postponed.note(operation, content_type, pause, server_now);
        if slowed.is_slower {
            let until = server_now + pause;
            self.event(Event::Throttled { operation, requests_per_minute, pause, until });
            return;
        }
        let reason = "Microsoft throttles";
        if let Some(until) = told {
            let reason = reason.to_owned();
            self.event(Event::RequestPostponed { operation, content_type, reason, until });
        }
        // It cannot go any lower, or has been there before, and must not go unheard.
        self.report_retry(operation, content_type, slowed.in_a_row, reason, pause);
    }

    /// Tells of a long wait that an answer has named, with its end.
    pub(crate) fn report_wait(
        &mut self,
        now: Now,
        operation: Operation,
        content_type: Option<ContentType>,
        reason: &str,
        named: Option<Duration>,
    ) {
        let now = self.clock.at(now);
        let until = named.and_then(|wait| self.postponed.note(operation, content_type, wait, now));
        if let Some(until) = until {
            let reason = reason.to_owned();
            self.event(Event::RequestPostponed { operation, content_type, reason, until });
        }
    }

    /// A request failed, for so many times in a row, and is repeated.
    pub(crate) fn report_retry(
        &mut self,
        operation: Operation,
        content_type: Option<ContentType>,
        failures: u32,
        reason: &str,
        retry_in: Duration,
    ) {
        self.metrics.retries += 1;
        // Again and again, but ever less often.
        let mounting = failures >= MOUNTING
            && (failures / MOUNTING).is_power_of_two()
            && failures.is_multiple_of(MOUNTING);
        let reason = reason.to_owned();
        self.event(if mounting {
            Event::RetriesMounting { operation, content_type, failures, reason }
        } else {
            Event::RequestRetried { operation, content_type, reason, retry_in }
        });
    }
}
