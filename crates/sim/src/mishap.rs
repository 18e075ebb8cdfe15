//! Mishaps on the way to the service and back: what faults do to requests before the service
//! sees them, and to answers after it gave them. Whether one happens is decided in `faults`.

use crate::aadsts::Refusal;
use crate::answer::{self, Answer};
use crate::draw;
use crate::faults::Fault;
use crate::guid::Guid;
use crate::http::Transport;
use crate::route::Operation;
use crate::service::Microsoft;

impl Microsoft {
    /// Faults that take the request before the service sees it.
    pub(crate) fn lost_request(&mut self) -> Option<Transport> {
        if self.fault(Fault::Refused) {
            Some(Transport::Refuse)
        } else if self.fault(Fault::Stall) {
            Some(Transport::Stall)
        } else {
            None
        }
    }

    pub(crate) fn token_fault(&mut self) -> Option<Answer> {
        if self.fault(Fault::TokenForeign) {
            let page = "<!DOCTYPE html><html><head><title>Sign in to the network</title></head>";
            return Some(match self.pick(3) {
                0 => Answer::text(200, "text/html; charset=utf-8", page),
                1 => {
                    let to = "https://portal.example/login?from=login.microsoftonline.com";
                    Answer::empty(302).header("Location", to.into())
                }
                _ => Answer::text(407, "text/html", page)
                    .header("Proxy-Authenticate", "Basic realm=\"proxy\"".into()),
            });
        }
        if self.fault(Fault::TokenThrottled) {
            let retry_after = self.faults.plan.retry_after_seconds.to_string();
            let answer = Answer::text(429, "text/plain", "Too Many Requests");
            return Some(answer.header("Retry-After", retry_after));
        }
        if self.fault(Fault::TokenServerError) {
            let status = [500, 502, 503, 504][self.pick(4)];
            return Some(Answer::text(status, "text/html", "<html><body>Oops</body></html>"));
        }
        if self.fault(Fault::TokenTransient) {
            let trace = Guid::drawn(self.config.seed, self.counter);
            let refusal = Refusal { code: 90_033, ..Refusal::default() };
            return Some(refusal.answer(self.now_ms, trace));
        }
        None
    }

    /// What a noisy tenant is answered.
    pub(crate) fn noise(&self, operation: &Operation, publisher: Guid) -> Answer {
        if self.pick(2) == 0 {
            answer::throttled(429, operation.method(), publisher)
        } else {
            answer::af(500, "AF50000", "An internal error occurred.  Retry the request.")
        }
    }

    /// Faults in front of the API: the request takes no effect.
    pub(crate) fn front_fault(&mut self, operation: &Operation, publisher: Guid) -> Option<Answer> {
        const INTERNAL: &str = "An internal error occurred.  Retry the request.";
        const HOUR: &str = "Please retry the request again in an hour. We have been notified and \
                            would be resolved soon.";
        let method = operation.method();
        let burst = self.counter / self.faults.plan.burst_requests.max(1);
        if self.fault(Fault::RequestTimeout) {
            return Some(Answer::empty(408));
        }
        if self.faults.hit(Fault::InternalErrorBurst, burst, self.now_ms) {
            return Some(answer::af(500, "AF50000", INTERNAL));
        }
        if self.fault(Fault::InternalError) {
            let code = ["AF50000", "AF50005", "AF50006"][self.pick(3)];
            return Some(answer::af(500, code, INTERNAL));
        }
        if self.fault(Fault::InternalErrorHour) {
            return Some(answer::af(500, "AF50000", HOUR));
        }
        if self.fault(Fault::BadGateway) {
            let body = "<html><head><title>502 Bad Gateway</title></head></html>";
            return Some(Answer::text(502, "text/html", body));
        }
        if self.fault(Fault::Unavailable) {
            let body = "<!DOCTYPE html><html><body><h2>Our services aren't available right now\
                        </h2></body></html>";
            return Some(Answer::text(503, "text/html", body));
        }
        if self.fault(Fault::GatewayTimeout) {
            return Some(Answer::empty(504));
        }
        if self.fault(Fault::Throttled403) {
            return Some(answer::throttled(403, method, publisher));
        }
        if self.fault(Fault::Throttled429) {
            return Some(answer::throttled(429, method, publisher));
        }
        if self.fault(Fault::ThrottledRetryAfter) {
            let seconds = self.faults.plan.retry_after_seconds.to_string();
            let answer = answer::throttled(429, method, publisher);
            return Some(answer.header("Retry-After", seconds));
        }
        if self.fault(Fault::EmptyUnauthorized) {
            return Some(Answer::empty(401));
        }
        if self.fault(Fault::NotJson) {
            let body = "<html><body>Sign in to your account</body></html>";
            return Some(Answer::text(200, "text/html; charset=utf-8", body));
        }
        if self.fault(Fault::ErrorInOk) {
            let mut answer = answer::af(500, "AF50000", INTERNAL);
            answer.status = 200;
            return Some(answer);
        }
        None
    }

    /// Faults on the way back: the request took effect.
    pub(crate) fn lossy_answer(&mut self, answer: &Answer) -> Transport {
        let length = answer.body.known_len().unwrap_or(1 << 20).max(1);
        let after = draw::mix(self.counter, 0xC07) % length;
        if self.fault(Fault::Reset) {
            Transport::Reset { after }
        } else if self.fault(Fault::Truncated) {
            Transport::Truncate { after }
        } else if self.fault(Fault::StallBody) {
            Transport::StallBody { after }
        } else if self.fault(Fault::Slow) {
            let pause_ms = self.faults.plan.slow_pause_ms;
            Transport::Slow { piece: (length / 8).max(512), pause_ms }
        } else {
            Transport::Whole
        }
    }
}
