//! A receiver of OTLP over HTTP, written from its specification: decodes what it is sent, and has
//! bad manners when it is told to.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// The longest request that is taken.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a receiver does with a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Manners {
    /// Takes it, and says so.
    #[default]
    Take,
    /// Refuses it with a status and a header.
    Refuse(u16, &'static str),
    /// Takes all records but so many of the last ones, which it refuses for good.
    Partly(i64, &'static str),
    /// Takes nothing and answers as a page of a proxy does, that everything is well.
    Page,
    /// Takes it, and hangs up without a word.
    TakeAndHangUp,
    /// Hangs up without taking it.
    HangUp,
    /// Takes it and never answers.
    Stall,
}

/// A record that arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// What is said of all records of its tenant.
    pub resource: Vec<KeyValue>,
    /// The record.
    pub record: LogRecord,
}

/// A request that arrived, whatever became of it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its path.
    pub path: String,
    /// Its headers, their names in lower case.
    pub headers: HashMap<String, String>,
}

/// How a receiver behaves.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// What happens to a request, by number from 1. Others are taken.
    pub manners: HashMap<u32, Manners>,
    /// What happens to all others, by number, if they are not simply taken.
    pub usually: Option<fn(u32) -> Manners>,
    /// Speaks TLS.
    pub tls: Option<Arc<ServerConfig>>,
}

#[derive(Default)]
struct Shared {
    arrived: Vec<Arrived>,
    asked: Vec<Asked>,
}

type Everything = Arc<(Mutex<Shared>, Condvar)>;

/// A running receiver. Its threads end with the process.
pub struct Otel {
    url: String,
    shared: Everything,
}

impl Otel {
    /// Starts one on a port that the system chooses.
    ///
    /// # Panics
    /// It cannot listen.
    #[must_use]
    pub fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let scheme = if behaviour.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let shared = Everything::default();
        let all = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, behaviour, shared) =
                    (stream.unwrap(), behaviour.clone(), Arc::clone(&all));
                // A sender that hangs up ends its connection, not the receiver.
                thread::spawn(move || drop(connection(stream, &behaviour, &shared)));
            }
        });
        Self { url, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All records that it has taken.
    ///
    /// # Panics
    /// One of its threads has panicked.
    #[must_use]
    pub fn arrived(&self) -> Vec<Arrived> {
        self.shared.0.lock().unwrap().arrived.clone()
    }

    /// How many.
    ///
    /// # Panics
    /// One of its threads has panicked.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.0.lock().unwrap().arrived.len()
    }

    /// All requests that it has had.
    ///
    /// # Panics
    /// One of its threads has panicked.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.0.lock().unwrap().asked.clone()
    }

    /// Waits until it has had so many requests.
    ///
    /// # Panics
    /// One of its threads has panicked.
    pub fn wait_for_requests(&self, count: usize) {
        let shared = self.shared.0.lock().unwrap();
        drop(self.shared.1.wait_while(shared, |shared| shared.asked.len() < count).unwrap());
    }

    /// The bodies of the records that it has taken, each of which is text.
    ///
    /// # Panics
    /// One is none.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        let text = |arrived: Arrived| match arrived.record.body.and_then(|body| body.value) {
            Some(Value::StringValue(text)) => text,
            other => panic!("no text: {other:?}"),
        };
        self.arrived().into_iter().map(text).collect()
    }
}

/// The value of an attribute, if it is a text.
#[must_use]
pub fn attribute<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    let value = &attributes.iter().find(|one| one.key == name)?.value;
    match value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text),
        _ => None,
    }
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

fn connection(stream: TcpStream, behaviour: &Behaviour, shared: &Everything) -> io::Result<()> {
    let stream: Box<dyn Stream> = match &behaviour.tls {
        None => Box::new(stream),
        Some(config) => {
            let connection = ServerConnection::new(Arc::clone(config)).unwrap();
            Box::new(StreamOwned::new(connection, stream))
        }
    };
    let mut stream = BufReader::new(stream);
    while let Some((asked, body)) = request(&mut stream)? {
        let number = {
            let mut shared = shared.0.lock().unwrap();
            shared.asked.push(asked.clone());
            u32::try_from(shared.asked.len()).unwrap()
        };
        let usual = behaviour.usually.map_or(Manners::Take, |usually| usually(number));
        let manners = behaviour.manners.get(&number).cloned().unwrap_or(usual);
        let records = decoded(&asked, body)?;
        let refused = match manners {
            Manners::Take | Manners::TakeAndHangUp | Manners::Stall => 0,
            Manners::Partly(refused, _) => usize::try_from(refused).unwrap().min(records.len()),
            Manners::Refuse(..) | Manners::Page | Manners::HangUp => records.len(),
        };
        let taken = records.len() - refused;
        shared.0.lock().unwrap().arrived.extend(records.into_iter().take(taken));
        shared.1.notify_all();
        let stream = stream.get_mut();
        match manners {
            Manners::Take => answer(stream, 200, "content-type: application/x-protobuf", &[])?,
            Manners::Refuse(status, header) => answer(stream, status, header, b"")?,
            Manners::Partly(rejected_log_records, said) => {
                let error_message = said.into();
                let partial = ExportLogsPartialSuccess { rejected_log_records, error_message };
                let response = ExportLogsServiceResponse { partial_success: Some(partial) };
                let body = response.encode_to_vec();
                answer(stream, 200, "content-type: application/x-protobuf", &body)?;
            }
            Manners::Page => {
                answer(stream, 200, "content-type: text/html", b"<html>Please sign in</html>")?;
            }
            Manners::TakeAndHangUp | Manners::HangUp => return Ok(()),
            // Until the other side has had enough.
            Manners::Stall => drop(stream.read(&mut [0])),
        }
    }
    Ok(())
}

/// The next request; `None` at the end.
fn request(stream: &mut impl BufRead) -> io::Result<Option<(Asked, Vec<u8>)>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let mut words = head.first().map(String::as_str).unwrap_or_default().split(' ');
    assert_eq!(words.next(), Some("POST"), "{head:?}");
    let path = words.next().unwrap_or_default().to_owned();
    let header = |line: &String| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: HashMap<_, _> = head.iter().skip(1).filter_map(header).collect();
    let length: usize = headers["content-length"].parse().unwrap();
    assert!(length <= REQUEST_BYTES_MAX, "{length}");
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some((Asked { path, headers }, body)))
}

fn decoded(asked: &Asked, body: Vec<u8>) -> io::Result<Vec<Arrived>> {
    assert_eq!(asked.headers["content-type"], "application/x-protobuf");
    let body = match asked.headers.get("content-encoding").map(String::as_str) {
        Some("gzip") => {
            let mut plain = Vec::new();
            GzDecoder::new(&*body).read_to_end(&mut plain)?;
            plain
        }
        Some(other) => panic!("not a compression of OTLP: {other}"),
        None => body,
    };
    let request = ExportLogsServiceRequest::decode(&*body).unwrap();
    let mut all = Vec::new();
    for logs in request.resource_logs {
        let resource = logs.resource.unwrap_or_default().attributes;
        for record in logs.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
            all.push(Arrived { resource: resource.clone(), record });
        }
    }
    Ok(all)
}

fn answer(stream: &mut dyn Stream, status: u16, header: &str, body: &[u8]) -> io::Result<()> {
    let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} As told\r\n{header}content-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()
}
