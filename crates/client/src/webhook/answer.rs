//! One call of the webhook, from its head to its answer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde::Deserialize;
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use super::metrics::Refusal;
use super::shared::Shared;

/// Bytes of a body: room for a thousand entries.
const BODY_BYTES_MAX: usize = 512 << 10;

const AUTH_ID: &str = "webhook-authid";
const VALIDATION_CODE: &str = "webhook-validationcode";

/// The body of a validation.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Validation<'a> {
    validation_code: &'a str,
}

/// Answers a call: 200 only to what Microsoft may have sent. `known` is set once its connection has
/// brought the authentication id.
pub(super) async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    known: Arc<AtomicBool>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    Ok(match judge(request, &shared, &known).await {
        Ok(()) => Response::new(Empty::new()),
        Err((status, refusal)) => {
            shared.refuse(refusal);
            refused(status)
        }
    })
}

fn refused(status: StatusCode) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        StatusCode::TOO_MANY_REQUESTS => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
        }
        // The rest of the body is not wanted.
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response
}

async fn judge(
    request: Request<Incoming>,
    shared: &Shared,
    known: &AtomicBool,
) -> Result<(), (StatusCode, Refusal)> {
    let (head, body) = request.into_parts();
    // Before all else: health probes have no id, and do no more than ask whether somebody is there.
    if head.method != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, Refusal::Method));
    }
    if !is_authentic(&head.headers, shared.auth_id.expose()) {
        return Err((StatusCode::FORBIDDEN, Refusal::Forged));
    }
    known.store(true, Ordering::Relaxed);
    // After that: a flood of forged calls must not use up what is meant for Microsoft's.
    if !shared.calls.take(Instant::now()) {
        return Err((StatusCode::TOO_MANY_REQUESTS, Refusal::Flood));
    }
    let body = read(body, shared.patience.body).await?;
    let malformed = (StatusCode::BAD_REQUEST, Refusal::Malformed);
    if let Some(code) = head.headers.get(VALIDATION_CODE) {
        let validation: Validation<'_> = serde_json::from_slice(&body).map_err(|_| malformed)?;
        if validation.validation_code.as_bytes() != code.as_bytes() {
            return Err(malformed);
        }
        shared.counts.validated();
        return Ok(());
    }
    let notified = shared.config.read_notification(&body).map_err(|_| malformed)?;
    let named = notified.contents.len() as u64;
    let mut hints = 0;
    for content in notified.contents {
        hints += u64::from(shared.handle.hint(content));
    }
    shared.counts.notified(hints, notified.others + named - hints);
    Ok(())
}

/// Whether the call brings along the authentication id. How long that takes to say does not depend
/// on how much of it is right.
fn is_authentic(headers: &HeaderMap, auth_id: &str) -> bool {
    let mut given = headers.get_all(AUTH_ID).iter();
    let (Some(first), None) = (given.next(), given.next()) else { return false };
    first.as_bytes().ct_eq(auth_id.as_bytes()).into()
}

/// The body, if it is small enough and arrives in time.
async fn read(body: Incoming, patience: Duration) -> Result<Bytes, (StatusCode, Refusal)> {
    let oversized = (StatusCode::PAYLOAD_TOO_LARGE, Refusal::Oversized);
    // What announces itself as too large is not read at all.
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(oversized);
    }
    match timeout(patience, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(oversized),
        Ok(Err(_)) => Err((StatusCode::BAD_REQUEST, Refusal::Malformed)),
        Err(_) => Err((StatusCode::REQUEST_TIMEOUT, Refusal::Slow)),
    }
}
