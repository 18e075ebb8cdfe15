//! What is said of sections, on machines where they run and elsewhere.

use std::fs;

use expect_test::{Expect, expect};

use super::*;

const TENANT: &str = "41463f53-8812-40f4-890f-865bf6e35190";

/// Judges a file of this name, with `{who}` for a tenant and an app, and `{dir}` for its folder.
#[track_caller]
fn check(name: &str, text: &str, around: Surroundings, expected: &Expect) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let text = text.replace("{who}", TENANT).replace("{dir}", folder);
    let path = dir.path().join(name);
    fs::write(&path, text).unwrap();
    let (whole, judged) = judge(&path, around);
    let mut text = shown(&whole);
    for Judged { report, section } in &judged {
        let usable = if section.is_some() { "can be used" } else { "cannot be used" };
        text.push_str(&format!("{}  {usable}\n", shown(report)));
    }
    assert!(!text.contains("s3cret"), "{text}");
    expected.assert_eq(&text.replace(folder, "{dir}"));
}

/// A report whose lines are not wrapped: where they are depends on the folder's name.
fn shown(report: &Report) -> String {
    let mut text = format!("{} {}\n", report.kind, report.name);
    for line in report.as_json()["checks"].as_array().unwrap() {
        let part = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        let [status, check, detail, remedy] = ["status", "check", "detail", "remedy"].map(part);
        text.push_str(&format!("  {status} {check}: {detail} -> {remedy}\n"));
    }
    text
}

const GOOD: &str = "\
service:
  storage.path: {dir}/storage
pipeline:
  inputs:
    - name: m365_audit
      tag: m365
      storage.type: filesystem
      tenant_id: {who}
      client_id: {who}
      client_secret: s3cret
      db: {dir}/state.db
  outputs:
    - name: stdout
      match: m365
";

#[test]
fn a_good_section_is_called_so() {
    check(
        "fluent-bit.yaml",
        GOOD,
        Surroundings::Here,
        &expect![[r#"
            file {dir}/fluent-bit.yaml
              ok sections: 1 input m365_audit -> 
            section m365_audit.0 ({dir}/fluent-bit.yaml:5)
              ok options: 4, each as the plugin takes it -> 
              ok storage: on disk, in {dir}/storage -> 
              ok outputs: stdout takes the tag m365 -> 
              can be used
        "#]],
    );
}

#[test]
fn values_are_judged_as_the_plugin_does() {
    check(
        "fluent-bit.conf",
        "[INPUT]\n    Name m365_audit\n    Tenant_Id {who}\n    Client_Id {who}\n    Client_Secret \
         s3cret\n    Lookback 30d\n    Content_Types Audit.Exchang\n    Lookbak 1d\n    \
         Mem_Buf_Limit 5M\n    Commit_Delay 2h\n    Tag_Prefix x\n[OUTPUT]\n    \
         Name es\n    Match *\n",
        Surroundings::Here,
        &expect![[r#"
            file {dir}/fluent-bit.conf
              ok sections: 1 input m365_audit -> 
            section m365_audit.0 ({dir}/fluent-bit.conf:1)
              fail options: lookbak: no such option ({dir}/fluent-bit.conf:8) -> did you mean lookback?
              fail options: content_types = "Audit.Exchang": not a value of this option ({dir}/fluent-bit.conf:7) -> did you mean Audit.Exchange? allowed: list of Audit.AzureActiveDirectory, Audit.Exchange, Audit.SharePoint, Audit.General, DLP.All
              fail options: lookback = "30d": too large ({dir}/fluent-bit.conf:6) -> allowed: time from 0s to 7d
              fail options: tag_prefix = "x": without effect, because tag_per_content_type and tag_per_tenant are off ({dir}/fluent-bit.conf:11) -> set one of them on, or leave tag_prefix out
              fail options: commit_delay = "2h": too large ({dir}/fluent-bit.conf:10) -> allowed: time from 0s to 1h
              ok storage: in memory -> 
              warn outputs: es ({dir}/fluent-bit.conf:12) sends records without what stands beside them: tenant, content type and what enrich adds -> set metadata to record, or to off if nobody needs them
              cannot be used
        "#]],
    );
}

#[test]
fn what_is_elsewhere_is_not_checked_and_no_mistake() {
    let text = GOOD
        .replace("s3cret", "${M365_AUDIT_TEST_GONE}")
        .replace("db: {dir}/state.db", "db: /nowhere/at/all/state.db");
    check(
        "fluent-bit.yaml",
        &text,
        Surroundings::Elsewhere,
        &expect![[r#"
            file {dir}/fluent-bit.yaml
              ok sections: 1 input m365_audit -> 
            section m365_audit.0 ({dir}/fluent-bit.yaml:5)
              not checked variables: client_secret: ${M365_AUDIT_TEST_GONE} has no value here ({dir}/fluent-bit.yaml:10) -> check it where it is going to run
              not checked surroundings: db = "/nowhere/at/all/state.db": there is no directory /nowhere/at/all ({dir}/fluent-bit.yaml:11) -> check it where it is going to run
              ok storage: on disk, in {dir}/storage -> 
              ok outputs: stdout takes the tag m365 -> 
              cannot be used
        "#]],
    );
    check(
        "fluent-bit.yaml",
        &text,
        Surroundings::Here,
        &expect![[r#"
            file {dir}/fluent-bit.yaml
              ok sections: 1 input m365_audit -> 
            section m365_audit.0 ({dir}/fluent-bit.yaml:5)
              fail variables: client_secret: ${M365_AUDIT_TEST_GONE} has no value here ({dir}/fluent-bit.yaml:10) -> set it in the environment of Fluent Bit, which puts nothing in its place
              fail options: db = "/nowhere/at/all/state.db": there is no directory /nowhere/at/all ({dir}/fluent-bit.yaml:11) -> create it, or name another file
              ok storage: on disk, in {dir}/storage -> 
              ok outputs: stdout takes the tag m365 -> 
              cannot be used
        "#]],
    );
}

#[test]
fn sections_that_share_a_db_and_what_surprises_is_told() {
    let text = "\
pipeline:
  inputs:
    - name: m365_audit
      tenant_id: {who}
      client_id: {who}
      client_secret: s3cret
      db: {dir}/state.db
    - name: m365_audit
      alias: again
      tag: again
      tenant_id: {who}
      client_id: {who}
      client_secret: s3cret
      content_types: [Audit.Exchange, DLP.All]
      db: {dir}/state.db
      storage.type: filesystem
    - name: m365_audit
      alias: third
      tenant_id: {who}
      client_id: {who}
      client_secret: s3cret
      db: {dir}/state.db
      processors:
        logs:
          - name: content_modifier
  outputs:
    - name: loki
      match: m365_audit.*
";
    check(
        "fluent-bit.yaml",
        text,
        Surroundings::Here,
        &expect![[r#"
            file {dir}/fluent-bit.yaml
              ok sections: 3 inputs m365_audit -> 
            section m365_audit.0 ({dir}/fluent-bit.yaml:3)
              ok options: 4, each as the plugin takes it -> 
              warn storage: in memory, with a db: what no output has taken is gone when Fluent Bit stops, and db counts it as delivered -> set storage.type to filesystem, and storage.path in the service; or commit_delay
              warn outputs: loki ({dir}/fluent-bit.yaml:27) sends records without what stands beside them: tenant, content type and what enrich adds -> set metadata to record, or to off if nobody needs them
              can be used
            section again ({dir}/fluent-bit.yaml:8)
              fail options: content_types: set several times ({dir}/fluent-bit.yaml:14) -> Fluent Bit refuses that: write it once, a list with commas
              fail storage: storage.type is filesystem, and the service has no storage.path -> set storage.path in the service, or Fluent Bit does not start
              warn outputs: no output's match fits the tag again -> Fluent Bit drops what no output takes: mend match, unless a filter changes the tag
              cannot be used
            section third ({dir}/fluent-bit.yaml:17)
              ok options: 4, each as the plugin takes it -> 
              warn storage: in memory, with a db: what no output has taken is gone when Fluent Bit stops, and db counts it as delivered -> set storage.type to filesystem, and storage.path in the service; or commit_delay
              warn outputs: loki ({dir}/fluent-bit.yaml:27) sends records without what stands beside them: tenant, content type and what enrich adds -> set metadata to record, or to off if nobody needs them
              warn processors: with them Fluent Bit's counts are ambiguous: one batch of up to 1 MiB a tag is handed over at a time -> move them to the output, if speed matters
              fail db: {dir}/state.db: section m365_audit.0 ({dir}/fluent-bit.yaml:3) collects tenant 41463f53-8812-40f4-890f-865bf6e35190 with it too -> keep one of the two, or give each a db of its own
              can be used
        "#]],
    );
    check(
        "fluent-bit.yaml",
        "pipeline:\n  inputs: []\n",
        Surroundings::Here,
        &expect![[r#"
            file {dir}/fluent-bit.yaml
              fail sections: no input m365_audit -> write one under inputs
        "#]],
    );
}

#[test]
fn a_match_of_fluent_bit_has_stars() {
    for (pattern, tag, fits) in [
        ("*", "m365", true),
        ("m365", "m365", true),
        ("m365", "m365.x", false),
        ("m365.*", "m365.Audit.Exchange", true),
        ("*.Exchange", "m365.Audit.Exchange", true),
        ("m*5.*.E*", "m365.Audit.Exchange", true),
        ("x*", "m365", false),
    ] {
        assert_eq!(matches(pattern, tag), fits, "{pattern} {tag}");
    }
}

/// Who reads the table and who runs the check learn the same.
#[test]
fn the_outputs_that_drop_metadata_are_those_of_the_plugins_readme() {
    let readme = include_str!("../../../../plugins/fluent-bit/README.md");
    let row = readme.lines().find(|line| line.ends_with("not at all: use `metadata record` |"));
    let names = row.unwrap().split('`').skip(1).step_by(2).filter(|name| !name.contains(' '));
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    assert_eq!(names, WITHOUT_METADATA);
}
