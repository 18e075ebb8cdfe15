//! Outputs that hang: the input pauses, others do not, and everything arrives in the end.

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use fluent_bit_plugin_harness::until;
use m365_sim::{ContentType, SimConfig, Span, TenantConfig};

use crate::pipeline::{Section, config, history, serve, tenant, tenant_id};
use crate::receiver::Receiver;
use crate::truth::complete;

fn is_paused(fluent_bit: &FluentBit, name: &str) -> bool {
    let series = format!("fluentbit_input_ingestion_paused{{name=\"{name}\"}}");
    fluent_bit.metric(&series) == Some(1.0)
}

/// A section whose chunks are in memory, and few of them.
fn tight(section: Section) -> Section {
    section
        .set("storage.type", "memory")
        .set("mem_buf_limit", "300K")
        .set("batch_bytes", "50K")
        .set("buffer_bytes", "500K")
}

#[test]
fn an_instance_that_is_paused_leaves_another_alone() {
    let Some(executable) = fluent_bit::find() else { return };
    let tenants = vec![TenantConfig::seeded(20, 0), TenantConfig::seeded(20, 1)];
    let server = serve(SimConfig { tenants: tenants.clone(), ..history(20) });
    let (blocked, open) = (Receiver::start(), Receiver::start());
    blocked.shut(true);
    // The first section is the one that Fluent Bit would spare: it pauses the last one it started.
    let first =
        tight(Section::new(&server, &tenants[0])).set("tag", "blocked").set("alias", "first");
    let second = Section::new(&server, &tenants[1]).set("tag", "open").set("db", "{dir}/open.db");
    let outputs = blocked.output("blocked") + &open.output("open");
    let mut fluent_bit = FluentBit::start(&executable, &config(&[first, second], &outputs));
    complete(&server, tenants[1].id, &ContentType::ALL, &open).assert_complete();
    until("the other instance pauses", || is_paused(&fluent_bit, "first"));
    assert!(!is_paused(&fluent_bit, "m365_audit.1"));
    blocked.shut(false);
    let tally = complete(&server, tenants[0].id, &ContentType::ALL, &blocked);
    tally.assert_complete();
    assert_eq!(tally.duplicates, 0, "{tally}");
    let (status, _) = fluent_bit.stop();
    assert!(status.success(), "{status}: {}", fluent_bit.log());
}

#[test]
fn pauses_lose_nothing() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(SimConfig { blobs_per_hour: Span::new(15, 15), ..history(21) });
    let receiver = Receiver::start();
    let section = tight(Section::new(&server, &tenant(&server, 0)));
    let fluent_bit = FluentBit::start(&executable, &config(&[section], &receiver.output("m365")));
    for _ in 0..3 {
        receiver.shut(true);
        until("the input pauses", || is_paused(&fluent_bit, "m365_audit.0"));
        receiver.shut(false);
        until("the input resumes", || !is_paused(&fluent_bit, "m365_audit.0"));
    }
    let tally = complete(&server, tenant_id(&server), &ContentType::ALL, &receiver);
    tally.assert_complete();
    assert_eq!(tally.duplicates, 0, "{tally}");
}
