//! One section for the tenants of a file: whose each event is, whose each number is, that a mistake
//! in one table is only that one's, and that another section may stand beside it.

use std::collections::BTreeSet;
use std::fs;

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use fluent_bit_plugin_harness::until;
use m365_sim::{ContentType, SimConfig, TenantConfig};

use crate::pipeline::{NOWHERE, PATIENCE, Section, config, history, secret, serve, tenant};
use crate::receiver::{Received, Receiver};
use crate::truth::tally;

#[test]
fn one_section_collects_the_tenants_of_a_file() {
    let Some(executable) = fluent_bit::find() else { return };
    let tenants: Vec<_> = (0..3).map(|n| TenantConfig::seeded(77, n)).collect();
    let server = serve(SimConfig { tenants, ..history(77) });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenants.toml");
    let table = |n: usize| {
        let tenant = tenant(&server, n);
        format!(
            "[t{n}]\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\n",
            tenant.id,
            tenant.apps[0].client_id,
            secret(&tenant)
        )
    };
    let broken = "[broken]\ntenant_id = \"contoso\"\n";
    fs::write(&file, format!("{}{}{broken}", table(0), table(1))).unwrap();
    let receiver = Receiver::start();
    let section = ["tenant_id", "client_id", "client_secret"]
        .iter()
        .fold(Section::new(&server, &tenant(&server, 0)), |section, name| section.unset(name))
        .set("tenants_file", file.to_str().unwrap());
    let fluent_bit = FluentBit::start(&executable, &config(&[section], &receiver.output("m365")));

    let of = |n: usize| -> Vec<Received> {
        let id = tenant(&server, n).id.to_string();
        let events = receiver.events().into_iter();
        events.filter(|event| event.metadata["tenant_id"].as_str() == Some(&id)).collect()
    };
    let wait_for = |n: usize| {
        let start = std::time::Instant::now();
        loop {
            let tally = tally(&server, tenant(&server, n).id, &ContentType::ALL, &of(n));
            if tally.missing.is_empty() || 2 * PATIENCE < start.elapsed() {
                return tally;
            }
            receiver.wait_for(receiver.count() + 1, PATIENCE / 60);
        }
    };
    wait_for(0).assert_complete();
    wait_for(1).assert_complete();
    let log = fluent_bit.log();
    assert!(log.contains("[broken]: tenant_id = \"contoso\": not a GUID"), "{log}");
    for n in 0..2 {
        let id = tenant(&server, n).id;
        let series = format!("tenant_id=\"{id}\",content_type=\"Audit.Exchange\"");
        let shown = fluent_bit.get("/api/v2/metrics/prometheus").unwrap();
        assert!(shown.contains(&series), "{shown}");
        let called = format!("tenant_id=\"{id}\",tenant_name=\"t{n}\"}} 1");
        assert!(shown.contains(&called), "{shown}");
        let name = format!("t{n}");
        let is_named = |event: &Received| event.metadata["tenant_name"].as_str() == Some(&name);
        assert!(of(n).iter().all(is_named), "each event says whose it is");
    }

    // Another one comes while Fluent Bit runs.
    fs::write(&file, format!("{}{}{}", table(0), table(1), table(2))).unwrap();
    wait_for(2).assert_complete();
    assert!(server.microsoft().report().is_legal());
}

#[test]
fn a_section_of_one_tenant_beside_one_of_many_takes_no_metrics_away() {
    let Some(executable) = fluent_bit::find() else { return };
    let tenants: Vec<_> = (0..2).map(|n| TenantConfig::seeded(78, n)).collect();
    let server = serve(SimConfig { tenants, ..history(78) });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenants.toml");
    let [alone, among] = [0, 1].map(|n| tenant(&server, n));
    let (client, secret) = (among.apps[0].client_id, secret(&among));
    let table = format!(
        "[among]\ntenant_id = \"{}\"\nclient_id = \"{client}\"\nclient_secret = \"{secret}\"\n",
        among.id
    );
    fs::write(&file, table).unwrap();
    let one = Section::new(&server, &alone);
    let many = ["tenant_id", "client_id", "client_secret"]
        .iter()
        .fold(Section::new(&server, &among), |section, name| section.unset(name))
        .set("tenants_file", file.to_str().unwrap());
    let fluent_bit = FluentBit::start(&executable, &config(&[one, many], NOWHERE));
    for (name, tenant) in [("m365_audit.0", &alone), ("m365_audit.1", &among)] {
        let series = format!(
            "fluentbit_input_m365_audit_blobs_delivered_total{{name=\"{name}\",tenant_id=\"{}\",\
             content_type=\"Audit.Exchange\"}}",
            tenant.id
        );
        until(&series, || fluent_bit.metric(&series) > Some(0.0));
    }
    assert!(fluent_bit.metric("fluentbit_uptime").is_some(), "Fluent Bit's own are there too");
    assert!(!fluent_bit.log().contains("could not append metrics"));
}

/// However many tenants there are, and whatever another section does.
#[test]
fn sections_tell_their_numbers_apart_by_what_they_say() {
    let Some(executable) = fluent_bit::find() else { return };
    let tenants: Vec<_> = (0..4).map(|n| TenantConfig::seeded(79, n)).collect();
    let server = serve(SimConfig { tenants, ..history(79) });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenants.toml");
    let table = |n: usize| {
        let tenant = tenant(&server, n);
        let (client, secret) = (tenant.apps[0].client_id, secret(&tenant));
        format!(
            "[t{n}]\ntenant_id = \"{}\"\nclient_id = \"{client}\"\nclient_secret = \"{secret}\"\n",
            tenant.id
        )
    };
    fs::write(&file, [table(1), table(2)].concat()).unwrap();
    let each = Section::new(&server, &tenant(&server, 0));
    let total = ["tenant_id", "client_id", "client_secret"]
        .iter()
        .fold(Section::new(&server, &tenant(&server, 1)), |section, name| section.unset(name))
        .set("tenants_file", file.to_str().unwrap())
        .set("metrics_detail", "total");
    let tenant_alone = Section::new(&server, &tenant(&server, 3)).set("metrics_detail", "tenant");
    let fluent_bit = FluentBit::start(&executable, &config(&[each, total, tenant_alone], NOWHERE));
    let owed = |n: usize| {
        let (id, published) = (tenant(&server, n).id, server.microsoft().owed());
        let keys = published.filter(|one| one.tenant == id).map(|one| one.key);
        keys.collect::<BTreeSet<_>>().len() as f64
    };
    let shown = |section: &str, metric: &str| -> Vec<f64> {
        let begin = format!("fluentbit_input_m365_audit_{metric}{{name=\"{section}\"");
        let all = fluent_bit.get("/api/v2/metrics/prometheus").unwrap_or_default();
        let lines = all.lines().filter(|line| line.starts_with(&begin));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect()
    };
    for (section, tenants, is_one) in [
        ("m365_audit.0", &[0][..], false),
        ("m365_audit.1", &[1, 2], true),
        ("m365_audit.2", &[3], true),
    ] {
        let owed: f64 = tenants.iter().map(|n| owed(*n)).sum();
        assert!(0.0 < owed);
        until(section, || owed <= shown(section, "records_delivered_total").iter().sum());
        assert_eq!(shown(section, "records_delivered_total").len() == 1, is_one, "{section}");
        assert_eq!(shown(section, "restarts_total"), [0.0], "{section}");
    }
    assert!(shown("m365_audit.1", "tenant_info").is_empty());
    assert!(!fluent_bit.log().contains("could not append metrics"));
}

/// As `run` says it; and each line says whose it is in the same way.
#[test]
fn an_outage_is_told_with_how_long_it_lasts_and_the_next_try() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(history(80));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenants.toml");
    let tenant = tenant(&server, 0);
    let tables = ["contoso", "fabrikam"].map(|name| {
        let id = if name == "contoso" { tenant.id } else { tenant.apps[0].client_id };
        format!("[{name}]\ntenant_id = \"{id}\"\nclient_id = \"{id}\"\nclient_secret = \"s\"\n")
    });
    fs::write(&file, tables.concat()).unwrap();
    // Nobody listens there any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let section = ["tenant_id", "client_id", "client_secret"]
        .iter()
        .fold(Section::new(&server, &tenant), |section, name| section.unset(name))
        .set("tenants_file", file.to_str().unwrap())
        .set("login_url", &format!("http://{gone}"));
    let fluent_bit = FluentBit::start(&executable, &config(&[section], NOWHERE));
    until("the outage is told", || fluent_bit.log().contains("not signed in for "));
    let log = fluent_bit.log();
    let line = log.lines().find(|line| line.contains("not signed in for ")).unwrap();
    let told = line.split_once("m365_audit.0] ").unwrap().1;
    let whose = ["2 tenants, contoso longest: ", "2 tenants, fabrikam longest: ", "contoso: "];
    assert!(whose.iter().any(|whose| told.starts_with(whose)), "{line}");
    assert!(told.contains(" s, next try in ") || told.contains(" s, trying now"), "{line}");
    assert!(line.contains("[ info]"), "{line}");
    assert!(!log.contains("[contoso]"), "{log}");
    let whose = log.lines().filter(|line| line.contains("m365_audit.0] contoso: "));
    assert!(0 < whose.count(), "{log}");
}
