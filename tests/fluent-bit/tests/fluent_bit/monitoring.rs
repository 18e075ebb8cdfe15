//! What monitors are given to start from, before a real Prometheus that scrapes the plugin while
//! faults run: every expression of the dashboard and of the rules answers.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use m365_audit_test_support::prometheus::{Prometheus, Target, compared, panels};
use m365_sim::{Credential, Fault, FaultPlan, SimConfig, Span, TenantConfig, issue_certificate};

use crate::pipeline::{Section, config, history, serve, tenant};
use crate::receiver::Receiver;

const DAY_MS: i64 = 86_400_000;

#[test]
fn every_expression_of_the_monitoring_answers_while_faults_run() {
    let Some(executable) = fluent_bit::find() else { return };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let now_ms = i64::try_from(since.as_millis()).expect("long before the end");
    // A secret does not say when it ends.
    let issued = issue_certificate(31, "monitored", now_ms - DAY_MS, now_ms + 5 * DAY_MS);
    let mut of_tenant = TenantConfig::seeded(44, 0);
    let pem = issued.certificate_pem.clone();
    of_tenant.apps[0].credentials.push(Credential::Certificate { pem });
    let faults = FaultPlan::none()
        .with(Fault::TokenServerError, 0.3)
        .with(Fault::InternalError, 0.05)
        .with(Fault::Truncated, 0.05)
        .with(Fault::Throttled429, 0.01);
    let server = serve(SimConfig {
        tenants: vec![of_tenant],
        faults,
        live: true,
        megabyte_records: 0.02,
        blobs_per_hour: Span::new(30, 40),
        ..history(44)
    });
    let folder = tempfile::tempdir().expect("a folder for the key");
    let key = folder.path().join("app.pem");
    fs::write(&key, format!("{}{}", issued.certificate_pem, issued.key_pem)).expect("it is ours");
    let receiver = Receiver::start();
    let section = Section::new(&server, &tenant(&server, 0))
        .unset("client_secret")
        .set("certificate_file", key.to_str().expect("a path of ASCII"))
        .set("record_bytes_max", "100k");
    // The second output retries for ever.
    let outputs = receiver.output("m365") + &Receiver::nobody("m365");
    let fluent_bit = FluentBit::start(&executable, &config(&[section], &outputs));
    let address = fluent_bit.address();
    let target = Target { address: &address, path: "/api/v2/metrics/prometheus" };
    let Some(mut prometheus) = Prometheus::start(target) else { return };
    let expressions: Vec<_> = panels().into_iter().chain(compared()).collect();
    assert!(expressions.iter().any(|it| it.is_of_fluent_bit()));
    prometheus.wait_for_all(&expressions);
    // Records of a megabyte are too large.
    prometheus.until("the loss is told", |it| it.firing().contains("M365AuditDataLost"));
    assert_eq!(prometheus.broken_rules(), Vec::<String>::new());
}
