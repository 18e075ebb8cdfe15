//! From reqwest's errors to kinds and words. Decides nothing about retries.

use std::error::Error;
use std::io;

use m365_audit_core::{TransportError, TransportErrorKind};

/// The kind of `error` and its causes in words, without its URL.
///
/// None of the causes knows a header or the proxy's credentials: they are errors of name
/// resolution, TCP, TLS and HTTP framing.
pub(crate) fn classify(error: &reqwest::Error) -> TransportError {
    let kind = kind(error);
    let mut message = causes(error).join(": ");
    if kind == TransportErrorKind::Tls && message.contains("UnknownIssuer") {
        message.push_str(
            "; remedy: if a proxy or gateway opens TLS on the way, set ca_file to its root \
             certificate",
        );
    }
    TransportError { kind, message }
}

fn kind(error: &reqwest::Error) -> TransportErrorKind {
    if error.is_connect() {
        let tls = chain(error).any(|cause| {
            let cause = inner(cause);
            // A peer that hangs up in the handshake leaves no TLS error behind.
            let hung_up = cause
                .downcast_ref::<io::Error>()
                .is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof);
            hung_up || cause.is::<rustls::Error>()
        });
        if tls { TransportErrorKind::Tls } else { TransportErrorKind::Connect }
    } else if error.is_builder() {
        TransportErrorKind::Connect
    } else if error.is_timeout() {
        TransportErrorKind::Timeout
    } else {
        TransportErrorKind::Lost
    }
}

/// The error under an [`io::Error`]: `source` would skip it.
fn inner<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => inner,
        None => error,
    }
}

fn chain<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}

/// The causes' words, each once. reqwest's own first line is only its URL.
fn causes(error: &reqwest::Error) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for cause in chain(error) {
        let text = cause.to_string();
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
