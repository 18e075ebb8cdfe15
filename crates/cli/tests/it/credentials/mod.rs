//! Every way to sign in, as a user would, against the simulator, which checks what it is sent.
//! Everything that a run writes is searched for what must not show.

mod leaks;
mod rotation;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use m365_sim::{
    AppConfig, Credential, Guid, IdentityConfig, Issued, Listen, Server, SimConfig, Span,
    TenantConfig, issue_certificate,
};

use crate::support::{TOKEN_STARTS, assert_code, files, lines, program, text, world};

const DAY_MS: i64 = 86_400_000;
const PASSWORD: &str = "c0rrect~horse";

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Valid for years, for five days, and until yesterday.
fn issued() -> &'static [Issued; 3] {
    static ISSUED: OnceLock<[Issued; 3]> = OnceLock::new();
    ISSUED.get_or_init(|| {
        let issue = |seed, days| {
            issue_certificate(seed, "test", now_ms() - 10 * DAY_MS, now_ms() + days * DAY_MS)
        };
        [issue(11, 1_000), issue(12, 5), issue(13, -1)]
    })
}

fn server() -> Server {
    let mut tenant = TenantConfig::seeded(1, 0);
    let app = tenant.apps[0].client_id;
    tenant.identities = vec![IdentityConfig {
        client_id: Guid(app.0 ^ 1),
        object_id: Guid(app.0 ^ 2),
        resource_id: "/subscriptions/1".into(),
        system: true,
        roles: AppConfig::all_roles(),
    }];
    let certificates = issued()
        .iter()
        .map(|issued| Credential::Certificate { pem: issued.certificate_pem.clone() });
    tenant.apps[0].credentials.extend(certificates);
    tenant.apps[0].credentials.push(Credential::Federated {
        issuer: "https://oidc.example".into(),
        subject: "system:serviceaccount:audit:collector".into(),
        audience: "api://AzureADTokenExchange".into(),
        key: 5,
    });
    let config = SimConfig {
        tenants: vec![tenant],
        days: 0.02,
        activities_per_hour: Span::new(60, 90),
        activity_days: 0.02,
        ..world()
    };
    Server::start(config, &Listen::default()).unwrap()
}

/// `run --once`, signing in with what `with` adds; `{dir}` stands for a directory.
fn run(server: &Server, dir: &Path, with: impl FnOnce(&mut Command)) -> Output {
    let (tenant, base) = (server.microsoft().tenants()[0].id, server.http_url());
    let mut command = program("run");
    command
        .args(["--once", "--log-level", "debug", "--lookback", "1h", "--progress", "never"])
        .args(["--tenant-id", &tenant.to_string(), "--login-url", &base, "--api-url", &base])
        .arg("--db")
        .arg(dir.join("state.db"));
    with(&mut command);
    command.output().unwrap()
}

fn client_id(server: &Server) -> String {
    server.microsoft().tenants()[0].apps[0].client_id.to_string()
}

/// It has collected, legally, with the credential of this name, and shows nothing of it.
#[track_caller]
fn assert_signed_in(server: &Server, dir: &Path, output: &Output, name: &str, secrets: &[&str]) {
    assert_code(output, 0);
    let log = text(&output.stderr);
    assert!(log.contains(&format!("signing in with {name}")), "{log}");
    assert!(0 < lines(&output.stdout).count());
    let mut microsoft = server.microsoft();
    let report = microsoft.report();
    assert!(report.is_legal(), "{:?}", report.illegal);
    let state = files(dir).into_iter().filter(|(name, _)| name.contains("state.db"));
    for (what, bytes) in state.chain([("the log".into(), output.stderr.clone())]) {
        for secret in secrets.iter().chain(&["Bearer ", "PRIVATE KEY"]).chain(&TOKEN_STARTS) {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{what} holds {secret:?}");
        }
    }
}

fn pem(issued: &Issued) -> String {
    format!("{}{}", issued.certificate_pem, issued.key_pem)
}

/// A line of the key that nobody else has.
fn key_line(issued: &Issued) -> &str {
    issued.key_pem.lines().nth(5).unwrap()
}

#[test]
fn a_certificate_signs_in_at_both_endpoints_in_both_forms() {
    let server = server();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.pem");
    fs::write(&path, pem(&issued()[0])).unwrap();
    for (endpoint, algorithm) in [("v2", "ps256"), ("v1", "rs256")] {
        let output = run(&server, dir.path(), |command| {
            command
                .args(["--client-id", &client_id(&server)])
                .args(["--token-endpoint", endpoint, "--certificate-algorithm", algorithm])
                .arg("--certificate-file")
                .arg(&path);
        });
        assert_code(&output, 0);
        let name = "the certificate CN=test";
        if endpoint == "v2" {
            assert_signed_in(&server, dir.path(), &output, name, &[key_line(&issued()[0])]);
        }
    }
    assert!(server.microsoft().report().is_legal());
}

#[test]
fn a_certificate_that_ends_soon_is_announced_and_one_that_has_ended_named() {
    let server = server();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.pem");
    let sign_in = |issued: &Issued| {
        fs::write(&path, pem(issued)).unwrap();
        run(&server, dir.path(), |command| {
            command.args(["--client-id", &client_id(&server)]).arg("--certificate-file").arg(&path);
        })
    };
    let soon = sign_in(&issued()[1]);
    assert_code(&soon, 0);
    assert!(text(&soon.stderr).contains(" expires in 5 days"), "{}", text(&soon.stderr));
    let ended = sign_in(&issued()[2]);
    // By Microsoft's time and word: the local clock alone is no reason not to try.
    assert_code(&ended, 1);
    let told = text(&ended.stderr);
    assert!(told.contains(" expired at ") && told.contains("sign-in refused: "), "{told}");
}

#[test]
fn a_federated_token_is_read_from_the_file_that_azure_names() {
    let server = server();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let app = server.microsoft().tenants()[0].apps[0].clone();
    server.microsoft().advance(now_ms());
    let token = server.microsoft().federated_token(&app, 3_600).unwrap();
    fs::write(&path, format!("{token}\n")).unwrap();
    let output = run(&server, dir.path(), |command| {
        command.env("AZURE_CLIENT_ID", client_id(&server)).env("AZURE_FEDERATED_TOKEN_FILE", &path);
    });
    assert_signed_in(&server, dir.path(), &output, "a federated token (auth auto)", &[&token]);
}

#[test]
fn a_managed_identity_signs_in_without_any_secret() {
    let server = server();
    let dir = tempfile::tempdir().unwrap();
    let metadata = format!("{}/metadata/identity/oauth2/token", server.http_url());
    let output = run(&server, dir.path(), |command| {
        command.args(["--auth", "managed_identity", "--managed-identity-endpoint", &metadata]);
    });
    let name = "the machine's managed identity from http://127.0.0.1";
    assert_signed_in(&server, dir.path(), &output, name, &[]);
    // One that a user assigned is named in one of three ways.
    let identity = server.microsoft().tenants()[0].identities[0].clone();
    let (client, object) = (identity.client_id.to_string(), identity.object_id.to_string());
    for (flag, id, code) in [
        ("--client-id", &client, 0),
        ("--managed-identity-object-id", &object, 0),
        ("--managed-identity-resource-id", &identity.resource_id, 0),
        ("--managed-identity-object-id", &client, 1),
    ] {
        let output = run(&server, dir.path(), |command| {
            command
                .args(["--auth", "managed_identity", "--managed-identity-endpoint", &metadata])
                .args([flag, id]);
        });
        assert_code(&output, code);
    }
}

#[test]
fn app_service_is_found_by_its_variables() {
    let server = server();
    let dir = tempfile::tempdir().unwrap();
    let endpoint = format!("{}/msi/token", server.http_url());
    let output = run(&server, dir.path(), |command| {
        command.env("IDENTITY_ENDPOINT", &endpoint).env("IDENTITY_HEADER", "sim-identity");
    });
    let name = "the machine's managed identity";
    assert_signed_in(&server, dir.path(), &output, name, &["sim-identity"]);
}

#[test]
fn what_is_wrong_with_a_certificate_is_a_configuration_error() {
    let server = server();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.pem");
    let told = |content: &str, password: Option<&str>| {
        fs::write(&path, content).unwrap();
        let output = run(&server, dir.path(), |command| {
            command.args(["--client-id", &client_id(&server)]).arg("--certificate-file").arg(&path);
            if let Some(password) = password {
                command.env("M365_AUDIT_CERTIFICATE_PASSWORD", password);
            }
        });
        assert_code(&output, 2);
        let told = text(&output.stderr).to_owned();
        assert!(!told.contains(PASSWORD) && !told.contains(key_line(&issued()[0])), "{told}");
        told
    };
    assert!(told(&issued()[0].certificate_pem, None).contains("holds no private key"));
    assert!(told(&issued()[0].key_pem, None).contains("holds no certificate"));
    let foreign = format!("{}{}", issued()[0].certificate_pem, issued()[1].key_pem);
    assert!(told(&foreign, None).contains("does not belong to a certificate"));
    assert!(told("nonsense", Some(PASSWORD)).contains("neither PEM text nor a PKCS#12 file"));
}
