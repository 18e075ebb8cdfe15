//! Conditional routes, which make Fluent Bit count everything twice.

use std::time::Instant;

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use m365_sim::{ContentType, SimConfig, Span};

use crate::pipeline::{Section, config, history, serve, tenant, tenant_id};
use crate::receiver::Receiver;
use crate::truth::complete;

/// Everything to one output, and what the condition matches to another one besides.
const ROUTES: &str = "      routes:
        logs:
          - { name: all, to: { outputs: [ all ] } }
          - name: special
            condition:
              op: and
              rules: [ { field: $Workload, op: eq, value: Exchange } ]
            to: { outputs: [ special ] }
";

#[test]
#[allow(clippy::print_stdout)] // How fast it was is worth knowing.
fn many_small_blobs_pass_conditional_routes_and_processors_in_time() {
    let Some(executable) = fluent_bit::find() else { return };
    let blobs = Span::new(200, 200);
    let config_of_sim =
        SimConfig { blobs_per_hour: blobs, records_per_blob: Span::new(1, 2), ..history(22) };
    let server = serve(config_of_sim);
    let receiver = Receiver::start();
    let section = Section::new(&server, &tenant(&server, 0))
        .set("requests_per_minute", "100000")
        .nest(ROUTES);
    let output = receiver.output("none").replace("name: forward,", "name: forward, alias: all,")
        + "    - { name: 'null', alias: special, match: none }\n";
    let begin = Instant::now();
    let fluent_bit = FluentBit::start(&executable, &config(&[section], &output));
    // At an append a blob and 5 s an append this would take hours.
    let tally = complete(&server, tenant_id(&server), &ContentType::ALL, &receiver);
    println!("{tally} in {:?}", begin.elapsed());
    tally.assert_complete();
    fluent_bit.wait_for_log("a processor or a conditional route changes what is counted");
}
