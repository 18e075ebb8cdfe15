//! Every secret there is, in runs that use it, that are refused, and that do not begin: nothing of
//! it is in anything that they write.

use std::net::TcpListener;

use super::*;
use m365_audit_core::options::{Kind, OPTIONS, Scope};
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::{Running, TOKEN_STARTS};

const AUTH_ID: &str = "h00k~auth~id~of~24~chars";
const REDACT_KEY: &str = "r3daction~key~that~is~long";

/// A PKCS#12 file with certificate and key, as Windows exports it.
fn pkcs12(issued: &Issued) -> Vec<u8> {
    let certificate = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap();
    let certificate = Certificate::from_der(&certificate).unwrap();
    let key = PrivateKey::from_der(key.secret_der()).unwrap();
    let chain = PrivateKeyChain::new(vec![1], key, [certificate]);
    let mut store = KeyStore::new();
    store.add_entry("app", KeyStoreEntry::PrivateKeyChain(chain));
    store.writer(PASSWORD).write().unwrap()
}

/// Searches all that is in a directory, but for the files that were put there.
#[track_caller]
fn assert_nowhere(dir: &Path, put: &[&str], secrets: &[&str]) {
    let written = files(dir).into_iter().filter(|(path, _)| {
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        !put.contains(&name)
    });
    let mut searched = 0;
    for (what, bytes) in written {
        searched += 1;
        let never = ["Bearer ", "Token ", "PRIVATE KEY"];
        for secret in secrets.iter().chain(&never).chain(&TOKEN_STARTS) {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{what} holds {secret:?}");
        }
    }
    assert!(3 <= searched, "log, output and state are there");
}

/// Runs until there is a line of output of each source, with everything switched on that knows a
/// secret, and as talkative as it gets.
#[track_caller]
fn run_with_everything(with: impl FnOnce(&Path, &mut Command), put: &[&str], secrets: &[&str]) {
    let server = server();
    let dir = tempfile::tempdir().unwrap();
    let (tenant, base) = (server.microsoft().tenants()[0].id, server.http_url());
    let portal_token = server.microsoft().portal_token(tenant).unwrap().to_owned();
    let hook = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let output = dir.path().join("audit.ndjson");
    let mut command = program("run");
    command
        .args([
            "--log-level",
            "debug",
            "--log-format",
            "json",
            "--metadata",
            "--progress",
            "always",
        ])
        .args(["--tenant-id", &tenant.to_string(), "--client-id", &client_id(&server)])
        .args(["--login-url", &base, "--api-url", &base, "--portal-url", &base])
        .args(["--source", "management_activity, cloud_app_activities", "--lookback", "1h"])
        .args(["--webhook-listen", &hook, "--webhook-address", &format!("http://{hook}/")])
        .args(["--redact", "on", "--redact-fields", ".UserId", "--interval-sec", "1"])
        .env("M365_AUDIT_WEBHOOK_AUTH_ID", AUTH_ID)
        .env("M365_AUDIT_PORTAL_TOKEN", &portal_token)
        .env("M365_AUDIT_REDACT_KEY", REDACT_KEY)
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .arg("--db")
        .arg(dir.path().join("state.db"))
        .arg("--output")
        .arg(&output);
    with(dir.path(), &mut command);
    let mut running = Running::start(command, dir.path().join("log"));
    let arrived = |text: &str| fs::read_to_string(&output).unwrap_or_default().contains(text);
    running.wait_until("all of it works", |log| {
        arrived("[redacted:")
            && arrived("CloudAppActivities")
            && log.contains("Microsoft now notifies http://")
    });
    // A call that does not bring along what it should is told as well.
    let _ = std::net::TcpStream::connect(&hook).map(|mut stream| {
        std::io::Write::write_all(&mut stream, b"POST / HTTP/1.1\r\nHost: x\r\n\r\n")
    });
    running.wait_until("it is told", |log| log.contains("without the right Webhook-AuthID"));
    running.stop();
    let all = [secrets, &[AUTH_ID, REDACT_KEY, &portal_token]].concat();
    assert_nowhere(dir.path(), put, &all);
}

#[test]
fn a_run_with_a_client_secret_writes_no_secret() {
    let secret = TenantConfig::seeded(1, 0).apps[0].secret().unwrap().to_owned();
    let with = |_: &Path, command: &mut Command| {
        command.env("M365_AUDIT_CLIENT_SECRET", &secret);
    };
    run_with_everything(with, &[], &[&secret]);
}

#[test]
fn a_run_with_a_pkcs12_file_writes_neither_its_key_nor_its_password() {
    let with = |dir: &Path, command: &mut Command| {
        fs::write(dir.join("app.p12"), pkcs12(&issued()[0])).unwrap();
        command
            .env("M365_AUDIT_CERTIFICATE_PASSWORD", PASSWORD)
            .arg("--certificate-file")
            .arg(dir.join("app.p12"));
    };
    run_with_everything(with, &["app.p12"], &[PASSWORD, key_line(&issued()[0])]);
}

#[test]
fn a_password_that_is_wrong_or_missing_is_told_and_not_shown() {
    let server = server();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.p12");
    fs::write(&path, pkcs12(&issued()[0])).unwrap();
    for (password, expected) in [
        (Some("wr0ng~horse"), "certificate_password is wrong"),
        (None, "certificate_password is missing"),
    ] {
        let output = run(&server, dir.path(), |command| {
            command.args(["--client-id", &client_id(&server)]).arg("--certificate-file").arg(&path);
            if let Some(password) = password {
                command.env("M365_AUDIT_CERTIFICATE_PASSWORD", password);
            }
        });
        assert_code(&output, 2);
        let told = text(&output.stderr);
        assert!(told.contains(expected) && !told.contains("wr0ng"), "{told}");
    }
}

#[test]
fn a_mistake_quotes_no_option_that_is_a_secret() {
    let specs = OPTIONS.iter().filter(|spec| spec.kind == Kind::Secret);
    let native = specs.filter(|spec| spec.scope != Scope::FluentBit && spec.scope != Scope::Host);
    let names: Vec<&str> = native.map(|spec| spec.name).collect();
    assert!(names.contains(&"client_secret") && names.contains(&"redact_key"), "{names:?}");
    for command in ["run", "doctor"] {
        for name in &names {
            let variable = format!("M365_AUDIT_{}", name.to_uppercase());
            // Short, long, with line breaks: none is a value that any of them takes for good.
            for value in ["T3LL", "T3LL tale\nT3LL", &"T3LL".repeat(100_000)[..100_000]] {
                let mut program = program(command);
                let output =
                    program.args(["--lookback", "nonsense"]).env(&variable, value).output();
                let output = output.unwrap();
                assert_code(&output, 2);
                let told = [&output.stdout[..], &output.stderr].concat();
                assert!(!text(&told).contains("T3LL"), "{name}: {}", text(&told));
            }
        }
    }
}
