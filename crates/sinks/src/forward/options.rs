//! Where events go, and how, as the options say.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use m365_audit_client::read_roots;
use m365_audit_core::config::Reader;
use m365_audit_core::{ConfigError, Secret};
use rustls::pki_types::CertificateDer;

/// Where events go, and how.
#[derive(Clone, Debug)]
pub struct ForwardOptions {
    /// `HOST:PORT` of the receiver.
    pub address: Box<str>,
    /// The tag of all events.
    pub tag: Box<str>,
    /// The key that both sides prove to know; `None` for no handshake.
    pub shared_key: Option<Secret<String>>,
    /// Who sends, if the receiver asks for more than the key.
    pub user: Option<User>,
    /// This side's name in the handshake.
    pub self_hostname: Box<str>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Root certificates to trust beyond Mozilla's and the system's.
    pub roots: Vec<CertificateDer<'static>>,
    /// Whether the receiver's certificate is checked.
    pub verify_tls: bool,
    /// Longest wait for a connection, a handshake, an acknowledgement.
    pub timeout: Duration,
}

/// A user of a receiver.
#[derive(Clone, Debug)]
pub struct User {
    /// The user's name.
    pub name: Box<str>,
    /// What proves it.
    pub password: Secret<String>,
}

impl ForwardOptions {
    /// Reads the options `forward.*`, and the file that one names. Mistakes stay in `reader`.
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Self {
        let text = |reader: &Reader<'_>, name: &str, default: &str| {
            reader.optional(name).unwrap_or_else(|| default.to_owned())
        };
        let address = text(reader, "forward.address", "127.0.0.1:24224");
        if host_and_port(&address).is_none() {
            reader.report(ConfigError::new(
                "forward.address",
                Some(&address),
                "not a host and a port",
                "write HOST:PORT, for instance 127.0.0.1:24224",
            ));
        }
        let roots = match reader.optional("forward.ca_file") {
            Some(path) => read_roots(Path::new(&path)).unwrap_or_else(|problem| {
                let remedy = "name a PEM file with the certificate of your authority";
                reader.report(ConfigError::new("forward.ca_file", Some(&path), &problem, remedy));
                Vec::new()
            }),
            None => Vec::new(),
        };
        Self {
            address: address.into(),
            tag: text(reader, "forward.tag", "m365_audit").into(),
            shared_key: reader.optional("forward.shared_key").map(Secret::new),
            user: user(reader),
            self_hostname: text(reader, "forward.self_hostname", "m365-audit").into(),
            tls: reader.boolean("forward.tls"),
            roots,
            verify_tls: reader.boolean("forward.verify_tls"),
            timeout: reader.duration("forward.timeout"),
        }
    }

    /// Refuses a connection to another machine that nobody has said may be in the clear: whoever is
    /// on the way could acknowledge what never arrived.
    pub(crate) fn refuse_silent_plain(&self, reader: &mut Reader<'_>) {
        let address = &self.address;
        let known = host_and_port(address).is_some() && !is_this_machine(address);
        if known && reader.optional("forward.tls").is_none() {
            let problem = format!(
                "missing, and forward.address leads to another machine ({address}): without TLS anyone \
                 on the way can read the records, and acknowledge what never arrived"
            );
            let remedy = "set forward.tls to on and let the receiver offer TLS; off, written out, \
                          accepts the risk";
            reader.report(ConfigError::new("forward.tls", None, &problem, remedy));
        }
    }
}

/// The user, who needs a password, a shared key, and a handshake to say so in.
fn user(reader: &mut Reader<'_>) -> Option<User> {
    let name = reader.optional("forward.username");
    let password = reader.optional("forward.password");
    let remedy = "set forward.shared_key, forward.username and forward.password together";
    let missing = |option: &str| {
        ConfigError::new(option, None, "missing beside the other options of the handshake", remedy)
    };
    let (name, password) = match (name, password) {
        (Some(name), Some(password)) => (name, password),
        (None, None) => return None,
        (Some(_), None) => {
            reader.report(missing("forward.password"));
            return None;
        }
        (None, Some(_)) => {
            reader.report(missing("forward.username"));
            return None;
        }
    };
    if reader.optional("forward.shared_key").is_none() {
        reader.report(missing("forward.shared_key"));
    }
    Some(User { name: name.into(), password: Secret::new(password) })
}

/// Splits `host:port`, `[v6]:port`.
pub(super) fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty() && !host.contains(['/', '@', ' '])).then_some((host, port))
}

/// Whether `host:port` can only be this very machine.
pub(super) fn is_this_machine(address: &str) -> bool {
    let Some((host, _)) = host_and_port(address) else { return false };
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!(host_and_port("localhost:24224"), Some(("localhost", 24_224)));
        assert_eq!(host_and_port("[::1]:1"), Some(("::1", 1)));
        for text in ["localhost", ":1", "a:0", "a:70000", "::1", "tcp://a:1", "a b:1"] {
            assert_eq!(host_and_port(text), None, "{text}");
        }
    }
}
