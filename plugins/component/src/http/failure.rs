//! From `wasi:http`'s errors to the core's kinds and words. Decides nothing about retries.

use m365_audit_core::{TransportError, TransportErrorKind};
use wasip2::http::types::{ErrorCode, http_error_code};
use wasip2::io::streams::StreamError;

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
    use ErrorCode as E;
    let kind = match code {
        E::DnsTimeout
        | E::DnsError(_)
        | E::DestinationNotFound
        | E::DestinationUnavailable
        | E::DestinationIpProhibited
        | E::DestinationIpUnroutable
        | E::ConnectionRefused
        | E::ConnectionTimeout
        | E::ConnectionLimitReached
        | E::HttpRequestDenied
        | E::HttpRequestUriInvalid => TransportErrorKind::Connect,
        E::TlsProtocolError | E::TlsCertificateError | E::TlsAlertReceived(_) => {
            TransportErrorKind::Tls
        }
        E::ConnectionReadTimeout | E::ConnectionWriteTimeout | E::HttpResponseTimeout => {
            TransportErrorKind::Timeout
        }
        _ => TransportErrorKind::Lost,
    };
    let denied = matches!(code, E::HttpRequestDenied);
    let message = match code {
        E::InternalError(Some(words)) => words.clone(),
        E::HttpRequestDenied => "the host does not allow this address".into(),
        // The variant's name says it: ConnectionRefused.
        code => format!("{code:?}").replace("ErrorCode::", ""),
    };
    Fault { error: TransportError { kind, message }, denied }
}

/// What the host says about a body that breaks off.
pub(crate) fn of_stream(error: &StreamError) -> Fault {
    let StreamError::LastOperationFailed(error) = error else {
        return Fault::new(TransportErrorKind::Lost, "the body was closed".into());
    };
    match http_error_code(error) {
        Some(code) => classify(&code),
        None => Fault::new(TransportErrorKind::Lost, error.to_debug_string()),
    }
}
