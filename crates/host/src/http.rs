//! The guest's way to the network: `wasi:http` over the client's one HTTP client, which keeps
//! connections, knows the proxy and decides what is trusted.
//!
//! Must not decide anything but what may be reached: no retry, no redirect, no look into an answer.
//! Bodies are streams in both directions; a chunk is read when the guest asks for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use m365_audit_client::{Proxy, classify, explain, is_this_machine};
use m365_audit_core::{Level, TransportError, TransportErrorKind};
use m365_audit_sinks::Logger;
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use crate::allow::AllowList;

/// For guests that set no timeout: how long the service may send nothing.
const SILENCE_MAX: Duration = Duration::from_secs(600);

/// The ways to the network. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The usual one: through the proxy, if there is one.
    pub usual: reqwest::Client,
    /// Never through a proxy: to a machine's identity, and to this machine itself.
    pub direct: reqwest::Client,
    /// The proxy of the usual one, unless the environment names it.
    pub proxy: Option<Proxy>,
}

/// The network of one guest.
pub(crate) struct GuestHttp {
    clients: Option<Clients>,
    allowed: Arc<AllowList>,
    logger: Logger,
}

type Io = Box<dyn Future<Output = Result<()>> + Send>;

impl GuestHttp {
    pub(crate) const fn new(
        clients: Option<Clients>,
        allowed: Arc<AllowList>,
        logger: Logger,
    ) -> Self {
        Self { clients, allowed, logger }
    }
}

impl WasiHttpHooks for GuestHttp {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Io,
    ) -> Box<dyn Future<Output = Result<(Response<WasiBody>, Io)>> + Send> {
        let url = request.uri().to_string();
        let allowed = self.allowed.check(&url, &self.logger);
        let (true, Some(clients)) = (allowed, &self.clients) else {
            // The one code for this, which tells the guest to give up; it knows whom it asked.
            return Box::new(async { Err(Error::HttpRequestDenied) });
        };
        let direct = self.allowed.is_direct(&url) || is_this_machine(&url);
        let client = if direct { clients.direct.clone() } else { clients.usual.clone() };
        let proxy = clients.proxy.clone();
        let logger = self.logger.clone();
        let options = options.unwrap_or_default();
        Box::new(async move {
            let response = exchange(&client, proxy.as_ref(), request, options, &logger).await?;
            // The client reads by itself: there is no connection to drive.
            Ok((response, Box::new(async { Ok(()) }) as Io))
        })
    }

    /// The client writes it.
    fn set_host_header(&mut self) -> bool {
        false
    }
}

async fn exchange(
    client: &reqwest::Client,
    proxy: Option<&Proxy>,
    request: Request<WasiBody>,
    options: RequestOptions,
    logger: &Logger,
) -> Result<Response<WasiBody>> {
    let request = request.map(|body| {
        // What is empty must not be sent in chunks.
        if body.is_end_stream() { reqwest::Body::default() } else { sendable(body) }
    });
    let request =
        reqwest::Request::try_from(request).map_err(|error| failed(classify(&error), logger))?;
    let patience = options.first_byte_timeout.unwrap_or(SILENCE_MAX);
    let response = match tokio::time::timeout(patience, client.execute(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(failed(explain(&error, proxy).await, logger)),
        Err(_) => return Err(Error::HttpResponseTimeout),
    };
    let patience = options.between_bytes_timeout.unwrap_or(SILENCE_MAX);
    let logger = logger.clone();
    Ok(Response::from(response).map(|body| {
        let body = body.map_err(move |error| failed(classify(&error), &logger));
        Patient { body, patience, silence: None }.boxed_unsync()
    }))
}

fn failed(error: TransportError, logger: &Logger) -> Error {
    logger.log(Level::Debug, &format!("a request of the component failed: {}", error.message));
    match error.kind {
        TransportErrorKind::Timeout => Error::HttpResponseTimeout,
        TransportErrorKind::Connect | TransportErrorKind::Tls | TransportErrorKind::Lost => {
            // In words, the kind first: no other code has room for them.
            Error::InternalError(Some(error.to_string()))
        }
    }
}

/// A body that may be sent from any thread at a time, as reqwest wants it.
fn sendable(body: WasiBody) -> reqwest::Body {
    reqwest::Body::wrap(Exclusive(std::sync::Mutex::new(body)))
}

/// Makes a body `Sync`: who has it exclusively needs no lock.
struct Exclusive(std::sync::Mutex<WasiBody>);

impl Body for Exclusive {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        let body = self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        Pin::new(body).poll_frame(context)
    }
}

/// A body that fails when nothing comes for a while after it was asked.
struct Patient<B> {
    body: B,
    patience: Duration,
    /// Runs while a chunk is awaited.
    silence: Option<Pin<Box<Sleep>>>,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Patient<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.silence = None;
            return Poll::Ready(frame);
        }
        let patience = self.patience;
        let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        match silence.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(Error::ConnectionReadTimeout))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
