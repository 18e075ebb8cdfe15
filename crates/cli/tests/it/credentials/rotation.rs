//! Credentials that change while a run goes on: the old one is revoked at the service, a new one is
//! written into the file, and the run goes on by itself.

use super::*;
use m365_sim::ContentType;

use crate::support::Running;

/// A service whose application has this credential alone.
fn server_with(credential: Credential) -> Server {
    let mut tenant = TenantConfig::seeded(2, 0);
    tenant.apps[0].credentials = vec![credential];
    let config = SimConfig { tenants: vec![tenant], days: 0.02, ..world() };
    Server::start(config, &Listen::default()).unwrap()
}

/// Runs with `first` in the file, has the service take only `credential` from then on, and puts
/// `second` into the file once the first one was refused. `reads` is the option that names the
/// file. Answers the log.
#[track_caller]
fn rotate(
    server: &Server,
    reads: &str,
    first: &str,
    credential: Credential,
    second: impl FnOnce(&Server) -> String,
) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (file, output) = (dir.path().join("credential"), dir.path().join("audit.ndjson"));
    fs::write(&file, first).unwrap();
    let (tenant, base) = (server.microsoft().tenants()[0].id, server.http_url());
    let mut command = program("run");
    command
        .args(["--log-level", "debug", "--lookback", "1h", "--progress", "never", "--metadata"])
        .args(["--tenant-id", &tenant.to_string(), "--client-id", &client_id(server)])
        .args(["--login-url", &base, "--api-url", &base, "--interval-sec", "1"])
        .arg(reads)
        .arg(&file)
        .arg("--db")
        .arg(dir.path().join("state.db"))
        .arg("--output")
        .arg(&output);
    let mut running = Running::start(command, dir.path().join("log"));
    let arrived = |text: &str| fs::read_to_string(&output).unwrap_or_default().contains(text);
    running.wait_until("the first one signs in", |_| arrived("content_id"));

    server.microsoft().replace_credentials(tenant, vec![credential]);
    running.wait_until("the old one is refused", |log| log.contains("sign-in refused: "));
    let second = second(server);
    // As whoever rotates does it: the file is whole at every moment.
    fs::write(dir.path().join("new"), &second).unwrap();
    fs::rename(dir.path().join("new"), &file).unwrap();
    let published = server.microsoft().publish(now_ms(), tenant, ContentType::General).unwrap();
    running.wait_until("the new one signs in", |_| arrived(&published.content_id));
    running.stop();
    assert!(server.microsoft().report().is_legal());

    fs::remove_file(&file).unwrap();
    for (what, bytes) in files(dir.path()) {
        for secret in [first, &second] {
            // Of a certificate, a line of its key.
            let secret = secret.lines().rev().nth(5).unwrap_or(secret).trim();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{what} holds {secret:?}");
        }
    }
    running.log()
}

#[test]
fn a_client_secret_is_replaced_without_a_restart() {
    let secret = |value: &str| Credential::Secret { value: value.into(), expires_ms: None };
    let server = server_with(secret("f1rst~secret"));
    let log =
        rotate(&server, "--client-secret-file", "f1rst~secret\n", secret("s3cond~secret"), |_| {
            "s3cond~secret\n".into()
        });
    assert!(log.contains("AADSTS7000215"), "{log}");
    assert!(
        log.contains("the credential has changed: now signing in with a client secret"),
        "{log}"
    );
}

#[test]
fn a_certificate_is_replaced_without_a_restart() {
    let certificate =
        |at: usize| Credential::Certificate { pem: issued()[at].certificate_pem.clone() };
    let server = server_with(certificate(0));
    let (first, second) = (pem(&issued()[0]), pem(&issued()[1]));
    let log = rotate(&server, "--certificate-file", &first, certificate(1), |_| second);
    assert!(log.contains("AADSTS700027"), "{log}");
    // What the new one says of itself is heard as at a start.
    assert!(log.contains(" expires in 5 days"), "{log}");
}

#[test]
fn a_federated_token_is_replaced_without_a_restart() {
    let federated = |key| Credential::Federated {
        issuer: "https://oidc.example".into(),
        subject: "system:serviceaccount:audit:collector".into(),
        audience: "api://AzureADTokenExchange".into(),
        key,
    };
    let token = |server: &Server| {
        let mut microsoft = server.microsoft();
        microsoft.advance(now_ms());
        let app = microsoft.tenants()[0].apps[0].clone();
        microsoft.federated_token(&app, 3_600).unwrap()
    };
    let server = server_with(federated(5));
    let first = token(&server);
    let log = rotate(&server, "--federated-token-file", &first, federated(6), token);
    // Such tokens change all the time; nobody needs to hear of it.
    assert!(!log.contains("the credential has changed"), "{log}");
}
