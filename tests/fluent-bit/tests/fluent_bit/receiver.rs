//! The other end of Fluent Bit's `forward` output: takes chunks, confirms them, keeps what is in
//! them. Can be shut for a while, as an output that hangs.

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rmpv::Value;

/// One event as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) tag: String,
    /// Seconds and nanoseconds.
    pub(crate) time: (u32, u32),
    pub(crate) metadata: Value,
    pub(crate) body: Value,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<Received>,
    /// Tokens of the chunks that were taken: equal for equal content.
    chunks: Vec<String>,
    /// Events in chunks that Fluent Bit sent again, and which are not counted twice.
    resent: usize,
    shut: bool,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A receiver on loopback. Its threads end with the test.
#[derive(Debug)]
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&accepting);
                thread::spawn(move || receive(stream, &shared));
            }
        });
        Self { address, shared }
    }

    /// An output for everything that `tags` matches.
    pub(crate) fn output(&self, tags: &str) -> String {
        output_to(self.address, tags)
    }

    /// An output to a port at which nobody listens any more.
    pub(crate) fn nobody(tags: &str) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        output_to(listener.local_addr().expect("it is bound"), tags)
    }

    /// Takes nothing until it is opened.
    pub(crate) fn shut(&self, shut: bool) {
        self.shared.lock().shut = shut;
        self.shared.changed.notify_all();
    }

    pub(crate) fn events(&self) -> Vec<Received> {
        self.shared.lock().events.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.lock().events.len()
    }

    /// Events in chunks that came more than once.
    pub(crate) fn resent(&self) -> usize {
        self.shared.lock().resent
    }

    /// Waits until there are so many events. Answers whether there are.
    pub(crate) fn wait_for(&self, count: usize, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        while state.events.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

fn receive(stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut writer = stream;
    loop {
        let mut state = shared.lock();
        while state.shut {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        // The connection ends when Fluent Bit does, at whatever point.
        let Ok(message) = rmpv::decode::read_value(&mut reader) else { return };
        let chunk = message[2]["chunk"].as_str().expect("acknowledgement is asked for").to_owned();
        let events = events(&message);
        let mut state = shared.lock();
        if state.chunks.contains(&chunk) {
            state.resent += events.len();
        } else {
            state.events.extend(events);
            state.chunks.push(chunk.clone());
        }
        drop(state);
        shared.changed.notify_all();
        let mut ack = Vec::new();
        let map = Value::Map(vec![("ack".into(), chunk.into())]);
        rmpv::encode::write_value(&mut ack, &map).expect("memory takes everything");
        if writer.write_all(&ack).is_err() {
            return;
        }
    }
}

/// `[tag, entries, options]`.
fn events(message: &Value) -> Vec<Received> {
    let tag = message[0].as_str().expect("a tag");
    let entries = match &message[1] {
        Value::Array(entries) => entries.clone(),
        packed => {
            let mut rest = packed.as_slice().expect("entries are packed or an array");
            let mut entries = Vec::new();
            while !rest.is_empty() {
                entries.push(rmpv::decode::read_value(&mut rest).expect("an event"));
            }
            entries
        }
    };
    entries.into_iter().map(|event| received(tag, &event)).collect()
}

/// `[[time, metadata], body]`.
pub(crate) fn received(tag: &str, event: &Value) -> Received {
    let Value::Ext(0, time) = &event[0][0] else { panic!("no time: {event}") };
    let number = |at: usize| u32::from_be_bytes(time[at..at + 4].try_into().expect("four bytes"));
    Received {
        tag: tag.to_owned(),
        time: (number(0), number(4)),
        metadata: event[0][1].clone(),
        body: event[1].clone(),
    }
}

/// Before 5.0.5 metadata is dropped where nothing is said.
fn output_to(address: SocketAddr, tags: &str) -> String {
    format!(
        "    - {{ name: forward, match: '{tags}', host: 127.0.0.1, port: {}, \
         require_ack_response: on, retain_metadata_in_forward_mode: on, \
         retry_limit: no_limits, workers: 1 }}\n",
        address.port()
    )
}
