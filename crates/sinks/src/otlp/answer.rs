//! What a receiver's answer means.
//!
//! An exporter of telemetry drops what is refused with another code than 429, 502, 503 and 504.
//! Here nothing is dropped for that: a refusal that may pass is waited for, and one that somebody
//! has to do something about stops the collection and leaves the state where it is.
//!
//! A success counts only if it is one of OTLP: an empty answer, which is what a message without
//! members looks like, or one that can be read. A proxy's page that says 200 to everything would
//! otherwise acknowledge records that went nowhere.

use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use prost::Message;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use serde_json::Value;

use crate::receiver::{SinkError, Taken};

/// Characters of a receiver's own words that are repeated.
const WORDS_MAX: usize = 300;

/// What was answered, and to what.
#[derive(Debug)]
pub(super) struct Answered<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// Records that were sent.
    pub(super) records: u32,
    /// Bytes that they took, before they were compressed.
    pub(super) bytes: usize,
}

/// Whether the records are safe.
pub(super) fn judge(answered: &Answered<'_>) -> Result<Taken, SinkError> {
    let status = answered.status;
    if status.is_success() {
        return success(answered);
    }
    let words = words(answered);
    let said = if words.is_empty() { String::new() } else { format!(": {words}") };
    let code = status.as_u16();
    match code {
        429 | 502 | 503 | 504 => {
            let after = retry_after(answered.headers, SystemTime::now());
            Err(SinkError { after, ..SinkError::passing(format!("answer {code}{said}")) })
        }
        // Fluent Bit takes no message without a record; for a try it is enough that it says so.
        400 if answered.records == 0 => Ok(Taken::default()),
        // The specification has them dropped; they are not for good either.
        500.. => Err(SinkError::passing(format!("answer {code}{said}"))),
        _ => Err(SinkError::lasting(format!("answer {code}{said}; remedy: {}", remedy(answered)))),
    }
}

/// What to do about a refusal.
fn remedy(answered: &Answered<'_>) -> String {
    match answered.status.as_u16() {
        300..400 => {
            let to = answered.headers.get(LOCATION).and_then(|to| to.to_str().ok());
            let to = to.map_or("", |to| to.split('?').next().unwrap_or_default());
            format!("write the address into otlp.endpoint that it leads to ({to}), if it is right")
        }
        400 | 415 => "see that otlp.endpoint is one for logs by OTLP, in protobuf".into(),
        401 | 403 | 407 => {
            "look at otlp.headers and otlp.headers_file: what this receiver wants to \
                            be told, a token perhaps"
                .into()
        }
        404 | 405 => {
            "see that otlp.endpoint is right; /v1/logs is added to it unless it ends so".into()
        }
        413 => format!(
            "let the receiver take {} bytes (max_request_body_size of the Collector's receiver, \
             buffer_max_size of Fluent Bit's input); call_bytes makes them fewer in `host`",
            answered.bytes
        ),
        _ => "look at the receiver's log".into(),
    }
}

fn success(answered: &Answered<'_>) -> Result<Taken, SinkError> {
    // Less than none is nothing that a receiver of OTLP says.
    let partial = partial_success(answered).filter(|(rejected, _)| 0 <= *rejected);
    let (rejected, said) = partial.ok_or_else(|| {
        let kind = answered.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        SinkError::passing(format!(
            "answer {} with a body ({}) that is none of OTLP, so nothing counts as delivered; \
             remedy: see that otlp.endpoint is the receiver itself, and no page or proxy in front \
             of it",
            answered.status.as_u16(),
            kind.unwrap_or("of no type"),
        ))
    })?;
    // More than there were cannot be.
    let rejected = u32::try_from(rejected).unwrap_or(u32::MAX).min(answered.records);
    Ok(Taken { rejected, said: shortened(&said).into() })
}

/// How many records were refused for good, and the receiver's words; `None` for what is no answer
/// of OTLP.
fn partial_success(answered: &Answered<'_>) -> Option<(i64, String)> {
    if answered.body.is_empty() {
        return Some((0, String::new()));
    }
    match kind(answered.headers) {
        Some("application/x-protobuf" | "application/protobuf") => {
            let response = ExportLogsServiceResponse::decode(answered.body).ok()?;
            let partial = response.partial_success.unwrap_or_default();
            Some((partial.rejected_log_records, partial.error_message))
        }
        // Some answer so whatever they were asked in.
        Some("application/json") => {
            let response: Value = serde_json::from_slice(answered.body).ok()?;
            let known = |key: &String| matches!(&**key, "partialSuccess" | "partial_success");
            let members = response.as_object()?;
            if !members.keys().all(known) {
                return None;
            }
            let Some(partial) = members.values().next() else { return Some((0, String::new())) };
            let partial = partial.as_object()?;
            let member = |names: [&str; 2]| names.iter().find_map(|name| partial.get(*name));
            // Numbers of 64 bits are texts in protobuf's JSON.
            let rejected = match member(["rejectedLogRecords", "rejected_log_records"]) {
                None => 0,
                Some(Value::String(digits)) => digits.parse().ok()?,
                Some(number) => number.as_i64()?,
            };
            let said = member(["errorMessage", "error_message"]).and_then(Value::as_str);
            Some((rejected, said.unwrap_or_default().to_owned()))
        }
        _ => None,
    }
}

/// The type of a body, without its parameters.
fn kind(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    text.split(';').next().map(str::trim)
}

/// When to come again.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// The receiver's own words: a `Status` of protobuf has them as its second member.
fn words(answered: &Answered<'_>) -> String {
    #[derive(Clone, PartialEq, Message)]
    struct Status {
        #[prost(string, tag = "2")]
        message: String,
    }
    let text = match kind(answered.headers) {
        Some("application/x-protobuf" | "application/protobuf") => {
            Status::decode(answered.body).map(|status| status.message).unwrap_or_default()
        }
        Some("text/html") => String::new(),
        _ => String::from_utf8_lossy(answered.body).into_owned(),
    };
    shortened(&text)
}

/// In one line, not too long.
fn shortened(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = m365_audit_core::one_line(&text);
    match text.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsPartialSuccess;
    use reqwest::header::HeaderValue;

    /// Of ten records.
    #[track_caller]
    fn check(status: u16, headers: &[(&'static str, &'static str)], body: &[u8], expect: Expect) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let answered = Answered {
            status: StatusCode::from_u16(status).unwrap(),
            headers: &headers.collect(),
            body,
            records: 10,
            bytes: 4_000_000,
        };
        let shown = match judge(&answered) {
            Ok(Taken { rejected, said }) => format!("taken but {rejected}: {said:?}"),
            Err(SinkError { message, passing: true, after: None }) => format!("again: {message}"),
            Err(SinkError { message, passing: true, after: Some(after) }) => {
                format!("again after {after:?}: {message}")
            }
            Err(SinkError { message, .. }) => format!("stop: {message}"),
        };
        expect.assert_eq(&shown);
    }

    const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
    const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

    fn partial(rejected: i64, said: &str) -> Vec<u8> {
        let partial =
            ExportLogsPartialSuccess { rejected_log_records: rejected, error_message: said.into() };
        ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    }

    #[test]
    fn only_an_answer_of_otlp_is_an_acknowledgement() {
        check(200, &[PROTOBUF], b"", expect![[r#"taken but 0: """#]]);
        check(201, &[], b"", expect![[r#"taken but 0: """#]]);
        check(200, &[JSON], b"{}", expect![[r#"taken but 0: """#]]);
        check(200, &[PROTOBUF], &partial(0, "old"), expect![[r#"taken but 0: "old""#]]);
        check(200, &[PROTOBUF], &partial(3, "no\nroom"), expect![[r#"taken but 3: "no room""#]]);
        check(200, &[PROTOBUF], &partial(11, ""), expect![[r#"taken but 10: """#]]);
        let json = br#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"x"}}"#;
        check(200, &[JSON], json, expect![[r#"taken but 2: "x""#]]);
        let page = b"<html>Sign in</html>";
        check(
            200,
            &[("content-type", "text/html")],
            page,
            expect![
                "again: answer 200 with a body (text/html) that is none of OTLP, so nothing counts as delivered; remedy: see that otlp.endpoint is the receiver itself, and no page or proxy in front of it"
            ],
        );
        let negative = partial(-1, "");
        for (kind, body) in [
            (PROTOBUF, &b"<html>"[..]),
            (PROTOBUF, &negative),
            (JSON, b"{\"ok\":true}"),
            (JSON, b"[]"),
        ] {
            let headers = [(kind.0.parse().unwrap(), HeaderValue::from_static(kind.1))];
            let headers = headers.into_iter().collect();
            let status = StatusCode::OK;
            let answered = Answered { status, headers: &headers, body, records: 1, bytes: 1 };
            assert!(judge(&answered).unwrap_err().passing, "{body:?}");
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_when_the_receiver_says() {
        check(429, &[("retry-after", "7")], b"slow", expect!["again after 7s: answer 429: slow"]);
        check(503, &[("retry-after", "soon")], b"", expect!["again: answer 503"]);
        let past = ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT");
        check(502, &[past], b"", expect!["again after 0ns: answer 502"]);
        check(504, &[("content-type", "text/html")], b"<p>x</p>", expect!["again: answer 504"]);
        check(500, &[], b"", expect!["again: answer 500"]);
        check(507, &[], b"", expect!["again: answer 507"]);
    }

    #[test]
    fn what_does_not_pass_stops_with_a_remedy() {
        // A `google.rpc.Status`: code 3, message.
        let status = b"\x08\x03\x12\x03bad";
        check(
            400,
            &[PROTOBUF],
            status,
            expect![
                "stop: answer 400: bad; remedy: see that otlp.endpoint is one for logs by OTLP, in protobuf"
            ],
        );
        check(
            401,
            &[],
            b"",
            expect![
                "stop: answer 401; remedy: look at otlp.headers and otlp.headers_file: what this receiver wants to be told, a token perhaps"
            ],
        );
        check(
            413,
            &[],
            b"",
            expect![
                "stop: answer 413; remedy: let the receiver take 4000000 bytes (max_request_body_size of the Collector's receiver, buffer_max_size of Fluent Bit's input); call_bytes makes them fewer in `host`"
            ],
        );
        check(
            307,
            &[("location", "https://login.example/?token=s3cret")],
            b"",
            expect![
                "stop: answer 307; remedy: write the address into otlp.endpoint that it leads to (https://login.example/), if it is right"
            ],
        );
        check(418, &[], b"", expect!["stop: answer 418; remedy: look at the receiver's log"]);
    }
}
