//! `m365-audit check`, and the doctor with a configuration of Fluent Bit: as somebody runs them who
//! is about to restart a collector.

use std::fs;
use std::path::Path;
use std::process::Output;

use m365_sim::SimConfig;
use serde_json::Value;

use crate::support::{World, program, text, world};

/// Runs `m365-audit check` in a folder.
fn check(dir: &Path, words: &[&str]) -> Output {
    program("check").args(words).current_dir(dir).output().unwrap()
}

#[track_caller]
fn says(output: &Output, code: i32, parts: &[&str]) {
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{told}{}", text(&output.stderr));
    for part in parts {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("s3cret"), "{told}");
}

const WHO: &str = "tenant_id = \"41463f53-8812-40f4-890f-865bf6e35190\"\n\
                   client_id = \"41463f53-8812-40f4-890f-865bf6e35190\"\n";

#[test]
fn a_configuration_is_checked_without_asking_anybody() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write(
        "good.toml",
        &format!(
            "{WHO}client_secret = \"s3cret\"\noutput = \"audit.ndjson\"\n\
        log_level = \"warn\"\nprogress = \"never\"\nmetadata = \"record\"\n"
        ),
    );
    says(&check(dir.path(), &["--config", "good.toml"]), 0, &["each as `m365-audit run` takes it"]);
    assert!(!dir.path().join("audit.ndjson").exists(), "it opens nothing");
    write(
        "bad.toml",
        &format!(
            "{WHO}client_secret_file = \"/nowhere/secret\"\nlookback = \"30d\"\n\
        log_level = \"warning\"\nmetadata = \"records\"\ncloud = \"gcchigh\"\nverify_tls = \"onn\"\n"
        ),
    );
    let wrong = [
        "lookback = \"30d\": too large (in bad.toml) -> allowed: time from 0s to 7d",
        "log_level = \"warning\": not a value of this option (in bad.toml) -> did you mean warn?",
        "did you mean record?",
        "did you mean gcc-high?",
        "did you mean on?",
    ];
    let flat = |output: Output| {
        let told: Vec<_> = text(&output.stdout).split_whitespace().collect();
        Output { stdout: told.join(" ").into_bytes(), ..output }
    };
    let here = flat(check(dir.path(), &["--config", "bad.toml"]));
    says(&here, 2, &wrong);
    says(&here, 2, &["/nowhere/secret", "6 failures"]);
    let elsewhere = flat(check(dir.path(), &["--config", "bad.toml", "--no-environment"]));
    says(&elsewhere, 2, &wrong);
    says(
        &elsewhere,
        2,
        &["not checked surroundings client_secret_file", "5 failures, 1 not checked"],
    );
    // In CI there is no secret at all.
    write("bare.toml", WHO);
    says(&check(dir.path(), &["--config", "bare.toml"]), 2, &["client_secret"]);
    says(&check(dir.path(), &["--config", "bare.toml", "--no-environment"]), 0, &["1 not checked"]);
    write("broken.toml", "lookback = \"1h\"\nclient_secret = s3cret\n");
    let broken = flat(check(dir.path(), &["--config", "broken.toml"]));
    says(&broken, 2, &["not TOML, line 2, column 17: "]);
    write(
        "zeros.toml",
        &WHO.replace(
            "41463f53-8812-40f4-890f-865bf6e35190",
            "00000000-0000-0000-0000-000000000000",
        ),
    );
    let zeros = check(dir.path(), &["--config", "zeros.toml", "--no-environment", "--json"]);
    let value: Value = serde_json::from_slice(&zeros.stdout).unwrap();
    assert_eq!((&value["ok"], zeros.status.code()), (&false.into(), Some(2)));
    assert_eq!(value.to_string().matches("a placeholder").count(), 2, "{value:#}");
}

#[test]
fn every_tenant_of_a_folder_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tenants")).unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write(
        "m.toml",
        "tenants_file = \"tenants\"\nclient_secret = \"s3cret\"\n\
        client_id = \"41463f53-8812-40f4-890f-865bf6e35190\"\n",
    );
    write("tenants/a.toml", "[contoso]\ntenant_id = \"41463f53-8812-40f4-890f-865bf6e35190\"\n");
    write("tenants/b.toml", "[fabrikam]\ntenant_id = \"fabrikam\"\nlookback = \"8d\"\n");
    let output = check(dir.path(), &["--config", "m.toml"]);
    says(&output, 2, &["1 without a mistake", "tenant fabrikam (tenants/b.toml)", "2 failures"]);
    says(&output, 2, &["not a GUID", "too large"]);
}

#[test]
fn a_configuration_of_fluent_bit_is_checked_and_asked_about() {
    let world = World::new(SimConfig { subscribed: true, ..world() });
    let (tenant, client, secret) = world.credentials();
    let url = world.http_url();
    let dir = tempfile::tempdir().unwrap();
    let section = format!(
        "pipeline:\n  inputs:\n    - name: m365_audit\n      tag: m365\n      tenant_id: {tenant}\n      \
         client_id: {client}\n      client_secret: ${{THE_SECRET}}\n      login_url: {url}\n      \
         api_url: {url}\n      lookback: 2d\n  outputs:\n    - name: stdout\n      match: m365\n"
    );
    fs::write(dir.path().join("fluent-bit.yaml"), &section).unwrap();
    let wrong = section.replace("2d", "30d");
    fs::write(dir.path().join("wrong.yaml"), wrong).unwrap();
    let output = check(dir.path(), &["--fluent-bit", "wrong.yaml", "--no-environment"]);
    says(&output, 2, &["lookback = \"30d\": too large (wrong.yaml:10)", "time from 0s to 7d"]);
    let output = check(dir.path(), &["--fluent-bit", "fluent-bit.yaml", "--no-environment"]);
    says(&output, 0, &["${THE_SECRET} has no value here (fluent-bit.yaml:7)", "no failures"]);
    let doctor = |file: &str, secret: &str| {
        let mut command = program("doctor");
        command.args(["--fluent-bit", file]).current_dir(dir.path());
        command.env("THE_SECRET", secret).output().unwrap()
    };
    let output = doctor("fluent-bit.yaml", &secret);
    says(&output, 0, &["section m365_audit.0", "Audit.Exchange can be listed", &tenant]);
    says(&doctor("fluent-bit.yaml", "wr0ng"), 1, &["AADSTS7000215"]);
    says(&doctor("wrong.yaml", &secret), 1, &["too large"]);
}

#[test]
fn the_doctor_starts_what_is_missing_and_waits_for_a_listing() {
    let world = World::new(world());
    let output = world.call(&["doctor", "--start"]).output().unwrap();
    says(&output, 0, &["Audit.Exchange was started, and listed", "Audit.Exchange is enabled"]);
    assert!(world.microsoft().report().is_legal());
    // Once more there is nothing to start.
    let output = world.call(&["doctor", "--start"]).output().unwrap();
    says(&output, 0, &["Audit.Exchange is enabled"]);
    assert!(!text(&output.stdout).contains("was started"));
}
