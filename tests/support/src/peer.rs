//! A receiver of the `forward` protocol, written from its specification: TCP or TLS, with or
//! without a shared key, and with bad manners when it is told to.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rmpv::Value;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use sha2::{Digest, Sha512};

/// What a receiver does with a message instead of taking and acknowledging it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// Takes it, and hangs up without a word.
    TakeAndHangUp,
    /// Hangs up without taking it.
    HangUp,
    /// Takes it and says nothing.
    Silence,
    /// Takes it and acknowledges another chunk.
    OtherAck,
    /// Answers something that is no acknowledgement.
    Nonsense,
}

/// An event that arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Its tag.
    pub tag: String,
    /// Its time, since 1970.
    pub seconds: u32,
    /// What it says.
    pub record: Value,
}

#[derive(Default)]
struct Shared {
    arrived: Vec<Arrived>,
    messages: u32,
    connections: u32,
}

/// How a peer behaves.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// Asks for a handshake with this key.
    pub shared_key: Option<&'static str>,
    /// Answers the handshake with a digest of another key.
    pub lies: bool,
    /// Asks for this user and password beside the key.
    pub user: Option<(&'static str, &'static str)>,
    /// What happens to a message, by number from 1.
    pub manners: HashMap<u32, Manners>,
    /// Speaks TLS.
    pub tls: Option<Arc<ServerConfig>>,
}

/// A running receiver. Its threads end with the process.
pub struct Peer {
    address: String,
    shared: Arc<Mutex<Shared>>,
}

impl Peer {
    /// Starts one on a port that the system chooses.
    ///
    /// # Panics
    /// It cannot listen.
    #[must_use]
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let all = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, behaviour, shared) =
                    (stream.unwrap(), behaviour.clone(), Arc::clone(&all));
                shared.lock().unwrap().connections += 1;
                // A sender that hangs up ends its connection, not the receiver.
                thread::spawn(move || drop(Talk::new(stream, behaviour, shared).run()));
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All that has arrived.
    ///
    /// # Panics
    /// One of its threads has panicked.
    #[must_use]
    pub fn arrived(&self) -> Vec<Arrived> {
        self.shared.lock().unwrap().arrived.clone()
    }

    /// How much has arrived.
    ///
    /// # Panics
    /// One of its threads has panicked.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.lock().unwrap().arrived.len()
    }

    /// How many connections there were.
    ///
    /// # Panics
    /// One of its threads has panicked.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.shared.lock().unwrap().connections
    }
}

/// A certificate for `127.0.0.1` of an authority of its own: PEM of the authority, of the
/// certificate, of its key.
///
/// # Panics
/// There is no randomness.
#[must_use]
pub fn certificate() -> (String, String, String) {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = server.signed_by(&key, &issuer).unwrap();
    (ca, certificate.pem(), key.serialize_pem())
}

/// The authority's PEM, and the server's side of such a certificate.
///
/// # Panics
/// There is no randomness.
#[must_use]
pub fn tls() -> (String, Arc<ServerConfig>) {
    let (ca, certificate, key) = certificate();
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    (ca, Arc::new(config))
}

trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

struct Talk {
    stream: Box<dyn ReadWrite>,
    behaviour: Behaviour,
    shared: Arc<Mutex<Shared>>,
}

type Said = Result<(), Box<dyn std::error::Error>>;

impl Talk {
    fn new(stream: TcpStream, behaviour: Behaviour, shared: Arc<Mutex<Shared>>) -> Self {
        let stream: Box<dyn ReadWrite> = match &behaviour.tls {
            Some(config) => {
                let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                Box::new(StreamOwned::new(connection, stream))
            }
            None => Box::new(stream),
        };
        Self { stream, behaviour, shared }
    }

    fn run(mut self) -> Said {
        if let Some(key) = self.behaviour.shared_key {
            self.shake_hands(key)?;
        }
        loop {
            let message = rmpv::decode::read_value(&mut self.stream)?;
            let number = {
                let mut shared = self.shared.lock().unwrap();
                shared.messages += 1;
                shared.messages
            };
            let id = message[2]["chunk"].as_str().ok_or("no chunk")?.to_owned();
            match self.behaviour.manners.get(&number) {
                None => {
                    self.take(&message);
                    self.answer(&id)?;
                }
                Some(Manners::TakeAndHangUp) => {
                    self.take(&message);
                    return Ok(());
                }
                Some(Manners::HangUp) => return Ok(()),
                Some(Manners::Silence) => self.take(&message),
                Some(Manners::OtherAck) => {
                    self.take(&message);
                    self.answer("another")?;
                }
                Some(Manners::Nonsense) => self.say(&Value::from("ok"))?,
            }
        }
    }

    fn take(&self, message: &Value) {
        let tag = message[0].as_str().unwrap().to_owned();
        let mut entries = message[1].as_slice().unwrap();
        let mut arrived = Vec::new();
        while !entries.is_empty() {
            let entry = rmpv::decode::read_value(&mut entries).unwrap();
            let Value::Ext(0, time) = &entry[0] else { panic!("no event time: {entry}") };
            let seconds = u32::from_be_bytes(time[..4].try_into().unwrap());
            arrived.push(Arrived { tag: tag.clone(), seconds, record: entry[1].clone() });
        }
        assert_eq!(message[2]["size"].as_u64(), Some(arrived.len() as u64));
        self.shared.lock().unwrap().arrived.append(&mut arrived);
    }

    fn answer(&mut self, id: &str) -> Said {
        self.say(&Value::Map(vec![("ack".into(), id.into())]))
    }

    fn shake_hands(&mut self, key: &str) -> Said {
        let nonce = b"nonce nonce none".to_vec();
        // There whether or not a user is asked for, as Fluent Bit does it.
        let auth = b"auth auth".to_vec();
        let options = vec![
            ("nonce".into(), Value::Binary(nonce.clone())),
            ("auth".into(), Value::Binary(auth.clone())),
            ("keepalive".into(), true.into()),
        ];
        self.say(&Value::Array(vec!["HELO".into(), Value::Map(options)]))?;
        let ping = rmpv::decode::read_value(&mut self.stream)?;
        let salt = ping[2].as_slice().ok_or("no salt")?.to_vec();
        let expected = digest(&salt, ping[1].as_str().ok_or("no name")?, &nonce, key);
        let admitted = self.behaviour.user.is_none_or(|(user, password)| {
            let proof = hex_of(&[&auth, user.as_bytes(), password.as_bytes()]);
            ping[4].as_str() == Some(user) && ping[5].as_str() == Some(&proof)
        });
        let same_key = ping[3].as_str() == Some(&expected);
        let known = same_key && admitted;
        let own = if self.behaviour.lies { "another key" } else { key };
        let proof = digest(&salt, "peer", &nonce, own);
        let reason = match (same_key, admitted) {
            (false, _) => "shared_key mismatch",
            (true, false) => "username/password mismatch",
            (true, true) => "",
        };
        let pong = ["PONG".into(), known.into(), reason.into(), "peer".into(), Value::from(proof)];
        self.say(&Value::Array(pong.to_vec()))?;
        if known { Ok(()) } else { Err("a wrong key".into()) }
    }

    fn say(&mut self, message: &Value) -> Said {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, message)?;
        self.stream.write_all(&bytes)?;
        Ok(self.stream.flush()?)
    }
}

fn digest(salt: &[u8], hostname: &str, nonce: &[u8], key: &str) -> String {
    hex_of(&[salt, hostname.as_bytes(), nonce, key.as_bytes()])
}

fn hex_of(parts: &[&[u8]]) -> String {
    let mut hash = Sha512::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
