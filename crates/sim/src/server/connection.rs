//! Accepts connections and turns what arrives on them into requests of the service.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::response::{ServerBody, plain};
use super::shared::Shared;
use super::{control, webhook};
use crate::http::{Reply, Request, Transport};
use crate::webhooks::WebhookAnswer;

/// Bytes of a request body that are read; larger ones get 413.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// A request that is never answered is dropped after this time.
const STALL_MAX: Duration = Duration::from_secs(600);
/// Pause after a failed accept, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Accepts until told to stop.
pub(super) async fn accept(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // A failure only delays small answers.
        let _ = stream.set_nodelay(true);
        let number = shared.connected();
        let shared = Arc::clone(&shared);
        match acceptor.clone() {
            None => drop(tokio::spawn(serve(stream, "http", number, shared))),
            Some(acceptor) => drop(tokio::spawn(async move {
                // A client that does not trust the authority goes away here.
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, "https", number, shared).await;
                }
            })),
        }
    }
}

async fn serve<S>(stream: S, scheme: &'static str, number: u64, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(request, scheme, Arc::clone(&shared)));
    // Half of the connections write header names in title case; the other half in lower case.
    let connection = hyper::server::conn::http1::Builder::new()
        .title_case_headers(number.is_multiple_of(2))
        .serve_connection(TokioIo::new(stream), service);
    // Errors are clients that went away, or faults that cut the connection: both as intended.
    let _ = connection.await;
}

async fn answer(
    incoming: hyper::Request<Incoming>,
    scheme: &'static str,
    shared: Arc<Shared>,
) -> io::Result<Response<ServerBody>> {
    let (parts, body) = incoming.into_parts();
    let accepts_gzip = parts
        .headers
        .get_all(hyper::header::ACCEPT_ENCODING)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("gzip")));
    let Ok(body) = Limited::new(body, REQUEST_BYTES_MAX).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "the request body is too large"));
    };
    let authority = match parts.uri.authority() {
        Some(authority) => authority.to_string(),
        None => {
            let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
            host.unwrap_or_default().to_owned()
        }
    };
    let text =
        |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let request = Request {
        method: parts.method.to_string(),
        scheme: scheme.to_owned(),
        authority,
        path_and_query: parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        headers: parts.headers.iter().map(|(name, v)| (name.to_string(), text(v))).collect(),
        body: body.to_bytes().to_vec(),
    };
    if request.path().starts_with("/_sim/") {
        return Ok(control::answer(&request, &shared));
    }
    let call = shared.microsoft().validation_call(&request);
    let validated = match call {
        None => WebhookAnswer::Status(200),
        Some(call) => webhook::post(&call).await,
    };
    let reply = shared.microsoft().handle_answered(shared.now_ms(), &request, validated);
    if reply.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(reply.latency_ms)).await;
    }
    respond(reply, accepts_gzip).await
}

/// Sends a reply the way its transport says.
async fn respond(reply: Reply, accepts_gzip: bool) -> io::Result<Response<ServerBody>> {
    match reply.transport {
        Transport::Refuse => return Err(io::ErrorKind::ConnectionReset.into()),
        Transport::Stall => {
            tokio::time::sleep(STALL_MAX).await;
            return Err(io::ErrorKind::TimedOut.into());
        }
        _ => {}
    }
    let gzip = reply.gzip && accepts_gzip && reply.status == 200;
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        if !(gzip && name.eq_ignore_ascii_case("content-length")) {
            response = response.header(&**name, &**value);
        }
    }
    if gzip {
        response = response.header("Content-Encoding", "gzip");
    }
    response.body(ServerBody::reply(reply, gzip)).map_err(io::Error::other)
}
