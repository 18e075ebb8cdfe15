//! The sink for whatever speaks OpenTelemetry: OTLP over HTTP, protobuf, with acknowledgement.
//!
//! Every message is one request; its records count as delivered only when the answer says so. What
//! is not answered is sent again: a receiver may see it twice, and never not at all. What an answer
//! means is decided in `answer`, and differs in one point from what an exporter of telemetry does:
//! nothing is dropped because a receiver will not have it now.
//!
//! The protocol is "OTLP Specification 1.9", opentelemetry.io.

mod answer;
mod body;
mod headers;
mod options;
mod records;

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use m365_audit_core::Level as LogLevel;
use prost::Message;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, StatusCode, redirect, retry};

use self::answer::{Answered, judge};
use self::headers::Headers;
use self::records::Records;
use crate::lines::{Flow, Lines};
use crate::logger::Logger;
use crate::receiver::{Answer, Receiver, SinkError, Taken};

pub use self::headers::HeaderOptions;
pub use self::options::{BodyForm, Compression, OtlpOptions};

const USER_AGENT: &str = concat!("m365-audit/", env!("CARGO_PKG_VERSION"));

/// Bytes of an answer that are read. A receiver's own words are a few hundred.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Sends records as log records, and waits until they are acknowledged.
#[derive(Debug)]
pub struct Otlp {
    name: Box<str>,
    options: OtlpOptions,
    client: Client,
    headers: Headers,
    records: Records,
}

impl Otlp {
    /// Prepares everything; connects only when there is something to send.
    ///
    /// # Errors
    /// The TLS settings cannot be used.
    pub fn new(options: OtlpOptions, logger: &Logger) -> Result<Self, SinkError> {
        let url = options.shown();
        if options.is_open_to_all() {
            logger.log(
                LogLevel::Warn,
                &format!(
                    "otlp to {url}: otlp.plain_http is on, so anyone on the way can read the \
                     records and acknowledge some that never arrived, which then count as \
                     delivered; remedy: let the receiver offer TLS, and write https://"
                ),
            );
        }
        let unusable = |error: &dyn std::fmt::Display| {
            SinkError::lasting(format!("otlp.ca_file, or TLS: {error}"))
        };
        let tls = m365_audit_client::tls_config(&options.roots, true, b"http/1.1")
            .map_err(|error| unusable(&error))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(USER_AGENT)
            .http1_only()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .timeout(options.timeout);
        // What is in the clear is for this machine, or for one that was named with open eyes: a
        // proxy of the environment would be one more who can answer.
        let client = if options.is_plain() { client.no_proxy() } else { client };
        let client = client.build().map_err(|error| unusable(&error))?;
        let (headers, records) = (Headers::new(&options.headers), Records::new(options.body));
        Ok(Self { name: format!("otlp to {url}").into(), options, client, headers, records })
    }

    /// Sends a request of `count` records once.
    async fn send(&self, message: Vec<u8>, count: u32) -> Result<Taken, SinkError> {
        let failed = |problem: &str| SinkError::passing(format!("{}: {problem}", self.name));
        let own = self.headers.read().map_err(|problem| failed(&problem))?;
        let mut headers = own.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let bytes = message.len();
        let body = match self.options.compression {
            Compression::None => message,
            Compression::Gzip => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                gzip(&message).map_err(|error| failed(&error.to_string()))?
            }
        };
        let request = self.client.post(self.options.url.clone()).headers(headers).body(body);
        let exchange = async {
            let response = request.send().await.map_err(|error| self.explain(&error))?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok((status, headers, self.read(response).await?))
        };
        let (status, head, answer) = exchange.await.map_err(|problem: String| failed(&problem))?;
        let answered = Answered { status, headers: &head, body: &answer, records: count, bytes };
        judge(&answered).map_err(|mut error| {
            error.message = format!("{}: {}", self.name, error.message);
            // Who renews the token may have been a moment late.
            let refused = status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN;
            let changed = || self.headers.read().is_ok_and(|now| now != own);
            error.passing |= refused && changed();
            error
        })
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.explain(&error))? {
            body.extend_from_slice(&chunk);
            if ANSWER_BYTES_MAX < body.len() {
                return Err("the receiver answers without an end".into());
            }
        }
        Ok(body)
    }

    /// Why there is no answer.
    fn explain(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no answer within {} s (otlp.timeout)", self.options.timeout.as_secs());
        }
        let mut causes = String::new();
        let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
        while let Some(error) = cause {
            causes = error.to_string();
            cause = error.source();
        }
        let what = if error.is_connect() { "cannot connect" } else { "the connection broke" };
        let remedy = if causes.contains("certificate") {
            "; remedy: look at otlp.ca_file, and the receiver's TLS settings"
        } else {
            ""
        };
        format!("{what}: {causes}{remedy}")
    }
}

impl Receiver for Otlp {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a mut self, flow: &'a Flow, lines: Lines<'a>) -> Answer<'a, Taken> {
        Box::pin(async move {
            let request = self.records.request(flow, lines, nanoseconds_now());
            self.send(request.encode_to_vec(), lines.count).await
        })
    }

    /// Sends a request without a record.
    fn check(&mut self) -> Answer<'_, ()> {
        Box::pin(async move { self.send(records::nothing().encode_to_vec(), 0).await.map(drop) })
    }
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Level::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn nanoseconds_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
