//! The component signs in with a certificate: the simulator checks signature, thumbprint, audience
//! and times.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use m365_audit_test_support::needs::component;
use m365_sim::{Credential, Issued, SimConfig, TenantConfig, issue_certificate};

use crate::support::{World, assert_code, files, text, world};

const DAY_MS: i64 = 86_400_000;
const PASSWORD: &str = "c0rrect~horse";

/// Valid for five more days, with an app that knows it.
fn issued() -> (Issued, World) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now_ms = i64::try_from(since.as_millis()).unwrap();
    let issued = issue_certificate(12, "hosted", now_ms - DAY_MS, now_ms + 5 * DAY_MS);
    let mut tenant = TenantConfig::seeded(1, 0);
    let pem = issued.certificate_pem.clone();
    tenant.apps[0].credentials.push(Credential::Certificate { pem });
    (issued, World::new(SimConfig { tenants: vec![tenant], ..world() }))
}

fn hosted(world: &World, command: &str, component: &Path, pem: &str) -> Command {
    let mut command = world.host(command, component);
    command.env_remove("M365_AUDIT_CLIENT_SECRET").env("M365_AUDIT_CERTIFICATE", pem);
    command
}

#[test]
fn a_certificate_signs_in_in_both_forms_with_an_encrypted_key_too_and_its_end_is_announced() {
    let Some(component) = component() else { return };
    let (issued, world) = issued();
    let encrypted = issued.encrypted_key_pem(PASSWORD);
    for (endpoint, algorithm, key) in [
        ("v2", "ps256", &issued.key_pem),
        ("v1", "rs256", &issued.key_pem),
        ("v2", "ps256", &encrypted),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let pem = format!("{}{key}", issued.certificate_pem);
        let mut command = hosted(&world, "run", &component, &pem);
        command.env("M365_AUDIT_CERTIFICATE_PASSWORD", PASSWORD);
        command.args(["--token-endpoint", endpoint, "--certificate-algorithm", algorithm]);
        let output = world.collect(&mut command, dir.path());
        let log = text(&output.stderr);
        assert!(log.contains("signing in with the certificate CN=hosted (thumbprint "), "{log}");
        assert!(log.contains(" expires in 5 days"), "{log}");
        let key_line = issued.key_pem.lines().nth(5).unwrap().as_bytes();
        let state = files(dir.path());
        let state = state.iter().map(|(name, bytes)| (&**name, bytes));
        for (name, bytes) in state.chain([("the log", &output.stderr)]) {
            world.assert_clean(name, bytes);
            for secret in [key_line, PASSWORD.as_bytes()] {
                assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{name}");
            }
        }
    }
}

#[test]
fn a_key_that_cannot_be_used_is_a_configuration_error_with_the_remedy() {
    let Some(component) = component() else { return };
    let (issued, world) = issued();
    let told = |key: &str, password: Option<&str>| {
        let pem = format!("{}{key}", issued.certificate_pem);
        let mut command = hosted(&world, "check", &component, &pem);
        let password = password.map(|password| ("M365_AUDIT_CERTIFICATE_PASSWORD", password));
        let output = command.envs(password).output().unwrap();
        assert_code(&output, 2);
        text(&output.stderr).to_owned()
    };
    let encrypted = issued.encrypted_key_pem(PASSWORD);
    let missing = told(&encrypted, None);
    assert!(missing.contains("certificate_password is missing"), "{missing}");
    let wrong = told(&encrypted, Some("wr0ng~horse"));
    assert!(wrong.contains("certificate_password is wrong") && !wrong.contains("wr0ng"), "{wrong}");
    let foreign = issue_certificate(13, "other", DAY_MS, 2 * DAY_MS).key_pem;
    let foreign = told(&foreign, None);
    assert!(foreign.contains("does not belong to a certificate"), "{foreign}");
    assert_eq!(world.microsoft().report().operations.get("token"), None);
}
