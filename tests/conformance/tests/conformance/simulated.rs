//! The driver in virtual time: no socket, no clock, no thread.

use m365_audit_core::{Collector, Config, LineWriter, Outcome};
use m365_audit_world::{Chunks, End, Habits, Passing, START_MS, Setting, World as Virtual};

use crate::world::{Collected, World, records_of};

/// The longest chunk of a body.
const CHUNK_BYTES_MAX: u64 = 16_384;

/// What passes here in no time passes as it is for the other drivers.
const WAITS_MS_MAX: i64 = 60_000;

/// Collects to the end.
pub(crate) fn collect(world: &World) -> Collected {
    let mut microsoft = world.microsoft();
    let options = world.options(&microsoft, None);
    let config = Config::parse(&options).unwrap().once(true);
    let mut around = Virtual::new(Setting {
        chunks: Chunks::Drawn { bytes_max: CHUNK_BYTES_MAX },
        habits: Habits { refuses: world.fails_at, ..Habits::from(0) },
        ..Setting::calm(START_MS, world.sim.seed)
    });
    let writer = LineWriter::new(config.envelope().clone());
    let mut writer = world.envelope.is_some().then_some(writer);
    let (mut records, mut refused) = (Vec::new(), false);
    loop {
        let (seed, now) = (around.draw(), around.now());
        let mut collector =
            Collector::new(config.clone(), &around.stored, seed.into(), now).unwrap();
        let mut watch = |_: &Virtual, passing: Passing<'_>| {
            if let Passing::Batch(batch) = passing {
                records.extend(records_of(batch, writer.as_mut()));
            }
            Ok(())
        };
        let until_ms = START_MS + WAITS_MS_MAX;
        match around.live(&mut collector, &mut microsoft, &mut watch, until_ms).unwrap() {
            End::Finished => break assert_eq!(collector.outcome(), Outcome::Complete),
            End::Refused => refused = true,
            End::Paused => panic!("the others would wait for more than {WAITS_MS_MAX} ms"),
            End::Crashed | End::Committing => panic!("nothing goes wrong with the process here"),
        }
        around.restart();
    }
    assert_eq!(refused, world.fails_at.is_some(), "there were fewer batches");
    Collected { records, stored: around.stored }
}
