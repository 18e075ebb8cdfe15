//! Requests on the wire: one task each, which sends once and then reads only when asked.
//!
//! Must not decide anything: no retry, no redirect, no look into an answer.
//!
//! Retrying in two layers multiplies requests and hides them from the budget. HTTP/1.1:
//! back-pressure by not reading a body is simplest with a connection for each answer.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use m365_audit_core::{
    Headers, Input, Method, Request, RequestId, TransportError, TransportErrorKind,
};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, ClientBuilder, redirect, retry};
use tokio::runtime;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use url::Url;

use crate::failure;
use crate::handle::{Handle, Message};
use crate::proxy::Proxy;
use crate::settings::NativeOptions;
use crate::tls;

const USER_AGENT: &str = concat!("m365-audit/", env!("CARGO_PKG_VERSION"));

/// Longest time for name resolution, TCP and TLS together. Shorter than a request's own timeout:
/// Microsoft's front ends answer within a second, so a slower one is best left for another.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long an unused connection is kept. Below the 120 s after which Microsoft's front ends close.
const IDLE_CONNECTION_TIMEOUT: Duration = Duration::from_secs(90);

/// Keeps NAT entries alive while a body waits to be read.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// The requests of one run of a collector.
#[derive(Debug)]
pub(crate) struct Http {
    clients: Clients,
    spawner: runtime::Handle,
    handle: Handle,
    run: u64,
    /// What is under way. Bounded by `max_in_flight`, which the core holds.
    flights: HashMap<RequestId, Flight>,
}

#[derive(Debug)]
struct Flight {
    reads: mpsc::UnboundedSender<()>,
    task: AbortHandle,
}

/// The HTTP client of all drivers: HTTP/1.1, pooled connections, no redirects, no retries; proxy
/// and TLS as `options` say. Decompresses gzip on the way.
///
/// # Errors
/// The TLS settings or the proxy cannot be used.
pub fn client(options: &NativeOptions) -> Result<Client, TransportError> {
    Clients::new(options).map(|clients| clients.usual)
}

/// The same without any proxy, for addresses that mean this very machine.
///
/// # Errors
/// The TLS settings cannot be used.
pub fn direct_client(options: &NativeOptions) -> Result<Client, TransportError> {
    Clients::new(options).map(|clients| clients.direct)
}

/// The clients of one process: cheap to clone, with one pool of connections, one set of roots and
/// one bound of what is under way.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    usual: Client,
    /// Knows no proxy: for addresses that mean this very machine.
    direct: Client,
    /// That of `usual`, unless the environment names it.
    proxy: Option<Proxy>,
    /// One for each request that may be under way. Given in the order in which they are asked for.
    places: Arc<Semaphore>,
}

impl Clients {
    pub(crate) fn new(options: &NativeOptions) -> Result<Self, TransportError> {
        let tls = tls::client_config(&options.roots, options.verify_tls, b"http/1.1")
            .map_err(|error| refused(TransportErrorKind::Tls, error.to_string()))?;
        let common = || {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(USER_AGENT)
                .http1_only()
                .gzip(true)
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_max_idle_per_host(options.in_flight_max)
                .pool_idle_timeout(IDLE_CONNECTION_TIMEOUT)
                .tcp_keepalive(TCP_KEEPALIVE)
        };
        let build =
            |builder: ClientBuilder| builder.build().map_err(|error| failure::classify(&error));
        let mut usual = common();
        if let Some(proxy) = &options.proxy {
            let proxy = proxy.to_reqwest().map_err(|error| failure::classify(&error))?;
            usual = usual.no_proxy().proxy(proxy);
        }
        let proxy = options.proxy.clone();
        let places = Arc::new(Semaphore::new(options.in_flight_total));
        Ok(Self { usual: build(usual)?, direct: build(common().no_proxy())?, proxy, places })
    }

    fn of(&self, request: &Request) -> &Client {
        if request.direct || is_this_machine(&request.url) { &self.direct } else { &self.usual }
    }
}

/// Whether `url` can only be this very machine's. Plain http is let through to loopback alone,
/// where a proxy would read the secret and the token in the clear, and mean itself by it.
#[must_use]
pub fn is_this_machine(url: &str) -> bool {
    url.split_once("://").is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("http"))
}

impl Http {
    /// Requests whose inputs are marked as those of `run`.
    pub(crate) fn new(
        clients: Clients,
        spawner: runtime::Handle,
        handle: Handle,
        run: u64,
    ) -> Self {
        Self { clients, spawner, handle, run, flights: HashMap::new() }
    }

    pub(crate) fn send(&mut self, id: RequestId, request: Request, timeout: Duration) {
        let (reads, asked) = mpsc::unbounded_channel();
        let report = Report { handle: self.handle.clone(), run: self.run, id };
        let client = self.clients.of(&request).clone();
        let proxy = self.clients.proxy.clone();
        let places = Arc::clone(&self.clients.places);
        let task = self.spawner.spawn(async move {
            // Held until the answer is read. Nobody closes them.
            let _place = places.acquire_owned().await;
            let result = match prepare(&request) {
                Ok(request) => {
                    exchange(&client, proxy.as_ref(), request, timeout, asked, &report).await
                }
                Err(error) => Err(error),
            };
            report.send(Input::End { id, result });
        });
        self.flights.insert(id, Flight { reads, task: task.abort_handle() });
    }

    pub(crate) fn read(&self, id: RequestId) {
        if let Some(flight) = self.flights.get(&id) {
            // Fails only if the request has just ended, and then its end is on its way.
            let _ = flight.reads.send(());
        }
    }

    pub(crate) fn cancel(&mut self, id: RequestId) {
        if let Some(flight) = self.flights.remove(&id) {
            flight.task.abort();
        }
    }

    /// Whether `input` is of this run and still wanted. Forgets requests that have ended.
    pub(crate) fn admits(&mut self, run: u64, input: &Input) -> bool {
        if run != self.run {
            return false;
        }
        match input {
            Input::Head { id, .. } | Input::Body { id, .. } => self.flights.contains_key(id),
            Input::End { id, .. } => self.flights.remove(id).is_some(),
            Input::Delivered(_)
            | Input::Returned(_)
            | Input::Credential(_)
            | Input::Hint(_)
            | Input::OutputShort(_)
            | Input::Acknowledged(_)
            | Input::Replay(_)
            | Input::Timeout
            | Input::Shutdown => true,
        }
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        for flight in self.flights.values() {
            flight.task.abort();
        }
    }
}

struct Report {
    handle: Handle,
    run: u64,
    id: RequestId,
}

impl Report {
    fn send(&self, input: Input) {
        self.handle.send(Message::Wire { run: self.run, input });
    }
}

/// The request as reqwest sends it.
fn prepare(request: &Request) -> Result<reqwest::Request, TransportError> {
    let unfit = |what: &str| refused(TransportErrorKind::Connect, what.to_owned());
    let url = Url::parse(&request.url).map_err(|_| unfit("the request's address is no URL"))?;
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
    };
    let mut prepared = reqwest::Request::new(method, url);
    let headers = prepared.headers_mut();
    if let Some(token) = &request.bearer {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_| unfit("the access token has characters that no header can hold"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    for (name, text) in &request.headers {
        let mut value = HeaderValue::from_str(text.expose())
            .map_err(|_| unfit(&format!("{name} has characters that no header can hold")))?;
        value.set_sensitive(true);
        headers.insert(*name, value);
    }
    if let Some(content_type) = request.content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    match &request.body {
        Some(body) if !body.expose().is_empty() => {
            *prepared.body_mut() = Some(body.expose().clone().into());
        }
        // Microsoft's front ends answer 411 to a POST that does not say how long it is.
        _ if request.method == Method::Post => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        _ => {}
    }
    Ok(prepared)
}

/// Sends the request, reports its head, and a chunk for each that is asked for.
async fn exchange(
    client: &Client,
    proxy: Option<&Proxy>,
    request: reqwest::Request,
    timeout: Duration,
    mut asked: mpsc::UnboundedReceiver<()>,
    report: &Report,
) -> Result<(), TransportError> {
    let mut response = match tokio::time::timeout(timeout, client.execute(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(failure::explain(&error, proxy).await),
        Err(_) => return Err(silent(timeout)),
    };
    let headers = response.headers().iter();
    let headers: Headers = headers
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .map(|(name, value)| (name, value.into_owned()))
        .collect();
    let status = response.status().as_u16();
    report.send(Input::Head { id: report.id, status, headers });
    while asked.recv().await.is_some() {
        let chunk = loop {
            match within(timeout, response.chunk()).await? {
                Some(chunk) if chunk.is_empty() => {}
                chunk => break chunk,
            }
        };
        match chunk {
            Some(chunk) => report.send(Input::Body { id: report.id, chunk }),
            None => return Ok(()),
        }
    }
    // The run has ended; nobody listens.
    Ok(())
}

async fn within<T>(
    timeout: Duration,
    step: impl Future<Output = reqwest::Result<T>>,
) -> Result<T, TransportError> {
    match tokio::time::timeout(timeout, step).await {
        Ok(result) => result.map_err(|error| failure::classify(&error)),
        Err(_) => Err(silent(timeout)),
    }
}

fn silent(timeout: Duration) -> TransportError {
    let message = format!("nothing arrived for {} s", timeout.as_secs_f32());
    refused(TransportErrorKind::Timeout, message)
}

const fn refused(kind: TransportErrorKind, message: String) -> TransportError {
    TransportError { kind, message }
}

#[cfg(test)]
mod tests;
