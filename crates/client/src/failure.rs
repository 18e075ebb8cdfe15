//! From reqwest's errors to kinds and words. Decides nothing about retries.

use std::error::Error;
use std::io;

use m365_audit_core::{TransportError, TransportErrorKind};
use rustls::CertificateError;

use crate::proxy::Proxy;

/// Added where a certificate does not lead to a trusted root.
const CA_REMEDY: &str = "; remedy: if a proxy or gateway opens TLS on the way, set ca_file to its \
                         root certificate";

/// How it is told that a proxy makes no tunnel: the HTTP client only says "unsuccessful".
const NO_TUNNEL: &str = "the proxy does not let the connection through";

/// [`classify`], with the status of a proxy that makes no tunnel: it is asked once more for that.
pub async fn explain(error: &reqwest::Error, proxy: Option<&Proxy>) -> TransportError {
    let mut told = classify(error);
    if told.message.contains(NO_TUNNEL)
        && let (Some(proxy), Some(url)) = (proxy, error.url())
        && let Some(status) = proxy.refusal(url).await
    {
        let named = format!("{NO_TUNNEL}, with HTTP status {status}");
        told.message = told.message.replacen(NO_TUNNEL, &named, 1);
    }
    told
}

/// The kind of `error` and its causes in words. Of its URL only the origin, and that where nothing
/// answers there.
///
/// None of the causes knows a header or the proxy's credentials: they are errors of name
/// resolution, TCP, TLS and HTTP framing.
#[must_use]
pub fn classify(error: &reqwest::Error) -> TransportError {
    let mut message = causes(error).join(": ");
    if chain(error).any(is_untrusted) {
        message.push_str(CA_REMEDY);
    }
    let kind = kind(error);
    if let (TransportErrorKind::Connect | TransportErrorKind::Tls, Some(url)) = (kind, error.url())
    {
        message = format!("{}: {message}", url.origin().ascii_serialization());
    }
    TransportError { kind, message }
}

fn kind(error: &reqwest::Error) -> TransportErrorKind {
    if error.is_connect() {
        let tls = chain(error).any(|cause| is_hang_up(cause) || cause.is::<rustls::Error>());
        if tls { TransportErrorKind::Tls } else { TransportErrorKind::Connect }
    } else if error.is_builder() {
        TransportErrorKind::Connect
    } else if error.is_timeout() {
        TransportErrorKind::Timeout
    } else {
        TransportErrorKind::Lost
    }
}

/// Whether the peer hung up. In a handshake that leaves no TLS error behind.
fn is_hang_up(cause: &(dyn Error + 'static)) -> bool {
    let io = cause.downcast_ref::<io::Error>();
    io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof)
}

fn is_untrusted(cause: &(dyn Error + 'static)) -> bool {
    matches!(
        cause.downcast_ref(),
        // A bad signature: by a root that only has the name of a trusted one.
        Some(rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature
        ))
    )
}

/// All causes. Includes those inside an [`io::Error`], which `source` skips.
fn chain<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&'a (dyn Error + 'static)| {
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => (*cause).source(),
        }
    })
}

/// The causes' words, each once. reqwest's own first line is only its URL.
fn causes(error: &reqwest::Error) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for cause in chain(error) {
        let mut text = cause.to_string();
        if text.ends_with("tunnel error: unsuccessful") {
            text = format!("{NO_TUNNEL}; remedy: let it allow the address that stands in front");
        }
        let said = words.last().is_some_and(|last| last.ends_with(&text));
        if !said && text != "client error (Connect)" {
            words.push(text);
        }
    }
    if words.is_empty() {
        words.push(if error.is_decode() { "cannot be decoded" } else { "failed" }.into());
    }
    words
}
