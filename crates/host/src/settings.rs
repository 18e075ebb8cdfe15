//! The options of the host, read from text: every mistake told at once.

use std::time::Duration;

use m365_audit_core::config::Reader;
use m365_audit_core::{ConfigError, RawOptions};

/// What the host itself needs to know.
#[derive(Clone, Debug)]
pub struct HostSettings {
    /// Most bytes of memory that the component may use.
    pub memory_bytes_max: usize,
    /// Most bytes of records that one call returns.
    pub batch_bytes_max: u32,
    /// Longest time that one call may take.
    pub call_timeout: Duration,
    /// Longest time that a try of the configuration may take.
    pub check_timeout: Duration,
}

impl HostSettings {
    /// Reads the options of scope `Host`, and the files that they name.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn parse(raw: &RawOptions) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader::new(raw);
        let memory = reader.number("memory_max");
        let call_bytes = reader.number("call_bytes");
        let call_timeout = reader.duration("call_timeout");
        reader.finish_known()?;
        // The core has the say over this option and reports its mistakes. A try signs in and asks
        // once more.
        let request_timeout = Reader::new(raw).duration("request_timeout");
        Ok(Self {
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
        expect.assert_eq(&text);
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        check(
            &[("memory_max", "1M"), ("call_timeout", "1")],
            expect![[r#"
                memory_max = "1M": too small; allowed: size from 16M to 4G
                call_timeout = "1": too small; allowed: time from 2s to 10m
            "#]],
        );
    }

    #[test]
    fn defaults_are_those_of_the_table() {
        check(
            &[],
            expect![[r#"
            HostSettings { memory_bytes_max: 256000000, batch_bytes_max: 1000000, call_timeout: 30s, check_timeout: 150s }
        "#]],
        );
    }
}
