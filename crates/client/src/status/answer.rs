//! One request, and its answer. Reads the board, and no body: no call can change anything.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName,
    HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode, Version};

use super::board::{Board, View};
use super::json::{self, Extent};
use super::page::Page;
use super::text::{self, Form};
use super::{ready, text::PREFIX};

/// Lines of an answer of `/readyz`.
const LINES_MAX: usize = 100;

const PLAIN: &str = "text/plain; charset=utf-8";

/// Answers requests.
#[derive(Debug)]
pub(super) struct Answering {
    board: Arc<Board>,
    page: Page,
    /// Whether only this machine can ask.
    loopback: bool,
}

/// What is answered.
struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
}

impl Answer {
    fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self { status, content_type: PLAIN, body: text.into() }
    }
}

impl Answering {
    pub(super) fn new(board: Arc<Board>, loopback: bool) -> Self {
        Self { board, page: Page::new(), loopback }
    }

    /// The answer to a request.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let Answer { status, content_type, body } = self.judge(request);
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let fixed = [
            (CONTENT_TYPE, content_type),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            (REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(CONTENT_SECURITY_POLICY, self.page.policy());
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        response
    }

    fn judge<B>(&self, request: &Request<B>) -> Answer {
        if !self.is_meant(request) {
            return Answer::text(
                StatusCode::MISDIRECTED_REQUEST,
                "status_listen is an address of this machine alone: ask at localhost or 127.0.0.1, \
                 or set status_listen to an address of its own\n",
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Answer::text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        }
        let query = request.uri().query().unwrap_or_default();
        let now = Instant::now();
        match request.uri().path() {
            "/" => Answer {
                status: StatusCode::OK,
                content_type: "text/html; charset=utf-8",
                body: self.page.html(),
            },
            "/metrics" => self.metrics(request, now),
            "/healthz" => self.health(now),
            "/readyz" => self.readiness(query, now),
            "/status" => self.status(query, now),
            _ => Answer::text(
                StatusCode::NOT_FOUND,
                "there are: / /status /metrics /healthz /readyz\n",
            ),
        }
    }

    /// A page of somebody else may make a browser ask here under a name of its own (DNS rebinding).
    fn is_meant<B>(&self, request: &Request<B>) -> bool {
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host,
            // Whoever speaks that is no browser.
            (None, _) => return request.version() < Version::HTTP_11,
            (Some(_), Some(_)) => return false,
        };
        !self.loopback || host.to_str().is_ok_and(is_this_machine)
    }

    fn metrics<B>(&self, request: &Request<B>, now: Instant) -> Answer {
        let accepted = request.headers().get_all(ACCEPT).iter();
        let accepted = accepted.filter_map(|value| value.to_str().ok());
        let accepted = accepted.collect::<Vec<_>>().join(",");
        // Who asks for nothing in particular gets the newer one.
        let is_old = accepted.contains("text/plain") && !accepted.contains("openmetrics-text");
        let form = if is_old { Form::Prometheus } else { Form::OpenMetrics };
        let body = text::write(&self.board, now, form).into();
        Answer { status: StatusCode::OK, content_type: form.content_type(), body }
    }

    fn health(&self, now: Instant) -> Answer {
        let mut lines = Lines::default();
        self.board.look(now, |view| {
            if let Some(problem) = ready::hung(view) {
                lines.add(view, &problem);
            }
        });
        match lines.count {
            0 => Answer::text(StatusCode::OK, "ok\n"),
            _ => Answer::text(StatusCode::SERVICE_UNAVAILABLE, lines.text()),
        }
    }

    fn readiness(&self, query: &str, now: Instant) -> Answer {
        let any = query.split('&').any(|word| word == "any" || word == "any=true");
        let wanted = argument(query, "tenant");
        let (mut lines, mut all, mut ready) = (Lines::default(), 0_usize, 0_usize);
        self.board.look(now, |view| {
            let subject = view.subject;
            let is_meant =
                |wanted: &String| **wanted == *subject.tenant_id || wanted == subject.title();
            if !wanted.as_ref().is_none_or(is_meant) {
                return;
            }
            all += 1;
            let reasons = ready::reasons(view);
            ready += usize::from(reasons.is_empty());
            reasons.iter().for_each(|reason| lines.add(view, reason));
        });
        if all == 0 {
            let text = wanted.map_or_else(
                || "not ready: no tenant is collected\n".to_owned(),
                |wanted| format!("not ready: no tenant is called {wanted}\n"),
            );
            return Answer::text(StatusCode::SERVICE_UNAVAILABLE, text);
        }
        let is_ready = if any { 0 < ready } else { ready == all };
        let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let word = if is_ready { "ready" } else { "not ready" };
        Answer::text(status, format!("{word}: {ready} of {all}\n{}", lines.text()))
    }

    fn status(&self, query: &str, now: Instant) -> Answer {
        let wanted = argument(query, "tenant");
        let extent = match &wanted {
            Some(wanted) => Extent::Of(wanted),
            None if argument(query, "view").as_deref() == Some("summary") => Extent::Summary,
            None => Extent::Full,
        };
        match json::write(&self.board, now, extent) {
            Some(body) => Answer {
                status: StatusCode::OK,
                content_type: "application/json",
                body: body.into(),
            },
            None => Answer::text(StatusCode::NOT_FOUND, "no tenant is called so\n"),
        }
    }
}

/// Lines of an answer, each about one collector.
#[derive(Default)]
struct Lines {
    text: String,
    count: usize,
}

impl Lines {
    fn add(&mut self, view: &View<'_>, line: &str) {
        self.count += 1;
        if self.count <= LINES_MAX {
            // Writing to a string does not fail.
            let _ = writeln!(self.text, "{}: {line}", view.subject.title());
        }
    }

    fn text(mut self) -> String {
        if LINES_MAX < self.count {
            let more = self.count - LINES_MAX;
            let _ = writeln!(self.text, "and {more} more; see /status and {PREFIX}ready");
        }
        self.text
    }
}

/// Whether a `Host` names this machine to itself.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => {
            return rest.split_once(']').is_some_and(|(name, rest)| {
                name == "::1" && (rest.is_empty() || rest.starts_with(':'))
            });
        }
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// The value of an argument of a query.
fn argument(query: &str, name: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
