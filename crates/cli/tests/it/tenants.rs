//! `run` with a tenants file, as a user would.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use m365_sim::{Listen, Server, SimConfig, TenantConfig};

use crate::support::{Running, assert_code, program, text, world};

fn server(tenants: u64) -> Server {
    let tenants = (0..tenants).map(|n| TenantConfig::seeded(7, n)).collect();
    let config = SimConfig { tenants, days: 0.02, ..world() };
    Server::start(config, &Listen::default()).unwrap()
}

/// The table of a tenant.
pub(crate) fn table(server: &Server, n: usize) -> String {
    let microsoft = server.microsoft();
    let tenant = &microsoft.tenants()[n];
    let app = &tenant.apps[0];
    format!(
        "[t{n}]\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\n",
        tenant.id,
        app.client_id,
        app.secret().unwrap()
    )
}

/// `run` with the tenants file of a folder, and its output and state there.
pub(crate) fn command(server: &Server, dir: &Path) -> Command {
    let base = server.http_url();
    let mut command = program("run");
    command
        .args(["--metadata", "--lookback", "1h", "--progress", "never", "--interval-sec", "1"])
        .args(["--login-url", &base, "--api-url", &base])
        .arg("--tenants-file")
        .arg(dir.join("tenants.toml"))
        .arg("--db")
        .arg(dir.join("state.db"))
        .arg("--output")
        .arg(dir.join("audit.ndjson"));
    command
}

/// The tenants whose records have arrived.
fn arrived(dir: &Path) -> HashSet<String> {
    let output = fs::read_to_string(dir.join("audit.ndjson")).unwrap_or_default();
    let whole = output.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole
        .filter_map(|line| {
            let (_, rest) = line.split_once("\"tenant_id\":\"")?;
            Some(rest[..36].to_owned())
        })
        .collect()
}

fn id(server: &Server, n: usize) -> String {
    server.microsoft().tenants()[n].id.to_string()
}

#[test]
fn once_collects_all_tenants_into_one_file() {
    let server = server(3);
    let dir = tempfile::tempdir().unwrap();
    let text_of = |n| table(&server, n);
    let tables: String = (0..3).map(text_of).collect();
    fs::write(dir.path().join("tenants.toml"), tables).unwrap();
    let output = command(&server, dir.path()).arg("--once").output().unwrap();
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("complete: 3 tenants"), "{}", text(&output.stderr));
    assert_eq!(arrived(dir.path()), (0..3).map(|n| id(&server, n)).collect());
    assert!(server.microsoft().report().is_legal());
}

#[test]
fn a_mistake_in_one_table_is_told_and_the_others_run() {
    let server = server(2);
    let dir = tempfile::tempdir().unwrap();
    let broken = "[broken]\ntenant_id = \"contoso\"\nclient_secret = \"s3cret\"\nintervall = 1\n";
    let wrong = table(&server, 1).replace("client_secret = \"", "client_secret = \"wrong");
    let tables = format!("{}{wrong}{broken}", table(&server, 0));
    fs::write(dir.path().join("tenants.toml"), tables).unwrap();
    let output = command(&server, dir.path()).arg("--once").output().unwrap();
    assert_code(&output, 1);
    let log = text(&output.stderr);
    assert!(log.contains("tenants.toml [broken]: tenant_id = \"contoso\": not a GUID"), "{log}");
    assert!(log.contains("tenants.toml [broken]: intervall: no such option"), "{log}");
    assert!(log.contains("t1: sign-in refused: AADSTS7000215"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
    assert_eq!(arrived(dir.path()), HashSet::from([id(&server, 0)]));

    fs::write(dir.path().join("tenants.toml"), broken).unwrap();
    assert_code(&command(&server, dir.path()).output().unwrap(), 2);
}

#[test]
fn tenants_come_go_and_change_without_a_restart() {
    let server = server(3);
    let dir = tempfile::tempdir().unwrap();
    let (path, log) = (dir.path().join("tenants.toml"), dir.path().join("log"));
    let write = |text: &str| fs::write(&path, text).unwrap();
    write(&format!("{}{}", table(&server, 0), table(&server, 1)));
    let mut running = Running::start(command(&server, dir.path()), log);
    running.wait_until("both collect", |_| arrived(dir.path()).len() == 2);

    // One goes, one comes, one stays.
    write(&format!("{}{}", table(&server, 1), table(&server, 2)));
    running.wait_until("the third collects", |_| arrived(dir.path()).len() == 3);
    running.wait_until("the first has gone", |log| log.contains("t0: removed: stopping"));
    assert!(!running.log().contains("t1: changed"), "{}", running.log());

    write("[t1]\nclient_secret = ");
    running.wait_until("the mistake is told", |log| log.contains("collected further"));

    let changed = format!("{}lookback = \"2h\"\n{}", table(&server, 1), table(&server, 2));
    write(&changed);
    running.wait_until("the second changes", |log| log.contains("t1: changed: stopping"));
    running.wait_until("it runs again", |log| {
        1 < log.matches("t1: continuing to collect").count()
            + log.matches("t1: starting to collect").count()
    });

    running.stop();
    assert!(server.microsoft().report().is_legal());
}
