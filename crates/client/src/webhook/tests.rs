//! Callers that take their time, or come in crowds, on loopback. Their patience is short here, so
//! that nobody sleeps: what is waited for is the end of a connection.

use std::net::SocketAddr;

use m365_audit_core::{RawOptions, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::handle::Message;

const AUTH_ID: &str = "an-id-that-nobody-guesses";
/// Longer than anything here should take.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(100);

struct World {
    runtime: Runtime,
    receiver: Receiver,
    /// Keeps what the client would hear.
    _inbox: UnboundedReceiver<Message>,
}

impl World {
    fn new(patience: Patience) -> Self {
        let raw: RawOptions = [
            ("tenant_id", "00000000-0000-0000-0000-000000000001"),
            ("client_id", "00000000-0000-0000-0000-000000000002"),
            ("client_secret", "a secret"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let options = WebhookOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            auth_id: Secret::new(AUTH_ID.into()),
            tls: None,
        };
        let (handle, inbox) = Handle::new();
        let runtime = Runtime::new().unwrap();
        let config = Config::parse(&raw).unwrap();
        let receiver = Receiver::start_with(&options, &config, handle, &runtime, patience).unwrap();
        Self { runtime, receiver, _inbox: inbox }
    }

    fn refused(&self, refusal: Refusal) -> u64 {
        self.receiver.metrics().refused[refusal as usize]
    }
}

async fn connect(address: SocketAddr, sent: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    stream
}

/// All that comes until the receiver closes; it must close.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset closes as well.
    let _ = timeout(LONG, stream.read_to_end(&mut answer)).await.expect("it is closed");
    String::from_utf8_lossy(&answer).into_owned()
}

fn notification(body_sent: &str, length: usize) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: x\r\nWebhook-AuthID: {AUTH_ID}\r\nContent-Length: {length}\r\n\r\n\
         {body_sent}"
    )
}

#[test]
fn a_head_or_a_body_that_never_ends_is_given_up() {
    let world = World::new(Patience { head: SHORT, body: SHORT, connection: LONG });
    let address = world.receiver.address();
    world.runtime.block_on(async {
        let head = connect(address, "POST / HTTP/1.1\r\nHost: x\r\nWebhook-Auth").await;
        let body = connect(address, &notification("[{", 1_000)).await;
        assert_eq!(rest(head).await.lines().next(), None);
        let told = rest(body).await;
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    });
    assert_eq!(world.refused(Refusal::Slow), 2);
    assert_eq!(world.receiver.metrics().notifications, 0);
}

#[test]
fn a_head_that_dribbles_lives_no_longer_than_one_that_stops() {
    let world = World::new(Patience { head: SHORT, body: LONG, connection: LONG });
    let address = world.receiver.address();
    world.runtime.block_on(async {
        let stream = connect(address, "POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
        let (mut answer, mut writer) = stream.into_split();
        let dribble = tokio::spawn(async move {
            let mut pause = tokio::time::interval(SHORT / 20);
            loop {
                pause.tick().await;
                if writer.write_all(b"a").await.is_err() {
                    return;
                }
            }
        });
        let mut nothing = Vec::new();
        let _ = timeout(LONG, answer.read_to_end(&mut nothing)).await.expect("it is closed");
        dribble.abort();
    });
    assert_eq!(world.refused(Refusal::Slow), 1);
}

#[test]
fn a_connection_does_not_live_for_ever_however_busy_it_is() {
    let world = World::new(Patience { head: LONG, body: LONG, connection: SHORT });
    let address = world.receiver.address();
    world.runtime.block_on(async {
        let told = rest(connect(address, &notification("[]", 2)).await).await;
        assert!(told.starts_with("HTTP/1.1 200 "), "{told}");
    });
    assert_eq!(world.receiver.metrics().notifications, 1);
}

#[test]
fn many_connections_are_refused_beyond_a_limit_and_leave_room_when_they_go() {
    let world = World::new(Patience { head: LONG, body: LONG, connection: LONG });
    let address = world.receiver.address();
    world.runtime.block_on(async {
        let mut crowd = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            // Answered, so that it has its place for certain.
            let mut stream = connect(address, &notification("[]", 2)).await;
            let mut first = [0; 12];
            timeout(LONG, stream.read_exact(&mut first)).await.unwrap().unwrap();
            assert_eq!(&first, b"HTTP/1.1 200");
            crowd.push(stream);
        }
        assert_eq!(rest(connect(address, &notification("[]", 2)).await).await, "");
        assert_eq!(world.refused(Refusal::Flood), 1);
        drop(crowd);
        // A place is free as soon as its connection is seen to be gone.
        let served = timeout(LONG, async {
            loop {
                let mut stream = connect(address, &notification("[]", 2)).await;
                let mut first = [0; 12];
                if stream.read_exact(&mut first).await.is_ok() {
                    return first;
                }
            }
        });
        assert_eq!(&served.await.unwrap(), b"HTTP/1.1 200");
    });
}

#[test]
fn connections_that_say_nothing_do_not_keep_a_true_call_out() {
    let world = World::new(Patience { head: LONG, body: LONG, connection: LONG });
    let address = world.receiver.address();
    world.runtime.block_on(async {
        let mut crowd = Vec::new();
        for sent in ["", "POST / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nHost: x\r\n\r\n"] {
            for _ in 0..CONNECTIONS_MAX / 2 {
                crowd.push(connect(address, sent).await);
            }
        }
        // One that is known stays, however old it is.
        let mut known = connect(address, &notification("[]", 2)).await;
        let mut first = [0; 12];
        timeout(LONG, known.read_exact(&mut first)).await.unwrap().unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        for _ in 0..CONNECTIONS_MAX {
            crowd.push(connect(address, "").await);
        }
        let last = notification("[]", 2).replace("Host: x", "Host: x\r\nConnection: close");
        known.write_all(last.as_bytes()).await.unwrap();
        assert!(rest(known).await.contains("HTTP/1.1 200"));
    });
    assert_eq!(world.receiver.metrics().notifications, 2);
    assert!(0 < world.refused(Refusal::Flood), "and they are counted");
}

#[test]
fn forged_calls_do_not_use_up_the_rate_of_true_ones() {
    let world = World::new(Patience { head: LONG, body: LONG, connection: LONG });
    let address = world.receiver.address();
    let forged = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
    let rounds = CALLS_BURST as usize * 3;
    let statuses = |sent: String, close: &str| {
        world.runtime.block_on(async {
            let told = rest(connect(address, &format!("{sent}{close}")).await).await;
            let all = told.lines().filter(|line| line.starts_with("HTTP/1.1 "));
            all.map(|line| line[9..12].to_owned()).collect::<Vec<_>>()
        })
    };
    let last = notification("[]", 2).replace("Host: x", "Host: x\r\nConnection: close");
    let told = statuses(forged.repeat(rounds), &last);
    assert_eq!(told.iter().filter(|status| *status == "403").count(), rounds);
    assert_eq!(told.last().unwrap(), "200");
    // True ones have a limit as well.
    let told = statuses(notification("[]", 2).repeat(rounds), &last);
    assert!(told.iter().any(|status| status == "429"), "{told:?}");
    assert!(0 < world.refused(Refusal::Flood));
}
