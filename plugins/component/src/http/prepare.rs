//! From the core's request to one that the host sends.

use std::time::Duration;

use m365_audit_core::{Method, Request, TransportErrorKind};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, Method as HttpMethod, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};

use super::failure::{Fault, classify};
use super::flight::Flight;

const USER_AGENT: &str = concat!("m365-audit/", env!("CARGO_PKG_VERSION"));

/// Longest time for name resolution, TCP and TLS together; a request's own timeout if that is
/// shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// What every host takes in one blocking write.
const WRITE_BYTES_MAX: usize = 4_096;

/// Begins the exchange.
///
/// # Errors
/// If the request cannot be built, or the host refuses it at once.
pub(crate) fn send(request: &Request, timeout: Duration) -> Result<Flight, Fault> {
    let (outgoing, body) = build(request)?;
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).ok();
    let options = RequestOptions::new();
    // A host that knows no timeouts refuses them; the flight has its own.
    let _ = options.set_connect_timeout(nanos(timeout.min(CONNECT_TIMEOUT)));
    let _ = options.set_first_byte_timeout(nanos(timeout));
    let _ = options.set_between_bytes_timeout(nanos(timeout));
    let future = outgoing_handler::handle(outgoing, Some(options)).map_err(|e| classify(&e))?;
    let text = request.body.as_ref().map_or("", |body| body.expose());
    if let Some(body) = body {
        write(body, text.as_bytes());
    }
    Ok(Flight::new(future, origin(&request.url).to_owned(), timeout))
}

/// The part of an address that says where a request goes: scheme and authority.
pub(crate) fn origin(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

fn build(request: &Request) -> Result<(OutgoingRequest, Option<OutgoingBody>), Fault> {
    let unfit = |what: &str| Fault::new(TransportErrorKind::Connect, what.into());
    let no_url = || unfit("the request's address is no URL");
    let origin = origin(&request.url);
    let (scheme, authority) = origin.split_once("://").ok_or_else(no_url)?;
    let scheme = match scheme {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        _ => return Err(no_url()),
    };
    let path = match &request.url[origin.len()..] {
        "" => "/",
        path => path,
    };
    let outgoing = OutgoingRequest::new(headers(request)?);
    let method = match request.method {
        Method::Get => HttpMethod::Get,
        Method::Post => HttpMethod::Post,
    };
    outgoing.set_method(&method).map_err(|()| unfit("the host refuses the method"))?;
    outgoing.set_scheme(Some(&scheme)).map_err(|()| no_url())?;
    outgoing.set_authority(Some(authority)).map_err(|()| no_url())?;
    outgoing.set_path_with_query(Some(path)).map_err(|()| no_url())?;
    let body = match request.method {
        Method::Get => None,
        Method::Post => Some(outgoing.body().map_err(|()| unfit("the host takes no body"))?),
    };
    Ok((outgoing, body))
}

fn headers(request: &Request) -> Result<Fields, Fault> {
    let fields = Fields::new();
    let append = |name: &str, value: &str| {
        fields.append(name, value.as_bytes()).map_err(|_| {
            // The value may be the access token.
            let message = format!("the host refuses the header {name}");
            Fault::new(TransportErrorKind::Connect, message)
        })
    };
    append("user-agent", USER_AGENT)?;
    // Nothing here decompresses.
    append("accept-encoding", "identity")?;
    if let Some(token) = &request.bearer {
        append("authorization", &format!("Bearer {}", token.expose()))?;
    }
    for (name, value) in &request.headers {
        append(name, value.expose())?;
    }
    if let Some(content_type) = request.content_type {
        append("content-type", content_type)?;
    }
    if request.method == Method::Post {
        // Microsoft's front ends answer 411 to a POST that does not say how long it is.
        let length = request.body.as_ref().map_or(0, |body| body.expose().len());
        append("content-length", &length.to_string())?;
    }
    Ok(fields)
}

/// Writes a request's body. Where that fails the response tells why.
fn write(body: OutgoingBody, mut rest: &[u8]) {
    {
        let Ok(stream) = body.write() else { return };
        let room = stream.check_write().unwrap_or(0);
        if !rest.is_empty() && rest.len() as u64 <= room {
            let written = stream.write(rest).and_then(|()| stream.flush());
            if written.is_err() {
                return;
            }
            rest = &[];
        }
        // A host with little room: until it has sent the rest.
        for piece in rest.chunks(WRITE_BYTES_MAX) {
            if stream.blocking_write_and_flush(piece).is_err() {
                return;
            }
        }
    }
    let _ = OutgoingBody::finish(body, None);
}
