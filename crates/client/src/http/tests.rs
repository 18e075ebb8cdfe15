//! What goes over the wire, and what comes back, against peers that follow a script.

mod peer;

use std::io::Write;
use std::net::TcpListener;

use flate2::Compression;
use flate2::write::GzEncoder;
use m365_audit_core::{Operation, Secret};

use self::peer::{Connection, Identity, Peer};
use super::*;
use crate::driver::Inbox;
use crate::proxy::Proxy;
use crate::runtime::Runtime;

/// Long enough never to pass in a test that does not wait for it.
const LONG: Duration = Duration::from_secs(30);

/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(150);

const TOKEN: &str = "t0ken.of.many.parts";

fn options() -> NativeOptions {
    NativeOptions {
        db: None,
        proxy: None,
        roots: Vec::new(),
        verify_tls: true,
        in_flight_max: 4,
        in_flight_total: 4,
        workers: None,
        webhook: None,
        status: crate::status::StatusOptions {
            listen: None,
            file: None,
            detail: crate::status::MetricsDetail::default(),
            packaging: "run",
            instance: "".into(),
        },
    }
}

fn get(url: &str) -> Request {
    Request {
        operation: Operation::GetBlob,
        method: Method::Get,
        url: url.into(),
        bearer: Some(Secret::new(TOKEN.into())),
        body: None,
        content_type: None,
        headers: Vec::new(),
        direct: false,
    }
}

/// A driver in miniature: sends requests and reads them to the end.
struct World {
    runtime: Runtime,
    inbox: Inbox,
    http: Http,
    next: u64,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Headers,
    body: Vec<u8>,
    result: Result<(), TransportError>,
}

impl World {
    fn new(options: &NativeOptions) -> Self {
        let runtime = Runtime::new().unwrap();
        let inbox = Inbox::new();
        let client = Clients::new(options).unwrap();
        let http = Http::new(client, runtime.spawner(), inbox.handle.clone(), 1);
        Self { runtime, inbox, http, next: 0 }
    }

    fn send(&mut self, request: Request, timeout: Duration) -> RequestId {
        let id = RequestId(self.next);
        self.next += 1;
        self.http.send(id, request, timeout);
        id
    }

    /// The next wanted input, if one comes in time.
    fn input(&mut self, within: Duration) -> Option<Input> {
        loop {
            match self.runtime.block_on(self.inbox.next(within))? {
                Message::Wire { run, input } if self.http.admits(run, &input) => {
                    return Some(input);
                }
                Message::Wire { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn fetch(&mut self, request: Request, timeout: Duration) -> Answer {
        let id = self.send(request, timeout);
        let mut answer =
            Answer { status: 0, headers: Headers::default(), body: Vec::new(), result: Ok(()) };
        loop {
            match self.input(LONG).expect("every request ends") {
                Input::Head { id: of, status, headers } => {
                    assert_eq!(of, id);
                    (answer.status, answer.headers) = (status, headers);
                    self.http.read(id);
                }
                Input::Body { id: of, chunk } => {
                    assert_eq!(of, id);
                    assert!(!chunk.is_empty());
                    answer.body.extend(chunk);
                    self.http.read(id);
                }
                Input::End { id: of, result } => {
                    assert_eq!(of, id);
                    answer.result = result;
                    return answer;
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[track_caller]
fn failure(answer: &Answer, kind: TransportErrorKind) -> String {
    let error = answer.result.as_ref().unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    assert!(!error.message.contains(TOKEN), "{error}");
    // Of the address at most the origin: a path says more than a log should.
    let rest = error.message.split_once("://").map_or("", |(_, rest)| rest);
    assert!(!rest.split(": ").next().unwrap().contains('/'), "{error}");
    assert!(!rest.contains("://"), "{error}");
    error.to_string()
}

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn answer_of(headers: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{headers}\r\n\r\n").as_bytes(), body].concat()
}

#[test]
fn addresses_go_out_as_the_core_gave_them() {
    let peer = Peer::plain(|connection| connection.answer_all(EMPTY));
    let mut world = World::new(&options());
    for path in [
        "/api/v1.0/41463f53/activity/feed/audit/2023$2023$audit_general$Audit_General$na0020",
        "/content?contenttype=Audit.General&endtime=2020-02-20T10:46:42.0000000Z&nextpage=1$2$na",
        "/content?nextpage=20%24AB%2fcd+e",
        "/a;b=c,d/e:f@g!h*i(j)k~l|m//n?o[p]=q|r&&s=/?t",
    ] {
        world.fetch(get(&peer.url(path)), LONG).result.unwrap();
        let request = peer.requests.recv().unwrap();
        assert_eq!(request.line(), format!("GET {path} HTTP/1.1"));
    }
}

#[test]
fn a_get_says_who_asks_and_nothing_that_is_not_needed() {
    let peer = Peer::plain(|connection| connection.answer_all(EMPTY));
    let mut world = World::new(&options());
    world.fetch(get(&peer.url("/")), LONG).result.unwrap();
    let request = peer.requests.recv().unwrap();
    let mut names: Vec<_> =
        request.head.lines().filter_map(|line| line.split_once(": ")).map(|(n, _)| n).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "authorization", "host", "user-agent"]);
    assert_eq!(request.values("authorization"), [format!("Bearer {TOKEN}")]);
    assert_eq!(request.values("user-agent"), [USER_AGENT]);
    assert_eq!(request.values("accept-encoding"), ["gzip"]);
}

#[test]
fn a_post_always_says_how_long_it_is() {
    let peer = Peer::plain(|connection| connection.answer_all(EMPTY));
    let mut world = World::new(&options());
    for (body, content_type, length) in [
        (None, None, "0"),
        (Some(""), None, "0"),
        (Some("a=b&c=d"), Some("application/x-www-form-urlencoded"), "7"),
    ] {
        let request = Request {
            method: Method::Post,
            body: body.map(|body| Secret::new(body.to_owned())),
            content_type,
            ..get(&peer.url("/start"))
        };
        world.fetch(request, LONG).result.unwrap();
        let request = peer.requests.recv().unwrap();
        assert_eq!(request.values("content-length"), [length]);
        assert_eq!(request.body, body.unwrap_or_default());
        assert_eq!(request.values("content-type"), content_type.as_slice());
        assert!(request.values("transfer-encoding").is_empty());
    }
}

#[test]
fn further_headers_are_sent_as_they_are() {
    let peer = Peer::plain(|connection| connection.answer_all(EMPTY));
    let mut world = World::new(&options());
    let headers = vec![("Accept-Language", Secret::new("es".to_owned()))];
    world.fetch(Request { headers, ..get(&peer.url("/")) }, LONG).result.unwrap();
    assert_eq!(peer.requests.recv().unwrap().values("accept-language"), ["es"]);
    let headers = vec![("Accept-Language", Secret::new("es\r\nX: y".to_owned()))];
    let answer = world.fetch(Request { headers, ..get(&peer.url("/")) }, LONG);
    assert!(answer.result.unwrap_err().message.contains("Accept-Language"));
}

#[test]
fn a_request_to_this_machine_goes_through_no_proxy() {
    let peer = Peer::plain(|connection| connection.answer_all(EMPTY));
    let nobody = Proxy::parse("http://127.0.0.1:9").unwrap();
    let mut world = World::new(&NativeOptions { proxy: Some(nobody), ..options() });
    // A managed identity, and whatever is plain http: to loopback alone.
    world.fetch(Request { direct: true, ..get(&peer.url("/")) }, LONG).result.unwrap();
    world.fetch(get(&peer.url("/")), LONG).result.unwrap();
    let answer = world.fetch(get(&peer.https("/")), LONG);
    let text = failure(&answer, TransportErrorKind::Connect);
    assert!(text.contains(&format!(": https://{}: ", peer.address)), "{text}");
}

#[test]
fn redirects_and_errors_are_answers_like_any_other() {
    let peer = Peer::plain(|connection| {
        connection.answer_all(
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nno",
        );
    });
    let mut world = World::new(&options());
    let answer = world.fetch(get(&peer.url("/")), LONG);
    answer.result.unwrap();
    assert_eq!((answer.status, &*answer.body), (302, &b"no"[..]));
    assert_eq!(answer.headers.value("Location"), Some("http://127.0.0.1:1/"));
    assert_eq!(peer.requests.try_iter().count(), 1);
}

#[test]
fn nothing_is_sent_twice() {
    // The second request finds a kept connection, which closes once it has read the request.
    let peer = Peer::plain(|connection| {
        connection.request();
        connection.write(EMPTY);
        connection.request();
    });
    let mut world = World::new(&options());
    world.fetch(get(&peer.url("/1")), LONG).result.unwrap();
    let answer = world.fetch(get(&peer.url("/2")), LONG);
    failure(&answer, TransportErrorKind::Lost);
    let lines: Vec<_> = peer.requests.try_iter().map(|request| request.line().len()).collect();
    assert_eq!(lines.len(), 2);
}

#[test]
fn connections_are_kept() {
    let peer = Peer::plain(|connection| {
        let mut answered = 0;
        while connection.request().is_some() {
            answered += 1;
            let body = answered.to_string();
            connection.write(answer_of("Content-Length: 1", body.as_bytes()));
        }
    });
    let mut world = World::new(&options());
    let bodies: Vec<_> = (0..3).map(|_| world.fetch(get(&peer.url("/")), LONG).body).collect();
    assert_eq!(bodies, [b"1", b"2", b"3"]);
}

#[test]
fn gzip_is_undone() {
    let text = "audit ".repeat(50_000);
    let zipped = gzip(text.as_bytes());
    let headers = format!("Content-Encoding: gzip\r\nContent-Length: {}", zipped.len());
    let whole = answer_of(&headers, &zipped);
    let peer = Peer::plain(move |connection| connection.answer_all(&whole));
    let answer = World::new(&options()).fetch(get(&peer.url("/")), LONG);
    answer.result.unwrap();
    assert!(answer.body == text.as_bytes());
}

#[test]
fn a_body_that_is_cut_short_is_lost_however_it_is_framed() {
    let zipped = gzip("audit ".repeat(50_000).as_bytes());
    let half = &zipped[..zipped.len() / 2];
    for bytes in [
        answer_of("Content-Length: 10", b"12345"),
        answer_of("Transfer-Encoding: chunked", b"5\r\n12345\r\n"),
        answer_of("Transfer-Encoding: chunked", b"5\r\n123"),
        answer_of(&format!("Content-Encoding: gzip\r\nContent-Length: {}", half.len()), half),
        answer_of("Content-Encoding: gzip\r\nContent-Length: 4", b"nogz"),
        b"HTTP/1.1 200 OK\r\nContent-".to_vec(),
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec(),
    ] {
        let peer = Peer::plain(move |connection| {
            connection.request();
            connection.write(&bytes);
        });
        let answer = World::new(&options()).fetch(get(&peer.url("/")), LONG);
        failure(&answer, TransportErrorKind::Lost);
    }
}

#[test]
fn silence_is_a_timeout_before_the_head_and_within_the_body() {
    for bytes in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"] {
        let peer = Peer::plain(move |connection| {
            connection.request();
            connection.write(bytes);
            connection.stall();
        });
        let answer = World::new(&options()).fetch(get(&peer.url("/")), SHORT);
        let text = failure(&answer, TransportErrorKind::Timeout);
        assert_eq!(text, "timed out: nothing arrived for 0.15 s");
    }
}

#[test]
fn bodies_arrive_only_when_asked_for_and_may_wait_for_ever() {
    let large = vec![b'x'; 4_000_000];
    let peer = Peer::plain(move |connection| {
        connection.request();
        connection.write(answer_of("Content-Length: 4000000", &large));
    });
    let mut world = World::new(&options());
    let id = world.send(get(&peer.url("/")), SHORT);
    assert!(matches!(world.input(LONG), Some(Input::Head { .. })));
    // Nobody asks for twice the timeout.
    assert!(world.input(SHORT * 2).is_none());
    world.http.read(id);
    let Some(Input::Body { chunk, .. }) = world.input(LONG) else { panic!("no body") };
    assert!(world.input(Duration::ZERO).is_none());
    let mut received = chunk.len();
    while received < 4_000_000 {
        world.http.read(id);
        let Some(Input::Body { chunk, .. }) = world.input(LONG) else { panic!("no body") };
        received += chunk.len();
    }
    world.http.read(id);
    assert!(matches!(world.input(LONG), Some(Input::End { result: Ok(()), .. })));
}

#[test]
fn nothing_comes_of_a_request_that_was_cancelled_or_of_an_earlier_run() {
    let peer = Peer::plain(|connection| connection.answer_all(EMPTY));
    let mut world = World::new(&options());
    let id = world.send(get(&peer.url("/")), LONG);
    assert!(matches!(world.input(LONG), Some(Input::Head { .. })));
    world.http.read(id);
    world.http.cancel(id);
    assert!(world.input(SHORT).is_none());
    let input = Input::End { id, result: Ok(()) };
    assert!(!world.http.admits(0, &input));
}

#[test]
fn nobody_listening_is_a_failure_to_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let answer = World::new(&options()).fetch(get(&url), LONG);
    let text = failure(&answer, TransportErrorKind::Connect);
    assert!(text.contains("refused"), "{text}");
}

#[test]
fn what_cannot_be_sent_is_reported_without_its_content() {
    let mut world = World::new(&options());
    let bearer = Some(Secret::new(format!("{TOKEN}\n")));
    for request in [get("manage.office.com"), Request { bearer, ..get("http://127.0.0.1:1/") }] {
        let answer = world.fetch(request, LONG);
        failure(&answer, TransportErrorKind::Connect);
    }
}

#[test]
fn tls_trusts_the_roots_of_ca_file() {
    let identity = Identity::new();
    let peer = Peer::tls(&identity, |connection| connection.answer_all(EMPTY));
    let trusting = NativeOptions { roots: vec![identity.root.clone()], ..options() };
    let answer = World::new(&trusting).fetch(get(&peer.https("/a$b")), LONG);
    answer.result.unwrap();
    assert_eq!(peer.requests.recv().unwrap().line(), "GET /a$b HTTP/1.1");
}

#[test]
fn an_unknown_root_is_a_tls_failure_that_names_the_remedy() {
    let (identity, other) = (Identity::new(), Identity::new());
    let peer = Peer::tls(&identity, |connection| connection.answer_all(EMPTY));
    for roots in [vec![], vec![other.root]] {
        let answer =
            World::new(&NativeOptions { roots, ..options() }).fetch(get(&peer.https("/")), LONG);
        let text = failure(&answer, TransportErrorKind::Tls);
        assert!(text.contains("ca_file"), "{text}");
    }
    let careless = NativeOptions { verify_tls: false, ..options() };
    World::new(&careless).fetch(get(&peer.https("/")), LONG).result.unwrap();
}

#[test]
fn a_handshake_that_goes_wrong_is_a_tls_failure() {
    for greeting in ["", "HTTP/1.1 400 Bad Request\r\n\r\n"] {
        let peer = Peer::plain(move |connection| {
            connection.write(greeting);
            connection.hang_up();
        });
        let answer = World::new(&options()).fetch(get(&peer.https("/")), LONG);
        failure(&answer, TransportErrorKind::Tls);
    }
}

/// A proxy that lets everything through to `target`, if the credentials are right.
fn proxy(target: &Peer) -> Peer {
    let target = target.address;
    Peer::plain(move |connection: &mut Connection| {
        while let Some(line) = connection.request() {
            if line.starts_with("CONNECT") {
                connection.write("HTTP/1.1 200 Connection established\r\n\r\n");
                connection.tunnel(target);
                return;
            }
            connection.write(EMPTY);
        }
    })
}

fn through(proxy: &Peer) -> NativeOptions {
    let url = format!("http://alice:pass%20w0rd@{}", proxy.address);
    NativeOptions { proxy: Some(Proxy::parse(&url).unwrap()), ..options() }
}

/// `alice:pass w0rd`.
const CREDENTIALS: &str = "Basic YWxpY2U6cGFzcyB3MHJk";

#[test]
fn https_goes_through_the_proxy_as_a_tunnel() {
    let identity = Identity::new();
    let peer = Peer::tls(&identity, |connection| connection.answer_all(EMPTY));
    let proxy = proxy(&peer);
    let options = NativeOptions { roots: vec![identity.root.clone()], ..through(&proxy) };
    World::new(&options).fetch(get(&peer.https("/a$b")), LONG).result.unwrap();
    let connect = proxy.requests.recv().unwrap();
    assert_eq!(connect.line(), format!("CONNECT {} HTTP/1.1", peer.address));
    assert_eq!(connect.values("proxy-authorization"), [CREDENTIALS]);
    assert!(!connect.head.contains(TOKEN));
    let request = peer.requests.recv().unwrap();
    assert_eq!(request.line(), "GET /a$b HTTP/1.1");
    assert!(request.values("proxy-authorization").is_empty());
}

#[test]
fn plain_http_goes_past_the_proxy() {
    let peer = Peer::plain(|connection| connection.answer_all(EMPTY));
    let proxy = proxy(&peer);
    World::new(&through(&proxy)).fetch(get(&peer.url("/a$b")), LONG).result.unwrap();
    assert_eq!(peer.requests.recv().unwrap().line(), "GET /a$b HTTP/1.1");
    // Nobody on the way has seen the token.
    assert!(proxy.requests.try_recv().is_err());
}

#[test]
fn a_proxy_that_refuses_is_a_failure_to_connect() {
    let proxy = Peer::plain(|connection| {
        connection
            .answer_all("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    });
    let answer = World::new(&through(&proxy)).fetch(get("https://127.0.0.1:1/"), LONG);
    let text = failure(&answer, TransportErrorKind::Connect);
    assert!(!text.contains("w0rd") && !text.contains("alice"), "{text}");
    assert!(text.contains("proxy"), "{text}");
}

#[test]
fn a_proxy_that_lets_nothing_through_is_told_with_its_status() {
    for status in [403, 502] {
        let proxy = Peer::plain(move |connection| {
            connection.answer_all(format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n"));
        });
        let answer = World::new(&through(&proxy)).fetch(get("https://127.0.0.1:1/"), LONG);
        let text = failure(&answer, TransportErrorKind::Connect);
        let words =
            format!("the proxy does not let the connection through, with HTTP status {status}");
        assert!(text.contains(&words), "{text}");
        for _ in 0..2 {
            let asked = proxy.requests.recv().unwrap();
            assert_eq!(asked.line(), "CONNECT 127.0.0.1:1 HTTP/1.1");
            assert_eq!(asked.values("proxy-authorization"), [CREDENTIALS]);
        }
    }
}
