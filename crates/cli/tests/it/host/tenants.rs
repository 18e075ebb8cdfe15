//! `host run` with a tenants file: an instance of the component for each tenant.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use m365_audit_test_support::needs::component;
use m365_sim::{Server, SimConfig};

use crate::support::kills::{Dice, run_and_kill};
use crate::support::{Running, assert_code, lines, program, text, world};
use crate::tenants::{arrived, collector, command, crowd, id, ids, server, table};

/// The command of `run`, for the component.
fn hosted(server: &Server, dir: &Path, component: &Path) -> Command {
    as_hosted(&command(server, dir), component)
}

fn as_hosted(run: &Command, component: &Path) -> Command {
    let mut hosted = program("host");
    hosted.arg("run").arg("--component").arg(component).args(run.get_args().skip(1));
    hosted
}

fn write(dir: &Path, tables: &[String]) {
    fs::write(dir.join("tenants.toml"), tables.concat()).unwrap();
}

#[test]
fn each_tenant_has_an_instance_and_one_that_is_refused_costs_the_others_nothing() {
    let Some(component) = component() else { return };
    let server = server(4);
    let dir = tempfile::tempdir().unwrap();
    let tables: Vec<_> = (0..4).map(|n| table(&server, n)).collect();
    let wrong = tables[1].replace("client_secret = \"", "client_secret = \"wrong");
    write(dir.path(), &[tables[0].clone(), wrong, tables[2].clone()]);
    let output = hosted(&server, dir.path(), &component).arg("--once").output().unwrap();
    assert_code(&output, 1);
    let log = text(&output.stderr);
    assert!(log.contains("t1: ") && log.contains("AADSTS7000215"), "{log}");
    assert_eq!(arrived(dir.path()), HashSet::from([id(&server, 0), id(&server, 2)]));
    // What many commit, one connection writes.
    assert!(log.contains("state: ") && log.contains(" commits in "), "{log}");
    let before = lines(&fs::read(dir.path().join("audit.ndjson")).unwrap()).count();

    // Of all tenants one alone.
    write(dir.path(), &tables);
    let mut one = hosted(&server, dir.path(), &component);
    assert_code(&one.args(["--once", "--tenant-id", "t2"]).output().unwrap(), 0);
    let after = lines(&fs::read(dir.path().join("audit.ndjson")).unwrap()).count();
    assert!(after < before + before / 10, "{before}, then {after}: its state was lost");
    assert_eq!(arrived(dir.path()).len(), 2);

    let output = hosted(&server, dir.path(), &component).arg("--once").output().unwrap();
    assert_code(&output, 0);
    assert!(text(&output.stderr).contains("complete: 4 tenants"), "{}", text(&output.stderr));
    assert_eq!(arrived(dir.path()), (0..4).map(|n| id(&server, n)).collect());
    assert!(server.microsoft().report().is_legal());
}

#[test]
fn tenants_of_components_come_and_go_without_a_restart() {
    let Some(component) = component() else { return };
    let server = server(3);
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[table(&server, 0), table(&server, 1)]);
    let mut command = hosted(&server, dir.path(), &component);
    command.args(["--status-listen", "127.0.0.1:0", "--metrics-detail", "tenant"]);
    let mut running = Running::start(command, dir.path().join("log"));
    running.wait_until("both collect", |_| arrived(dir.path()).len() == 2);
    write(dir.path(), &[table(&server, 1), table(&server, 2)]);
    running.wait_until("the third collects", |_| arrived(dir.path()).len() == 3);
    running.wait_until("the first has gone", |log| log.contains("t0: removed: stopping"));
    assert!(!running.log().contains("t1: changed"), "{}", running.log());
    let log = running.log();
    let (_, rest) = log.split_once("the status is shown at http://").unwrap();
    let (_, shown) = crate::status::get(rest.split_once('/').unwrap().0, "/metrics");
    let series = shown.lines().filter(|line| line.starts_with("m365_audit_lag_seconds{"));
    assert_eq!(series.count(), 2, "one of each tenant that is there: {shown}");
    assert!(shown.contains("packaging=\"host\"} 1\n"), "{shown}");
    running.stop();
}

#[test]
fn kills_of_many_components_lose_nothing() {
    let Some(component) = component() else { return };
    let dir = tempfile::tempdir().unwrap();
    let config = SimConfig { seed: 5, latency_ms: 20, subscribed: true, ..world() };
    let world = crowd(3, config, dir.path());
    let hosted = || as_hosted(&collector(&world, dir.path()), &component);
    let mut dice = Dice(11);
    for _ in 0..3 {
        run_and_kill(hosted(), &mut dice);
    }
    let output = hosted().arg("--once").output().unwrap();
    assert_code(&output, 0);
    let arrived: HashSet<String> = ids(dir.path()).into_iter().collect();
    let owed = world.owed_ids();
    assert_eq!(owed.difference(&arrived).count(), 0, "of {}", owed.len());
}
