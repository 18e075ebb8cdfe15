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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use wasmtime_wasi_http::{Error, RequestOptions, Result, WasiBody, WasiHttpHooks};

use crate::allow::AllowList;

/// For guests that set no timeout: how long the service may send nothing.
const SILENCE_MAX: Duration = Duration::from_secs(600);

/// The ways to the network. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Clients {
    usual: reqwest::Client,
    direct: reqwest::Client,
    proxy: Option<Proxy>,
    /// One for each request that may be under way, of all guests. Given in the order in which they
    /// are asked for.
    places: Arc<Semaphore>,
}

impl Clients {
    /// `usual` goes through `proxy`, unless the environment names one; `direct` never does: to a
    /// machine's identity, and to this machine itself. At most so many requests are under way.
    #[must_use]
    pub fn new(
        usual: reqwest::Client,
        direct: reqwest::Client,
        proxy: Option<Proxy>,
        in_flight_max: usize,
    ) -> Self {
        Self { usual, direct, proxy, places: Arc::new(Semaphore::new(in_flight_max)) }
    }
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
        let places = Arc::clone(&clients.places);
        let logger = self.logger.clone();
        let options = options.unwrap_or_default();
        Box::new(async move {
            // Held until the answer is read, or nobody wants it. Nobody closes them.
            let place = places.acquire_owned().await.ok();
            let response = exchange(&client, proxy.as_ref(), request, options, &logger).await?;
            let response = response.map(|body| Placed { body, _place: place }.boxed_unsync());
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

/// A body whose request has a place among those under way.
struct Placed {
    body: WasiBody,
    _place: Option<OwnedSemaphorePermit>,
}

impl Body for Placed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use http_body_util::Empty;
    use m365_audit_core::Origin;
    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_request_has_its_place_until_its_answer_is_read_or_not_wanted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let service = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                stream.write_all(answer).unwrap();
            }
        });
        let tls = m365_audit_client::tls_config(&[], true, b"").unwrap();
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls);
        let client = client.no_proxy().build().unwrap();
        let clients = Clients::new(client.clone(), client, None, 1);
        let free = || clients.places.available_permits();
        let origin = Origin::parse(&base).unwrap();
        let allowed = Arc::new(AllowList::new([origin].iter()));
        let mut guest = GuestHttp::new(Some(clients.clone()), allowed, Logger::new(|_, _| {}));
        let mut ask = |path: &str| {
            let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
            let request = Request::get(format!("{base}{path}")).body(body).unwrap();
            Box::into_pin(guest.send_request(request, None, Box::new(async { Ok(()) })))
        };
        Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let (first, _) = ask("/1").await.unwrap();
            assert_eq!(free(), 0);
            let mut second = ask("/2");
            // Asked once, it waits for the place, which the first one has until it is read.
            std::future::poll_fn(|context| {
                assert!(second.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            assert_eq!(&first.into_body().collect().await.unwrap().to_bytes()[..], b"ok");
            let (second, _) = second.await.unwrap();
            assert_eq!(free(), 0);
            drop(second);
            assert_eq!(free(), 1);
        });
        service.join().unwrap();
    }
}
