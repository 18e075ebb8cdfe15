//! Stops, kills, reloads: nothing is lost, and little comes twice.

use std::time::Duration;

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use m365_sim::{ContentType, SimConfig, Span};
use xxhash_rust::xxh3::xxh3_64;

use crate::pipeline::{PATIENCE, Section, config, history, serve, tenant, tenant_id};
use crate::receiver::Receiver;
use crate::truth::complete;

/// What may wait in the plugin, so that what comes twice can be bounded.
const BUFFER_BYTES: usize = 100_000;
const BATCH_BYTES: usize = 10_000;
const IN_FLIGHT_MAX: usize = 2;
const RECORD_BYTES_MAX: u32 = 2_000;
const RECORDS_PER_BLOB_MAX: u32 = 10;

/// Bytes of records that may be emitted and not confirmed at any moment. Reading stops above
/// `buffer_bytes`, but the blobs that are being read then still fill batches.
const UNCONFIRMED_BYTES_MAX: usize = BUFFER_BYTES
    + IN_FLIGHT_MAX * (BATCH_BYTES + (RECORD_BYTES_MAX * RECORDS_PER_BLOB_MAX) as usize);

/// Much small content, slowly answered.
fn slow(seed: u64, blobs_per_hour: u32) -> SimConfig {
    SimConfig {
        blobs_per_hour: Span::new(blobs_per_hour, blobs_per_hour),
        records_per_blob: Span::new(1, RECORDS_PER_BLOB_MAX),
        record_bytes: Span::new(500, RECORD_BYTES_MAX),
        latency_ms: 50,
        ..history(seed)
    }
}

fn bounded(section: Section) -> Section {
    section
        .set("buffer_bytes", &BUFFER_BYTES.to_string())
        .set("batch_bytes", &BATCH_BYTES.to_string())
        .set("max_in_flight", &IN_FLIGHT_MAX.to_string())
        .set("requests_per_minute", "100000")
}

#[test]
fn a_stop_during_a_fetch_is_quick_and_the_next_start_completes() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(SimConfig { latency_ms: 300, ..slow(10, 3) });
    let receiver = Receiver::start();
    let section = bounded(Section::new(&server, &tenant(&server, 0)));
    let mut fluent_bit =
        FluentBit::start(&executable, &config(&[section], &receiver.output("m365")));
    assert!(receiver.wait_for(1, PATIENCE), "{}", fluent_bit.log());
    let (status, took) = fluent_bit.stop();
    assert!(status.success(), "{status}: {}", fluent_bit.log());
    // The engine looks once a second, and waits for the last chunk to be confirmed.
    assert!(took < Duration::from_secs(4), "{took:?}");
    assert!(receiver.count() < server.microsoft().owed().count(), "it had finished before");
    fluent_bit.restart();
    let tally = complete(&server, tenant_id(&server), &ContentType::ALL, &receiver);
    tally.assert_complete();
    assert!(tally.duplicate_bytes <= UNCONFIRMED_BYTES_MAX, "{tally}");
}

/// `M365_AUDIT_KILLS` says how often, 40 times if it is absent.
#[test]
#[allow(clippy::print_stdout)] // What came twice is worth knowing even if it is allowed.
fn kills_at_any_moment_lose_nothing_and_repeat_only_what_was_in_flight() {
    let Some(executable) = fluent_bit::find() else { return };
    let kills =
        std::env::var("M365_AUDIT_KILLS").map_or(40, |text| text.parse().expect("a number"));
    // Several times what so many kills may repeat, so that too much would show.
    let server = serve(slow(11, 60));
    let receiver = Receiver::start();
    let section = bounded(Section::new(&server, &tenant(&server, 0)));
    let mut fluent_bit =
        FluentBit::start(&executable, &config(&[section], &receiver.output("m365")));
    let mut while_busy = 0;
    for round in 0..kills {
        let random = xxh3_64(&u64::to_le_bytes(round));
        let before = receiver.count();
        let events = before + 1 + usize::try_from(random % 300).expect("small");
        receiver.wait_for(events, Duration::from_millis(300 + random % 1_200));
        while_busy += usize::from(before < receiver.count());
        fluent_bit.kill();
        fluent_bit.restart();
    }
    let tally = complete(&server, tenant_id(&server), &ContentType::ALL, &receiver);
    println!(
        "{kills} kills ({while_busy} while busy): {tally}; sent again by Fluent Bit itself: {}",
        receiver.resent()
    );
    tally.assert_complete();
    let rounds = usize::try_from(kills).expect("small");
    assert!(rounds / 8 <= while_busy, "hardly a kill while it delivered: {while_busy} of {kills}");
    let bound = rounds * UNCONFIRMED_BYTES_MAX;
    assert!(tally.duplicate_bytes <= bound, "{tally}: more than {bound} bytes were in flight");
}

#[test]
fn hot_reloads_under_load_lose_nothing() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(slow(12, 20));
    let receiver = Receiver::start();
    let section = bounded(Section::new(&server, &tenant(&server, 0)));
    let mut fluent_bit =
        FluentBit::start(&executable, &config(&[section], &receiver.output("m365")));
    for _ in 0..10 {
        receiver.wait_for(receiver.count() + 20, Duration::from_secs(3));
        fluent_bit.reload();
    }
    let tally = complete(&server, tenant_id(&server), &ContentType::ALL, &receiver);
    tally.assert_complete();
    assert!(tally.duplicate_bytes <= 10 * UNCONFIRMED_BYTES_MAX, "{tally}");
    let (status, _) = fluent_bit.stop();
    assert!(status.success(), "{status}: {}", fluent_bit.log());
}
