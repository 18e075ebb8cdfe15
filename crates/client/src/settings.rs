//! From options to settings: the core's and the native client's, every mistake told at once.
//!
//! Reads the files that options name (credentials, `ca_file`), and of the environment what a `db`
//! that is a PostgreSQL leaves open (`PG*`); the rest of it is the packagings' to read.

use std::path::Path;

use m365_audit_core::config::{CredentialSource, Reader, options_of};
use m365_audit_core::credential::Choice;
use m365_audit_core::options::{self, HOST_OPTIONS, OPTIONS, Scope};
use m365_audit_core::{Config, ConfigError, RawOptions, Secret, SourceName};
use rustls::pki_types::CertificateDer;

use crate::credentials::{CredentialFile, read_secret};
use crate::proxy::Proxy;
use crate::roots::read_roots;
use crate::status::StatusOptions;
use crate::store::DbOptions;
use crate::webhook::WebhookOptions;

/// Everything a [`Client`](crate::Client) needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The core's part.
    pub config: Config,
    /// This crate's part.
    pub native: NativeOptions,
    /// Where the credential is read from, again and again; `None`: the options hold it.
    pub credential_file: Option<CredentialFile>,
    /// The text of the core's part, with what files hold in place of their names: for a core that
    /// runs elsewhere.
    pub core_options: Secret<RawOptions>,
}

/// The options of scope `Native`, checked.
#[derive(Clone, Debug)]
pub struct NativeOptions {
    /// Where the state is stored; `None`: nowhere.
    pub db: Option<DbOptions>,
    /// The proxy for all requests; `None`: what the environment says.
    pub proxy: Option<Proxy>,
    /// Root certificates to trust beyond Mozilla's and the system's.
    pub roots: Vec<CertificateDer<'static>>,
    /// Whether server certificates are checked.
    pub verify_tls: bool,
    /// How many requests may be under way, and so how many connections are worth keeping.
    pub in_flight_max: usize,
    /// How many requests of all tenants of the process may be under way.
    pub in_flight_total: usize,
    /// How many threads drive the tenants of a process; `None`: as many as there are cores.
    pub workers: Option<usize>,
    /// Where Microsoft's notifications are received; `None`: nowhere.
    pub webhook: Option<WebhookOptions>,
    /// Where the status of this process is to be seen.
    pub status: StatusOptions,
}

impl Settings {
    /// Reads the options of the core and of the native client, and the files that they name.
    ///
    /// # Errors
    /// Every mistake in both, in the order of [`OPTIONS`], unknown names last. None shows a secret.
    pub fn parse(raw: &RawOptions) -> Result<Self, Vec<ConfigError>> {
        let mut raw = raw.clone();
        let mut errors = Vec::new();
        if let Err(error) = resolve_redact_key(&mut raw) {
            errors.push(error);
        }
        // Without a choice there is no file; the core reports why.
        let file = Choice::of(&raw).ok().and_then(|choice| CredentialFile::of(&raw, choice));
        let source = match file.as_ref().map(|file| (file, file.read())) {
            None => CredentialSource::Options,
            Some((file, Ok(content))) => {
                raw.insert(file.value_option().into(), content.text.expose().clone());
                raw.remove(file.option());
                CredentialSource::Given(content.credential)
            }
            Some((_, Err(error))) => {
                errors.push(error);
                CredentialSource::Broken
            }
        };
        let native = NativeOptions::parse(&raw).map_err(|found| errors.extend(found));
        let config = Config::parse_with(&raw, source).map_err(|found| errors.extend(found));
        match (config, native) {
            (Ok(config), Ok(native)) if errors.is_empty() => {
                raw.retain(|name, _| {
                    options::find(name).is_some_and(|spec| spec.scope == Scope::Core)
                });
                let core_options = Secret::new(raw);
                Ok(Self { config, native, credential_file: file, core_options })
            }
            _ => Err(in_order(errors)),
        }
    }
}

/// Mistakes in the order of [`OPTIONS`], unknown names last: for packagings that add their own.
#[must_use]
pub fn in_order(mut errors: Vec<ConfigError>) -> Vec<ConfigError> {
    let position = |error: &ConfigError| {
        let all = || OPTIONS.iter().chain(HOST_OPTIONS);
        let position = all().position(|option| option.name == error.option);
        position.unwrap_or_else(|| all().count())
    };
    errors.sort_by_key(position);
    errors
}

/// Takes out what is about a source that `source` does not name: for who works with one source
/// whatever is collected, or for many of whom some have it.
pub fn drop_unused(raw: &mut RawOptions) {
    let source = Reader::new(raw).text_or_default("source").to_ascii_lowercase();
    for left_out in SourceName::ALL.into_iter().filter(|known| !source.contains(known.as_str())) {
        raw.retain(|name, _| !options_of(left_out).contains(&&**name));
    }
}

impl NativeOptions {
    pub(crate) fn parse(raw: &RawOptions) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader::new(raw);
        let proxy = reader.optional("proxy_url").map(|text| Proxy::parse(&text)).transpose();
        let proxy = proxy.unwrap_or_else(|error| {
            reader.report(error);
            None
        });
        let roots = reader.optional("ca_file").map_or_else(
            || Ok(Vec::new()),
            |path| {
                read_roots(Path::new(&path)).map_err(|problem| {
                    ConfigError::new(
                        "ca_file",
                        Some(&path),
                        &problem,
                        "name a PEM file with the certificate of your authority",
                    )
                })
            },
        );
        let roots = roots.unwrap_or_else(|error| {
            reader.report(error);
            Vec::new()
        });
        let db = DbOptions::parse(&mut reader, &roots);
        let verify_tls = reader.boolean("verify_tls");
        let webhook = WebhookOptions::parse(&mut reader);
        let status = StatusOptions::parse(&mut reader);
        let in_flight_total = reader.number("max_in_flight_total");
        let in_flight_total = usize::try_from(in_flight_total).unwrap_or(usize::MAX);
        let workers = reader.optional("workers").map(|_| reader.number("workers"));
        let workers = workers.and_then(|workers| usize::try_from(workers).ok());
        reader.finish_known()?;
        // The core has the say over this option and reports its mistakes.
        let in_flight_max = Reader::new(raw).number("max_in_flight");
        let in_flight_max = usize::try_from(in_flight_max).unwrap_or(usize::MAX);
        Ok(Self {
            db,
            proxy,
            roots,
            verify_tls,
            in_flight_max,
            in_flight_total,
            workers,
            webhook,
            status,
        })
    }
}

/// Puts the key into `redact_key` that `redact_key_file` holds.
fn resolve_redact_key(raw: &mut RawOptions) -> Result<(), ConfigError> {
    let Some(path) = Reader::new(raw).optional("redact_key_file") else { return Ok(()) };
    let refuse = |problem: &str, remedy| {
        Err(ConfigError::new("redact_key_file", Some(&path), problem, remedy))
    };
    if Reader::new(raw).optional("redact_key").is_some() {
        return refuse("redact_key is set too", "keep one of the two");
    }
    let (key, result) = match read_secret(Path::new(&path)) {
        Ok(key) => (key, Ok(())),
        Err(problem) => {
            let remedy = "name a readable file that holds the key and nothing else";
            ("unreadable, and so not judged".to_owned(), refuse(&problem, remedy))
        }
    };
    raw.insert("redact_key".into(), key);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use std::fs;

    const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";

    /// Parses `pairs` beside the credentials; `{dir}` stands for `dir`.
    #[track_caller]
    fn check(dir: &Path, pairs: &[(&str, &str)], expect: Expect) {
        let dir = dir.to_str().unwrap();
        let mut raw = RawOptions::from([("client_id".to_owned(), TENANT.to_owned())]);
        for (name, value) in [("tenant_id", TENANT)].iter().chain(pairs) {
            raw.insert((*name).into(), value.replace("{dir}", dir));
        }
        let text = match Settings::parse(&raw) {
            Ok(settings) => {
                let text = format!("{settings:?}");
                assert!(!text.contains("s3cret"), "{text}");
                "accepted\n".into()
            }
            // Remedies are the core's or in the code above.
            Err(errors) => errors
                .iter()
                .map(|error| format!("{} {:?}: {}\n", error.option, error.value, error.problem))
                .collect::<String>(),
        };
        assert!(!text.contains("s3cret"), "{text}");
        expect.assert_eq(&text.replace(dir, "{dir}"));
    }

    #[test]
    fn mistakes_of_the_core_and_the_client_come_together_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("not.pem"), "s3cret").unwrap();
        check(
            dir.path(),
            &[
                ("client_secret_file", "{dir}/missing"),
                ("content_types", "Audit.Teams"),
                ("max_in_flight", "1"),
                ("db", "{dir}/none/state.db"),
                ("db.sync", "never"),
                ("db.journal_mode", "log"),
                ("db.locking", "maybe"),
                ("proxy_url", "ftp://alice:s3cret@proxy.example"),
                ("ca_file", "{dir}/not.pem"),
                ("verify_tls", "perhaps"),
                ("verify_tsl", "on"),
            ],
            expect![[r#"
                client_secret_file Some("{dir}/missing"): cannot be read: No such file or directory (os error 2)
                content_types Some("Audit.Teams"): not a value of this option
                max_in_flight Some("1"): too small
                db Some("{dir}/none/state.db"): there is no directory {dir}/none
                db.sync Some("never"): not a value of this option
                db.journal_mode Some("log"): not a value of this option
                db.locking Some("maybe"): not a value of this option
                proxy_url Some("ftp://[redacted]@proxy.example"): not an http:// or https:// address
                ca_file Some("{dir}/not.pem"): no certificate in the file
                verify_tls Some("perhaps"): not a value of this option
                verify_tsl None: no such option
            "#]],
        );
    }

    #[test]
    fn the_secret_comes_from_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &[u8]| fs::write(dir.path().join(name), content).unwrap();
        write("good", "\u{feff}s3cret~value\r\n".as_bytes());
        write("empty", b" \n");
        write("lines", b"s3cret\nmore\n");
        write("binary", b"\xff\xfes\0");
        write("large", &vec![b'x'; 70_000]);
        check(
            dir.path(),
            &[("client_secret_file", "{dir}/good")],
            expect![[r#"
            accepted
        "#]],
        );
        check(
            dir.path(),
            &[("client_secret_file", "{dir}/good"), ("client_secret", "s3cret")],
            expect![[r#"
                client_secret_file Some("{dir}/good"): client_secret is set too
            "#]],
        );
        check(
            dir.path(),
            &[("client_secret_file", "{dir}/empty")],
            expect![[r#"
            client_secret_file Some("{dir}/empty"): the file is empty
        "#]],
        );
        check(
            dir.path(),
            &[("client_secret_file", "{dir}/lines")],
            expect![[r#"
            client_secret_file Some("{dir}/lines"): the file has several lines
        "#]],
        );
        check(
            dir.path(),
            &[("client_secret_file", "{dir}/binary")],
            expect![[r#"
            client_secret_file Some("{dir}/binary"): not UTF-8 text
        "#]],
        );
        check(
            dir.path(),
            &[("client_secret_file", "{dir}/large")],
            expect![[r#"
            client_secret_file Some("{dir}/large"): larger than 65536 bytes
        "#]],
        );
        check(
            dir.path(),
            &[("client_secret_file", "{dir}")],
            expect![[r#"
            client_secret_file Some("{dir}"): cannot be read: Is a directory (os error 21)
        "#]],
        );
    }

    #[test]
    fn a_webhook_needs_an_address_to_listen_at_an_id_and_both_files_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let secret = ("client_secret", "s3cret");
        check(
            dir.path(),
            &[
                secret,
                ("webhook_address", "https://audit.example/x"),
                ("webhook_cert_file", "{dir}/none.pem"),
            ],
            expect![[r#"
                webhook_address Some("https://audit.example/x"): without effect, because webhook_listen is not set
                webhook_address Some("https://audit.example/x"): webhook_auth_id is missing
                webhook_cert_file Some("{dir}/none.pem"): without effect, because webhook_listen is not set
            "#]],
        );
        check(
            dir.path(),
            &[
                secret,
                ("webhook_listen", "localhost"),
                ("webhook_auth_id", "s3cret"),
                ("webhook_address", "http://audit.example/x"),
                ("start_subscriptions", "off"),
                ("webhook_cert_file", "{dir}/none.pem"),
            ],
            expect![[r#"
                webhook_listen Some("localhost"): not an address with a port
                webhook_auth_id None: not 16 to 256 letters, digits and signs without spaces
                webhook_address Some("http://audit.example/x"): http:// would send the token in the clear
                webhook_address Some("http://audit.example/x"): without effect, because start_subscriptions is off
                webhook_key_file None: required with webhook_cert_file, and missing
            "#]],
        );
        let listens =
            [secret, ("webhook_listen", "[::1]:0"), ("webhook_auth_id", "0123456789abcdef")];
        check(
            dir.path(),
            &listens,
            expect![[r#"
            accepted
        "#]],
        );
        check(
            dir.path(),
            &[secret, ("redact", "on"), ("redact_key_file", "{dir}/none")],
            expect![[r#"
                redact_key_file Some("{dir}/none"): cannot be read: No such file or directory (os error 2)
            "#]],
        );
    }

    #[test]
    fn a_db_needs_a_directory_and_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let secret = ("client_secret", "s3cret");
        check(
            dir.path(),
            &[secret, ("db", "{dir}/state.db")],
            expect![[r#"
            accepted
        "#]],
        );
        check(
            dir.path(),
            &[secret, ("db", "state.db")],
            expect![[r#"
            accepted
        "#]],
        );
        check(
            dir.path(),
            &[secret, ("db", "{dir}")],
            expect![[r#"
            db Some("{dir}"): a directory
        "#]],
        );
    }
}
