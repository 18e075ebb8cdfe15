//! What users get wrong: told at once, completely, without secrets, and with a remedy.

use std::collections::HashSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use fluent_bit_plugin_harness::until;
use m365_sim::{AppConfig, ContentType, SimConfig, TenantConfig};

use crate::pipeline::{
    NOWHERE, PATIENCE, Section, config, content_types, history, secret, serve, tenant,
};
use crate::receiver::Receiver;
use crate::truth::complete;

/// Starts a configuration that has to be refused, and answers the log.
#[track_caller]
fn refused(executable: &Path, sections: &[Section]) -> String {
    let mut fluent_bit = FluentBit::start(executable, &config(sections, NOWHERE));
    assert!(!fluent_bit.wait().success());
    fluent_bit.log()
}

/// No file of this run, apart from the configuration, holds the text.
#[track_caller]
fn assert_nowhere(folder: &Path, text: &str) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            assert_nowhere(&path, text);
        } else if !path.ends_with("fluent-bit.yaml") {
            let bytes = fs::read(&path).expect("a readable file");
            let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!found, "the secret is in {}", path.display());
        }
    }
}

#[test]
fn every_mistake_is_reported_at_once() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(history(30));
    let section = Section::new(&server, &tenant(&server, 0))
        .set("tenant_id", "contoso")
        .set("client_secret", "s3cret~value")
        .set("client_secret_file", "/etc/hostname")
        .set("content_types", "Audit.Teams")
        .set("api_url", "http://manage.office.com")
        .set("db", "{dir}/nowhere/state.db")
        .set("tag_per_content_type", "on")
        .set("commit_delay", "3h");
    let log = refused(&executable, &[section]);
    for mistake in [
        "tenant_id = \"contoso\": not a GUID; ",
        "client_secret_file = \"/etc/hostname\": client_secret is set too; ",
        "content_types = \"Audit.Teams\": not a value of this option; ",
        "api_url = \"http://manage.office.com\": http:// would send the token in the clear; ",
        "there is no directory ",
        "tag_prefix: required with tag_per_content_type and tag_per_tenant, and missing; ",
        "commit_delay = \"3h\": too large; ",
    ] {
        let line = log.lines().find(|line| line.contains(mistake));
        let line = line.unwrap_or_else(|| panic!("{mistake} is not in {log}"));
        assert!(line.contains("[error] [input:m365_audit:m365_audit.0] "), "{line}");
    }
    assert!(!log.contains("s3cret~value"), "{log}");
    assert_eq!(server.connections(), 0, "Init reached for the network");
}

#[test]
fn an_unknown_option_is_refused_with_the_known_ones() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(history(31));
    let section = Section::new(&server, &tenant(&server, 0)).set("interval", "5");
    let log = refused(&executable, &[section]);
    assert!(log.contains("unknown configuration property 'interval'"), "{log}");
    for option in m365_audit_core::options::OPTIONS {
        assert!(log.contains(option.name), "{} is not in {log}", option.name);
    }
}

#[test]
fn a_refused_secret_is_named_by_its_code_with_a_remedy_and_never_shown() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(history(32));
    let section = Section::new(&server, &tenant(&server, 0))
        .set("client_secret", "wr0ng~secret")
        .set("log_level", "debug");
    let mut fluent_bit = FluentBit::start(&executable, &config(&[section], NOWHERE));
    fluent_bit.wait_for_log("AADSTS7000215");
    let log = fluent_bit.log();
    let line = log.lines().find(|line| line.contains("AADSTS7000215")).expect("just seen");
    assert!(line.contains("[error]") && line.contains("remedy: "), "{line}");
    fluent_bit.stop();
    assert_nowhere(fluent_bit.folder(), "wr0ng~secret");
}

#[test]
fn no_secret_is_in_log_state_storage_or_metrics() {
    const AUTH_ID: &str = "h00k~auth~id~of~24~chars";
    const REDACT_KEY: &str = "r3daction~key~that~is~long";
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(history(33));
    let receiver = Receiver::start();
    let tenant = tenant(&server, 0);
    let hook = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let hook = hook.expect("a free port").to_string();
    let section = Section::new(&server, &tenant)
        .set("log_level", "debug")
        .set("redact", "on")
        .set("webhook_listen", &hook)
        .set("webhook_address", &format!("http://{hook}/"));
    let output = receiver.output("m365");
    let secrets = [
        ("client_secret", "M365_SECRET", secret(&tenant)),
        ("webhook_auth_id", "M365_HOOK", AUTH_ID.to_owned()),
        ("redact_key", "M365_KEY", REDACT_KEY.to_owned()),
    ];
    // By the environment, as documentation advises.
    let section = secrets.iter().fold(section, |section, (option, variable, _)| {
        section.set(option, &format!("${{{variable}}}"))
    });
    let environment: String =
        secrets.iter().map(|(_, variable, value)| format!("  {variable}: '{value}'\n")).collect();
    let text = format!("env:\n{environment}{}", config(&[section], &output));
    let mut fluent_bit = FluentBit::start(&executable, &text);
    // Redacted records are others than those that were published: they are counted.
    let owed: HashSet<_> = server.microsoft().owed().map(|owed| owed.key).collect();
    assert!(receiver.wait_for(owed.len(), PATIENCE), "{} of {}", receiver.count(), owed.len());
    let series = "fluentbit_input_m365_audit_records_delivered_total";
    let mut shown = String::new();
    until("the metrics are there", || {
        shown = fluent_bit.get("/api/v2/metrics/prometheus").unwrap_or_default();
        shown.contains(series)
    });
    until("the webhook is there", || fluent_bit.log().contains("Microsoft now notifies http://"));
    fluent_bit.stop();
    for (option, _, value) in &secrets {
        assert_nowhere(fluent_bit.folder(), value);
        assert!(!shown.contains(value), "{option} is in the metrics");
    }
}

#[test]
fn a_content_type_without_permission_leaves_the_others_running() {
    let Some(executable) = fluent_bit::find() else { return };
    let mut app = TenantConfig::seeded(34, 0);
    let read = |role: &String| role == "ActivityFeed.Read";
    app.apps[0].roles = AppConfig::all_roles().into_iter().filter(read).collect();
    let server = serve(SimConfig { tenants: vec![app.clone()], ..history(34) });
    let receiver = Receiver::start();
    let section = Section::new(&server, &app);
    let fluent_bit = FluentBit::start(&executable, &config(&[section], &receiver.output("m365")));
    let others = &ContentType::ALL[..4];
    assert!(!content_types(others).contains("DLP"));
    complete(&server, app.id, others, &receiver).assert_complete();
    until("the denial is logged", || fluent_bit.log().contains("DLP.All: not collected: AF10001"));
    let series = format!(
        "fluentbit_input_m365_audit_denied{{name=\"m365_audit.0\",tenant_id=\"{}\",\
         content_type=\"DLP.All\"}}",
        app.id
    );
    until("the metric says so", || fluent_bit.metric(&series) == Some(1.0));
}

#[test]
fn a_newer_or_damaged_state_is_refused_named_and_untouched() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(history(35));
    let section = Section::new(&server, &tenant(&server, 0));
    let configuration = config(&[section], NOWHERE);
    let mut fluent_bit = FluentBit::start(&executable, &configuration);
    fluent_bit.wait_for_log("caught up");
    fluent_bit.stop();
    let db = fluent_bit.folder().join("state.db");
    let good = fs::read(&db).expect("a state");
    // SQLite's header holds the version of the schema at byte 60.
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    let mut damaged = good.clone();
    damaged[100..3_000].fill(0xaa);
    for (bytes, says) in [
        (newer, "written by a newer version"),
        (damaged, "damaged: "),
        (b"not a database at all, but somebody's notes".to_vec(), "not a SQLite file"),
    ] {
        fs::write(&db, &bytes).expect("a writable file");
        fluent_bit.restart();
        assert!(!fluent_bit.wait().success());
        let log = fluent_bit.log();
        let line = log.lines().rfind(|line| line.contains("[error]") && line.contains(says));
        let line = line.unwrap_or_else(|| panic!("{says} is not in {log}"));
        assert!(line.contains("state.db") && line.contains("remedy: "), "{line}");
        assert_eq!(fs::read(&db).expect("a file"), bytes, "{says}: the file was changed");
    }
}

#[test]
fn two_sections_on_one_state_of_one_tenant_are_refused() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(history(36));
    let section = Section::new(&server, &tenant(&server, 0));
    let log = refused(&executable, &[section.clone(), section]);
    let line = log.lines().find(|line| line.contains("another collector of tenant "));
    assert!(line.is_some_and(|line| line.contains("state.db")), "{log}");
}
