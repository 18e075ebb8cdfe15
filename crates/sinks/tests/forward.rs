//! The forward sink against a receiver written from the protocol's specification, with good and
//! bad manners, and against the real Fluent Bit if there is one.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::HashMap;
use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use fluent_bit_plugin_harness::until;
use m365_audit_client::{Runtime, read_roots};
use m365_audit_core::{Envelope, Level, Secret};
use m365_audit_sinks::forward::{Forward, ForwardOptions, User};
use m365_audit_sinks::{Flow, Lines, Logger, Receiver, SinkError, Taken};
use m365_audit_test_support::peer::{self, Behaviour, Manners, Peer};

const KEY: &str = "correct horse battery staple";

const NDJSON: &str = "{\"CreationTime\":\"2026-07-29T21:35:19\",\"n\":1}\n\
                      {\"CreationTime\":\"2026-07-29T21:35:20\",\"n\":2}\n";

fn options(address: &str) -> ForwardOptions {
    ForwardOptions {
        address: address.into(),
        tag: "audit".into(),
        shared_key: None,
        user: None,
        self_hostname: "sender".into(),
        tls: false,
        roots: Vec::new(),
        verify_tls: true,
        timeout: Duration::from_secs(60),
    }
}

fn with_key(address: &str, key: &str) -> ForwardOptions {
    ForwardOptions { shared_key: Some(Secret::new(key.to_owned())), ..options(address) }
}

/// A sink, and a thread to run it on.
struct Sender {
    sink: Forward,
    flow: Flow,
    runtime: Runtime,
}

impl Sender {
    fn new(options: ForwardOptions) -> Self {
        let sink = Forward::new(options, Logger::new(|_, _| {})).unwrap();
        let flow = Flow::new("t", &Envelope::bare());
        Self { sink, flow, runtime: Runtime::new().unwrap() }
    }

    fn send(&mut self) -> Result<(), SinkError> {
        let lines = Lines { ndjson: NDJSON, count: 2 };
        let taken = self.runtime.block_on(self.sink.deliver(&self.flow, lines))?;
        assert_eq!(taken, Taken::default());
        Ok(())
    }

    #[track_caller]
    fn fails(&mut self, said: &str) {
        let error = self.send().unwrap_err();
        assert!(error.passing, "{error}");
        assert!(error.message.contains(said), "{error}");
        assert!(!error.message.contains(KEY), "{error}");
    }
}

fn numbers(peer: &Peer) -> Vec<u64> {
    peer.arrived().iter().map(|event| event.record["n"].as_u64().unwrap()).collect()
}

#[test]
fn events_arrive_with_tag_and_time_over_one_connection() {
    let peer = Peer::start(Behaviour::default());
    let mut sender = Sender::new(options(peer.address()));
    for _ in 0..3 {
        sender.send().unwrap();
    }
    assert_eq!(numbers(&peer), [1, 2, 1, 2, 1, 2]);
    let arrived = peer.arrived();
    assert!(arrived.iter().all(|event| event.tag == "audit"));
    assert_eq!([arrived[0].seconds, arrived[1].seconds], [1_785_360_919, 1_785_360_920]);
    assert_eq!(peer.connections(), 1);
}

#[test]
fn both_sides_prove_that_they_know_the_key() {
    let keyed =
        |behaviour: Behaviour| Peer::start(Behaviour { shared_key: Some(KEY), ..behaviour });
    let peer = keyed(Behaviour::default());
    Sender::new(with_key(peer.address(), KEY)).send().unwrap();
    assert_eq!(numbers(&peer), [1, 2]);

    let wrong = keyed(Behaviour::default());
    Sender::new(with_key(wrong.address(), "wrong"))
        .fails("refused the handshake (shared_key mismatch)");
    Sender::new(options(wrong.address()))
        .fails("the receiver wants a shared key; remedy: set forward.shared_key");
    let liar = keyed(Behaviour { lies: true, ..Behaviour::default() });
    Sender::new(with_key(liar.address(), KEY)).fails("does not know the shared key itself");
    let users = keyed(Behaviour { user: Some(("me", "pass")), ..Behaviour::default() });
    Sender::new(with_key(users.address(), KEY)).fails("(username/password mismatch)");
    assert_eq!(users.count(), 0);
    let user = |password: &str| {
        let password = Secret::new(password.to_owned());
        let user = Some(User { name: "me".into(), password });
        ForwardOptions { user, ..with_key(users.address(), KEY) }
    };
    Sender::new(user("wrong")).fails("(username/password mismatch)");
    Sender::new(user("pass")).send().unwrap();
    assert_eq!(users.count(), 2);
    for peer in [wrong, liar] {
        assert_eq!(peer.count(), 0);
    }
}

#[test]
fn a_receiver_without_a_key_is_told_apart() {
    let peer = Peer::start(Behaviour::default());
    let timeout = Duration::from_secs(1);
    let mut sender = Sender::new(ForwardOptions { timeout, ..with_key(peer.address(), KEY) });
    sender.fails("no handshake within 1 s (forward.timeout); remedy: give the receiver the same");
}

#[test]
fn nothing_counts_before_its_acknowledgement() {
    let check = |manners: Manners, said: &str, taken: usize| {
        let manners = HashMap::from([(1, manners)]);
        let peer = Peer::start(Behaviour { manners: manners.clone(), ..Behaviour::default() });
        let timeout = Duration::from_secs(1);
        let mut sender = Sender::new(ForwardOptions { timeout, ..options(peer.address()) });
        sender.fails(said);
        sender.send().unwrap();
        // What was taken without a word is sent again.
        assert_eq!(peer.count(), taken + 2, "{manners:?}");
        assert_eq!(peer.connections(), 2);
    };
    check(Manners::TakeAndHangUp, "the receiver closed the connection", 2);
    check(Manners::HangUp, "connection", 0);
    check(Manners::Silence, "no acknowledgement within 1 s (forward.timeout)", 2);
    check(Manners::OtherAck, "no acknowledgement within 1 s (forward.timeout)", 2);
    check(Manners::Nonsense, "answers something else than ack", 0);
}

#[test]
fn a_connection_that_was_closed_meanwhile_is_made_anew() {
    // The second chunk meets a connection that has worked before, and is sent once more at once.
    let manners = HashMap::from([(2, Manners::HangUp)]);
    let peer = Peer::start(Behaviour { manners, ..Behaviour::default() });
    let mut sender = Sender::new(options(peer.address()));
    sender.send().unwrap();
    sender.send().unwrap();
    assert_eq!(numbers(&peer), [1, 2, 1, 2]);
    assert_eq!(peer.connections(), 2);
}

#[test]
fn a_certificate_is_checked_against_the_given_authority() {
    let (pem, config) = peer::tls();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::File::create(&file).unwrap().write_all(pem.as_bytes()).unwrap();
    let peer =
        Peer::start(Behaviour { shared_key: Some(KEY), tls: Some(config), ..Behaviour::default() });
    let plain = || ForwardOptions { tls: true, ..with_key(peer.address(), KEY) };
    let roots = read_roots(&file).unwrap();
    Sender::new(ForwardOptions { roots, ..plain() }).send().unwrap();
    Sender::new(ForwardOptions { verify_tls: false, ..plain() }).send().unwrap();
    Sender::new(plain()).fails("no TLS: invalid peer certificate");
    assert_eq!(numbers(&peer), [1, 2, 1, 2]);
}

#[test]
fn what_somebody_on_the_way_could_forge_is_told_at_warn() {
    let told = |change: fn(&mut ForwardOptions), address: &str| {
        let mut options = options(address);
        change(&mut options);
        let (lines, heard) = std::sync::mpsc::channel();
        let logger = Logger::new(move |level, line| {
            lines.send((level, line.to_owned())).unwrap();
        });
        drop(Forward::new(options, logger).unwrap());
        heard.iter().collect::<Vec<_>>()
    };
    for (change, option) in [
        ((|_| {}) as fn(&mut ForwardOptions), "forward.tls"),
        // A key proves who begins the connection, not who goes on with it.
        (|options| options.shared_key = Some(Secret::new(KEY.to_owned())), "forward.tls"),
        (|options| (options.tls, options.verify_tls) = (true, false), "forward.verify_tls"),
    ] {
        let lines = told(change, "logs.example:24224");
        let [(level, line)] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!(*level, Level::Warn);
        let begins = format!("forward to logs.example:24224: {option} is off, so anyone");
        assert!(line.starts_with(&begins) && line.contains("remedy: set it to on"), "{line}");
        assert_eq!(told(change, "127.0.0.1:24224"), []);
    }
    assert_eq!(told(|options| options.tls = true, "logs.example:24224"), []);
}

#[test]
fn a_receiver_that_is_not_there_is_named() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    Sender::new(options(&address)).fails(&format!("forward to {address}: cannot connect"));
}

/// Sends to the real Fluent Bit with these lines in its input, and looks at what it writes.
fn through_fluent_bit(input: &str, change: impl FnOnce(ForwardOptions) -> ForwardOptions) {
    let Some(executable) = fluent_bit::find() else { return };
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let config = format!(
        "service:\n  flush: 0.2\n  grace: 1\n  http_server: on\n  http_listen: 127.0.0.1\n  \
         http_port: {{port}}\npipeline:\n  inputs:\n    - name: forward\n      \
         listen: 127.0.0.1\n      port: {port}\n{input}  outputs:\n    - name: file\n      \
         match: audit\n      path: '{{dir}}'\n      file: arrived\n      format: plain\n"
    );
    let fluent_bit = FluentBit::start(&executable, &config);
    let mut sender = Sender::new(change(options(&format!("127.0.0.1:{port}"))));
    for _ in 0..2 {
        let sent = sender.send();
        assert!(sent.is_ok(), "{sent:?}\n{}", fluent_bit.log());
    }
    let numbers = || -> Vec<u64> {
        let lines = fluent_bit.lines("arrived");
        let values = lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line));
        values.map(|value| value.unwrap()["n"].as_u64().unwrap()).collect()
    };
    until("all events", || 4 <= numbers().len());
    assert_eq!(numbers(), [1, 2, 1, 2]);
}

#[test]
fn fluent_bit_takes_events_and_acknowledges_them() {
    through_fluent_bit("", |options| options);
}

#[test]
fn fluent_bit_takes_events_with_a_shared_key() {
    through_fluent_bit(&format!("      shared_key: {KEY}\n"), |options| ForwardOptions {
        shared_key: Some(Secret::new(KEY.to_owned())),
        ..options
    });
}

#[test]
fn fluent_bit_takes_events_over_tls_with_a_shared_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (ca, certificate, key) = peer::certificate();
    for (name, text) in [("ca.pem", ca), ("cert.pem", certificate), ("key.pem", key)] {
        std::fs::write(path(name), text).unwrap();
    }
    let input = format!(
        "      shared_key: {KEY}\n      tls: on\n      tls.verify: off\n      tls.crt_file: \
         '{}'\n      tls.key_file: '{}'\n",
        path("cert.pem"),
        path("key.pem")
    );
    let roots = read_roots(path("ca.pem").as_ref()).unwrap();
    through_fluent_bit(&input, |options| ForwardOptions {
        shared_key: Some(Secret::new(KEY.to_owned())),
        tls: true,
        roots,
        ..options
    });
}
