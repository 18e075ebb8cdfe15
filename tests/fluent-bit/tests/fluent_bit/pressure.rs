//! Outputs that hang: the input pauses, others do not, and everything arrives in the end.

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use fluent_bit_plugin_harness::until;
use m365_sim::{ContentType, SimConfig, Span, TenantConfig};

use crate::pipeline::{Section, config, history, serve, tenant, tenant_id};
use crate::receiver::Receiver;
use crate::truth::complete;

pub(crate) fn is_paused(fluent_bit: &FluentBit, name: &str) -> bool {
    let series = format!("fluentbit_input_ingestion_paused{{name=\"{name}\"}}");
    fluent_bit.metric(&series) == Some(1.0)
}

/// A section whose chunks are in memory, and few of them.
pub(crate) fn tight(section: Section) -> Section {
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
fn chunks_in_memory_that_a_db_counts_on_are_named() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(SimConfig { blobs_per_hour: Span::new(15, 15), ..history(23) });
    let receiver = Receiver::start();
    // Slow enough to be counted often.
    let section = Section::new(&server, &tenant(&server, 0))
        .set("batch_bytes", "5K")
        .set("buffer_bytes", "100K");
    let warning = "db is set and Fluent Bit keeps events in memory";
    let in_files = config(std::slice::from_ref(&section), &receiver.output("m365"));
    let fluent_bit = FluentBit::start(&executable, &in_files);
    complete(&server, tenant_id(&server), &ContentType::ALL, &receiver).assert_complete();
    assert!(!fluent_bit.log().contains(warning), "{}", fluent_bit.log());
    drop(fluent_bit);
    let receiver = Receiver::start();
    let in_memory = config(&[section.set("storage.type", "memory")], &receiver.output("m365"));
    let fluent_bit = FluentBit::start(&executable, &in_memory);
    fluent_bit.wait_for_log(warning);
}

#[test]
fn a_few_chunks_that_wait_in_memory_for_an_output_are_named() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(history(24));
    let section = Section::new(&server, &tenant(&server, 0)).set("storage.type", "memory");
    let down = Receiver::nobody("m365");
    let fluent_bit = FluentBit::start(&executable, &config(&[section], &down));
    // Two or three counts: too few to tell by them.
    fluent_bit.wait_for_log("db is set and Fluent Bit keeps events in memory");
}

#[test]
fn a_stop_with_memory_storage_while_an_output_is_down_loses_nothing_that_is_younger_than_the_delay()
{
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(history(24));
    // A receiver that takes connections and says nothing would hold up the stop of Fluent Bit's own
    // output.
    let down = Receiver::nobody("m365");
    let section = Section::new(&server, &tenant(&server, 0))
        .set("storage.type", "memory")
        .set("commit_delay", "10m");
    let sections = [section.clone()];
    let mut fluent_bit = FluentBit::start(&executable, &config(&sections, &down));
    let series = "fluentbit_input_records_total{name=\"m365_audit.0\"}";
    until("everything is in memory", || {
        fluent_bit.metric(series).is_some_and(|records| 1.0 <= records)
    });
    fluent_bit.stop();
    let up = Receiver::start();
    fluent_bit.configure(&config(&[section], &up.output("m365")));
    fluent_bit.restart();
    complete(&server, tenant_id(&server), &ContentType::ALL, &up).assert_complete();
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
