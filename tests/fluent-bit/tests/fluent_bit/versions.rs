//! Every version of Fluent Bit that is there (`FLUENT_BITS`): an hour of two tenants, through
//! kills, reloads and pauses.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use fluent_bit_plugin_harness::until;
use m365_sim::{ContentType, SimConfig, Span, TenantConfig};

use crate::pipeline::{PATIENCE, Section, config_for_all, history, plugin, serve};
use crate::pressure::{is_paused, tight};
use crate::receiver::Receiver;
use crate::truth::complete;

/// An hour that takes long enough to be interrupted.
fn hour(seed: u64) -> SimConfig {
    SimConfig {
        days: 1.0 / 24.0,
        tenants: vec![TenantConfig::seeded(seed, 0), TenantConfig::seeded(seed, 1)],
        blobs_per_hour: Span::new(40, 40),
        records_per_blob: Span::new(1, 10),
        latency_ms: 50,
        ..history(seed)
    }
}

#[test]
#[allow(clippy::print_stdout)] // Which versions there were is worth knowing.
fn an_hour_of_two_tenants_arrives_in_every_version() {
    for executable in fluent_bit::all() {
        let version = fluent_bit::version(&executable);
        let duplicates = kills_and_reloads(&executable, &version);
        pauses(&executable, &version);
        println!("Fluent Bit {version}: everything arrived, {duplicates} records twice");
    }
}

/// Two sections, one of them with tags of its own, killed, reloaded and stopped. Answers how many
/// records came twice.
fn kills_and_reloads(executable: &Path, version: &str) -> usize {
    let server = serve(hour(60));
    let tenants = server.microsoft().tenants().to_vec();
    let receivers = [Receiver::start(), Receiver::start()];
    let slow = |section: Section| section.set("batch_bytes", "10K").set("max_in_flight", "2");
    let sections = [
        slow(Section::new(&server, &tenants[0]))
            .set("tag_per_content_type", "on")
            .set("tag_prefix", "first"),
        slow(Section::new(&server, &tenants[1])).set("tag", "second").set("alias", "second"),
    ];
    let outputs = receivers[0].output("first.*") + &receivers[1].output("second");
    let config = config_for_all(&sections, &outputs);
    let mut fluent_bit = FluentBit::start_with(executable, plugin(), &config);
    for round in 0..6 {
        let more = receivers[0].count() + 15;
        receivers[0].wait_for(more, Duration::from_secs(2));
        if round % 2 == 0 {
            fluent_bit.kill();
            fluent_bit.restart();
        } else {
            fluent_bit.reload();
        }
    }
    let mut duplicates = 0;
    for (tenant, receiver) in tenants.iter().zip(&receivers) {
        let tally = complete(&server, tenant.id, &ContentType::ALL, receiver);
        assert!(tally.missing.is_empty(), "{version}: {tally}: {}", fluent_bit.log());
        tally.assert_complete();
        duplicates += tally.duplicates;
    }
    let tags: BTreeSet<_> = receivers[0].events().into_iter().map(|event| event.tag).collect();
    let expected = ContentType::ALL.map(|content_type| format!("first.{content_type}"));
    assert_eq!(tags, BTreeSet::from(expected), "{version}");
    for (name, tenant) in [("m365_audit.0", &tenants[0]), ("second", &tenants[1])] {
        let series = format!(
            "fluentbit_input_m365_audit_lag_seconds{{name=\"{name}\",tenant_id=\"{}\",\
             content_type=\"Audit.Exchange\"}}",
            tenant.id
        );
        until(&format!("{version}: {series}"), || fluent_bit.metric(&series).is_some());
    }
    let (status, _) = fluent_bit.stop();
    assert!(status.success(), "{version}: {status}: {}", fluent_bit.log());
    assert!(server.microsoft().report().is_legal());
    duplicates
}

/// An output of one section hangs: it pauses alone, and goes on.
fn pauses(executable: &Path, version: &str) {
    let server = serve(hour(61));
    let tenants = server.microsoft().tenants().to_vec();
    let (blocked, open) = (Receiver::start(), Receiver::start());
    blocked.shut(true);
    let sections = [
        tight(Section::new(&server, &tenants[0]))
            .set("mem_buf_limit", "60K")
            .set("batch_bytes", "20K")
            .set("tag", "blocked")
            .set("alias", "first"),
        Section::new(&server, &tenants[1]).set("tag", "open").set("db", "{dir}/open.db"),
    ];
    let outputs = blocked.output("blocked") + &open.output("open");
    let config = config_for_all(&sections, &outputs);
    let mut fluent_bit = FluentBit::start_with(executable, plugin(), &config);
    until(&format!("{version}: it pauses"), || is_paused(&fluent_bit, "first"));
    complete(&server, tenants[1].id, &ContentType::ALL, &open).assert_complete();
    assert!(!is_paused(&fluent_bit, "m365_audit.1"), "{version}");
    blocked.shut(false);
    let tally = complete(&server, tenants[0].id, &ContentType::ALL, &blocked);
    tally.assert_complete();
    assert_eq!(tally.duplicates, 0, "{version}: {tally}");
    assert!(open.wait_for(1, PATIENCE));
    let (status, _) = fluent_bit.stop();
    assert!(status.success(), "{version}: {status}: {}", fluent_bit.log());
}
