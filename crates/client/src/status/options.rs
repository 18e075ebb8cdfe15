//! What the options say about the status: where it is to be seen.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use m365_audit_core::ConfigError;
use m365_audit_core::config::Reader;

/// What metrics are told apart by. The number of their series depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsDetail {
    /// Each tenant, and each of its feeds.
    #[default]
    ContentType,
    /// Each tenant.
    Tenant,
    /// Nothing: all are counted together.
    Total,
}

/// Where the status of this process is to be seen.
#[derive(Clone, Debug)]
pub struct StatusOptions {
    /// The address to answer at; `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// The file for node_exporter's textfile collector; `None`: none.
    pub file: Option<PathBuf>,
    /// What metrics are told apart by, also in other places than these.
    pub detail: MetricsDetail,
    /// The packaging, as `build_info` names it. The packaging says.
    pub packaging: &'static str,
    /// What this section of the process is called, where there may be several.
    pub instance: Box<str>,
}

impl StatusOptions {
    /// Reads the options. Mistakes stay in `reader`.
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Self {
        let listen = reader.optional("status_listen").and_then(|text| match address(&text) {
            Ok(address) => Some(address),
            Err(problem) => {
                reader.report(ConfigError::new(
                    "status_listen",
                    Some(&text),
                    problem,
                    "write a port, like 9477, to be asked from this machine alone; an address \
                     like 0.0.0.0:9477 or [::]:9477 to be asked from others, who need no password",
                ));
                None
            }
        });
        let file = reader.optional("metrics_file").map(PathBuf::from);
        if let Some(path) = &file
            && let Err(problem) = is_writable_name(path)
        {
            reader.report(ConfigError::new(
                "metrics_file",
                path.to_str(),
                &problem,
                "name a file that ends with .prom in the directory that node_exporter reads: \
                 --collector.textfile.directory",
            ));
        }
        let detail = match &*reader.word("metrics_detail") {
            "tenant" => MetricsDetail::Tenant,
            "total" => MetricsDetail::Total,
            _ => MetricsDetail::ContentType,
        };
        Self { listen, file, detail, packaging: "run", instance: "".into() }
    }
}

/// An address with its port. A port alone is this machine's own.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    let text = text.trim();
    let own = |port: &str| match port.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => Err("the port is not a number up to 65535"),
    };
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text.parse::<IpAddr>().is_ok() {
        return Err("an address without a port");
    }
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.rsplit_once(':') {
        None if is_number(text) => own(text),
        Some(("" | "localhost", port)) => own(port),
        Some((host, port)) if host.parse::<IpAddr>().is_ok() && is_number(port) => own(port),
        Some((_, port)) if is_number(port) => Err("a name, where an address has to stand"),
        None | Some(_) => Err("neither a port nor an address with a port"),
    }
}

/// node_exporter takes what ends with `.prom` and leaves the rest.
fn is_writable_name(path: &std::path::Path) -> Result<(), String> {
    if path.extension().is_none_or(|ending| ending != "prom") {
        return Err("does not end with .prom, and node_exporter reads nothing else".into());
    }
    if path.is_dir() {
        return Err("a directory".into());
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match directory.filter(|directory| !directory.is_dir()) {
        Some(missing) => Err(format!("there is no directory {}", missing.display())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_this_machines_own() {
        for text in ["9477", ":9477", " 9477 ", "localhost:9477", "127.0.0.1:9477"] {
            assert_eq!(address(text), Ok(SocketAddr::from(([127, 0, 0, 1], 9477))), "{text}");
        }
        for text in ["0.0.0.0:9477", "[::]:9477", "10.1.2.3:80", "[::1]:9477"] {
            assert_eq!(address(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_refused_says_why() {
        for (text, why) in [
            ("0.0.0.0", "an address without a port"),
            ("::1", "an address without a port"),
            ("70000", "the port is not a number up to 65535"),
            (":70000", "the port is not a number up to 65535"),
            ("127.0.0.1:70000", "the port is not a number up to 65535"),
            ("metrics.example:9477", "a name, where an address has to stand"),
            ("on", "neither a port nor an address with a port"),
            ("http://127.0.0.1:9477/", "neither a port nor an address with a port"),
        ] {
            assert_eq!(address(text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_file_that_node_exporter_would_not_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let problem = |name: &str| is_writable_name(&dir.path().join(name)).err();
        assert_eq!(problem("m365.prom"), None);
        assert!(problem("m365.txt").unwrap().contains(".prom"));
        assert!(problem("none/m365.prom").unwrap().contains("no directory"));
    }
}
