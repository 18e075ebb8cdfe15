//! The options an input declares, and the names it may not use. Knows no values and no host.

/// How Fluent Bit shows and reads an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Str,
    /// A whole number.
    Int,
    /// `on`, `off`, `true`, `false`, `yes`, `no`.
    Bool,
    /// A number with a fraction.
    Double,
    /// A number of bytes: `512K`, `10M`; thousands, as in Fluent Bit.
    Size,
    /// A time: `30s`, `10m`, `1h`, `7d`; seconds without a unit.
    Time,
    /// Words separated by commas, in one value: of repeated keys only the first is visible.
    List,
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionSpec {
    /// Its key: lower snake case, and not one of Fluent Bit's own; see [`reserved`].
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its value when absent, in the form users write; `None` for no value.
    pub default: Option<&'static str>,
    /// One or two sentences for `--help`.
    pub help: &'static str,
}

impl OptionSpec {
    /// An option.
    #[must_use]
    pub const fn new(
        name: &'static str,
        kind: Kind,
        default: Option<&'static str>,
        help: &'static str,
    ) -> Self {
        Self { name, kind, default, help }
    }
}

/// Keys that Fluent Bit takes for itself, so that a plugin never sees them
/// (`flb_input_set_property`, `src/flb_input.c`, 5.1.1, and `name` of the section itself).
pub const RESERVED_KEYS: &[&str] = &[
    "name",
    "tag",
    "log_level",
    "log_suppress_interval",
    "routable",
    "alias",
    "mem_buf_limit",
    "listen",
    "host",
    "port",
    "ipv6",
    "tls",
    "storage.type",
    "storage.pause_on_chunks_overlimit",
    "threaded",
    "thread.ring_buffer.capacity",
    "thread.ring_buffer.window",
    "rate_window",
    "rate_gate",
    "processors",
];

/// Beginnings of keys that Fluent Bit takes for itself. Wider than 5.1.1 needs: `tls.` and the
/// others are namespaces in which each version adds keys.
pub const RESERVED_PREFIXES: &[&str] =
    &["net.", "oauth2", "tls.", "storage.", "thread.", "rate_gate."];

/// Whether Fluent Bit would swallow this key. It compares without regard to case.
#[must_use]
pub const fn reserved(name: &str) -> bool {
    let mut i = 0;
    while i < RESERVED_KEYS.len() {
        if name.len() == RESERVED_KEYS[i].len() && starts_with(name, RESERVED_KEYS[i]) {
            return true;
        }
        i += 1;
    }
    let mut i = 0;
    while i < RESERVED_PREFIXES.len() {
        if starts_with(name, RESERVED_PREFIXES[i]) {
            return true;
        }
        i += 1;
    }
    false
}

/// Panics, at compile time if called in a constant, on a table that cannot work: a reserved or
/// repeated name, characters other than `a-z 0-9 _ .`, a NUL in a text. `register_input!` does so.
pub const fn check(options: &[OptionSpec]) {
    let mut i = 0;
    while i < options.len() {
        let option = &options[i];
        assert!(!option.name.is_empty(), "an option has no name");
        assert!(is_key(option.name), "an option's name is not lower snake case");
        assert!(!reserved(option.name), "Fluent Bit keeps this option's name for itself");
        assert!(!has_nul(option.help), "an option's help contains NUL");
        if let Some(default) = option.default {
            assert!(!has_nul(default), "an option's default contains NUL");
        }
        let mut j = 0;
        while j < i {
            let repeated = options[j].name.len() == option.name.len()
                && starts_with(options[j].name, option.name);
            assert!(!repeated, "two options have one name");
            j += 1;
        }
        i += 1;
    }
}

/// Panics, at compile time if called in a constant, on a plugin name that users could not write.
pub const fn check_name(name: &str) {
    assert!(!name.is_empty(), "the plugin has no name");
    assert!(is_key(name), "the plugin's name is not lower snake case");
    // `name.N` has to fit 31 characters in the host (`flb_input.h`).
    assert!(name.len() <= 28, "the plugin's name is longer than 28 characters");
}

const fn is_key(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if !matches!(bytes[i], b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.') {
            return false;
        }
        i += 1;
    }
    true
}

const fn has_nul(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] == 0 {
            return true;
        }
        i += 1;
    }
    false
}

const fn starts_with(text: &str, prefix: &str) -> bool {
    let (text, prefix) = (text.as_bytes(), prefix.as_bytes());
    if text.len() < prefix.len() {
        return false;
    }
    let mut i = 0;
    while i < prefix.len() {
        if !text[i].eq_ignore_ascii_case(&prefix[i]) {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn option(name: &'static str) -> OptionSpec {
        OptionSpec::new(name, Kind::Str, None, "help")
    }

    #[test]
    fn keys_that_the_host_swallows_are_reserved() {
        for name in ["tls.verify", "TLS", "oauth2.token_url", "oauth2", "net.dns.mode", "Host"] {
            assert!(reserved(name), "{name}");
        }
        for name in ["ca_file", "verify_tls", "db", "db.sync", "hostname", "tlsx"] {
            assert!(!reserved(name), "{name}");
        }
    }

    #[test]
    #[should_panic(expected = "for itself")]
    fn an_option_with_a_reserved_name_is_refused() {
        check(&[option("db"), option("tls.verify")]);
    }

    #[test]
    #[should_panic(expected = "one name")]
    fn two_options_of_one_name_are_refused() {
        check(&[option("db"), option("x"), option("db")]);
    }

    #[test]
    #[should_panic(expected = "lower snake case")]
    fn an_upper_case_name_is_refused() {
        check(&[option("Interval")]);
    }
}
