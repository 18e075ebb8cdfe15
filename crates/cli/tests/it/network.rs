//! `run` and `host` with sinks over a network: the same records as lines have, whatever the
//! receiver does; and nothing counts that it has not acknowledged.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::process::{Command, Output};

use m365_audit_test_support::needs::component;
use m365_audit_test_support::otel::{Behaviour, Manners, Otel, attribute};
use m365_audit_test_support::peer::{self, Peer};
use m365_sim::{Listen, Server, SimConfig, TenantConfig};

use crate::output::Place;
use crate::support::kills::{Dice, kills, run_and_kill, slow_world};
use crate::support::{Running, World, assert_code, id, lines, program, text, world};

/// To this receiver, byte for byte.
fn to(mut command: Command, otel: &Otel) -> Command {
    command.args(["--sink", "otlp", "--otlp-endpoint", otel.url(), "--otlp-body", "text"]);
    command
}

fn run(place: &Place, world: &World, otel: &Otel) -> Command {
    to(place.run_to_stdout(world), otel)
}

fn once(mut command: Command) -> Output {
    command.arg("--once").output().unwrap()
}

/// Every record that is owed has arrived, and none that was not published.
#[track_caller]
fn assert_complete(world: &World, otel: &Otel) {
    let texts = otel.texts();
    let keys = world.keys(texts.iter().map(String::as_bytes));
    let missing = world.owed().difference(&keys).count();
    assert_eq!(missing, 0, "of {}", world.owed().len());
}

#[test]
fn a_receiver_has_what_lines_have() {
    let world = World::new(world());
    let place = Place::new();
    let plain = once(place.run_to_stdout(&world));
    assert_code(&plain, 0);
    let expected: BTreeSet<_> = lines(&plain.stdout).map(|line| text(line).to_owned()).collect();
    let check = |what: &str, command: &dyn Fn(&Otel) -> Command| {
        let otel = Otel::start(Behaviour::default());
        let output = once(command(&otel));
        assert_code(&output, 0);
        assert!(output.stdout.is_empty(), "{what}");
        world.assert_clean("stderr", &output.stderr);
        let texts = otel.texts();
        assert_eq!(texts.len(), expected.len(), "{what}");
        assert_eq!(texts.into_iter().collect::<BTreeSet<_>>(), expected, "{what}");
        otel.arrived()
    };
    let place = Place::new();
    let arrived = check("run", &|otel| run(&place, &world, otel));
    let tenant = world.microsoft().tenants()[0].id.to_string();
    for one in &arrived {
        assert_eq!(attribute(&one.resource, "m365.tenant.id"), Some(&*tenant));
        for name in ["m365.content_type", "m365.content_id", "m365.content_created"] {
            assert!(attribute(&one.record.attributes, name).is_some(), "{name}");
        }
    }
    let place = Place::new();
    let arrived = check("run without metadata", &|otel| {
        let mut command = run(&place, &world, otel);
        command.arg("--metadata=off");
        command
    });
    assert!(arrived.iter().all(|one| one.record.attributes.is_empty()));
    let Some(component) = component() else { return };
    let dir = tempfile::tempdir().unwrap();
    let arrived = check("host", &|otel| {
        let mut command = to(world.host("run", &component), otel);
        command.arg("--db").arg(dir.path().join("state.db"));
        command
    });
    let is_known = |name: &str| attribute(&arrived[0].record.attributes, name).is_some();
    assert!(is_known("m365.content_id"));
}

#[test]
fn events_of_run_reach_a_forward_receiver() {
    let world = World::new(SimConfig { oddness: 0.0, ..world() });
    let place = Place::new();
    let peer = Peer::start(peer::Behaviour::default());
    let mut command = place.run_to_stdout(&world);
    command.args(["--sink", "forward", "--forward-address", peer.address()]);
    assert_code(&once(command), 0);
    let ids = peer.arrived().into_iter().map(|it| it.record["Id"].as_str().unwrap().to_owned());
    assert!(world.owed_ids().is_subset(&ids.collect()));
}

#[test]
fn a_storm_of_refusals_loses_nothing() {
    fn stormy(number: u32) -> Manners {
        match number % 4 {
            0 => Manners::Take,
            1 => Manners::Refuse(429, "retry-after: 0"),
            2 => Manners::Refuse(503, "retry-after: 1"),
            _ => Manners::TakeAndHangUp,
        }
    }
    let world = World::new(world());
    let place = Place::new();
    let otel = Otel::start(Behaviour { usually: Some(stormy), ..Behaviour::default() });
    let output = once(run(&place, &world, &otel));
    assert_code(&output, 0);
    assert_complete(&world, &otel);
    let log = text(&output.stderr);
    assert!(log.contains("answer 429; trying again in 1 s"), "{log}");
    assert!(log.contains("records are taken again"), "{log}");
}

#[test]
fn a_receiver_that_stalls_is_asked_again() {
    let world = World::new(world());
    let place = Place::new();
    let manners = HashMap::from([(1, Manners::Stall)]);
    let otel = Otel::start(Behaviour { manners, ..Behaviour::default() });
    let mut command = run(&place, &world, &otel);
    command.args(["--otlp-timeout", "1"]);
    let output = once(command);
    assert_code(&output, 0);
    assert_complete(&world, &otel);
    let log = text(&output.stderr);
    assert!(log.contains("no answer within 1 s (otlp.timeout); trying again"), "{log}");
}

#[test]
fn records_that_are_refused_for_good_are_a_loss() {
    let world = World::new(world());
    let check = |what: &str, db: &Path, command: &dyn Fn(&Otel) -> Command| {
        let manners = HashMap::from([(1, Manners::Partly(2, "too old"))]);
        let otel = Otel::start(Behaviour { manners, ..Behaviour::default() });
        let mut command = command(&otel);
        let metrics = db.with_file_name("metrics.prom");
        command.arg("--metrics-file").arg(&metrics);
        let output = once(command);
        let metrics = std::fs::read_to_string(metrics);
        let metrics = metrics.unwrap_or_else(|error| panic!("{what}: {error}: {output:?}"));
        let counted = |line: &str| line.contains("records_rejected_total{") && line.ends_with(" 2");
        assert!(metrics.lines().any(counted), "{what}: {metrics}");
        let log = text(&output.stderr);
        let told = "/v1/logs: 2 records were refused for good, and are dropped: \"too old\"";
        assert!(log.contains(told), "{what}: {log}");
        let state = program("state").args(["show", "--db"]).arg(db).output().unwrap();
        let shown = text(&state.stdout);
        assert!(shown.contains("2 records refused for good by the receiver"), "{what}: {shown}");
        assert_code(&output, 1);
    };
    let place = Place::new();
    check("run", &place.db(), &|otel| run(&place, &world, otel));
    let Some(component) = component() else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    check("host", &db, &|otel| {
        let mut command = to(world.host("run", &component), otel);
        command.arg("--db").arg(&db);
        command
    });
}

#[test]
fn a_refusal_that_lasts_stops_with_a_remedy_and_the_state_stays() {
    let world = World::new(world());
    let place = Place::new();
    let refusing = Otel::start(Behaviour {
        usually: Some(|_| Manners::Refuse(403, "")),
        ..Behaviour::default()
    });
    // Without --once as well: nobody helps by waiting.
    let output = run(&place, &world, &refusing).output().unwrap();
    assert_code(&output, 1);
    let log = text(&output.stderr);
    assert!(log.contains("answer 403; remedy: look at otlp.headers"), "{log}");
    let otel = Otel::start(Behaviour::default());
    assert_code(&once(run(&place, &world, &otel)), 0);
    assert_complete(&world, &otel);
    assert_eq!(refusing.count(), 0);
}

#[test]
fn a_stop_waits_for_no_receiver() {
    let world = World::new(world());
    let place = Place::new();
    let otel = Otel::start(Behaviour { usually: Some(|_| Manners::Stall), ..Behaviour::default() });
    let mut running = Running::start(run(&place, &world, &otel), place.path("log"));
    otel.wait_for_requests(1);
    running.signal("-TERM");
    running.wait();
    let otel = Otel::start(Behaviour::default());
    assert_code(&once(run(&place, &world, &otel)), 0);
    assert_complete(&world, &otel);
}

/// A service with three tenants, and a place with a file of them: names and ids.
fn three_tenants() -> (Server, Place, BTreeSet<(String, String)>) {
    let tenants = (0..3).map(|n| TenantConfig::seeded(7, n)).collect();
    let config = SimConfig { tenants, days: 0.02, ..world() };
    let server = Server::start(config, &Listen::default()).unwrap();
    let place = Place::new();
    let mut tables = String::new();
    let mut named = BTreeSet::new();
    for (n, tenant) in server.microsoft().tenants().iter().enumerate() {
        let app = &tenant.apps[0];
        let (id, client, secret) = (tenant.id.to_string(), app.client_id, app.secret().unwrap());
        tables.push_str(&format!(
            "[t{n}]\ntenant_id = \"{id}\"\nclient_id = \"{client}\"\nclient_secret = \"{secret}\"\n"
        ));
        named.insert((format!("t{n}"), id));
    }
    std::fs::write(place.path("tenants.toml"), tables).unwrap();
    (server, place, named)
}

fn of_tenants(server: &Server, place: &Place, otel: &Otel) -> Command {
    let base = server.http_url();
    let mut command = to(program("run"), otel);
    command
        .args(["--lookback", "1h", "--progress", "never"])
        .args(["--login-url", &base, "--api-url", &base, "--tenants-file"])
        .arg(place.path("tenants.toml"))
        .arg("--db")
        .arg(place.db());
    command
}

#[test]
fn each_tenant_is_told_apart() {
    let (server, place, named) = three_tenants();
    let otel = Otel::start(Behaviour::default());
    assert_code(&once(of_tenants(&server, &place, &otel)), 0);
    let arrived = otel.arrived();
    let told = |name: &str, n: usize| attribute(&arrived[n].resource, name).unwrap().to_owned();
    let tenants: BTreeSet<_> = (0..arrived.len())
        .map(|n| (told("m365.tenant.name", n), told("m365.tenant.id", n)))
        .collect();
    assert_eq!(tenants, named);
}

#[test]
fn a_refusal_that_lasts_ends_the_run_of_the_tenant_that_met_it() {
    let (server, place, ids) = three_tenants();
    let manners = HashMap::from([(1, Manners::Refuse(403, ""))]);
    let otel = Otel::start(Behaviour { manners, ..Behaviour::default() });
    let mut running = Running::start(of_tenants(&server, &place, &otel), place.path("log"));
    let arrived = || -> BTreeSet<String> {
        let arrived = otel.arrived();
        let told = arrived.iter().map(|one| attribute(&one.resource, "m365.tenant.id"));
        told.map(|id| id.unwrap().to_owned()).collect()
    };
    let ids: BTreeSet<_> = ids.into_iter().map(|(_, id)| id).collect();
    running.wait_until("all of them, the one that was refused too", |_| arrived() == ids);
    let log = running.log();
    let told =
        |line: &&str| line.contains("answer 403; remedy: ") && line.contains("starting again");
    assert_eq!(log.lines().filter(told).count(), 1, "{log}");
    running.stop();
}

#[test]
fn what_has_no_effect_over_a_network_is_refused() {
    let world = World::new(world());
    let place = Place::new();
    let otel = Otel::start(Behaviour::default());
    for (words, told) in [
        (
            &["--output", "x.ndjson"][..],
            "output = \"x.ndjson\": without effect, because records go",
        ),
        (&["--output-keep", "3", "--output-rotate-after", "1h"], "output_rotate_after: without"),
        (&["--otlp-body", "xml"], "otlp.body = \"xml\": not a value of this option"),
    ] {
        let output = once({
            let mut command = place.run_to_stdout(&world);
            command.args(["--sink", "otlp", "--otlp-endpoint", otel.url()]).args(words);
            command
        });
        assert_code(&output, 2);
        assert!(text(&output.stderr).contains(told), "{}", text(&output.stderr));
    }
}

#[test]
fn kills_lose_no_record_of_a_receiver() {
    let world = slow_world(3);
    let place = Place::new();
    let otel = Otel::start(Behaviour::default());
    let sending = || {
        let mut command = run(&place, &world, &otel);
        command.args(["--max-in-flight", "2", "--requests-per-minute", "100000"]);
        command
    };
    let (mut dice, mut busy) = (Dice(3), 0);
    for _ in 0..kills() {
        let before = otel.count();
        run_and_kill(sending(), &mut dice);
        busy += u64::from(before < otel.count());
    }
    assert_code(&once(sending()), 0);
    let texts = otel.texts();
    let ids: HashSet<_> = texts.iter().map(|text| id(text.as_bytes())).collect();
    let owed = world.owed_ids();
    let missing = owed.difference(&ids).count();
    println!(
        "{} kills ({busy} after something was taken): {missing} of {} missing, {} arrived twice",
        kills(),
        owed.len(),
        texts.len() - ids.len()
    );
    assert_eq!(missing, 0, "of {}", owed.len());
    assert!(kills() / 8 <= busy, "hardly a kill while it sent: {busy} of {}", kills());
}
