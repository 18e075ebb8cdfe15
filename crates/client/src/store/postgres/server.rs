//! Which PostgreSQL a state is kept in: what its URL, the variables `PG*` and the options say.
//! Connects to nothing.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use url::form_urlencoded;

use crate::credentials::read_secret;
use crate::roots::read_roots;
use crate::tls::client_config;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a lease lasts, unless `db.lease` says it.
const LEASE: Duration = Duration::from_secs(30);

/// Begins a URL of PostgreSQL.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Whether `db` names a PostgreSQL and no file.
#[must_use]
pub fn is_server(db: &str) -> bool {
    let db = db.trim();
    SCHEMES.iter().any(|scheme| {
        db.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// `db` as it may be shown: without the password of a URL.
#[must_use]
pub fn shown(db: &str) -> String {
    let hide = || {
        let (scheme, rest) = db.trim().split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = (&rest[..end], &rest[end..]);
        // What stands after the last @ is the host; a password may hold one, though it should not.
        let (who, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let user = who.split(':').next().unwrap_or_default();
        let at = if user.is_empty() { "" } else { "@" };
        let path = path.split(['?', '#']).next().unwrap_or_default();
        Some(format!("{scheme}://{user}{at}{host}{path}"))
    };
    if is_server(db) { hide().unwrap_or_default() } else { db.to_owned() }
}

/// What is wrong with a URL, or with what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The option that says it.
    pub(crate) option: &'static str,
    pub(crate) problem: String,
    pub(crate) remedy: &'static str,
}

fn mistake(problem: impl Into<String>, remedy: &'static str) -> Mistake {
    Mistake { option: "db", problem: problem.into(), remedy }
}

/// A PostgreSQL, and how the tenants in it are held.
#[derive(Clone)]
pub struct Server {
    pub(super) config: Config,
    pub(super) tls: Arc<ClientConfig>,
    shown: String,
    /// Whether somebody on the way could read along, or be the server.
    pub(crate) is_exposed: bool,
    /// How long a lease lasts that is not renewed.
    pub(super) lease: Duration,
    /// How many tenants this process takes at most.
    pub(in crate::store) tenants_max: Option<usize>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("db", &self.shown).finish_non_exhaustive()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Server {
    fn identity(&self) -> (&str, Option<&[u8]>, Duration, Option<usize>) {
        (&self.shown, self.config.get_password(), self.lease, self.tenants_max)
    }
}

impl PartialEq for Server {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Server {}

impl Hash for Server {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

/// What the options say beside the URL.
#[derive(Debug, Default)]
pub(crate) struct Beside<'a> {
    pub(crate) password_file: Option<&'a Path>,
    pub(crate) roots: &'a [CertificateDer<'static>],
    pub(crate) lease: Option<Duration>,
    pub(crate) tenants_max: Option<usize>,
}

impl Server {
    /// Reads a URL; what it leaves open, `variable` says as libpq's variables do.
    pub(crate) fn parse(
        db: &str,
        beside: &Beside<'_>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Mistake> {
        let variable = |name: &str| variable(name).filter(|text| !text.is_empty());
        let (url, own) = own_parameters(db.trim());
        let url = with_port(&url, variable("PGPORT").as_deref());
        let mut config: Config = url.parse().map_err(|error: tokio_postgres::Error| {
            let why = std::error::Error::source(&error)
                .map_or_else(String::new, |why| format!(": {why}"));
            mistake(
                format!("no URL of PostgreSQL{why}"),
                "write postgres://user@host/database, what is no letter or digit in a name or \
                 password as %40 and the like",
            )
        })?;
        complete(&mut config, &variable)?;
        if let Some(file) = beside.password_file {
            let refuse = |problem, remedy| Mistake { option: "db_password_file", problem, remedy };
            if config.get_password().is_some() && url_has_password(&url) {
                let problem = "db holds a password too".to_owned();
                return Err(refuse(problem, "keep one of the two"));
            }
            let remedy = "name a readable file that holds the password and nothing else";
            config.password(read_secret(file).map_err(|problem| refuse(problem, remedy))?);
        }
        let word = own.mode.or_else(|| variable("PGSSLMODE"));
        let root = own.root.or_else(|| variable("PGSSLROOTCERT"));
        let near = is_near(&config);
        let (mode, verify) = ssl_mode(word.as_deref(), near)?;
        config.ssl_mode(mode);
        let mut roots = beside.roots.to_vec();
        if let Some(root) = root.filter(|root| root != "system") {
            roots.extend(read_roots(&PathBuf::from(&root)).map_err(|problem| {
                let problem = format!("sslrootcert={root}: {problem}");
                mistake(problem, "name a PEM file with the certificate of your authority")
            })?);
        }
        let tls = client_config(&roots, verify, b"").map_err(|error| {
            mistake(format!("TLS cannot be set up: {error}"), "look at ca_file and sslrootcert")
        })?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        // Whoever is reached must take what is written: of several hosts, the one that does.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.application_name("m365-audit");
        Ok(Self {
            shown: shown_of(&config),
            is_exposed: !near && !verify,
            config,
            tls: Arc::new(tls),
            lease: beside.lease.unwrap_or(LEASE),
            tenants_max: beside.tenants_max,
        })
    }
}

/// Parameters of a URL that libpq knows and the client does not.
#[derive(Debug, Default)]
struct Own {
    mode: Option<String>,
    root: Option<String>,
}

/// Takes them out.
fn own_parameters(url: &str) -> (String, Own) {
    let mut own = Own::default();
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), own) };
    let mut kept: Vec<&str> = Vec::new();
    for pair in query.split('&') {
        let value = form_urlencoded::parse(pair.as_bytes()).next();
        match value {
            Some((name, value)) if name == "sslmode" => own.mode = Some(value.into_owned()),
            Some((name, value)) if name == "sslrootcert" => own.root = Some(value.into_owned()),
            Some(_) | None => kept.push(pair),
        }
    }
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    (format!("{base}{query}"), own)
}

/// Writes the port of `PGPORT` into a URL of one host that leaves it open: once it is parsed, it
/// has the usual one.
fn with_port(url: &str, port: Option<&str>) -> String {
    let whole = || url.to_owned();
    let (Some(port), Some((scheme, rest))) = (port, url.split_once("://")) else { return whole() };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let host = &rest[rest[..end].rfind('@').map_or(0, |at| at + 1)..end];
    let after_name = &host[host.rfind(']').unwrap_or(0)..];
    if host.is_empty() || host.contains(',') || after_name.contains(':') {
        return whole();
    }
    format!("{scheme}://{}:{port}{}", &rest[..end], &rest[end..])
}

fn url_has_password(url: &str) -> bool {
    url.parse::<Config>().is_ok_and(|config| config.get_password().is_some())
}

/// Puts in what the URL leaves open.
fn complete(
    config: &mut Config,
    variable: &impl Fn(&str) -> Option<String>,
) -> Result<(), Mistake> {
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        let host = variable("PGHOST").ok_or_else(|| {
            mistake("names no host", "write postgres://user@host/database, or set PGHOST")
        })?;
        for host in host.split(',') {
            config.host(host);
        }
    }
    if config.get_ports().is_empty()
        && let Some(ports) = variable("PGPORT")
    {
        for port in ports.split(',') {
            let port = port.trim().parse().map_err(|_| {
                mistake(format!("PGPORT = {port:?} is no port"), "write one, such as 5432")
            })?;
            config.port(port);
        }
    }
    if config.get_user().is_none() {
        let user = variable("PGUSER").ok_or_else(|| {
            mistake("names no user", "write postgres://user@host/database, or set PGUSER")
        })?;
        config.user(user);
    }
    if config.get_dbname().is_none()
        && let Some(name) = variable("PGDATABASE")
    {
        config.dbname(name);
    }
    if config.get_password().is_none()
        && let Some(password) = variable("PGPASSWORD")
    {
        config.password(password);
    }
    Ok(())
}

/// Whether what is sent does not leave this machine.
fn is_near(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }) && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

/// What `sslmode` means, and whether the certificate is checked. Left out, nobody on the way can
/// read along.
fn ssl_mode(word: Option<&str>, near: bool) -> Result<(SslMode, bool), Mistake> {
    match word {
        None if near => Ok((SslMode::Prefer, false)),
        None | Some("verify-full") => Ok((SslMode::Require, true)),
        Some("disable") => Ok((SslMode::Disable, false)),
        Some("allow" | "prefer") => Ok((SslMode::Prefer, false)),
        Some("require") => Ok((SslMode::Require, false)),
        Some(other) => Err(mistake(
            format!("sslmode={other} is not among those that are known here"),
            "write verify-full (certificate and name are checked; the default beyond this \
             machine), require, prefer or disable",
        )),
    }
}

/// What messages call it.
fn shown_of(config: &Config) -> String {
    let ports = config.get_ports();
    let host = |(at, host): (usize, &Host)| {
        let name = match host {
            Host::Tcp(name) if name.contains(':') => format!("[{name}]"),
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        };
        match ports.get(at).or_else(|| ports.first()) {
            Some(port) => format!("{name}:{port}"),
            None => name,
        }
    };
    let hosts: Vec<String> = config.get_hosts().iter().enumerate().map(host).collect();
    let user = config.get_user().unwrap_or_default();
    let name = config.get_dbname().unwrap_or(user);
    format!("postgres://{user}@{}/{name}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// What is made of a URL and of variables, `NAME=value` separated by spaces.
    #[track_caller]
    fn check(db: &str, variables: &str, expect: Expect) {
        let variable = |wanted: &str| {
            let mut pairs = variables.split_whitespace().filter_map(|pair| pair.split_once('='));
            pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned())
        };
        let text = match Server::parse(db, &Beside::default(), variable) {
            Ok(server) => {
                let password = server.config.get_password().map_or("no password", |password| {
                    assert_eq!(password, b"s3cret");
                    "a password"
                });
                format!("{server}, {password}, {:?}\n", server.config.get_ssl_mode())
            }
            Err(mistake) => format!("{}; {}\n", mistake.problem, mistake.remedy),
        };
        assert!(!text.contains("s3cret"), "{text}");
        expect.assert_eq(&text);
    }

    #[test]
    fn a_url_is_completed_by_variables_and_shown_without_its_password() {
        check(
            "postgres://audit:s3cret@db.example:6432/state?sslmode=verify-full",
            "",
            expect![[r#"
                postgres://audit@db.example:6432/state, a password, Require
            "#]],
        );
        check(
            "postgresql://[::1]/",
            "PGUSER=audit PGDATABASE=state PGPASSWORD=s3cret PGPORT=5433",
            expect![[r#"
                postgres://audit@[::1]:5433/state, a password, Prefer
            "#]],
        );
        check(
            "postgres:///state",
            "PGUSER=audit PGHOST=db.example PGPORT=5433",
            expect![[r#"
                postgres://audit@db.example:5433/state, no password, Require
            "#]],
        );
        check(
            "postgres://audit@one.example,two.example:5433/state?sslmode=disable",
            "",
            expect![[r#"
                postgres://audit@one.example:5432,two.example:5433/state, no password, Disable
            "#]],
        );
        check(
            "postgres://audit@db.example/state",
            "PGSSLMODE=verify-ca",
            expect![[r#"
                sslmode=verify-ca is not among those that are known here; write verify-full (certificate and name are checked; the default beyond this machine), require, prefer or disable
            "#]],
        );
        check(
            "postgres://audit@db.example/state",
            "",
            expect![[r#"
                postgres://audit@db.example:5432/state, no password, Require
            "#]],
        );
        check(
            "postgres://audit@db.example:port/state",
            "",
            expect![[r#"
                no URL of PostgreSQL: invalid value for option `port`; write postgres://user@host/database, what is no letter or digit in a name or password as %40 and the like
            "#]],
        );
        check(
            "postgres:///state",
            "",
            expect![[r#"
                names no host; write postgres://user@host/database, or set PGHOST
            "#]],
        );
        check(
            "postgres://db.example/state",
            "",
            expect![[r#"
                names no user; write postgres://user@host/database, or set PGUSER
            "#]],
        );
        check(
            "postgres://audit@localhost/state?sslrootcert=/none.pem",
            "",
            expect![[r#"
                sslrootcert=/none.pem: cannot be read: No such file or directory (os error 2); name a PEM file with the certificate of your authority
            "#]],
        );
    }

    #[test]
    fn whatever_is_wrong_with_a_url_its_password_is_not_shown() {
        for (db, expected) in [
            ("postgres://audit:s3cret@h/d?password=s3cret", "postgres://audit@h/d"),
            ("postgres://audit:s3@s3cret@h/d", "postgres://audit@h/d"),
            ("POSTGRES://audit:s3cret@h", "POSTGRES://audit@h"),
            ("postgres://:s3cret@h#x", "postgres://h"),
            ("state.db", "state.db"),
        ] {
            assert_eq!(shown(db), expected);
        }
    }
}
