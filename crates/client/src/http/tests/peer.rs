//! A peer that says exactly what a test wants, byte by byte: scripted connections on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::pki_types::CertificateDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub(super) trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// What a peer does with a connection.
pub(super) type Script = dyn Fn(&mut Connection) + Send + Sync;

pub(super) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    tcp: TcpStream,
    requests: Sender<Request>,
    /// Ends when the test ends: something to wait for.
    test: Arc<Mutex<Receiver<()>>>,
}

/// A request as it was on the wire.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) head: String,
    pub(super) body: String,
}

impl Request {
    pub(super) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The values of all headers called `name`.
    pub(super) fn values(&self, name: &str) -> Vec<&str> {
        let headers = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        headers.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

pub(super) struct Peer {
    pub(super) address: SocketAddr,
    pub(super) requests: Receiver<Request>,
    _test: Sender<()>,
}

/// A certificate for 127.0.0.1, and the one that signed it (itself).
pub(super) struct Identity {
    pub(super) root: CertificateDer<'static>,
    config: Arc<ServerConfig>,
}

impl Identity {
    pub(super) fn new() -> Self {
        let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let root = key.cert.der().clone();
        let private = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![root.clone()], private.unwrap())
            .unwrap();
        Self { root, config: Arc::new(config) }
    }
}

impl Peer {
    pub(super) fn plain(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(script))
    }

    pub(super) fn tls(
        identity: &Identity,
        script: impl Fn(&mut Connection) + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(Arc::clone(&identity.config)), Arc::new(script))
    }

    fn start(tls: Option<Arc<ServerConfig>>, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, requests) = mpsc::channel();
        let (test, ended) = mpsc::channel();
        let ended = Arc::new(Mutex::new(ended));
        thread::spawn(move || {
            while let Ok((tcp, _)) = listener.accept() {
                let (tls, script) = (tls.clone(), Arc::clone(&script));
                let (requests, test) = (seen.clone(), Arc::clone(&ended));
                thread::spawn(move || {
                    let raw = tcp.try_clone().unwrap();
                    let stream: Box<dyn Stream> = match tls {
                        Some(config) => {
                            let server = ServerConnection::new(config).unwrap();
                            Box::new(StreamOwned::new(server, tcp))
                        }
                        None => Box::new(tcp),
                    };
                    let stream = BufReader::new(stream);
                    script(&mut Connection { stream, tcp: raw, requests, test });
                });
            }
        });
        Self { address, requests, _test: test }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn https(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }
}

impl Connection {
    /// The next request; `None` if the client has closed the connection.
    pub(super) fn request(&mut self) -> Option<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let mut request = Request { head, body: String::new() };
        let length = request.values("content-length").first().map(|n| n.parse().unwrap());
        let mut body = vec![0; length.unwrap_or(0)];
        self.stream.read_exact(&mut body).ok()?;
        request.body = String::from_utf8(body).unwrap();
        let line = request.line().to_owned();
        self.requests.send(request).ok()?;
        Some(line)
    }

    pub(super) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        // A client that has gone is the test's business.
        let stream = self.stream.get_mut();
        let _ = stream.write_all(bytes.as_ref()).and_then(|()| stream.flush());
    }

    /// Answers every request with these bytes.
    pub(super) fn answer_all(&mut self, bytes: impl AsRef<[u8]>) {
        while self.request().is_some() {
            self.write(&bytes);
        }
    }

    /// Closes the connection without a word.
    pub(super) fn hang_up(&self) {
        let _ = self.tcp.shutdown(std::net::Shutdown::Write);
    }

    /// Keeps the connection open until the test ends.
    pub(super) fn stall(&self) {
        let _ = self.test.lock().unwrap().recv();
    }

    /// As a proxy does after `CONNECT`: passes bytes both ways until one side closes.
    pub(super) fn tunnel(&mut self, target: SocketAddr) {
        let mut upstream = TcpStream::connect(target).unwrap();
        let (mut from_client, mut to_upstream) =
            (self.tcp.try_clone().unwrap(), upstream.try_clone().unwrap());
        thread::spawn(move || std::io::copy(&mut from_client, &mut to_upstream));
        let _ = std::io::copy(&mut upstream, &mut self.tcp);
    }
}
