//! Where records go, and how: options of `run` and `host`, declared and read here.

use m365_audit_core::config::Reader;
use m365_audit_core::options::{Kind, OptionSpec, Scope};
use m365_audit_core::{ConfigError, MetadataPlace, RawOptions};

use crate::forward::{Forward, ForwardOptions};
use crate::logger::Logger;
use crate::otlp::{Otlp, OtlpOptions};
use crate::receiver::{Receiver, SinkError};

/// The longest a message may wait for its answer, in seconds.
const TIMEOUT_MAX: u64 = 600;

const fn option(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    help: &'static str,
) -> OptionSpec {
    OptionSpec { name, kind, default, scope: Scope::Native, help }
}

/// The options of sinks, in the order in which documentation shows them.
pub const SINK_OPTIONS: &[OptionSpec] = &[
    option(
        "sink",
        Kind::Choice(&["ndjson", "forward", "otlp"]),
        Some("ndjson"),
        "Where records go: ndjson writes lines to --output; forward sends events to Fluent Bit or \
         Fluentd, otlp log records to whoever speaks OpenTelemetry, and both wait for the \
         acknowledgement.",
    ),
    option(
        "forward.address",
        Kind::Text,
        Some("127.0.0.1:24224"),
        "HOST:PORT of the Fluent Bit or Fluentd that takes the events (its input `forward`).",
    ),
    option("forward.tag", Kind::Text, Some("m365_audit"), "Tag of the events."),
    option(
        "forward.shared_key",
        Kind::Secret,
        None,
        "Key that both sides prove to each other, as Shared_Key (Fluent Bit) or shared_key \
         (Fluentd) says on the other side. Without it the connection begins without a handshake.",
    ),
    option(
        "forward.username",
        Kind::Text,
        None,
        "User, if the receiver asks for one beside the shared key.",
    ),
    option(
        "forward.password",
        Kind::Secret,
        None,
        "That user's password. Never sent; the receiver is given a proof of it.",
    ),
    option(
        "forward.self_hostname",
        Kind::Text,
        Some("m365-audit"),
        "Name by which this side introduces itself in the handshake.",
    ),
    option(
        "forward.tls",
        Kind::Boolean,
        Some("off"),
        "Encrypt the connection. To another machine it must be written out: without it anyone on \
         the way can read the records, and acknowledge some that never arrived.",
    ),
    option(
        "forward.ca_file",
        Kind::Path,
        None,
        "PEM file with further root certificates to trust for the events' connection.",
    ),
    option(
        "forward.verify_tls",
        Kind::Boolean,
        Some("on"),
        "Check the certificate of the events' receiver.",
    ),
    option(
        "forward.timeout",
        Kind::Duration { min: 1, max: TIMEOUT_MAX },
        Some("30"),
        "Longest wait for a connection, for the handshake, and for the acknowledgement of a chunk. \
         A chunk that is not acknowledged in time is sent again.",
    ),
    option(
        "otlp.endpoint",
        Kind::Text,
        Some("http://127.0.0.1:4318"),
        "Address of the receiver, OTLP over HTTP. /v1/logs is added unless it ends so. http:// to \
         another machine needs otlp.plain_http.",
    ),
    option(
        "otlp.plain_http",
        Kind::Boolean,
        Some("off"),
        "Accept http:// to another machine: anyone on the way can read the records, and \
         acknowledge some that never arrived.",
    ),
    option(
        "otlp.headers",
        Kind::Secret,
        None,
        "Headers of each request: name=value, several of them with commas between.",
    ),
    option(
        "otlp.headers_file",
        Kind::Path,
        None,
        "File with headers, `Name: value` a line; read anew for each request, so that a token in \
         it may change.",
    ),
    option(
        "otlp.body",
        Kind::Choice(&["map", "text"]),
        Some("map"),
        "What the body of a log record is: map, the record's members; text, the record as it is \
         written, byte for byte.",
    ),
    option(
        "otlp.compression",
        Kind::Choice(&["gzip", "none"]),
        Some("gzip"),
        "How requests are compressed.",
    ),
    option(
        "otlp.ca_file",
        Kind::Path,
        None,
        "PEM file with further root certificates to trust for the receiver.",
    ),
    option(
        "otlp.timeout",
        Kind::Duration { min: 1, max: TIMEOUT_MAX },
        Some("30"),
        "Longest wait for an answer. What is not answered in time is sent again.",
    ),
];

/// Where records go.
#[derive(Clone, Debug)]
pub enum SinkOptions {
    /// Lines to a file or stdout.
    Ndjson,
    /// Events to Fluent Bit or Fluentd.
    Forward(ForwardOptions),
    /// Log records to whoever speaks OpenTelemetry.
    Otlp(OtlpOptions),
}

impl SinkOptions {
    /// Reads [`SINK_OPTIONS`], and the files that they name.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn parse(raw: &RawOptions) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader::of(raw, SINK_OPTIONS);
        let sink = reader.word("sink");
        let forward = ForwardOptions::parse(&mut reader);
        let otlp = OtlpOptions::parse(&mut reader);
        match &*sink {
            "forward" => forward.refuse_silent_plain(&mut reader),
            "otlp" => otlp.refuse_silent_plain(&mut reader),
            _ => {}
        }
        reader.finish_known()?;
        Ok(match &*sink {
            "forward" => Self::Forward(forward),
            "otlp" => Self::Otlp(otlp),
            _ => Self::Ndjson,
        })
    }

    /// Where metadata are if nobody has said it.
    #[must_use]
    pub const fn metadata(&self) -> MetadataPlace {
        match self {
            Self::Ndjson | Self::Forward(_) => MetadataPlace::Off,
            // Its records have a place for them.
            Self::Otlp(_) => MetadataPlace::Event,
        }
    }

    /// The receiver, if it is over a network. Connects to nobody yet.
    ///
    /// # Errors
    /// The TLS settings cannot be used.
    pub fn receiver(&self, logger: &Logger) -> Result<Option<Box<dyn Receiver>>, SinkError> {
        Ok(match self {
            Self::Ndjson => None,
            Self::Forward(options) => {
                Some(Box::new(Forward::new(options.clone(), logger.clone())?))
            }
            Self::Otlp(options) => Some(Box::new(Otlp::new(options.clone(), logger)?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn parse(pairs: &[(&str, &str)]) -> Result<SinkOptions, Vec<ConfigError>> {
        SinkOptions::parse(
            &pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        )
    }

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expect: Expect) {
        let text = match parse(pairs) {
            Ok(options) => format!("{options:?}\n"),
            Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
        };
        assert!(!text.contains("s3cret"), "{text}");
        expect.assert_eq(&text);
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        check(
            &[
                ("sink", "kafka"),
                ("forward.address", "localhost"),
                ("forward.ca_file", "/none.pem"),
                ("forward.tls", "perhaps"),
                ("forward.shared_key", "s3cret"),
                ("forward.username", "me"),
                ("otlp.endpoint", "otel.example:4318"),
                ("otlp.headers", "a=b, s3cret,Host=x"),
                ("otlp.headers_file", "/none"),
                ("otlp.body", "xml"),
                ("otlp.timeout", "0"),
            ],
            expect![[r#"
                sink = "kafka": not a value of this option; allowed: one of ndjson, forward, otlp
                forward.address = "localhost": not a host and a port; write HOST:PORT, for instance 127.0.0.1:24224
                forward.ca_file = "/none.pem": cannot be read: No such file or directory (os error 2); name a PEM file with the certificate of your authority
                forward.password: missing beside the other options of the handshake; set forward.shared_key, forward.username and forward.password together
                forward.tls = "perhaps": not a value of this option; allowed: on or off
                otlp.endpoint = "otel.example:4318": neither https nor http; write it like https://otel.example:4318
                otlp.headers: number 2 is no header: no = in it; write name=value, several of them with commas between; what has commas itself goes into otlp.headers_file
                otlp.headers: number 3 is no header: host is set by this program; write name=value, several of them with commas between; what has commas itself goes into otlp.headers_file
                otlp.headers_file = "/none": cannot be read: No such file or directory (os error 2); name a file with a header a line, `Name: value`
                otlp.body = "xml": not a value of this option; allowed: one of map, text
                otlp.timeout = "0": too small; allowed: time from 1s to 10m
            "#]],
        );
    }

    #[test]
    fn defaults_write_lines() {
        check(
            &[],
            expect![[r#"
            Ndjson
        "#]],
        );
        check(
            &[("sink", "Forward"), ("forward.shared_key", "s3cret"), ("forward.tls", "on")],
            expect![[r#"
                Forward(ForwardOptions { address: "127.0.0.1:24224", tag: "m365_audit", shared_key: Some([redacted]), user: None, self_hostname: "m365-audit", tls: true, roots: [], verify_tls: true, timeout: 30s })
            "#]],
        );
        check(
            &[("sink", "otlp"), ("otlp.headers", "Authorization=Bearer s3cret, X-Scope=1")],
            expect![[r#"
                Otlp(OtlpOptions { url: Url { scheme: "http", cannot_be_a_base: false, username: "", password: None, host: Some(Ipv4(127.0.0.1)), port: Some(4318), path: "/v1/logs", query: None, fragment: None }, plain_http: false, headers: HeaderOptions { fixed: [("authorization", [redacted]), ("x-scope", [redacted])], file: None }, body: Map, compression: Gzip, roots: [], timeout: 30s })
            "#]],
        );
    }

    #[test]
    fn an_address_is_completed_and_nothing_secret_is_part_of_it() {
        let address = |endpoint: &str| {
            let parsed = parse(&[("sink", "otlp"), ("otlp.endpoint", endpoint)]);
            match parsed {
                Ok(SinkOptions::Otlp(options)) => options.url.to_string(),
                Ok(_) => panic!("another sink"),
                Err(errors) => errors[0].to_string(),
            }
        };
        for (endpoint, url) in [
            ("https://otel.example", "https://otel.example/v1/logs"),
            ("https://otel.example:4318/", "https://otel.example:4318/v1/logs"),
            ("https://loki.example/otlp", "https://loki.example/otlp/v1/logs"),
            ("https://otel.example/v1/logs", "https://otel.example/v1/logs"),
            ("http://[::1]:4318/a/v1/logs/", "http://[::1]:4318/a/v1/logs/"),
            ("https://otel.example/x?y=z", "https://otel.example/x/v1/logs?y=z"),
        ] {
            assert_eq!(address(endpoint), url);
        }
        let told = address("https://me:s3cret@otel.example");
        assert!(told.contains("otlp.headers_file") && !told.contains("s3cret"), "{told}");
        for endpoint in ["ftp://otel.example", "https://otel.example/#x", "", "otel.example"] {
            let told = address(endpoint);
            assert!(endpoint.is_empty() || told.starts_with("otlp.endpoint = "), "{told}");
        }
    }

    #[test]
    fn plain_http_to_another_machine_is_refused_unless_it_is_accepted() {
        let parse = |endpoint: &str, plain: &str| {
            parse(&[("sink", "otlp"), ("otlp.endpoint", endpoint), ("otlp.plain_http", plain)])
        };
        for endpoint in ["http://otel.example:4318", "http://10.0.0.7", "http://[2001:db8::7]:1"] {
            let told = parse(endpoint, "off").unwrap_err()[0].to_string();
            assert!(told.contains("http:// leads to another machine"), "{told}");
            assert!(parse(endpoint, "on").is_ok());
        }
        for endpoint in ["http://localhost", "http://127.9.9.9:1", "http://[::1]:1", "https://x"] {
            assert!(parse(endpoint, "off").is_ok(), "{endpoint}");
        }
    }

    #[test]
    fn another_machine_without_tls_is_refused_unless_off_is_written_out() {
        let parse = |sink: &str, address: &str, tls: &str| {
            let pairs = [("sink", sink), ("forward.address", address), ("forward.tls", tls)];
            let raw = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            SinkOptions::parse(&raw).map(drop)
        };
        let elsewhere =
            ["logs.example:24224", "10.0.0.7:24224", "[2001:db8::7]:24224", "0.0.0.0:1"];
        for address in elsewhere {
            // An empty text is what a variable is that was never filled.
            let told = parse("forward", address, "").unwrap_err();
            assert_eq!(told.len(), 1, "{told:?}");
            let told = told[0].to_string();
            let begins = format!(
                "forward.tls: missing, and forward.address leads to another machine ({address})"
            );
            assert!(
                told.starts_with(&begins) && told.contains("; set forward.tls to on"),
                "{told}"
            );
            for (sink, tls) in [("forward", "on"), ("forward", "off"), ("ndjson", "")] {
                assert_eq!(parse(sink, address, tls), Ok(()), "{sink} {address} {tls}");
            }
        }
        for address in ["127.0.0.1:1", "localhost:1", "LocalHost:1", "[::1]:1", "127.9.9.9:1"] {
            assert_eq!(parse("forward", address, ""), Ok(()), "{address}");
        }
    }
}
