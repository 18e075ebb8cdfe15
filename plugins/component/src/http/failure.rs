//! From `wasi:http`'s errors to the core's kinds and words. Decides nothing about retries.

use m365_audit_core::{TransportError, TransportErrorKind};
use wasip2::http::types::ErrorCode;
use wasip2::io::streams::StreamError;

/// Most characters of a host's own words.
const WORDS_MAX: usize = 200;

/// Why a request ended early.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) error: TransportError,
    /// Whether the host does not allow the request at all.
    pub(crate) denied: bool,
}

impl Fault {
    pub(crate) const fn new(kind: TransportErrorKind, message: String) -> Self {
        Self { error: TransportError { kind, message }, denied: false }
    }
}

/// What the host says about a request.
pub(crate) fn classify(code: &ErrorCode) -> Fault {
    let (mut kind, words) = words(code);
    let detail = match code {
        ErrorCode::InternalError(Some(detail)) => {
            let told = told_kind(detail);
            kind = told.map_or(kind, |(told, _)| told);
            Some(told.map_or(&**detail, |(_, rest)| rest))
        }
        ErrorCode::DnsError(dns) => dns.rcode.as_deref(),
        ErrorCode::TlsAlertReceived(alert) => alert.alert_message.as_deref(),
        _ => None,
    };
    let message = match detail {
        Some(detail) if words.is_empty() => detail.to_owned(),
        Some(detail) => [words, ": ", detail].concat(),
        None if words.is_empty() => "the host failed".to_owned(),
        None => words.to_owned(),
    };
    let denied = matches!(code, ErrorCode::HttpRequestDenied);
    Fault { error: TransportError { kind, message }, denied }
}

/// The kind that `m365-audit host` puts in front of the words for which no code has room.
fn told_kind(detail: &str) -> Option<(TransportErrorKind, &str)> {
    use TransportErrorKind::{Connect, Lost, Timeout, Tls};
    [Connect, Tls, Timeout, Lost].into_iter().find_map(|kind| {
        let rest = detail.strip_prefix(&kind.to_string())?.strip_prefix(": ")?;
        Some((kind, rest))
    })
}

/// A table, and not the variants' names by `Debug`, which weighs four times as much.
const fn words(code: &ErrorCode) -> (TransportErrorKind, &'static str) {
    use ErrorCode as E;
    use TransportErrorKind::{Connect, Lost, Timeout, Tls};
    match code {
        E::DnsTimeout => (Connect, "the name was not resolved in time"),
        E::DnsError(_) => (Connect, "the name cannot be resolved"),
        E::DestinationNotFound => (Connect, "the host was not found"),
        E::DestinationUnavailable => (Connect, "the host is not available"),
        E::DestinationIpProhibited => (Connect, "the address is prohibited"),
        E::DestinationIpUnroutable => (Connect, "there is no route to the address"),
        E::ConnectionRefused => (Connect, "the connection was refused"),
        E::ConnectionTimeout => (Connect, "no connection in time"),
        E::ConnectionLimitReached => (Connect, "too many connections"),
        E::HttpRequestDenied => (Connect, "the host does not allow this address"),
        E::HttpRequestUriInvalid => (Connect, "the request's address is invalid"),
        E::TlsProtocolError => (Tls, "the TLS protocol failed"),
        E::TlsCertificateError => (Tls, "the certificate is not trusted"),
        E::TlsAlertReceived(_) => (Tls, "the other side ended TLS"),
        E::ConnectionReadTimeout => (Timeout, "nothing was received in time"),
        E::ConnectionWriteTimeout => (Timeout, "nothing could be sent in time"),
        E::HttpResponseTimeout => (Timeout, "no response in time"),
        E::ConnectionTerminated => (Lost, "the connection was closed"),
        E::HttpResponseIncomplete => (Lost, "the response is incomplete"),
        E::HttpProtocolError => (Lost, "the HTTP protocol failed"),
        E::HttpRequestLengthRequired
        | E::HttpRequestBodySize(_)
        | E::HttpRequestMethodInvalid
        | E::HttpRequestUriTooLong
        | E::HttpRequestHeaderSectionSize(_)
        | E::HttpRequestHeaderSize(_)
        | E::HttpRequestTrailerSectionSize(_)
        | E::HttpRequestTrailerSize(_) => (Lost, "the host does not send such a request"),
        E::HttpResponseHeaderSectionSize(_)
        | E::HttpResponseHeaderSize(_)
        | E::HttpResponseBodySize(_)
        | E::HttpResponseTrailerSectionSize(_)
        | E::HttpResponseTrailerSize(_)
        | E::HttpResponseTransferCoding(_)
        | E::HttpResponseContentCoding(_) => (Lost, "the host does not take such a response"),
        E::HttpUpgradeFailed => (Lost, "the upgrade failed"),
        E::LoopDetected => (Lost, "the way leads in circles"),
        E::ConfigurationError => (Lost, "the host is misconfigured"),
        E::InternalError(_) => (Lost, ""),
    }
}

/// What the host says about a body that breaks off. In its own words: `http-error-code` would have
/// the kind as well, but hosts differ in which errors they let it look at, and jco's trap there.
pub(crate) fn of_stream(error: &StreamError) -> Fault {
    match error {
        StreamError::LastOperationFailed(error) => broken_off(&error.to_debug_string()),
        StreamError::Closed => Fault::new(TransportErrorKind::Lost, "the body was closed".into()),
    }
}

/// A body that broke off, in the words of a host that writes for its programmers: several lines,
/// as long as it likes.
fn broken_off(words: &str) -> Fault {
    let mut line = String::from("the body broke off");
    let mut pieces = words.split_whitespace();
    if let Some(first) = pieces.next() {
        line.extend([": ", first]);
    }
    for piece in pieces {
        line.extend([" ", piece]);
    }
    let kind = if line.contains("Timeout") || line.contains("timed out") {
        TransportErrorKind::Timeout
    } else {
        TransportErrorKind::Lost
    };
    if let Some((end, _)) = line.char_indices().nth(WORDS_MAX) {
        line.truncate(end);
        line.push('…');
    }
    Fault::new(kind, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_says_of_a_broken_body_becomes_one_short_line() {
        let check = |words: &str, kind, message: &str| {
            let Fault { error, denied } = broken_off(words);
            assert_eq!((error.kind, &*error.message, denied), (kind, message, false));
        };
        check("", TransportErrorKind::Lost, "the body broke off");
        check("terminated", TransportErrorKind::Lost, "the body broke off: terminated");
        check(
            "ErrorCode::ConnectionReadTimeout\n\nCaused by:\n    deadline has elapsed\n",
            TransportErrorKind::Timeout,
            "the body broke off: ErrorCode::ConnectionReadTimeout Caused by: deadline has elapsed",
        );
        let long = broken_off(&"é".repeat(1_000)).error.message;
        assert_eq!(long.chars().count(), WORDS_MAX + 1);
    }
}
