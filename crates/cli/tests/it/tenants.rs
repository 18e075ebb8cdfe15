//! `run` with a tenants file, as a user would.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use m365_audit_client::{DbOptions, Store};
use m365_sim::{Listen, Server, SimConfig, Span, TenantConfig};

use crate::support::kills::{Dice, kills, run_and_kill};
use crate::support::{Running, World, assert_code, id as record_id, lines, program, text, world};

pub(crate) fn server(tenants: u64) -> Server {
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
pub(crate) fn arrived(dir: &Path) -> HashSet<String> {
    let output = fs::read_to_string(dir.join("audit.ndjson")).unwrap_or_default();
    let whole = output.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole
        .filter_map(|line| {
            let (_, rest) = line.split_once("\"tenant_id\":\"")?;
            Some(rest[..36].to_owned())
        })
        .collect()
}

pub(crate) fn id(server: &Server, n: usize) -> String {
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

/// By the name that the configuration gives it, and in headings its GUID behind it.
#[test]
fn a_tenant_is_called_the_same_everywhere() {
    let server = server(2);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tenants.toml");
    fs::write(&file, format!("{}{}", table(&server, 0), table(&server, 1))).unwrap();
    let output = command(&server, dir.path()).arg("--once").output().unwrap();
    assert_code(&output, 0);
    let log = text(&output.stderr);
    assert!(log.lines().any(|line| line.contains(" INFO  t1: signed in")), "{log}");
    let (base, db) = (server.http_url(), dir.path().join("state.db"));
    let ids = [0, 1].map(|n| id(&server, n));
    let look = |words: &[&str], file: Option<&Path>| {
        let mut command = program(words[0]);
        command.args(&words[1..]).arg("--db").arg(&db);
        command.env("M365_AUDIT_LOGIN_URL", &base).env("M365_AUDIT_API_URL", &base);
        command.args(file.map(|_| "--tenants-file")).args(file);
        let output = command.output().unwrap();
        format!("{}{}", text(&output.stdout), text(&output.stderr))
    };
    let span = ["--since", "1h", "--until", "now"];
    let replay = ["replay", "--tenant", "t1", "--yes", span[0], span[1], span[2], span[3]];
    for words in [
        &["report"][..],
        &["state", "show"],
        &["state", "show", "--tenant-id", "t1"],
        &["state", "acknowledge"],
        &replay,
        &["doctor"],
    ] {
        let told = look(words, Some(&file));
        assert!(told.contains(&format!("tenant t1 ({})", ids[1])), "{words:?}: {told}");
    }
    // Without a name it is the GUID.
    for words in [&["report"][..], &["state", "show"], &["state", "acknowledge"]] {
        let told = look(words, None);
        assert!(told.contains(&format!("tenant {}", ids[1])), "{words:?}: {told}");
    }
    // In rows the name alone.
    for words in [&["top", "--once"][..], &["consent"], &["doctor", "--summary"]] {
        let told = look(words, Some(&file));
        let row = told.lines().find(|line| line.contains("t1")).unwrap_or_default();
        assert!(!row.contains(&ids[1]) || words[0] == "consent", "{words:?}: {told}");
        assert!(!row.is_empty(), "{words:?}: {told}");
    }
    let shown: serde_json::Value =
        serde_json::from_str(&look(&["state", "show", "--json"], Some(&file))).unwrap();
    let names = shown.as_array().unwrap().iter().map(|tenant| tenant["tenant_name"].as_str());
    assert_eq!(names.collect::<HashSet<_>>(), [Some("t0"), Some("t1")].into());
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
    running.wait_until("the mistake is told", |log| log.contains("keeping the previous tenants"));

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

/// A world of many tenants in which every record has an id, and a file with all their tables.
pub(crate) fn crowd(tenants: u64, config: SimConfig, dir: &Path) -> World {
    let all: Vec<_> = (0..tenants).map(|n| TenantConfig::seeded(7, n)).collect();
    let world = World::new(SimConfig { tenants: all, oddness: 0.0, ..config });
    let microsoft = world.microsoft();
    let table = |(n, tenant): (usize, &TenantConfig)| {
        let (id, app) = (tenant.id, &tenant.apps[0]);
        let (client, secret) = (app.client_id, app.secret().unwrap());
        format!(
            "[t{n}]\ntenant_id = \"{id}\"\nclient_id = \"{client}\"\nclient_secret = \"{secret}\"\n"
        )
    };
    let tables: String = microsoft.tenants().iter().enumerate().map(table).collect();
    drop(microsoft);
    fs::write(dir.join("tenants.toml"), tables).unwrap();
    world
}

pub(crate) fn collector(world: &World, dir: &Path) -> Command {
    let base = world.http_url();
    let mut command = program("run");
    command.args(["--lookback", "3h", "--progress", "never", "--interval-sec", "1"]).args([
        "--login-url",
        &base,
        "--api-url",
        &base,
    ]);
    for (flag, file) in
        [("--tenants-file", "tenants.toml"), ("--db", "state.db"), ("--output", "audit.ndjson")]
    {
        command.arg(flag).arg(dir.join(file));
    }
    command
}

/// How often each record has arrived.
pub(crate) fn ids(dir: &Path) -> Vec<String> {
    let written = fs::read(dir.join("audit.ndjson")).unwrap_or_default();
    let whole = written.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    lines(&written[..whole]).map(record_id).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn many_tenants_run_on_few_threads_with_one_state_and_nothing_comes_twice() {
    const TENANTS: usize = 60;
    let dir = tempfile::tempdir().unwrap();
    let config = SimConfig { days: 0.05, blobs_per_hour: Span::new(2, 3), ..world() };
    let world = crowd(TENANTS as u64, config, dir.path());
    let owed = world.owed_ids();
    let mut command = collector(&world, dir.path());
    command.args(["--workers", "2"]);
    let mut running = Running::start(command, dir.path().join("log"));
    running.wait_until("all arrives", |_| {
        let arrived: HashSet<String> = ids(dir.path()).into_iter().collect();
        owed.is_subset(&arrived)
    });
    let count = |what: &str| fs::read_dir(format!("/proc/{}/{what}", running.id())).unwrap();
    let threads = count("task").count();
    assert!(threads <= 16, "{threads} threads");
    let is_state = |link: &Path| fs::read_link(link).is_ok_and(|to| to.ends_with("state.db"));
    let states = count("fd").filter(|entry| is_state(&entry.as_ref().unwrap().path())).count();
    assert_eq!(states, 1, "one connection for all");
    running.stop();
    let log = running.log();
    assert!(!log.contains(" ERROR "), "{log}");
    let all = ids(dir.path());
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "nothing comes twice");
    let words: Vec<_> = log.lines().filter(|line| line.contains("commits in")).collect();
    assert_eq!(words.len(), 1, "{log}");
    assert!(world.microsoft().report().is_legal());
}

#[test]
fn killed_at_any_moment_many_tenants_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    // A start of which nobody knows whether it was sent may not be repeated for a quarter of an
    // hour.
    let config = SimConfig { seed: 3, latency_ms: 20, subscribed: true, ..world() };
    let world = crowd(12, config, dir.path());
    let mut dice = Dice(15);
    for _ in 0..kills().div_ceil(4) {
        run_and_kill(collector(&world, dir.path()), &mut dice);
    }
    let output = collector(&world, dir.path()).arg("--once").output().unwrap();
    assert_code(&output, 0);
    let arrived: HashSet<String> = ids(dir.path()).into_iter().collect();
    let owed = world.owed_ids();
    let lost: Vec<_> = owed.difference(&arrived).collect();
    assert!(lost.is_empty(), "{} of {} are lost", lost.len(), owed.len());
    assert!(world.microsoft().report().is_legal());
}

#[test]
fn a_state_that_another_process_has_locked_is_told_with_who_that_is() {
    let server = server(2);
    let dir = tempfile::tempdir().unwrap();
    let tables = format!("{}{}", table(&server, 0), table(&server, 1));
    fs::write(dir.path().join("tenants.toml"), tables).unwrap();
    let options = DbOptions {
        path: dir.path().join("state.db"),
        synchronous: "full".into(),
        journal_mode: "wal".into(),
        exclusive: true,
        server: None,
    };
    let store = Store::open(Some(&options), "another").unwrap();
    let output = command(&server, dir.path()).arg("--once").output().unwrap();
    assert_code(&output, 1);
    let log = text(&output.stderr);
    assert!(log.contains("state.db: locked by another process"), "{log}");
    if cfg!(target_os = "linux") {
        let own = format!("locked by another process, {} (", std::process::id());
        assert!(log.contains(&own), "{log}");
    }
    assert!(arrived(dir.path()).is_empty());
    drop(store);
    assert_code(&command(&server, dir.path()).arg("--once").output().unwrap(), 0);
    assert_eq!(arrived(dir.path()).len(), 2);
}

#[test]
fn the_address_of_consent_is_told_for_each_tenant_and_cloud() {
    let dir = tempfile::tempdir().unwrap();
    let (id, app) = ("00000000-0000-0000-0000-00000000000", "00000000-0000-0000-0000-0000000000aa");
    let tables = format!(
        "[contoso]\ntenant_id = \"{id}1\"\n\
         [fabrikam]\ntenant_id = \"{id}2\"\ncloud = \"gcc-high\"\n\
         [broken]\ntenant_id = \"{id}\"\n"
    );
    fs::write(dir.path().join("tenants.toml"), tables).unwrap();
    let mut command = program("consent");
    command.args(["--json", "--client-id", app, "--tenants-file"]);
    command.arg(dir.path().join("tenants.toml")).env("M365_AUDIT_CLIENT_SECRET", "s3cret");
    let output = command.output().unwrap();
    assert_code(&output, 1);
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let addresses: Vec<_> = told.as_array().unwrap().iter().map(|one| &one["address"]).collect();
    assert_eq!(
        addresses,
        [
            &format!("https://login.microsoftonline.com/{id}1/adminconsent?client_id={app}"),
            &format!("https://login.microsoftonline.us/{id}2/adminconsent?client_id={app}"),
        ]
    );
    assert!(text(&output.stderr).contains("[broken]: tenant_id"), "{}", text(&output.stderr));
}

#[test]
fn a_file_of_a_folder_that_becomes_useless_stops_none_of_its_tenants() {
    let server = server(3);
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("tenants.toml");
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    write("a.toml", &table(&server, 0));
    write("b.toml", &table(&server, 1));
    let mut running = Running::start(command(&server, dir.path()), dir.path().join("log"));
    running.wait_until("both collect", |_| arrived(dir.path()).len() == 2);
    write("a.toml", "[t0");
    write("c.toml", &table(&server, 2));
    running.wait_until("the third collects", |_| arrived(dir.path()).len() == 3);
    assert!(running.log().contains("a.toml\": not TOML, line 1"), "{}", running.log());
    assert!(!running.log().contains("t0: removed"), "{}", running.log());
    fs::remove_file(folder.join("a.toml")).unwrap();
    running.wait_until("the first has gone", |log| log.contains("t0: removed: stopping"));
    running.stop();
    let written = fs::read_to_string(dir.path().join("audit.ndjson")).unwrap();
    let named = |line: &str| {
        ["t0", "t1", "t2"].iter().any(|name| line.contains(&format!("\"tenant_name\":\"{name}\"")))
    };
    assert!(written.lines().all(named), "each record says whose it is");
}
