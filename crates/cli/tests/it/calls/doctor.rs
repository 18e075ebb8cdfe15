//! What the doctor finds, in worlds with one thing wrong.

use m365_sim::{Fault, FaultPlan, Rate, SimConfig, Span};
use serde_json::Value;

use super::{say, searched, subscribed, with_tenant};
use crate::support::World;

/// The status of each check, the worst if there are several.
#[track_caller]
fn check(world: &World, flags: &[&str], code: i32, expected: &[(&str, &str, &str)]) -> Value {
    let words = [&["doctor", "--json"][..], flags].concat();
    let value = say(world, &words).must(code).json();
    assert_eq!(value["ok"], code == 0);
    let checks = value["tenants"][0]["checks"].as_array().unwrap();
    for (check, status, detail) in expected {
        let found = checks.iter().any(|line| {
            line["check"] == *check
                && line["status"] == *status
                && line.to_string().contains(detail)
        });
        assert!(found, "{check} {status} {detail}: {value:#}");
    }
    // Whatever is wrong says what to do.
    let mute = |line: &&Value| line["status"] != "ok" && line["remedy"].is_null();
    assert!(!checks.iter().any(|line| mute(&line)), "{value:#}");
    value
}

#[test]
fn a_tenant_that_is_set_up_is_well() {
    let world = World::new(subscribed());
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    let flags = ["--db", db.to_str().unwrap(), "--content-types", "Audit.Exchange, DLP.All"];
    let value = check(
        &world,
        &flags,
        0,
        &[
            ("sign-in", "ok", ""),
            ("token", "ok", "for this tenant"),
            ("cloud", "ok", ""),
            ("permission", "ok", "ActivityFeed.Read is granted"),
            ("permission", "ok", "ActivityFeed.ReadDlp is granted"),
            ("subscription", "ok", "DLP.All is enabled"),
            ("listing", "ok", "Audit.Exchange can be listed"),
            ("auditing", "ok", "on"),
            ("clock", "ok", ""),
            ("budget", "ok", "2,000"),
            ("db", "ok", "can be created"),
        ],
    );
    assert_eq!(value["tenants"][0]["status"], "ok");
    assert!(!db.exists(), "it changes nothing");
    let text = say(&world, &[&["doctor"][..], &flags].concat()).must(0).stdout;
    assert!(text.ends_with("all is well\n"), "{text}");
    assert!(world.microsoft().report().illegal.is_empty());
}

#[test]
fn a_wrong_credential_ends_the_look_and_the_rest_is_told() {
    let world = World::new(subscribed());
    let mut command = world.call(&["doctor", "--json"]);
    let output = command.env("M365_AUDIT_CLIENT_SECRET", "wr0ng").output().unwrap();
    let value = searched(&world, &output).must(1).json();
    let checks = value["tenants"][0]["checks"].as_array().unwrap();
    let line = |name: &str| checks.iter().find(|line| line["check"] == name);
    assert_eq!(line("sign-in").unwrap()["status"], "fail");
    assert!(line("sign-in").unwrap()["detail"].as_str().unwrap().contains("AADSTS7000215"));
    assert!(line("sign-in").unwrap()["remedy"].as_str().unwrap().contains("not its id"));
    for name in ["token", "permission", "subscription", "listing", "auditing"] {
        assert_eq!(line(name).unwrap()["status"], "not checked", "{name}: {value:#}");
    }
    assert!(line("clock").is_some() && line("db").is_some());
    let mut command = world.call(&["doctor"]);
    let output = command.env("M365_AUDIT_CLIENT_SECRET", "wr0ng").output().unwrap();
    let text = searched(&world, &output).must(1).stdout;
    assert!(text.ends_with("1 failure, 6 not checked, 1 warning\n"), "{text}");
}

#[test]
fn missing_permissions_are_named() {
    let dlp = with_tenant(subscribed(), |tenant| {
        tenant.apps[0].roles.retain(|role| !role.ends_with("ReadDlp"));
    });
    let world = World::new(dlp);
    check(&world, &[], 0, &[("permission", "ok", "not needed")]);
    check(
        &world,
        &["--content-types", "DLP.All"],
        1,
        &[("permission", "fail", "ReadDlp is missing"), ("listing", "fail", "AF10001")],
    );
    let none = with_tenant(subscribed(), |tenant| tenant.apps[0].roles.clear());
    check(
        &World::new(none),
        &[],
        1,
        &[("permission", "fail", "no permission at all"), ("subscription", "fail", "AF10001")],
    );
}

#[test]
fn subscriptions_that_are_missing_are_a_warning_if_the_collector_may_start_them() {
    let world = World::new(crate::support::world());
    // Nobody can know yet whether it will work: it is not called so.
    let missing = [
        ("subscription", "warn", "a collector starts it"),
        ("listing", "not checked", "only once its subscription is started"),
        ("auditing", "not checked", "only a start, or content, would tell"),
    ];
    check(&world, &[], 1, &missing);
    let text = say(&world, &["doctor"]).must(1).stdout;
    assert!(text.contains("no failures, 5 not checked"), "{text}");
    let flags = ["--start-subscriptions", "off"];
    check(&world, &flags, 1, &[("subscription", "fail", "start_subscriptions is off")]);
}

#[test]
fn a_tenant_without_auditing_is_not_said_to_work() {
    for subscribed in [false, true] {
        let quiet =
            SimConfig { subscribed, blobs_per_hour: Span::new(0, 0), ..crate::support::world() };
        let world = World::new(with_tenant(quiet, |tenant| tenant.auditing = false));
        let found = check(&world, &[], 1, &[("auditing", "not checked", "")]);
        assert!(found.to_string().contains("turn auditing on"), "{found}");
        let text = say(&world, &["doctor"]).must(1).stdout;
        assert!(!text.contains("works") && !text.contains("all is well"), "{text}");
    }
}

#[test]
fn a_feed_that_microsoft_denies_is_found_before_its_subscription_is_started() {
    let rates = [(Fault::DlpForbidden, Rate::Probability(1.0))].into();
    let faults = FaultPlan { rates, ..FaultPlan::none() };
    // The token has the role, and nothing else gives a hint.
    let world = World::new(SimConfig { faults, ..crate::support::world() });
    let expected =
        [("permission", "ok", "ReadDlp is granted"), ("listing", "fail", "DLP.All: AF10001")];
    check(&world, &["--content-types", "Audit.General, DLP.All"], 1, &expected);
}

#[test]
fn a_refusal_of_one_feed_without_a_code_blames_neither_token_nor_address() {
    let faults = [
        (Fault::DlpUnauthorized, "DLP.All: http-401"),
        (Fault::DlpUnexplained, "DLP.All: http-403"),
    ];
    for (fault, told) in faults {
        let rates = [(fault, Rate::Probability(1.0))].into();
        let faults = FaultPlan { rates, ..FaultPlan::none() };
        let world = World::new(SimConfig { faults, ..crate::support::world() });
        let expected = [("subscription", "warn", ""), ("listing", "fail", told)];
        check(&world, &["--content-types", "Audit.General, DLP.All"], 1, &expected);
    }
}

#[test]
fn a_wrong_clock_a_small_quota_and_an_unusable_db_are_found() {
    let rates = [(Fault::ClockSkew, Rate::Probability(1.0))].into();
    let faults = FaultPlan { rates, clock_skew_ms: 400_000, ..FaultPlan::none() };
    let world = World::new(SimConfig { faults, ..subscribed() });
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    std::fs::write(&db, "no database").unwrap();
    check(
        &world,
        &["--db", db.to_str().unwrap(), "--requests-per-minute", "5000"],
        1,
        &[
            ("clock", "fail", "behind Microsoft's"),
            ("budget", "warn", "5,000"),
            ("db", "fail", "not a SQLite file"),
        ],
    );
}

#[test]
fn a_tenant_without_licence_is_told() {
    let world = World::new(with_tenant(subscribed(), |tenant| tenant.licensed = false));
    check(&world, &[], 1, &[("subscription", "fail", "AF20012")]);
}

#[test]
fn a_running_collector_is_no_obstacle() {
    use std::io::Read;
    let world = World::new(subscribed());
    let dir = tempfile::tempdir().unwrap();
    let db = dir.path().join("state.db");
    let mut run = world.run();
    let run = run.arg("--db").arg(&db).stdout(std::process::Stdio::piped());
    let mut run = run.stderr(std::process::Stdio::null()).spawn().unwrap();
    // It has its db before its first line.
    run.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
    let told = check(&world, &["--db", db.to_str().unwrap()], 0, &[("db", "ok", "")]);
    drop(run.kill());
    drop(run.wait());
    assert!(told.to_string().contains("can be written"), "{told}");
}

#[test]
fn every_tenant_of_a_file_is_looked_at_and_a_mistake_in_one_leaves_the_others() {
    use m365_sim::TenantConfig;
    let tenants: Vec<_> = (0..3).map(|n| TenantConfig::seeded(4, n)).collect();
    let world = World::new(SimConfig { tenants: tenants.clone(), ..subscribed() });
    let dir = tempfile::tempdir().unwrap();
    let table = |name: &str, tenant: &TenantConfig, secret: &str| {
        format!(
            "[{name}]\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{secret}\"\n",
            tenant.id, tenant.apps[0].client_id
        )
    };
    let secret = |n: usize| tenants[n].apps[0].secret().unwrap();
    let text = [
        table("contoso", &tenants[0], secret(0)),
        table("fabrikam", &tenants[1], "wr0ng~secret"),
        table("tailspin", &tenants[2], secret(2)).replace("tenant_id", "tenantid"),
    ];
    let file = dir.path().join("tenants.toml");
    std::fs::write(&file, text.concat()).unwrap();
    let look = |more: &[&str]| {
        let mut command = world.call(&["doctor", "--json", "--tenants-file"]);
        command.arg(&file).args(more);
        for name in ["TENANT_ID", "CLIENT_ID", "CLIENT_SECRET"] {
            command.env_remove(format!("M365_AUDIT_{name}"));
        }
        searched(&world, &command.output().unwrap())
    };
    let value = look(&[]).must(1).json();
    let reports = value["tenants"].as_array().unwrap();
    let of = |name: &str| {
        let found = reports.iter().find(|r| r["tenant"].as_str().unwrap().starts_with(name));
        found.unwrap_or_else(|| panic!("{name}: {value:#}"))
    };
    assert_ne!(of("contoso")["status"], "fail", "{value:#}");
    assert!(of("contoso").to_string().contains("can be listed"));
    assert_eq!(of("fabrikam")["checks"][0]["status"], "fail");
    assert!(of("fabrikam").to_string().contains("AADSTS7000215"));
    assert_eq!(of("tailspin")["checks"][0]["check"], "settings");
    assert!(of("tailspin").to_string().contains("tenantid"), "{value:#}");
    for secret in [secret(0), secret(2), "wr0ng"] {
        assert!(!value.to_string().contains(secret));
    }
    // In short, the worst first: of two failures that with more.
    let value = look(&["--summary"]).must(1).json();
    let short = value["tenants"].as_array().unwrap();
    let statuses: Vec<_> = short.iter().map(|report| report["status"].as_str().unwrap()).collect();
    assert_eq!(statuses[..2], ["fail", "fail"], "{value:#}");
    assert_ne!(statuses[2], "fail", "{value:#}");
    assert_eq!(short.len(), 3);
    let fabrikam = short.iter().find(|r| r["tenant"].as_str().unwrap().starts_with("fabrikam"));
    assert!(fabrikam.unwrap()["detail"].as_str().unwrap().contains("AADSTS7000215"), "{value:#}");
    // One of them, by the name of its table.
    let value = look(&["--tenant-id", "contoso"]).must(0).json();
    assert_eq!(value["tenants"].as_array().unwrap().len(), 1, "{value:#}");
    let unknown = look(&["--tenant-id", "nobody"]).must(2).stderr;
    assert!(unknown.contains("name one of: contoso"), "{unknown}");
}

#[test]
fn a_state_that_a_run_refuses_is_found() {
    let world = World::new(subscribed());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.db");
    let tenant = world.microsoft().tenants()[0].id.to_string();
    let options = m365_audit_client::DbOptions {
        path: path.clone(),
        synchronous: "off".into(),
        journal_mode: "delete".into(),
        exclusive: false,
        server: None,
    };
    let put = |key: &str, value: &str| {
        let mut store = m365_audit_client::Store::open(Some(&options), &tenant).unwrap();
        let changes = [(key.to_owned(), Some(value.to_owned()))].into();
        store.commit(m365_audit_core::Commit { changes }).unwrap();
    };
    let flags = ["--db", path.to_str().unwrap()];
    put("version", "1");
    check(&world, &flags, 0, &[("db", "ok", "can be written")]);
    put("lane/Audit.Exchange", "{oops");
    let found = check(&world, &flags, 1, &[("db", "fail", "lane/Audit.Exchange")]);
    assert!(found.to_string().contains("restore the file from a backup"), "{found}");
    put("version", "99");
    check(&world, &flags, 1, &[("db", "fail", "has version 99")]);
}

#[test]
fn an_api_that_nobody_answers_is_named() {
    let world = World::new(subscribed());
    let nobody = ["--api-url", "http://127.0.0.1:9", "--request-timeout", "1"];
    let fail = |detail: &'static str| ("subscription", "fail", detail);
    let expected = [fail("http://127.0.0.1:9"), fail("check the network, proxy_url")];
    check(&world, &nobody, 1, &expected);
}
