//! The OTLP sink against a receiver written from the protocol's specification, with good and bad
//! manners, and against the real Fluent Bit if there is one.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use fluent_bit_plugin_harness::until;
use m365_audit_client::Runtime;
use m365_audit_core::{Envelope, Level, MetadataPlace};
use m365_audit_sinks::otlp::Otlp;
use m365_audit_sinks::{Flow, Lines, Logger, Receiver, SinkError, SinkOptions, Taken};
use m365_audit_test_support::otel::{Behaviour, Manners, Otel, attribute};
use m365_audit_test_support::peer;

const TENANT: &str = "6a4d2b66-0000-4000-8000-000000000001";

const RECORDS: [&str; 2] = [
    "{\"CreationTime\":\"2026-07-29T21:35:19\",\"n\": 1.50,\"s\":\"\u{fc}\\u00fc\\ud800\"}",
    "{\"CreationTime\":\"2026-07-29T21:35:20\",\"n\":2,\"deep\":{\"a\":[1,{\"b\":null}]}}",
];

/// A sink, and a thread to run it on.
struct Sender {
    sink: Otlp,
    flow: Flow,
    ndjson: String,
    runtime: Runtime,
}

impl Sender {
    fn new(url: &str, options: &[(&str, &str)]) -> Self {
        let endpoint = [("sink", "otlp"), ("otlp.endpoint", url)];
        let raw = endpoint.iter().chain(options);
        let raw = raw.map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let SinkOptions::Otlp(options) = SinkOptions::parse(&raw).unwrap() else { panic!() };
        let sink = Otlp::new(options, &Logger::new(|_, _| {})).unwrap();
        let envelope = Envelope {
            metadata: Some(MetadataPlace::Event),
            tenant_name: Some("contoso".into()),
            ..Envelope::bare()
        };
        let line = |record| format!("{{\"content_type\":\"Audit.General\",\"record\":{record}}}\n");
        let ndjson = RECORDS.map(line).concat();
        let flow = Flow::new(TENANT, &envelope);
        Self { sink, flow, ndjson, runtime: Runtime::new().unwrap() }
    }

    fn send(&mut self) -> Result<Taken, SinkError> {
        let lines = Lines { ndjson: &self.ndjson, count: 2 };
        self.runtime.block_on(self.sink.deliver(&self.flow, lines))
    }

    #[track_caller]
    fn fails(&mut self, said: &str, passing: bool) {
        let error = self.send().unwrap_err();
        assert!(error.message.contains(said), "{error}");
        assert_eq!(error.passing, passing, "{error}");
    }
}

#[test]
fn records_arrive_byte_for_byte_with_their_time_and_whose_they_are() {
    for compression in ["gzip", "none"] {
        let otel = Otel::start(Behaviour::default());
        let options = [("otlp.body", "text"), ("otlp.compression", compression)];
        let mut sender = Sender::new(otel.url(), &options);
        for _ in 0..2 {
            assert_eq!(sender.send().unwrap(), Taken::default());
        }
        assert_eq!(otel.texts(), [RECORDS, RECORDS].concat());
        let arrived = &otel.arrived()[0];
        assert_eq!(arrived.record.time_unix_nano, 1_785_360_919_000_000_000);
        assert!(arrived.record.time_unix_nano < arrived.record.observed_time_unix_nano);
        let of_record = |name| attribute(&arrived.record.attributes, name);
        assert_eq!(of_record("m365.content_type"), Some("Audit.General"));
        for (name, value) in [
            ("service.name", "m365-audit"),
            ("cloud.account.id", TENANT),
            ("m365.tenant.id", TENANT),
            ("m365.tenant.name", "contoso"),
        ] {
            assert_eq!(attribute(&arrived.resource, name), Some(value));
        }
        let asked = &otel.asked()[0];
        assert_eq!(asked.path, "/v1/logs");
        let is_gzip = asked.headers.contains_key("content-encoding");
        assert_eq!(is_gzip, compression == "gzip");
    }
}

#[test]
fn nothing_counts_before_it_is_acknowledged() {
    let check = |manners: Manners, said: &str, passing: bool, taken: usize| {
        let all = HashMap::from([(1, manners.clone())]);
        let otel = Otel::start(Behaviour { manners: all, ..Behaviour::default() });
        let mut sender = Sender::new(otel.url(), &[("otlp.timeout", "1")]);
        sender.fails(said, passing);
        sender.send().unwrap();
        // What was taken without a word is sent again.
        assert_eq!(otel.count(), taken + 2, "{manners:?}");
    };
    check(Manners::HangUp, "the connection broke", true, 0);
    check(Manners::TakeAndHangUp, "the connection broke", true, 2);
    check(Manners::Stall, "no answer within 1 s (otlp.timeout)", true, 2);
    check(Manners::Page, "with a body (text/html) that is none of OTLP", true, 0);
    check(Manners::Refuse(500, ""), "answer 500", true, 0);
    check(Manners::Refuse(404, ""), "answer 404; remedy: see that otlp.endpoint", false, 0);
    check(Manners::Refuse(302, "location: /x"), "that it leads to (/x)", false, 0);
}

#[test]
fn a_receiver_says_when_to_come_again() {
    for status in [429, 502, 503, 504] {
        let manners = HashMap::from([(1, Manners::Refuse(status, "retry-after: 7"))]);
        let otel = Otel::start(Behaviour { manners, ..Behaviour::default() });
        let error = Sender::new(otel.url(), &[]).send().unwrap_err();
        assert_eq!((error.passing, error.after), (true, Some(Duration::from_secs(7))), "{error}");
    }
}

#[test]
fn what_is_refused_for_good_is_counted() {
    let manners = HashMap::from([(1, Manners::Partly(1, "too old"))]);
    let otel = Otel::start(Behaviour { manners, ..Behaviour::default() });
    let taken = Sender::new(otel.url(), &[]).send().unwrap();
    assert_eq!(taken, Taken { rejected: 1, said: "too old".into() });
    assert_eq!(otel.count(), 1);
}

#[test]
fn headers_are_said_and_a_token_may_change_in_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("headers");
    std::fs::write(&file, "# ours\nAuthorization: Bearer s3cret-1\n").unwrap();
    let manners = [(1, Manners::Refuse(401, "")), (3, Manners::Refuse(401, ""))].into();
    let otel = Otel::start(Behaviour { manners, ..Behaviour::default() });
    let path = file.to_str().unwrap();
    let options = [("otlp.headers", "X-Scope-OrgID=tenant 1"), ("otlp.headers_file", path)];
    let mut sender = Sender::new(otel.url(), &options);
    sender.fails("answer 401; remedy: look at otlp.headers and otlp.headers_file", false);
    std::fs::write(&file, "Authorization: Bearer s3cret-2\n").unwrap();
    sender.send().unwrap();
    std::fs::remove_file(&file).unwrap();
    sender.fails("otlp.headers_file: cannot be read", true);
    let said = |number: usize, name: &str| otel.asked()[number].headers[name].clone();
    assert_eq!(said(0, "authorization"), "Bearer s3cret-1");
    assert_eq!(said(1, "authorization"), "Bearer s3cret-2");
    assert_eq!(said(1, "x-scope-orgid"), "tenant 1");
    assert!(!format!("{:?}", sender.sink).contains("s3cret"));
}

#[test]
fn a_certificate_is_checked_against_the_given_authority() {
    let (pem, config) = peer::tls();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let otel = Otel::start(Behaviour { tls: Some(config), ..Behaviour::default() });
    Sender::new(otel.url(), &[]).fails("remedy: look at otlp.ca_file", true);
    Sender::new(otel.url(), &[("otlp.ca_file", file.to_str().unwrap())]).send().unwrap();
    assert_eq!(otel.count(), 2);
}

#[test]
fn a_try_sends_no_record() {
    let otel = Otel::start(Behaviour::default());
    let mut sender = Sender::new(otel.url(), &[]);
    sender.runtime.block_on(sender.sink.check()).unwrap();
    assert_eq!((otel.asked().len(), otel.count()), (1, 0));
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let mut sender = Sender::new(&nobody, &[]);
    let error = sender.runtime.block_on(sender.sink.check()).unwrap_err();
    let begins = format!("otlp to {nobody}/v1/logs: cannot connect: ");
    assert!(error.passing && error.message.starts_with(&begins), "{error}");
}

#[test]
fn who_could_be_lied_to_is_warned() {
    let (lines, heard) = std::sync::mpsc::channel();
    let raw = [
        ("sink", "otlp"),
        ("otlp.endpoint", "http://otel.example:4318/?key=s3cret"),
        ("otlp.plain_http", "on"),
    ];
    let raw = raw.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let SinkOptions::Otlp(options) = SinkOptions::parse(&raw).unwrap() else { panic!() };
    let logger = Logger::new(move |level, line| lines.send((level, line.to_owned())).unwrap());
    drop(Otlp::new(options, &logger).unwrap());
    drop(logger);
    let lines: Vec<_> = heard.iter().collect();
    let [(Level::Warn, line)] = &lines[..] else { panic!("{lines:?}") };
    assert!(
        line.starts_with("otlp to http://otel.example:4318/v1/logs: otlp.plain_http"),
        "{line}"
    );
}

/// Sends to the input `opentelemetry` of the real Fluent Bit, and reads what it writes to a file.
fn through_fluent_bit(executable: &Path, body: &str) -> Vec<serde_json::Value> {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let config = format!(
        "service:\n  flush: 0.2\n  grace: 1\n  http_server: on\n  http_listen: 127.0.0.1\n  \
         http_port: {{port}}\npipeline:\n  inputs:\n    - name: opentelemetry\n      \
         listen: 127.0.0.1\n      port: {port}\n  outputs:\n    - name: file\n      \
         match: '*'\n      path: '{{dir}}'\n      file: arrived\n      format: plain\n"
    );
    let fluent_bit = FluentBit::start(executable, &config);
    let mut sender = Sender::new(&format!("http://127.0.0.1:{port}"), &[("otlp.body", body)]);
    let tried = sender.runtime.block_on(sender.sink.check());
    assert!(tried.is_ok(), "{tried:?}\n{}", fluent_bit.log());
    let sent = sender.send();
    assert!(matches!(&sent, Ok(taken) if *taken == Taken::default()), "{sent:?}");
    until("all records", || 2 <= fluent_bit.lines("arrived").len());
    let lines = fluent_bit.lines("arrived");
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn fluent_bit_takes_records_as_members() {
    let Some(executable) = fluent_bit::find() else { return };
    let arrived = through_fluent_bit(&executable, "map");
    let mut second: serde_json::Value = serde_json::from_str(RECORDS[1]).unwrap();
    assert_eq!(arrived[1], second);
    // A lone surrogate is text to msgpack and to OTLP.
    second = serde_json::from_str(&RECORDS[0].replace("\\ud800", "\\\\ud800")).unwrap();
    assert_eq!(arrived[0], second);
}

#[test]
fn fluent_bit_takes_records_byte_for_byte() {
    let Some(executable) = fluent_bit::find() else { return };
    let arrived = through_fluent_bit(&executable, "text");
    for (arrived, record) in arrived.iter().zip(RECORDS) {
        let texts: Vec<_> = arrived.as_object().unwrap().values().collect();
        assert_eq!(texts, [record], "{arrived}");
    }
}
