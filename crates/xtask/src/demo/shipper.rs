//! The collector in real Fluent Bit: its configuration, and the other end of its `forward` output,
//! which confirms each chunk and takes it apart.

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use rmpv::decode::{read_value, read_value_ref};
use rmpv::{Value, ValueRef};

use super::canonical::{self, Identity};
use super::tally::Arrival;
use super::{Arrivals, Settings};
use crate::shell::{self, Process};

/// Starts Fluent Bit in `folder`; what it forwards goes to `arrivals`.
///
/// # Errors
/// It cannot be started.
pub(crate) fn start(
    executable: &Path,
    plugin: &Path,
    folder: &Path,
    settings: &Settings,
    arrivals: Arrivals,
) -> Result<Process> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
    let port = listener.local_addr().context("the address of a port")?.port();
    let config = folder.join("fluent-bit.yaml");
    std::fs::write(&config, configuration(plugin, folder, settings, port))
        .with_context(|| format!("{} cannot be written", config.display()))?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let arrivals = arrivals.clone();
            std::thread::spawn(move || {
                if let Err(error) = receive(&stream, &arrivals) {
                    shell::say(&format!("Fluent Bit forwards what cannot be read: {error:#}"));
                }
            });
        }
    });
    let log = std::fs::File::create(folder.join("collector.log")).context("a file for the log")?;
    let mut command = Command::new(executable);
    command
        .arg("--config")
        .arg(&config)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("the log")?)
        .stderr(log);
    Process::start("Fluent Bit", &mut command)
}

fn configuration(plugin: &Path, folder: &Path, settings: &Settings, port: u16) -> String {
    let options = settings.all(folder).map(|(name, value)| {
        // YAML's single quotes know one escape.
        format!("      {name}: '{}'\n", value.replace('\'', "''"))
    });
    format!(
        "service:\n  flush: 0.2\n  grace: 5\n  log_level: info\n  scheduler.base: 1\n  \
         scheduler.cap: 2\n  storage.path: '{folder}/storage'\n\
         plugins:\n  - {plugin}\n\
         pipeline:\n  inputs:\n    - name: m365_audit\n      tag: m365\n      \
         storage.type: filesystem\n{options}  outputs:\n    - name: forward\n      \
         match: '*'\n      host: 127.0.0.1\n      port: {port}\n      \
         require_ack_response: on\n      retry_limit: no_limits\n",
        folder = folder.display(),
        plugin = plugin.display(),
        options = options.collect::<String>(),
    )
}

/// Takes chunks of one connection until its end.
fn receive(stream: &TcpStream, arrivals: &Arrivals) -> Result<()> {
    let mut reader = BufReader::with_capacity(1 << 20, stream.try_clone().context("the stream")?);
    // It ends when Fluent Bit does, at whatever point: what is not confirmed comes again.
    while let Ok(message) = read_value(&mut reader) {
        if !entries(&message, arrivals)? {
            return Ok(());
        }
        let chunk = message[2]["chunk"].as_str().context("a chunk asks to be confirmed")?;
        let answer = Value::Map(vec![("ack".into(), chunk.into())]);
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, &answer).map_err(|error| anyhow!("{error}"))?;
        if (&mut &*stream).write_all(&bytes).is_err() {
            break;
        }
    }
    // What is left unread would reset the connection.
    let _ = reader.read(&mut [0; 1]);
    Ok(())
}

/// The entries of `[tag, entries, options]`: an array, or packed into a string. `false`: the demo
/// is over.
fn entries(message: &Value, arrivals: &Arrivals) -> Result<bool> {
    let mut packed: &[u8] = match &message[1] {
        Value::Array(events) => {
            for event in events {
                if !take(&event.as_ref(), arrivals)? {
                    return Ok(false);
                }
            }
            &[]
        }
        Value::Binary(bytes) => bytes,
        Value::String(text) => text.as_bytes(),
        other => bail!("entries are neither an array nor packed: {other}"),
    };
    while !packed.is_empty() {
        let event = read_value_ref(&mut packed).context("an event")?;
        if !take(&event, arrivals)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Hands an event over. `false`: the demo is over.
fn take(event: &ValueRef<'_>, arrivals: &Arrivals) -> Result<bool> {
    let arrival = arrival(event, arrivals.wants_summary());
    Ok(arrivals.send(arrival.with_context(|| format!("an event of another form: {event}"))?))
}

/// `[[time, metadata], body]`.
fn arrival(event: &ValueRef<'_>, with_summary: bool) -> Option<Arrival> {
    let [ValueRef::Array(head), body] = array(event)? else { return None };
    let metadata = head.get(1)?;
    let identity = if member(metadata, "malformed").is_some() {
        raw_identity(body)?
    } else {
        canonical::of_msgpack(body)
    };
    Some(Arrival {
        content_id: text(member(metadata, "content_id")?)?.into(),
        identity,
        summary: with_summary.then(|| {
            let field = |name: &str| member(body, name).and_then(text).map(str::to_owned);
            super::summary(member(metadata, "content_type").and_then(text).unwrap_or(""), &field)
        }),
    })
}

/// The identity of a record that could not become msgpack: `{"raw": …}`.
fn raw_identity(body: &ValueRef<'_>) -> Option<Identity> {
    match member(body, "raw")? {
        ValueRef::String(text) => Some(canonical::of_json(text.as_bytes())),
        ValueRef::Binary(bytes) => Some(canonical::of_json(bytes)),
        _ => None,
    }
}

fn array<'a, 'v>(value: &'a ValueRef<'v>) -> Option<&'a [ValueRef<'v>]> {
    if let ValueRef::Array(elements) = value { Some(elements) } else { None }
}

fn member<'a, 'v>(value: &'a ValueRef<'v>, name: &str) -> Option<&'a ValueRef<'v>> {
    let ValueRef::Map(members) = value else { return None };
    members.iter().find(|(key, _)| text(key) == Some(name)).map(|(_, value)| value)
}

fn text<'v>(value: &ValueRef<'v>) -> Option<&'v str> {
    if let ValueRef::String(text) = value { text.into_str() } else { None }
}
