//! Signs in on behalf of the sources: presents the credential to whoever asked for a token, and
//! tells what became of it.

use bytes::Bytes;

use crate::access::token::TokenFailure;
use crate::base::flat_map::FlatMap;
use crate::base::time::Now;
use crate::contract::error_codes::remedy;
use crate::contract::event::Event;
use crate::contract::request::{Headers, Operation, RequestId};
use crate::identity::credential::Presented;
use crate::identity::sign_in::SignIn;
use crate::source::desk::Desk;
use crate::source::exchange::{Appetite, Head, SmallBody};
use crate::source::ledger::SourceId;
use crate::source::requests::Asker;
use crate::source::urgency::Urgency;
use crate::source::{Ended, Source};

/// Requests for tokens under way.
#[derive(Debug, Default)]
pub(super) struct SigningIn {
    exchanges: FlatMap<RequestId, Box<(Head, SmallBody)>>,
}

impl SigningIn {
    /// Takes what the driver presents, and signs in with it if that is what it was asked for.
    pub(super) fn present(
        &mut self,
        sources: &mut [Box<dyn Source>],
        desk: &mut Desk,
        sign_in: &SignIn,
        presented: Presented,
        now: Now,
        stopping: bool,
    ) {
        let (server_now, certain) = (desk.server_time(now), desk.server_now(now).is_some());
        let credential = presented.credential.clone();
        // Each time it is asked for, it is for one of them.
        let asked = sources.iter_mut().position(|source| source.access().is_asked());
        let taker = asked
            .or_else(|| sources.iter_mut().position(|source| source.access().tokens().is_some()));
        if let Some(credential) = credential {
            for (index, source) in sources.iter_mut().enumerate() {
                let tokens = source.access().tokens().filter(|_| Some(index) != taker);
                tokens.into_iter().for_each(|tokens| tokens.learn(credential.clone()));
            }
        }
        let Some(index) = taker else { return };
        let Some(tokens) = sources[index].access().tokens() else { return };
        let (events, request) = tokens.present(presented, sign_in, server_now, certain);
        events.into_iter().for_each(|event| desk.tell(event));
        if let Some(request) = request.filter(|_| !stopping) {
            let id = desk.send(Asker::SignIn(SourceId(index)), request, Urgency::Fresh);
            self.exchanges.insert(id, Box::default());
            if let Some(tokens) = sources[index].access().tokens() {
                tokens.requested(id);
            }
        }
    }

    pub(super) fn head(&mut self, id: RequestId, status: u16, headers: &Headers) {
        if let Some((head, _)) = self.exchanges.get_mut(&id).map(|exchange| &mut **exchange) {
            *head = Head::read(status, headers);
        }
    }

    pub(super) fn body(&mut self, id: RequestId, chunk: &Bytes) -> Appetite {
        let body = self.exchanges.get_mut(&id).map(|exchange| &mut exchange.1);
        body.map_or(Appetite::Enough, |body| body.extend(chunk))
    }

    /// A request for a token has ended, well or badly.
    pub(super) fn end(
        &mut self,
        source: &mut dyn Source,
        desk: &mut Desk,
        now: Now,
        id: RequestId,
        ended: Ended,
    ) {
        let Some((head, body)) = self.exchanges.remove(&id).map(|exchange| *exchange) else {
            return;
        };
        let Some(tokens) = source.access().tokens() else { return };
        let unreachable = ended.result.is_err();
        let outcome = match ended.result {
            Err(error) => Err(TokenFailure::Transient { reason: error.to_string() }),
            Ok(()) => {
                let seen = head.with(body.bytes());
                tokens.accept(&seen, now.monotonic, desk.server_time(now))
            }
        };
        let failure = match outcome {
            Ok(lifetime) => {
                let first = tokens.is_first();
                return desk.tell(Event::TokenAcquired { lifetime, first });
            }
            Err(failure) => tokens.soften(failure),
        };
        desk.counts().sign_in_failures += 1;
        let (retry_in, news) =
            tokens.fail(&failure, head.retry_after, now.monotonic, desk.random());
        let failures = tokens.failures();
        let first = failures == 1 && tokens.is_untried();
        let code = tokens.address_code();
        let operation = Operation::Token;
        match failure {
            TokenFailure::Transient { reason } if first && unreachable => {
                desk.counts().retries += 1;
                desk.tell(Event::SignInUnreachable { reason, retry_in });
            }
            TokenFailure::Refused { code, message } if news => {
                let remedy = remedy(&code);
                desk.tell(Event::TokenRefusedError { code, message, remedy });
            }
            TokenFailure::Foreign { answer } if news => {
                desk.counts().retries += 1;
                let (feed, remedy) = (None, remedy(code));
                desk.tell(Event::ForeignAnswerError { operation, feed, answer, code, remedy });
            }
            TokenFailure::Refused { code: reason, .. }
            | TokenFailure::Foreign { answer: reason }
            | TokenFailure::Transient { reason } => {
                let named = head.retry_after.map(|_| retry_in);
                desk.tell_wait(now, operation, None, &reason, named);
                desk.tell_retry(operation, None, failures, &reason, retry_in);
            }
        }
    }
}
