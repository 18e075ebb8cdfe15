//! The webhook against the simulated service, which validates it, notifies it, and is the truth.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, SystemTime};

use m365_audit_client::{Client, Handle, REFUSALS, Refusal, Settings, Sink, WebhookMetrics};
use m365_audit_core::{
    Batch, BatchId, Event, FeedEvent, LaneMetrics, Level, Metrics, Outcome, RawOptions,
};
use m365_sim::{ContentType, Listen, Server, SimConfig, Span};

/// Longer than anything here should take.
const PATIENCE: Duration = Duration::from_secs(120);

const AUTH_ID: &str = "f3b0c9d2-an-id-that-nobody-guesses";

/// The default content types.
const FEEDS: usize = 4;

/// What a test hears of its client.
#[derive(Debug)]
enum News {
    WebhookSet,
    CaughtUp,
    Batch(String),
}

struct TestSink {
    news: Sender<News>,
    unconfirmed: Vec<BatchId>,
    log: Vec<(Level, String)>,
    webhook: WebhookMetrics,
    caught_up: bool,
}

impl Sink for TestSink {
    fn emit(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.unconfirmed.push(batch.id);
        let _ = self.news.send(News::Batch(batch.content.id.to_string()));
        Ok(())
    }

    fn flush(&mut self, delivered: &mut Vec<BatchId>) -> anyhow::Result<()> {
        delivered.append(&mut self.unconfirmed);
        Ok(())
    }

    fn log(&mut self, level: Level, message: &str) {
        self.log.push((level, message.into()));
    }

    fn observe(&mut self, event: &Event) {
        let news = match event {
            Event::Feed(_, FeedEvent::WebhookSet { .. }) => Some(News::WebhookSet),
            _ => None,
        };
        if let Some(news) = news {
            let _ = self.news.send(news);
        }
        self.log(event.level(), &event.to_string());
    }

    fn metrics(&mut self, metrics: &Metrics) {
        let is_read =
            |lane: &LaneMetrics| lane.backlog < Duration::from_secs(60) && lane.blobs_pending == 0;
        if !self.caught_up && metrics.lanes.iter().all(is_read) {
            self.caught_up = true;
            let _ = self.news.send(News::CaughtUp);
        }
    }

    fn webhook(&mut self, metrics: &WebhookMetrics) {
        self.webhook = *metrics;
    }
}

/// A little history, and nothing new but what a test publishes.
fn server() -> Server {
    let world = SimConfig {
        days: 0.05,
        live: false,
        blobs_per_hour: Span::new(1, 2),
        lag_seconds: Span::new(0, 0),
        ..SimConfig::default()
    };
    Server::start(world, &Listen::default()).unwrap()
}

/// A client that polls once an hour and has a webhook; `scheme` is that of its address.
fn open(
    server: &Server,
    scheme: &str,
    certificate: Option<&Path>,
) -> (Client<TestSink>, Receiver<News>) {
    // Somebody else may take the port in between.
    for _ in 0..20 {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut raw = options(server);
        raw.insert("webhook_listen".into(), format!("127.0.0.1:{port}"));
        raw.insert("webhook_address".into(), format!("{scheme}://127.0.0.1:{port}/m365?x=1"));
        if let Some(folder) = certificate {
            for (option, file) in
                [("webhook_cert_file", "cert.pem"), ("webhook_key_file", "key.pem")]
            {
                raw.insert(option.into(), folder.join(file).to_str().unwrap().into());
            }
        }
        let (news, heard) = mpsc::channel();
        let (unconfirmed, log, webhook) = (Vec::new(), Vec::new(), WebhookMetrics::default());
        let sink = TestSink { news, unconfirmed, log, webhook, caught_up: false };
        if let Ok(client) = Client::open(Settings::parse(&raw).unwrap(), |_| sink) {
            return (client, heard);
        }
    }
    panic!("no port is free");
}

fn options(server: &Server) -> RawOptions {
    let microsoft = server.microsoft();
    let tenant = &microsoft.tenants()[0];
    let base = server.http_url();
    [
        ("tenant_id", tenant.id.to_string()),
        ("client_id", tenant.apps[0].client_id.to_string()),
        ("client_secret", tenant.apps[0].secret().unwrap().into()),
        ("login_url", base.clone()),
        ("api_url", base),
        ("lookback", "2h".into()),
        ("interval_sec", "1h".into()),
        ("webhook_auth_id", AUTH_ID.into()),
    ]
    .map(|(name, value)| (name.into(), value))
    .into()
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Ends the client's run, also when the test has failed.
struct Stop(Handle);

impl Drop for Stop {
    fn drop(&mut self) {
        let grace = if thread::panicking() { Duration::ZERO } else { PATIENCE };
        self.0.shutdown(grace);
    }
}

/// Waits until every feed has its webhook and is read up to now.
fn wait_for_all(heard: &Receiver<News>) {
    let (mut set, mut caught_up) = (0, false);
    while set < FEEDS || !caught_up {
        match heard.recv_timeout(PATIENCE).unwrap() {
            News::WebhookSet => set += 1,
            News::CaughtUp => caught_up = true,
            News::Batch(_) => {}
        }
    }
}

#[test]
fn a_notification_brings_content_long_before_the_next_poll() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    fs::write(folder.path().join("cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    for (scheme, certificate) in [("http", None), ("https", Some(folder.path()))] {
        let server = server();
        let (mut client, heard) = open(&server, scheme, certificate);
        let stop = Stop(client.handle());
        thread::scope(|scope| {
            let server = &server;
            scope.spawn(move || {
                let _stop = stop;
                wait_for_all(&heard);
                let mut microsoft = server.microsoft();
                let tenant = microsoft.tenants()[0].id;
                let published = microsoft.publish(now_ms(), tenant, ContentType::General).unwrap();
                drop(microsoft);
                let named = |id: &str| id.starts_with(&*published.content_id);
                loop {
                    match heard.recv_timeout(PATIENCE).unwrap() {
                        News::Batch(id) if named(&id) => break,
                        News::Batch(_) | News::WebhookSet | News::CaughtUp => {}
                    }
                }
            });
            assert_eq!(client.run().unwrap(), Outcome::Incomplete, "it was stopped");
        });
        let sink = client.sink();
        assert_eq!(sink.webhook.validations, FEEDS as u64);
        assert!(1 <= sink.webhook.notifications && 1 <= sink.webhook.hints);
        assert_eq!(sink.webhook.refused, [0; REFUSALS.len()]);
        assert!(sink.log.iter().all(|(level, _)| *level != Level::Error), "{:?}", sink.log);
        assert!(sink.log.iter().all(|(_, line)| !line.contains(AUTH_ID)), "{:?}", sink.log);
        assert!(server.microsoft().report().is_legal());
    }
}

/// Sends a request and answers the status.
fn call(address: SocketAddr, request: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while !answer.contains(&b'\n') {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn post(address: SocketAddr, headers: &str, body: &str) -> u16 {
    let length = body.len();
    let request =
        format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
    call(address, request.as_bytes())
}

#[test]
fn calls_that_microsoft_would_not_make_are_refused_and_change_nothing() {
    let server = server();
    let options = options(&server);
    let (mut client, heard) = open(&server, "http", None);
    let (stop, address) = (Stop(client.handle()), client.webhook_address().unwrap());
    thread::scope(|scope| {
        scope.spawn(move || {
            let _stop = stop;
            wait_for_all(&heard);
            let auth = format!("Webhook-AuthID: {AUTH_ID}\r\n");
            let nearly = format!("Webhook-AuthID: {}x\r\n", &AUTH_ID[1..]);
            // Forged.
            assert_eq!(post(address, "", "[]"), 403);
            assert_eq!(post(address, &nearly, "[]"), 403);
            assert_eq!(post(address, &format!("{auth}{auth}"), "[]"), 403);
            assert_eq!(post(address, "Webhook-ValidationCode: x\r\n", "{}"), 403);
            // Malformed.
            assert_eq!(post(address, &auth, "{\"a\":1}"), 400);
            assert_eq!(post(address, &auth, "[{"), 400);
            let validation = format!("{auth}Webhook-ValidationCode: abc\r\n");
            assert_eq!(post(address, &validation, "{\"validationCode\":\"abd\"}"), 400);
            assert_eq!(call(address, b"\x16\x03\x01\x02\x00 no http\r\n\r\n"), 400);
            // Health probes, and what only looks like a call.
            for method in ["GET", "HEAD", "OPTIONS", "PUT"] {
                for auth in ["", &auth] {
                    let probe = format!("{method} /m365?x=1 HTTP/1.1\r\nHost: x\r\n{auth}\r\n");
                    assert_eq!(call(address, probe.as_bytes()), 405, "{probe}");
                }
            }
            // Oversized.
            let large =
                format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99000000\r\n{auth}\r\n[");
            assert_eq!(call(address, large.as_bytes()), 413);
            let chunk = format!("80001\r\n{}", " ".repeat(0x8_0001));
            let chunked = format!(
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{auth}\r\n{chunk}"
            );
            assert_eq!(call(address, chunked.as_bytes()), 413);
            // Well made, but for nobody here.
            assert_eq!(post(address, &validation, "{\"validationCode\":\"abc\"}"), 200);
            for entry in foreign(&options) {
                assert_eq!(post(address, &auth, &format!("[{entry}]")), 200);
            }
        });
        client.run().unwrap();
    });
    let webhook = client.sink().webhook;
    let refused = |refusal: Refusal| webhook.refused[refusal as usize];
    assert_eq!(refused(Refusal::Forged), 4);
    assert_eq!(refused(Refusal::Malformed), 4);
    assert_eq!(refused(Refusal::Method), 8);
    assert_eq!(refused(Refusal::Oversized), 2);
    assert_eq!((refused(Refusal::Slow), refused(Refusal::Flood)), (0, 0));
    assert_eq!((webhook.notifications, webhook.hints, webhook.ignored), (5, 0, 5));
    assert!(server.microsoft().report().is_legal());
    let log = &client.sink().log;
    let told = log.iter().filter(|(level, line)| *level == Level::Warn && line.contains("refused"));
    assert_eq!(told.count(), 3, "one line for each kind: {log:?}");
}

/// Entries that name content elsewhere, of others, or of another feed than they say.
fn foreign(options: &RawOptions) -> [String; 5] {
    const OTHER: &str = "00000000-0000-0000-0000-000000000001";
    let (tenant, app, api) = (&*options["tenant_id"], &*options["client_id"], &*options["api_url"]);
    let id = "20260301001037495037203$20260301005646231021586$audit_general$Audit_General$na0018";
    let dlp = "20260301001037495037203$20260301005646231021586$dlp_all$DLP_All$na0018";
    let entry = |tenant: &str, app: &str, api: &str, in_address: &str, id: &str| {
        format!(
            "{{\"clientId\":\"{app}\",\"tenantId\":\"{tenant}\",\"contentType\":\"Audit.General\",\
             \"contentId\":\"{id}\",\"contentUri\":\"{api}/api/v1.0/{in_address}/activity/feed/audit/\
             {id}\",\"contentCreated\":\"2026-03-01T00:56:46.231Z\",\
             \"contentExpiration\":\"2026-03-08T00:10:37.495Z\"}}"
        )
    };
    [
        entry(tenant, app, "https://attacker.example", tenant, id),
        entry(OTHER, app, api, OTHER, id),
        entry(tenant, OTHER, api, tenant, id),
        entry(tenant, app, api, OTHER, id),
        entry(tenant, app, api, tenant, dlp),
    ]
}
