//! Where log records go, and how, as the options say.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use m365_audit_client::read_roots;
use m365_audit_core::ConfigError;
use m365_audit_core::config::Reader;
use rustls::pki_types::CertificateDer;
use url::{Host, Url};

use super::headers::HeaderOptions;

/// What a receiver's address ends with, unless it is a receiver's own.
const PATH: &str = "/v1/logs";

/// Where log records go, and how.
#[derive(Clone, Debug)]
pub struct OtlpOptions {
    /// The address of requests.
    pub url: Url,
    /// Whether `http://` to another machine is accepted.
    pub plain_http: bool,
    /// What is said with each request.
    pub headers: HeaderOptions,
    /// What the body of a log record is.
    pub body: BodyForm,
    /// How requests are compressed.
    pub compression: Compression,
    /// Root certificates to trust beyond Mozilla's and the system's.
    pub roots: Vec<CertificateDer<'static>>,
    /// Longest wait for an answer.
    pub timeout: Duration,
}

/// What the body of a log record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyForm {
    /// The record's members.
    Map,
    /// The record as it is written, byte for byte.
    Text,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As a gzip file.
    Gzip,
    /// Not at all.
    None,
}

impl OtlpOptions {
    /// Reads the options `otlp.*`, and the files that they name. Mistakes stay in `reader`.
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Self {
        let roots = match reader.optional("otlp.ca_file") {
            Some(path) => read_roots(Path::new(&path)).unwrap_or_else(|problem| {
                let remedy = "name a PEM file with the certificate of your authority";
                reader.report(ConfigError::new("otlp.ca_file", Some(&path), &problem, remedy));
                Vec::new()
            }),
            None => Vec::new(),
        };
        Self {
            url: address(reader),
            plain_http: reader.boolean("otlp.plain_http"),
            headers: HeaderOptions::parse(reader),
            body: match &*reader.word("otlp.body") {
                "text" => BodyForm::Text,
                _ => BodyForm::Map,
            },
            compression: match &*reader.word("otlp.compression") {
                "none" => Compression::None,
                _ => Compression::Gzip,
            },
            roots,
            timeout: reader.duration("otlp.timeout"),
        }
    }

    /// Refuses a way to another machine that nobody has said may be in the clear: whoever is on it
    /// could acknowledge what never arrived.
    pub(crate) fn refuse_silent_plain(&self, reader: &mut Reader<'_>) {
        if self.is_plain() && !self.is_this_machine() && !self.plain_http {
            let problem = "http:// leads to another machine: without TLS anyone on the way can \
                           read the records, and acknowledge what never arrived";
            let remedy = "let the receiver offer TLS and write https://; otlp.plain_http on \
                          accepts the risk";
            let shown = self.shown();
            reader.report(ConfigError::new("otlp.endpoint", Some(&shown), problem, remedy));
        }
    }

    /// Whether requests are in the clear.
    pub(super) fn is_plain(&self) -> bool {
        self.url.scheme() == "http"
    }

    /// Whether somebody on the way could read and answer.
    pub(super) fn is_open_to_all(&self) -> bool {
        self.is_plain() && !self.is_this_machine()
    }

    /// The address without what may be secret in it.
    pub(super) fn shown(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.to_string()
    }

    fn is_this_machine(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
            None => false,
        }
    }
}

/// The address that `otlp.endpoint` means.
fn address(reader: &mut Reader<'_>) -> Url {
    let text = reader.text_or_default("otlp.endpoint");
    let remedy = "write it like https://otel.example:4318";
    let problem = match Url::parse(&text) {
        Err(error) => format!("not an address: {error}"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "neither https nor http".into(),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            // Not repeated: it may be a password.
            let problem = "holds a user name or a password";
            let remedy = "give it as a header, in otlp.headers_file";
            reader.report(ConfigError::new("otlp.endpoint", None, problem, remedy));
            return unusable();
        }
        Ok(url) if url.fragment().is_some() => "has a part behind #".into(),
        Ok(mut url) => {
            let path = url.path().trim_end_matches('/');
            if !path.ends_with(PATH) {
                let path = format!("{path}{PATH}");
                url.set_path(&path);
            }
            return url;
        }
    };
    reader.report(ConfigError::new("otlp.endpoint", Some(&text), &problem, remedy));
    unusable()
}

/// Stands in for an address that could not be read; the mistake has been reported.
fn unusable() -> Url {
    Url::parse("http://127.0.0.1/").expect("a constant address is valid")
}
