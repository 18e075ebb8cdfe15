//! The options of the host, read from text: every mistake told at once.

use std::time::Duration;

use m365_audit_core::config::Reader;
use m365_audit_core::{ConfigError, RawOptions};

use crate::forward::ForwardOptions;

/// What the host itself needs to know.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// Where records go.
    pub sink: SinkOptions,
    /// Most bytes of memory that the component may use.
    pub memory_bytes_max: usize,
    /// Most bytes of records that one call returns.
    pub batch_bytes_max: u32,
    /// Longest time that one call may take.
    pub call_timeout: Duration,
    /// Longest time that a try of the configuration may take.
    pub check_timeout: Duration,
}

/// Where records go.
#[derive(Clone, Debug)]
pub enum SinkOptions {
    /// Lines to a file or stdout.
    Ndjson,
    /// Events to Fluent Bit or Fluentd.
    Forward(ForwardOptions),
}

impl HostSettings {
    /// Reads the options of scope `Host`, and the files that they name.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn parse(raw: &RawOptions) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader::new(raw);
        let sink = reader.word("sink");
        let forward = ForwardOptions::parse(&mut reader);
        if sink == "forward" {
            forward.refuse_silent_plain(&mut reader);
        }
        let memory = reader.number("memory_max");
        let call_bytes = reader.number("call_bytes");
        let call_timeout = reader.duration("call_timeout");
        reader.finish_known()?;
        // The core has the say over this option and reports its mistakes. A try signs in and asks
        // once more.
        let request_timeout = Reader::new(raw).duration("request_timeout");
        Ok(Self {
            sink: if sink == "forward" {
                SinkOptions::Forward(forward)
            } else {
                SinkOptions::Ndjson
            },
            memory_bytes_max: usize::try_from(memory).unwrap_or(usize::MAX),
            batch_bytes_max: u32::try_from(call_bytes).unwrap_or(u32::MAX),
            call_timeout,
            check_timeout: request_timeout * 2 + call_timeout,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expect: Expect) {
        let raw = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let text = match HostSettings::parse(&raw) {
            Ok(settings) => format!("{settings:?}\n"),
            Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
        };
        assert!(!text.contains("s3cret"), "{text}");
        expect.assert_eq(&text);
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        check(
            &[
                ("sink", "kafka"),
                ("forward.address", "localhost"),
                ("forward.ca_file", "/none.pem"),
                ("forward.tls", "perhaps"),
                ("forward.shared_key", "s3cret"),
                ("forward.username", "me"),
                ("memory_max", "1M"),
                ("call_timeout", "1"),
            ],
            expect![[r#"
                sink = "kafka": not a value of this option; allowed: one of ndjson, forward
                forward.address = "localhost": not a host and a port; write HOST:PORT, for instance 127.0.0.1:24224
                forward.ca_file = "/none.pem": cannot be read: No such file or directory (os error 2); name a PEM file with the certificate of your authority
                forward.password: missing beside the other options of the handshake; set forward.shared_key, forward.username and forward.password together
                forward.tls = "perhaps": not a value of this option; allowed: on or off
                memory_max = "1M": not a value of this option; allowed: size from 16M to 4G
                call_timeout = "1": not a value of this option; allowed: time from 2s to 10m
            "#]],
        );
    }

    #[test]
    fn defaults_write_lines() {
        check(
            &[],
            expect![[r#"
            HostSettings { sink: Ndjson, memory_bytes_max: 256000000, batch_bytes_max: 1000000, call_timeout: 30s, check_timeout: 150s }
        "#]],
        );
        check(
            &[("sink", "Forward"), ("forward.shared_key", "s3cret"), ("forward.tls", "on")],
            expect![[r#"
                HostSettings { sink: Forward(ForwardOptions { address: "127.0.0.1:24224", tag: "m365_audit", shared_key: Some([redacted]), user: None, self_hostname: "m365-audit", tls: true, roots: [], verify_tls: true, timeout: 30s }), memory_bytes_max: 256000000, batch_bytes_max: 1000000, call_timeout: 30s, check_timeout: 150s }
            "#]],
        );
    }

    #[test]
    fn another_machine_without_tls_is_refused_unless_off_is_written_out() {
        let parse = |sink: &str, address: &str, tls: &str| {
            let pairs = [("sink", sink), ("forward.address", address), ("forward.tls", tls)];
            let raw = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            HostSettings::parse(&raw).map(drop)
        };
        let elsewhere =
            ["logs.example:24224", "10.0.0.7:24224", "[2001:db8::7]:24224", "0.0.0.0:1"];
        for address in elsewhere {
            // An empty text is what a variable is that was never filled.
            let told = parse("forward", address, "").unwrap_err();
            assert_eq!(told.len(), 1, "{told:?}");
            let told = told[0].to_string();
            let begins = format!(
                "forward.tls: missing, and forward.address leads to another machine ({address})"
            );
            assert!(
                told.starts_with(&begins) && told.contains("; set forward.tls to on"),
                "{told}"
            );
            for (sink, tls) in [("forward", "on"), ("forward", "off"), ("ndjson", "")] {
                assert_eq!(parse(sink, address, tls), Ok(()), "{sink} {address} {tls}");
            }
        }
        for address in ["127.0.0.1:1", "localhost:1", "LocalHost:1", "[::1]:1", "127.9.9.9:1"] {
            assert_eq!(parse("forward", address, ""), Ok(()), "{address}");
        }
    }
}
